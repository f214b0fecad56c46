"""The paper's kind of table: a row a CAM method, a column a noise type, a score in each cell, the best in bold."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from camlab.cams.coincidence import is_baseline
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.wording import decimal, plural
from camlab.drawing.charts.titles import level_title
from camlab.study.analysis.values import VALUE_LABELS, enough, observed, rests_on, unprefixed, value_title

Record = Mapping[str, Any]
OVERALL = "all"
DIGITS = 2
#: Values of which a smaller one is no better and no worse: nothing is bold.
UNRANKED = ("blind", "mean_similarity")


def _shown(value: float) -> float:
    """The value as two digits show it; what rounds to nothing has no sign."""
    return round(value, DIGITS) + 0.0


@dataclass(frozen=True)
class Cell:
    """One score. value: None where not observed; n: the pairs it rests on; bold: the best of its column.

    Equal at the digits shown means equally good: then all of them are bold. Baselines are never bold, and neither is
    what rests on fewer than 5 pairs.
    """

    value: float | None
    n: int
    bold: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """The score with two digits, a dash where it was not observed."""
        return "–" if self.value is None else f"{_shown(self.value):.{DIGITS}f}"


@dataclass(frozen=True)
class PaperTable:
    """Scores by method (row) and noise type (column), the last column over all noise types pooled."""

    value: str
    methods: tuple[str, ...]
    noises: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    caption: str

    @property
    def heads(self) -> tuple[str, ...]:
        """Titles of the columns behind the first."""
        return tuple("all, pooled" if n == OVERALL else level_title("noise", n) for n in self.noises)

    @property
    def names(self) -> tuple[str, ...]:
        """Titles of the rows; a baseline says that it is one."""
        return tuple(level_title("method", method) for method in self.methods)

    @property
    def corner(self) -> str:
        """What the numbers are, above the methods."""
        return VALUE_LABELS[unprefixed(self.value)].short


def paper_table(
    records: Sequence[Record], overall: Sequence[Record] = (), value: str = "rm", caption: str = ""
) -> PaperTable:
    """The table of one value.

    records: of `camlab.study.analysis.summary.records`, by method and noise; overall: by method, for the last column. value: a value
    of a record, also with `stratified_` or `macro_` before it. Raises BadSetting for a value that no record has, or
    records of something else.
    """
    unprefixed(value)
    there: dict[tuple[str, str], Record] = {}
    for record in [*records, *({**each, "noise": OVERALL} for each in overall)]:
        key = (str(record["method"]), str(record["noise"]))
        if key in there:
            raise BadSetting("The table needs one record a method and noise type; sum up by these two.")
        there[key] = record
    methods = tuple(dict.fromkeys(method for method, _ in there))
    noises = tuple(dict.fromkeys(noise for _, noise in there))
    # Baselines stand last: they are what the others are held against.
    methods = tuple(sorted(methods, key=is_baseline))
    columns = [
        _column([there.get((method, noise)) for method in methods], methods, value) for noise in noises
    ]
    return PaperTable(value, methods, noises, tuple(zip(*columns, strict=True)), caption)


def _column(records: Sequence[Record | None], methods: Sequence[str], value: str) -> list[Cell]:
    rated = [
        _shown(found)
        for record, method in zip(records, methods, strict=True)
        if record is not None
        and not is_baseline(method)
        and enough(record, value)
        and (found := observed(record, value)) is not None
    ]
    best = max(rated) if rated and unprefixed(value) not in UNRANKED else None
    cells = []
    for record, method in zip(records, methods, strict=True):
        if record is None:
            cells.append(Cell(None, 0, note="not measured"))
            continue
        found, n = observed(record, value), rests_on(record, value)
        top = best is not None and found is not None and _shown(found) == best
        low, high = record.get(f"{value}_low"), record.get(f"{value}_high")
        interval = "" if low is None or high is None else f", 95\u202f% interval {low:.2f} to {high:.2f}"
        note = (
            f"{decimal(found)}{interval}; rests on {plural(n, 'pair')}; n = {record['n']} pairs of "
            f"{plural(int(record['n_pictures']), 'picture')}, {plural(int(record['n_flipped']), 'flip')}"
        )
        cells.append(Cell(found, n, bool(top and not is_baseline(method) and enough(record, value)), note))
    return cells


@dataclass(frozen=True)
class Format:
    """One form that the table can be taken away in."""

    name: str
    title: str
    suffix: str
    write: Callable[[PaperTable], str]


FORMATS: Registry[Format] = Registry("form of a table")


def _format(
    name: str, title: str, suffix: str
) -> Callable[[Callable[[PaperTable], str]], Callable[[PaperTable], str]]:
    def register(write: Callable[[PaperTable], str]) -> Callable[[PaperTable], str]:
        FORMATS.add(name, Format(name, title, suffix, write))
        return write

    return register


def _pipe(text: str) -> str:
    return "".join(f"\\{c}" if c in "|*_`<>[]\\" else c for c in text)


@_format("markdown", "Markdown", ".md")
def markdown(table: PaperTable) -> str:
    """A pipe table; the best of a column in bold."""
    lines = [
        f"| {' | '.join(map(_pipe, (table.corner, *table.heads)))} |",
        "|" + "|".join([":--", *["--:"] * len(table.heads)]) + "|",
    ]
    for name, row in zip(table.names, table.cells, strict=True):
        cells = [f"**{cell.text}**" if cell.bold else cell.text for cell in row]
        lines.append(f"| {' | '.join([_pipe(name), *cells])} |")
    return "\n".join([*lines, *(["", _pipe(table.caption)] if table.caption else [])]) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$", "·": r"$\cdot$",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


@_format("latex", "LaTeX", ".tex")
def latex(table: PaperTable) -> str:
    """A table for the package booktabs; the best of a column in bold, headings turned upright."""
    heads = " & ".join(rf"\rotatebox{{90}}{{{_tex(head)}}}" for head in table.heads)
    lines = [
        "% needs the packages booktabs and graphicx",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.caption or value_title(table.value))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.heads)}}}",
        r"\toprule",
        rf"{_tex(table.corner)} & {heads} \\",
        r"\midrule",
    ]
    for name, row in zip(table.names, table.cells, strict=True):
        cells = [rf"\textbf{{{_tex(cell.text)}}}" if cell.bold else _tex(cell.text) for cell in row]
        lines.append(rf"{' & '.join([_tex(name), *cells])} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


@_format("csv", "CSV", ".csv")
def comma_separated(table: PaperTable) -> str:
    """A row a cell, all digits: method, noise, value, the pairs it rests on, and whether it is the best."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["method", "noise", table.value, "n", "best"])
    for method, row in zip(table.methods, table.cells, strict=True):
        for noise, cell in zip(table.noises, row, strict=True):
            writer.writerow(
                [method, noise, "" if cell.value is None else repr(cell.value), cell.n, int(cell.bold)]
            )
    return stream.getvalue()


def html(table: PaperTable) -> str:
    """The table for a page, every text escaped; what a cell rests on is in its hover."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in table.heads)
    rows = []
    for name, row in zip(table.names, table.cells, strict=True):
        cells = "".join(
            f'<td title="{escape(cell.note, quote=True)}">'
            + (f"<strong>{escape(cell.text)}</strong>" if cell.bold else escape(cell.text))
            + "</td>"
            for cell in row
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="cl-scroll"><table class="cl-paper"><caption>{escape(table.caption)}</caption>'
        f'<thead><tr><th scope="col">{escape(table.corner)}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
