"""The rank chart of a study: the order of the methods at each severity."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.stats import rankdata

from camlab.drawing.charts.look import GRID, HOVER_TEXT, Chart, chart_layout, keep_opaque, text_note
from camlab.drawing.charts.titles import (
    SYMBOLS,
    SeriesMark,
    few_symbol,
    level_title,
    marks_of,
    short_title,
    wrapped,
)
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.values import Record, enough, levels_in, observed, one_each, value_title
from camlab.study.charts.look import no_data, not_observed, nothing, outlined, records_words, with_notes

STEP = 36  # pixels between ranks
GLYPHS = dict(zip(SYMBOLS, "●■◆▲★▼⬢", strict=True))
CROWDED = 8  # more levels than these have smaller marks
NOUNS = {"noise": "noise type", "image_set": "image set"}
TIE = 1e-9  # values closer than this are equal


def value_ranks(records: Sequence[Record], *, value: str = "rm", over: str = "severity") -> Chart:
    """Draw the rank of each method at each severity, 1 for the highest value; equal values share their mean rank.

    records: by "method" and ``over`` (severity, or another key, whose levels have no order and are not joined). Merged
    methods are one line. A method without a value at a level has no rank there, and the others are ranked without it.
    Open symbols mark values from fewer than 5 pairs.
    ``customdata``: method, level. Raises BadSetting.
    """
    if not records:
        return no_data("nothing")
    cells = one_each(records, "method", over)
    if all(observed(record, value) is None for record in records):
        return not_observed(value)
    methods, levels = levels_in(records, "method"), levels_in(records, over)
    if len(methods) < 2:
        return nothing(
            "one method: nothing to rank",
            f"No ranks: there is only one method, {level_title('method', methods[0])}.",
        )
    table = np.array([[_value(cells.get((m, v)), value) for v in levels] for m in methods])
    ranks = np.full(table.shape, np.nan)
    for j in range(len(levels)):
        seen = ~np.isnan(table[:, j])
        ranks[seen, j] = rankdata(-np.round(table[seen, j] / TIE) * TIE)
    ordered, crowded = over == "severity", len(levels) > CROWDED
    # Many labels stand upright in one line each, to fit on a narrow screen.
    width = 99 if crowded else 12
    ticks = [f"{v:g}" if ordered else wrapped(short_title(over, v), width, " ") for v in levels]
    notes = [f"open: fewer than {FEWEST_PAIRS} pairs", "95\u202f% intervals may overlap: see the dots"]
    most = len(methods)
    axes: dict[str, Any] = {
        "xaxis": {
            "tickvals": [*range(len(levels))], "ticktext": ticks, "range": [-0.25, len(levels) - 0.8],
            "title_text": with_notes(NOUNS.get(over, over.replace("_", " ")), notes),
            "tickangle": 0 if ordered else -90 if crowded else -60,
        },
        "yaxis": {
            "range": [most + 0.5, 0.5], "tickvals": [*range(1, most + 1)], "gridcolor": GRID,
            "title_text": f"rank by {escape(value_title(value))}",
        },
        "margin_r": 138, "margin_t": 24, "showlegend": False,
    }  # fmt: skip
    figure = go.Figure(layout=chart_layout(STEP * most + 130, 0, **axes))
    marks = marks_of(methods)
    taken: list[float] = []
    words = []
    for method, line in sorted(zip(methods, ranks, strict=True), key=lambda each: _last(each[1])):
        title = level_title("method", method)
        mark = marks[method]
        records_here = [cells.get((method, v)) for v in levels]
        texts = []
        symbols = []
        for level, rank, record in zip(levels, line, records_here, strict=True):
            symbols.append(few_symbol(mark.symbol, record is None or not enough(record, value)))
            where = escape(level_title(over, level))
            rank_text = "no rank" if np.isnan(rank) else f"rank {rank:g}{_shared(rank, ranks[:, levels.index(level)])}"
            shown = "not measured" if record is None else records_words(record, value)
            texts.append(f"<b>{wrapped(title)}</b><br>{where}: {rank_text}<br>{shown}")
        figure.add_scatter(
            x=[*range(len(levels))], y=[None if np.isnan(r) else float(r) for r in line],
            mode="lines+markers" if ordered else "markers", name=escape(title),
            line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
            marker=outlined(mark.colour, symbols, *((8, 1) if crowded else (11, 2))),
            hovertext=texts, hovertemplate=HOVER_TEXT, customdata=[[method, v] for v in levels],
        )  # fmt: skip
        _label(figure, method, line, mark, taken, ordered)
        each = ", ".join("no rank" if np.isnan(r) else f"{r:g}" for r in line)
        words.append(f"{title}: {each}")
    keep_opaque(figure)
    level_titles = ", ".join(level_title(over, v) for v in levels)
    return Chart(figure, f"Ranks by {value_title(value)}, 1 the highest, at {level_titles}. {'; '.join(words)}.")


def _value(record: Record | None, value: str) -> float:
    found = None if record is None else observed(record, value)
    return np.nan if found is None else found


def _last(line: Any) -> float:
    """Return the last observed rank, infinity if there is none."""
    seen = line[~np.isnan(line)]
    return float(seen[-1]) if len(seen) else np.inf


def _shared(rank: float, column: Any) -> str:
    count = int((column == rank).sum())
    return f", shared by {count}" if count > 1 else ""


def _label(figure: go.Figure, method: str, line: Any, mark: SeriesMark, taken: list[float], ordered: bool) -> None:
    """Write the method's name at the right, at its last rank or below a name that is already there."""
    at = _last(line)
    y = at if np.isfinite(at) else float(len(taken) + 1)
    while any(abs(y - other) < 0.45 for other in taken):
        y += 0.45
    taken.append(y)
    name = escape(short_title("method", method))
    # If levels have no order, the last one has no special meaning: its rank may be missing.
    ranked = np.isfinite(at) and not (ordered and np.isnan(line[-1]))
    end = "" if ranked else "<br><i>(no rank)</i>"
    base = "<br>baseline" if "baseline" in level_title("method", method) else ""
    text = f'<span style="color:{mark.colour}">{GLYPHS.get(mark.symbol, "×")}</span> {name}{base}{end}'
    figure.add_annotation(
        text_note(text, x=1, xref="paper", xanchor="left", xshift=6, y=y, yanchor="middle", align="left")
    )
