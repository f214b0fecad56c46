"""Class names from files: every form that is promised, and a sentence for all others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camlab.common.errors import BadSetting
from camlab.models.own.name_files import MAX_BYTES, parse_class_names

NAMES = ("tabby, tabby cat", "Größe", "3")


@pytest.mark.parametrize(
    ("filename", "text"),
    [
        ("a.txt", "tabby, tabby cat\nGröße\n3\n\n"),
        ("a", "tabby, tabby cat\r\nGröße\r\n3"),
        ("a.csv", '"tabby, tabby cat"\nGröße\n3\n'),
        ("a.csv", 'name\n"tabby, tabby cat"\nGröße\n3\n'),
        ("a.csv", 'index,name\n1,Größe\n0,"tabby, tabby cat"\n2,3\n'),
        ("a.csv", '0,"tabby, tabby cat"\n1,Größe\n2,3\n'),
        ("a.json", json.dumps(NAMES)),
        ("a.json", json.dumps({"0": NAMES[0], "2": NAMES[2], "1": NAMES[1]})),
        ("a.json", json.dumps({str(i): [f"n{i}", name] for i, name in enumerate(NAMES)})),
        ("a.json", json.dumps({name: i for i, name in enumerate(NAMES)})),
    ],
)
def test_every_form(filename: str, text: str) -> None:
    for mark in ("", "\ufeff"):
        assert parse_class_names((mark + text).encode(), filename) == NAMES


@pytest.mark.parametrize("text", ["0\tcat\n1\tdog\n", "0;cat\n1;dog\n", "class;label\n1;dog\n0;cat\n"])
def test_columns_may_be_parted_otherwise(text: str) -> None:
    assert parse_class_names(text.encode(), "a.tsv") == ("cat", "dog")


@given(st.lists(st.text(min_size=1, max_size=9).filter(lambda s: s == s.strip() and s), min_size=1, max_size=9))
def test_json_lists_come_back_as_they_are(names: list[str]) -> None:
    assert parse_class_names(json.dumps(names).encode(), "names.json") == tuple(names)


@pytest.mark.parametrize(
    ("filename", "data", "sentence"),
    [
        ("a.txt", b"", "no class names"),
        ("a.txt", b"one\n\nthree", "no name for class 1"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json", b"3", "neither a list nor an object"),
        ("a.json", b'[["a"]]', "entries other than names"),
        ("a.json", b'{"0": "a", "2": "b"}', "index 1 is missing"),
        ("a.json", b'{"0": {}}', "class 0 has a value that is not a name"),
        ("a.json", b'{"cat": "a"}', "'cat' is not an index"),
        ("a.csv", b"0,a\n0,b\n", "twice"),
        ("a.csv", b"0,a\n1\n", "different numbers of columns"),
        ("a.csv", b'0,"a\n', "not CSV"),
        ("a.txt", bytes(MAX_BYTES + 1), "too large"),
    ],
)
def test_the_rest_is_a_sentence(filename: str, data: bytes, sentence: str) -> None:
    with pytest.raises(BadSetting, match=sentence) as caught:
        parse_class_names(data, filename)
    assert str(caught.value).startswith(filename)
    assert str(caught.value).endswith(".")
