"""The paper's table: what is bold, what is said beside a number, and the forms that it takes."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from camlab.common.errors import BadSetting
from camlab.study.analysis.paper_table import FORMATS, PaperCell, PaperTable, html, paper_table
from camlab.study.analysis.summary import records
from tests.study.study_frames import NASTY, study


def record(method: str, noise: str, value: float | None, n: int = 20, name: str = "rm") -> dict[str, Any]:
    """What the table reads of a summary's record, with as many flips as kept pairs."""
    return {
        "method": method, "noise": noise, "n": 2 * n, "n_pictures": 1, "n_flipped": n, "n_near": 0,
        "n_consistency": n, "n_responsiveness": n, name: value,
        f"{name}_low": None if value is None else value - 0.1, f"{name}_high": None if value is None else value + 0.1,
    }  # fmt: skip


def column(*values: tuple[str, float | None, int], name: str = "rm") -> dict[str, PaperCell]:
    table = paper_table([record(m, "fog", v, n, name) for m, v, n in values], value=name)
    return {method: row[0] for method, row in zip(table.methods, table.cells, strict=True)}


def bold(cells: dict[str, PaperCell]) -> set[str]:
    return {method for method, cell in cells.items() if cell.bold}


def test_all_that_tie_at_the_digits_shown_are_bold() -> None:
    cells = column(("gradcam", 0.314, 20), ("eigencam", 0.306, 20), ("layercam", 0.304, 20))
    assert bold(cells) == {"gradcam", "eigencam"}
    assert [cell.text for cell in cells.values()] == ["0.31", "0.31", "0.30"]


def test_a_baseline_is_named_last_and_never_bold() -> None:
    cells = column(("randomcam", 0.9, 20), ("gradcam", 0.2, 20), ("eigencam = randomcam", 0.8, 20))
    assert bold(cells) == {"gradcam"}
    table = paper_table([record("randomcam", "fog", 0.9), record("gradcam", "fog", 0.2)])
    assert table.methods == ("gradcam", "randomcam")
    assert [("baseline" in name) for name in table.names] == [False, True]
    assert bold(column(("randomcam", 0.9, 20))) == set()


def test_what_rests_on_few_pairs_is_not_bold() -> None:
    assert bold(column(("gradcam", 0.9, 4), ("eigencam", 0.2, 5))) == {"eigencam"}


def test_what_was_not_observed_is_a_dash() -> None:
    cells = column(("gradcam", None, 20), ("eigencam", 0.0, 20))
    assert cells["gradcam"].text == "–" and cells["eigencam"].text == "0.00"
    assert bold(cells) == {"eigencam"}
    assert "not observed" in cells["gradcam"].note
    assert bold(column(("gradcam", None, 20))) == set()


def test_a_value_of_which_more_is_not_better_has_no_best() -> None:
    assert bold(column(("gradcam", 0.2, 20), name="blind")) == set()
    assert bold(column(("gradcam", 0.2, 20), name="stratified_rm")) == {"gradcam"}


def test_what_rounds_to_nothing_has_no_sign() -> None:
    cells = column(("gradcam", -0.001, 20), ("eigencam", 0.001, 20), name="gap")
    assert {cell.text for cell in cells.values()} == {"0.00"}
    assert bold(cells) == {"gradcam", "eigencam"}


def test_the_hover_says_what_a_number_rests_on() -> None:
    (cell,) = column(("gradcam", 0.5, 7)).values()
    assert cell.note.replace("\u202f", " ") == (
        "0.50, 95 % interval 0.40 to 0.60; rests on 7 pairs; n = 14 pairs of 1 picture, 7 flips"
    )


def test_the_table_is_the_summary() -> None:
    rows = study()
    cells, overall = (records(rows, by, replicates=0) for by in (("method", "noise"), ("method",)))
    table = paper_table(cells, overall, "consistency")
    assert table.noises == ("fog", "gaussian_noise", "all")
    for method, row in zip(table.methods, table.cells, strict=True):
        for noise, cell in zip(table.noises, row, strict=True):
            pool = [r for r in cells if (r["method"], r["noise"]) == (method, noise)] or [
                r for r in overall if r["method"] == method
            ]
            assert (cell.value, cell.n) == (pool[0]["consistency"], pool[0]["n_consistency"])
    assert [sum(row[i].bold for row in table.cells) for i in range(3)] == [1, 1, 1]


def test_a_method_without_pairs_of_a_noise_has_an_empty_cell() -> None:
    table = paper_table([record("gradcam", "fog", 0.5), record("eigencam", "contrast", 0.4)])
    assert [[cell.text for cell in row] for row in table.cells] == [["0.50", "–"], ["–", "0.40"]]
    assert table.cells[0][1].note == "not measured"


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(BadSetting, match="choose one of: consistency"):
        paper_table([], value="colour")
    with pytest.raises(BadSetting, match="one record per method and noise type"):
        paper_table([record("gradcam", "fog", 0.1), record("gradcam", "fog", 0.2)])


# --- the forms


@pytest.fixture
def table() -> PaperTable:
    nasty = r"a|b_&%$#{}~^\ " + NASTY
    return paper_table(
        [
            record("gradcam", nasty, 0.51),
            record(nasty, nasty, 0.25),
            record("gradcam", "fog", None),
            record(nasty, "fog", -0.125),
        ],
        caption=f"50 % of {nasty}",
    )


def test_markdown_has_a_cell_for_each(table: PaperTable) -> None:
    head, rule, *rows = FORMATS["markdown"].write(table).splitlines()[:4]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (head, rule, *rows)]
    assert [len(line) for line in cells] == [3, 3, 3, 3]
    assert [cell.strip() for cell in cells[2]] == ["Grad-CAM", "**0.51**", "–"]
    assert [cell.strip() for cell in cells[3][1:]] == ["0.25", "**-0.12**"]
    assert "<img" not in FORMATS["markdown"].write(table).replace("\\<", "")


def test_latex_is_escaped_and_uses_booktabs(table: PaperTable) -> None:
    text = FORMATS["latex"].write(table)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    for line in body:
        assert line.endswith(r"\\")
        assert len(re.findall(r"(?<!\\)&", line)) == 2
    assert r"\textbf{0.51}" in body[0] and body[0].endswith(r"-- \\")
    # What remains special is LaTeX's own: commands, their braces, and the ends of cells.
    for line in text.splitlines()[1:]:
        assert not re.search(
            r"(?<!\\)[%#~^_]", line.replace(r"\textasciitilde{}", "").replace(r"\textasciicircum{}", "")
        )
        braces = re.sub(r"\\[{}]", "", line)
        assert braces.count("{") == braces.count("}")
    assert r"a|b\_\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}" in text


def test_csv_reads_back_with_all_digits(table: PaperTable) -> None:
    read = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(table))))
    assert [row["rm"] for row in read] == ["0.51", "", "0.25", "-0.125"]
    assert [row["best"] for row in read] == ["1", "0", "0", "1"]
    assert {row["n"] for row in read} == {"20"}
    assert read[2]["method"] == table.methods[1]


class Reader(HTMLParser):
    """Tags, and the text and hover of every cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes_every_text(table: PaperTable) -> None:
    found = Reader(html(table))
    assert set(found.tags) == {"div", "table", "caption", "thead", "tr", "th", "tbody", "td", "strong"}
    assert (found.tags.count("td"), found.tags.count("strong")) == (4, 2)
    assert found.titles == [cell.note for row in table.cells for cell in row]
    assert NASTY in found.text
    assert all("<" not in title for title in found.titles)
