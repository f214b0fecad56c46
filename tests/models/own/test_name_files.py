"""Class names from files: every form that is promised, and a sentence for all others."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.common.errors import BadSetting
from camlab.models.own.name_files import MAX_BYTES, NameFile, read_class_names

NAMES = ("tabby, tabby cat", "Größe", "3")
PAIR = ("cat", "dog")


def names_in(filename: str, text: str, outputs: int | None = None) -> tuple[str, ...]:
    """The names in a file that can be read in one way only."""
    return read_class_names(text.encode(), filename).settled(outputs).names


def ways(filename: str, text: str) -> dict[str, tuple[str, ...]]:
    found = read_class_names(text.encode(), filename)
    return {reading.key: reading.names for reading in found.fitting(None)}


@pytest.mark.parametrize(
    ("filename", "text"),
    [
        ("a.txt", "tabby, tabby cat\nGröße\n3\n\n"),
        ("a", "tabby, tabby cat\r\nGröße\r\n3"),
        ("a.names", "tabby, tabby cat\rGröße\r3"),
        ("a.csv", '"tabby, tabby cat"\nGröße\n3\n'),
        ("a.csv", 'name\n"tabby, tabby cat"\nGröße\n3\n'),
        ("a.csv", 'index,name\n1,Größe\n0,"tabby, tabby cat"\n2,3\n'),
        ("a.csv", '0,"tabby, tabby cat"\n1,Größe\n2,3\n'),
        ("a.json", json.dumps(NAMES)),
        ("a.json", json.dumps({"0": NAMES[0], "2": NAMES[2], "1": NAMES[1]})),
        ("a.json", json.dumps({str(i): [f"n{i:08d}", name] for i, name in enumerate(NAMES)})),
        ("a.json", json.dumps({name: i for i, name in enumerate(NAMES)})),
        ("a.yaml", "- tabby, tabby cat\n- Größe\n- 3\n"),
        ("a.txt", repr(dict(enumerate(NAMES)))),
        ("a.json", repr(list(NAMES))),
        ("a.py", f"import os\nCLASSES = {NAMES!r}\nPALETTE = [[1, 2, 3], [4, 5, 6]]\n"),
    ],
)
def test_every_form(filename: str, text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"):
        assert read_class_names(text.encode(encoding), filename).settled().names == NAMES, encoding


@pytest.mark.parametrize("text", ["0\tcat\n1\tdog\n", "0;cat\n1;dog\n", "class;label\n1;dog\n0;cat\n", "0|cat\n1|dog"])
@pytest.mark.parametrize("filename", ["a.tsv", "a.csv", "a.txt"])
def test_columns_may_be_parted_otherwise(filename: str, text: str) -> None:
    assert names_in(filename, text) == PAIR


@pytest.mark.parametrize(
    "text",
    [
        "id,label\n1,dog\n0,cat",
        "label,id\ndog,1\ncat,0",
        "id,wnid,name\n1,n02084071,dog\n0,n02121808,cat",
        "1,n02084071,dog\n0,n02121808,cat",
        "wnid,name,id\nn02084071,dog,1\nn02121808,cat,0",
        ",id,label\n0,1,dog\n1,0,cat",  # pandas writes its row numbers first
        "Unnamed: 0,label\n1,dog\n0,cat",
        ",0\n0,cat\n1,dog",  # a pandas Series
        "label,superclass\ncat,animal\ndog,animal",
        "class,count\ncat,1200\ndog,800",
        "Class ID;Class Name;Colour\n1;dog;red\n0;cat;blue",
        "id,name\n2,dog\n1,cat",
        "wnid,words\nn02121808,cat\nn02084071,dog",
        "id,label\nn02121808,cat\nn02084071,dog",
        "'id','name'\n'1','dog'\n'0','cat'",
        '"id", "name"\n"1", "dog"\n"0", "cat"',
    ],
)
def test_the_header_or_the_values_tell_the_columns(text: str) -> None:
    assert names_in("a.csv", text) == PAIR


@given(st.permutations(("id", "label", "wnid", "", "count")), st.permutations(range(5)), st.sampled_from(",;\t|"))
def test_the_order_of_columns_and_rows_changes_nothing(header: list[str], rows: list[int], separator: str) -> None:
    words = ("tench", "goldfish", "great white shark", "hen", "ostrich")
    cells = [
        {"id": str(i), "label": words[i], "wnid": f"n0144076{i}", "": str(place), "count": str(7 + i % 2)}
        for place, i in enumerate(rows)
    ]
    lines = [separator.join(header), *(separator.join(row[column] for column in header) for row in cells)]
    assert names_in("a.csv", "\n".join(lines)) == words


@pytest.mark.parametrize(
    "text",
    [
        '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}, "model_type": "vit"}',
        '{"model": {"label2id": {"dog": 1, "cat": 0}}}',
        '{"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}',
        '{"label_names": ["n02121808", "n02084071"], "label_descriptions": {"n02084071": "dog", "n02121808": "cat"}}',
        '{"categories": [{"id": 2, "name": "dog", "supercategory": "x"}, {"id": 1, "name": "cat"}]}',
        '{"id": 1, "name": "dog"}\n{"id": 0, "name": "cat"}',
        '[["n02121808", "cat"], ["n02084071", "dog"]]',
        '{"cat": 1, "dog": 2}',
        '{"0": {"name": "cat", "wnid": "n02121808"}, "1": {"name": "dog", "wnid": "n02084071"}}',
    ],
)
def test_objects_of_well_known_files(text: str) -> None:
    assert names_in("config.json", text) == PAIR


@pytest.mark.parametrize(
    "text",
    [
        "path: ../data\ntrain: images/train\nnc: 2\nnames: [cat, dog]\n",
        "names:\n  1: dog\n  0: cat\n",
        "model:\n  class_names:\n  - cat\n  - dog\n",
        "0: cat\n1: dog\n",
        "cat: 0\ndog: 1\n",
        "- {id: 0, name: cat}\n- {id: 1, name: dog}\n",
    ],
)
def test_yaml(text: str) -> None:
    assert names_in("data.yaml", text) == PAIR
    assert names_in("data.YML", text) == PAIR


def test_label_maps_of_tensorflow() -> None:
    text = "item {\n  id: 2\n  name: \"dog\"\n}\nitem { id: 1, name: 'cat' }\n"
    assert names_in("map.pbtxt", text) == names_in("map.txt", text) == PAIR
    text = 'item {\n name: "/m/2"\n id: 2\n display_name: "dog"\n}\nitem { id: 1 name: "/m/1" display_name: "cat" }'
    assert names_in("map.pbtxt", text) == PAIR
    with pytest.raises(BadSetting, match="not closed"):
        names_in("map.pbtxt", 'item { id: 1 name: "cat" }\nitem { id: 2')


def test_names_are_read_as_they_are_written() -> None:
    assert names_in("a.yaml", "names: [no, on, 1.0, null, 2024-01-01]") == ("no", "on", "1.0", "null", "2024-01-01")
    assert names_in("a.json", '["01", 2, 1.50]') == ("01", "2", "1.50")
    assert names_in("a.txt", "[UNK]\ncat\n[PAD]") == ("[UNK]", "cat", "[PAD]")
    assert names_in("a.txt", "grade 0\ngrade 1") == ("grade 0", "grade 1")
    assert names_in("a.txt", "1 star\n2 stars\n3 stars") == ("1 star", "2 stars", "3 stars")
    assert names_in("a.json", '{"names": 0, "labels": 1}') == ("names", "labels")
    assert names_in("a.txt", '"cat",\n"dog",') == PAIR


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish", ("tench, Tinca tinca", "goldfish")),
        ("1 goldfish\n0 tench, Tinca tinca", ("tench, Tinca tinca", "goldfish")),
        ("0: tench\n1: goldfish", ("tench", "goldfish")),
        ("0,tench, Tinca tinca\n1,goldfish", ("tench, Tinca tinca", "goldfish")),
        ("id name\n0 tench\n1 goldfish", ("tench", "goldfish")),
        ("tench: 0\ngoldfish: 1", ("tench", "goldfish")),
        ("0,'tench, Tinca tinca'\n1,'goldfish, koi'", ("tench, Tinca tinca", "goldfish, koi")),
        ("0;tench, Tinca tinca\n1;goldfish, koi", ("tench, Tinca tinca", "goldfish, koi")),
    ],
)
def test_lines_with_an_index_or_a_code(text: str, names: tuple[str, ...]) -> None:
    assert names_in("a.txt", text) == names


# --- several readings


@pytest.mark.parametrize(
    ("filename", "text", "expected"),
    [
        ("a.csv", "id,label,class\n0,cat,animal\n1,oak,plant", {"label": ("cat", "oak"), "class": ("animal", "plant")}),
        ("a.csv", "0,cat,animal\n1,oak,plant", {"column 2": ("cat", "oak"), "column 3": ("animal", "plant")}),
        (
            "a.csv",
            "label,rank\ncat,2\ndog,1",
            {"label": ("cat", "dog"), "label by rank": ("dog", "cat")},
        ),
        (
            "a.csv",
            "id,target,name\n0,1,cat\n1,0,dog",
            {"name by id": ("cat", "dog"), "name by target": ("dog", "cat")},
        ),
        (
            "a.csv",
            "tabby, tabby cat\ntiger, tiger cat",
            {
                "column 1": ("tabby", "tiger"),
                "column 2": ("tabby cat", "tiger cat"),
                "lines": ("tabby, tabby cat", "tiger, tiger cat"),
            },
        ),
        (
            "a.csv",
            "0,tabby, tabby cat\n1,tiger, tiger cat",
            {
                "column 2": ("tabby", "tiger"),
                "column 3": ("tabby cat", "tiger cat"),
                "name": ("tabby, tabby cat", "tiger, tiger cat"),
            },
        ),
        ("a.txt", "cat\tFelis\ndog\tCanis", {
            "column 1": PAIR, "column 2": ("Felis", "Canis"), "lines": ("cat\tFelis", "dog\tCanis"),
        }),
        ("a.txt", "Boeing 0\nAirbus 1", {"name": ("Boeing", "Airbus"), "lines": ("Boeing 0", "Airbus 1")}),
        ("a.txt", "# pets\ncat\ndog", {"lines without #": PAIR, "all lines": ("# pets", "cat", "dog")}),
        (
            "a.json",
            '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 1, "dog": 0}}',
            {"id2label": ("cat", "dog"), "label2id": ("dog", "cat")},
        ),
        ("a.json", '{"0": 1, "1": 2, "2": 0}', {"values by keys": ("1", "2", "0"), "keys by values": ("2", "0", "1")}),
        ("a.py", "fine = ['cat', 'dog']\ncoarse = ['pet', 'wild']", {"fine": PAIR, "coarse": ("pet", "wild")}),
    ],
)  # fmt: skip
def test_where_several_readings_fit_none_is_taken(
    filename: str, text: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert ways(filename, text) == expected
    found = read_class_names(text.encode(), filename)
    with pytest.raises(BadSetting, match=f"can be read in {len(expected)} ways") as caught:
        found.settled()
    for key, names in expected.items():
        assert f"“{key}” (“{names[0]}”" in str(caught.value)
        assert found.chosen(key).settled().names == names
    with pytest.raises(BadSetting, match="cannot be read as 'colour'; choose “"):
        found.chosen("colour")


def test_the_number_of_outputs_decides_between_readings() -> None:
    text = "label\ncat\ndog"
    assert names_in("a.csv", text) == names_in("a.csv", text, 2) == PAIR
    assert names_in("a.csv", text, 3) == ("label", "cat", "dog")
    assert names_in("a.txt", "# pets\ncat\ndog", 2) == PAIR
    assert names_in("a.csv", "1,cat\n2,dog", 3) == ("class 0", "cat", "dog")  # 0 is the background
    with pytest.raises(BadSetting, match=r"There are 2 or 3 class names in a\.txt, but 7 outputs"):
        names_in("a.txt", "# pets\ncat\ndog", 7)


def said(file: NameFile) -> str:
    return file.sentence(file.settled())


def test_how_a_file_was_read_is_said() -> None:
    table = read_class_names(b"n,label,id\nx,cat,1\ny,dog,2\n", "a.csv")
    assert said(table) == (
        "Class names of a.csv: the names are “label”, in the order of “id”, whose 1 is the network's first class."
    )
    assert said(read_class_names("Größe\nx".encode("latin-1"), "a.txt")) == (
        "Class names of a.txt: one name per line; the file is not in UTF-8 and was read as Western European (“Größe”)."
    )
    assert "the file is in UTF-16" in said(read_class_names("x\ny".encode("utf-16"), "a.txt"))
    assert said(read_class_names(b"crane\ncat\ncrane", "a.txt")).endswith("the classes 0, 2 share the name “crane”.")
    nested = read_class_names(b'{"model": {"id2label": {"0": "a", "1": "b"}}}', "config.json")
    assert "in “model.id2label”" in said(nested)


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=9).filter(lambda s: s == s.strip() and s), min_size=1, max_size=9))
def test_json_lists_come_back_as_they_are(names: list[str]) -> None:
    assert names_in("names.json", json.dumps(names)) == tuple(names)


WORDS = st.text("abcé, -'()", min_size=1, max_size=9).filter(lambda s: s == s.strip(" ,'") and s[0].isalpha())


@settings(max_examples=40)
@given(st.lists(WORDS, min_size=2, max_size=9, unique=True), st.randoms())
def test_objects_come_back_in_the_order_of_their_indices(names: list[str], order: random.Random) -> None:
    pairs = list(enumerate(names))
    order.shuffle(pairs)
    for form in (dict(pairs), {name: index for index, name in pairs}, {"x": {"id2label": dict(pairs)}}):
        assert names_in("a.json", json.dumps(form)) == tuple(names)
        assert names_in("a.txt", repr(form)) == tuple(names)
    assert names_in("a.txt", "\n".join(f"{index}: {name}" for index, name in pairs)) == tuple(names)


# --- refused


@pytest.mark.parametrize(
    ("filename", "data", "sentence"),
    [
        ("a.txt", b"", "no class names"),
        ("a.txt", b"one\n\nthree", "no name for class 1"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0", "not text"),
        ("a.txt", b"cat\x07\ndog", "not text"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json", b"3", "neither a list nor an object"),
        ("a.json", b'[["a"]]', "entries other than names"),
        ("a.json", b"[null, true]", "entries other than names"),
        ("a.json", b'{"0": "a", "2": "b"}', "index 1 is missing"),
        ("a.json", b'{"0": "a", "0": "b"}', "index 0 occurs twice"),
        ("a.json", b'{"0": {}}', "class 0 has a value that is not a name"),
        ("a.json", b'{"cat": "a"}', "'cat' is not an index"),
        ("a.json", b'{"id2label": {}}', "no class names"),
        ("a.json", b'{"categories": [{"id": 1, "name": "a"}, {"id": 3, "name": "b"}]}', "index 2 is missing"),
        ("a.csv", b"0,a\n0,b\n", "twice"),
        ("a.csv", b"0,a\n2,b\n", "index 1 is missing"),
        ("a.csv", b"id,name\n0,a\n1,\n", "no name for class 1"),
        ("a.csv", b"0,a\n1\n", "different numbers of columns"),
        ("a.csv", b'0,"a\n', "not CSV"),
        ("a.yaml", b"names: *x", "YAML|aliases"),
        ("a.yaml", b"a: &x [b]\nnames: *x", "aliases"),
        ("a.yaml", b"[" * 100_000, "YAML|nested"),
        ("a.yaml", b"- " * 1000 + b"a", "nested"),
        ("a.txt", b"{0: 'a', 0: 'b'}", "index 0 occurs twice"),
        ("a.txt", b"{0: 'a',\n 1: 'b", "not JSON"),
        ("a.txt", b"{'a', 'b'}", "set, whose names have no order"),
        ("a.txt", b"['a' 'b']", "no comma between them"),  # as numpy prints an array
        ("a.py", b"print('hello')", "no class names"),
        ("a.txt", bytes(MAX_BYTES + 1), "too large"),
    ],
)
def test_the_rest_is_a_sentence(filename: str, data: bytes, sentence: str) -> None:
    with pytest.raises(BadSetting, match=sentence) as caught:
        read_class_names(data, filename).settled()
    assert str(caught.value).startswith(filename)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("text", ["0" + " " * 50_000 + "\n1", "a " * 30_000, "a" + " " * 50_000 + "b", ", '" * 30_000])
@pytest.mark.parametrize("filename", ["a.txt", "a.csv"])
def test_long_lines_take_no_longer_than_their_length(text: str, filename: str) -> None:
    # A pattern that tries every way to part a run of spaces would take minutes, and the suite would stand still.
    try:
        assert read_class_names(text.encode(), filename).readings
    except BadSetting as error:
        assert str(error).startswith(filename)


@given(st.binary(max_size=60), st.sampled_from(["a.txt", "a.csv", "a.json", "a.yaml", "a.py"]))
def test_any_bytes_are_names_or_a_sentence(data: bytes, filename: str) -> None:
    try:
        found = read_class_names(data, filename)
    except BadSetting as error:
        assert str(error).startswith(filename)
    else:
        assert all(reading.names and all(reading.names) for reading in found.readings)


@given(st.text("01,;|\t\n'\"[]{}():ab# ", max_size=40), st.sampled_from(["a.txt", "a.csv", "a.json", "a.yaml", "a.py"]))
def test_any_text_is_names_or_a_sentence(text: str, filename: str) -> None:
    test_any_bytes_are_names_or_a_sentence.hypothesis.inner_test(text.encode(), filename)  # type: ignore[attr-defined]
