"""The pages whose tables come from the registries say what the registries say."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks import make_docs
from benchmarks.make_docs import DOCS, PAGES, PARTS, rewritten, stale, table, write
from camlab.cams import CAMS
from camlab.common.errors import UnknownName
from camlab.images.datasets.catalogue import DATASETS
from camlab.models import MODELS
from camlab.models.hub.catalogue import SHELF
from camlab.noise import NOISES


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_registries_say(page: str) -> None:
    made_with = re.search(r"the code of grad-cam ([\d.]+)\.\n", text(page))
    if made_with and made_with[1] != version("grad-cam"):
        pytest.skip(f"the page was made with grad-cam {made_with[1]}")
    assert rewritten(text(page)) == text(page), "run `python -m benchmarks.make_docs`"


def test_every_part_stands_on_a_page_and_every_entry_in_a_part() -> None:
    pages = "".join(map(text, PAGES))
    assert sorted(re.findall(r"<!-- begin: ([\w-]+) -->", pages)) == sorted(PARTS)
    for registry in (MODELS, DATASETS, CAMS, NOISES):
        for name in registry:
            assert f"`{name}`" in pages, name
    for name in SHELF:
        assert f"`timm/{name}`" in pages


def test_a_stale_page_is_found_and_mended(tmp_path: Path) -> None:
    for name in PAGES:
        shutil.copy(DOCS / name, tmp_path)
    write(tmp_path)
    page = tmp_path / "images.md"
    good = page.read_text(encoding="utf-8")
    page.write_text(good.replace("342 MB", "3 MB").replace("# Pictures", "# My pictures"), encoding="utf-8")
    assert stale(tmp_path) == ["images.md"] == write(tmp_path)
    assert page.read_text(encoding="utf-8") == good.replace("# Pictures", "# My pictures")
    assert stale(tmp_path) == []


def test_a_part_that_nobody_makes_is_told() -> None:
    with pytest.raises(UnknownName, match="part of the documentation called 'nothing'"):
        rewritten("<!-- begin: nothing -->\n<!-- end -->")


def test_a_table_keeps_its_columns_whatever_is_in_it() -> None:
    assert table(("a", "b:"), [("x|y", "1\n2")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 2 |"


def test_check_fails_where_a_page_is_stale(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["make_docs", "--check"])
    monkeypatch.setattr(make_docs, "stale", lambda: ["models.md"])
    assert make_docs.main() == 1 and "stale: docs/models.md" in capsys.readouterr().out
    monkeypatch.setattr(make_docs, "stale", list)
    assert make_docs.main() == 0
