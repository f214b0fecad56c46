"""The paper's table: one row per CAM method, one column per noise type, with the best score of a column in bold."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from camlab.cams.coincidence import is_baseline
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.wording import decimal, plural
from camlab.drawing.charts.titles import level_title
from camlab.study.analysis.values import (
    VALUE_LABELS,
    Record,
    enough,
    interval_text,
    observed,
    rests_on,
    unprefixed,
    value_title,
)

OVERALL = "all"
DIGITS = 2
#: Values of which neither high nor low is better, so none is bold.
UNRANKED = ("blind", "mean_similarity")


def _shown(value: float) -> float:
    """Round a value to the shown digits, without a negative zero."""
    return round(value, DIGITS) + 0.0


@dataclass(frozen=True)
class PaperCell:
    """One score. value: None if not observed; n: the pairs behind it; bold: it is the best of its column.

    Scores that are equal at the shown digits are equally good, and all bold. Baselines and scores from fewer than 5
    pairs are never bold.
    """

    value: float | None
    n: int
    bold: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """The score with two digits; a dash if it was not observed."""
        return "–" if self.value is None else f"{_shown(self.value):.{DIGITS}f}"


@dataclass(frozen=True)
class PaperTable:
    """Scores by method (row) and noise type (column), the last column over all noise types pooled."""

    value: str
    methods: tuple[str, ...]
    noises: tuple[str, ...]
    cells: tuple[tuple[PaperCell, ...], ...]
    caption: str

    @property
    def heads(self) -> tuple[str, ...]:
        """Titles of the columns after the first."""
        return tuple("all, pooled" if n == OVERALL else level_title("noise", n) for n in self.noises)

    @property
    def names(self) -> tuple[str, ...]:
        """Titles of the rows, with baselines marked."""
        return tuple(level_title("method", method) for method in self.methods)

    @property
    def corner(self) -> str:
        """The title of the value, for the corner above the methods."""
        return VALUE_LABELS[unprefixed(self.value)].short


def paper_table(
    records: Sequence[Record], overall: Sequence[Record] = (), value: str = "rm", caption: str = ""
) -> PaperTable:
    """Build the table of one value.

    records: by method and noise type, from `camlab.study.analysis.summary.records`; overall: by method, for the last
    column. value: the name of a record's value, also with the prefix `stratified_` or `macro_`. Raises BadSetting for
    an unknown value or for records by other columns.
    """
    unprefixed(value)
    there: dict[tuple[str, str], Record] = {}
    for record in [*records, *({**each, "noise": OVERALL} for each in overall)]:
        key = (str(record["method"]), str(record["noise"]))
        if key in there:
            raise BadSetting("The table takes one record per method and noise type; sum up by these two.")
        there[key] = record
    methods = tuple(dict.fromkeys(method for method, _ in there))
    noises = tuple(dict.fromkeys(noise for _, noise in there))
    # Baselines come last, for comparison.
    methods = tuple(sorted(methods, key=is_baseline))
    columns = [_column([there.get((method, noise)) for method in methods], methods, value) for noise in noises]
    return PaperTable(value, methods, noises, tuple(zip(*columns, strict=True)), caption)


def _column(records: Sequence[Record | None], methods: Sequence[str], value: str) -> list[PaperCell]:
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
            cells.append(PaperCell(None, 0, note="not measured"))
            continue
        found, n = observed(record, value), rests_on(record, value)
        top = best is not None and found is not None and _shown(found) == best
        interval = interval_text(record, value, ", 95\u202f% interval ")
        note = (
            f"{decimal(found)}{interval}; rests on {plural(n, 'pair')}; n = {record['n']} pairs of "
            f"{plural(int(record['n_pictures']), 'picture')}, {plural(int(record['n_flipped']), 'flip')}"
        )
        cells.append(PaperCell(found, n, bool(top and not is_baseline(method) and enough(record, value)), note))
    return cells


@dataclass(frozen=True)
class TableFormat:
    """One format for exporting the table."""

    name: str
    title: str
    suffix: str
    write: Callable[[PaperTable], str]


def _pipe(text: str) -> str:
    return "".join(f"\\{c}" if c in "|*_`<>[]\\" else c for c in text)


def markdown(table: PaperTable) -> str:
    """Write a pipe table with the best of a column in bold."""
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


def latex(table: PaperTable) -> str:
    """Write a table for the package booktabs with the best of a column in bold and upright headings."""
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


def comma_separated(table: PaperTable) -> str:
    """Write one row per cell with all digits: method, noise, value, the pairs behind it, and whether it is best."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["method", "noise", table.value, "n", "best"])
    for method, row in zip(table.methods, table.cells, strict=True):
        for noise, cell in zip(table.noises, row, strict=True):
            writer.writerow([method, noise, "" if cell.value is None else repr(cell.value), cell.n, int(cell.bold)])
    return stream.getvalue()


FORMATS: Registry[TableFormat] = Registry("format of a table")
for _entry in (
    TableFormat("markdown", "Markdown", ".md", markdown),
    TableFormat("latex", "LaTeX", ".tex", latex),
    TableFormat("csv", "CSV", ".csv", comma_separated),
):
    FORMATS.add(_entry.name, _entry)


def html(table: PaperTable) -> str:
    """Write the table for a page, all texts escaped; a cell's tooltip states the pairs behind it."""
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
