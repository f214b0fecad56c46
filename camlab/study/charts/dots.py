"""The dot plot of a study: a value with its interval for every method, beside its references."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from camlab.cams.coincidence import is_baseline
from camlab.common.wording import decimal
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    add_labelled_lines,
    chart_layout,
    keep_opaque,
    text_note,
)
from camlab.drawing.charts.titles import SeriesMark, few_symbol, level_title, marks_of, wrapped
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.values import (
    Record,
    beside,
    enough,
    observed,
    one_each,
    references,
    unprefixed,
    value_title,
)
from camlab.study.charts.look import (
    AT_LEFT,
    base_line,
    floor_labels,
    legend_entry,
    no_data,
    not_observed,
    outlined,
    record_bars,
    records_words,
    span_of,
    with_notes,
)

LABEL, STEP, GAP = 17, 13, 8  # pixels: a line of a name, a dot, between rows
MOST_ROWS, MOST_GROUPS = 60, 24


def value_dots(records: Sequence[Record], *, value: str = "rm", rows: str = "method", groups: str = "") -> Chart:
    """Draw one row per level of ``rows``, highest first, with a dot and its 95 % interval per level of ``groups``.

    groups: another key of the records, such as "noise" or "model", or "" for one dot per row. Rows are sorted by
    their mean over groups. References are the floors (C, R, mean similarity), the neutral value (gap, AUROC) or each
    blind value (RM). Values from fewer than 5 pairs are open; values that were not observed are named.
    ``customdata``: the levels of the row and of the group. Raises BadSetting.
    """
    if not records:
        return no_data("nothing")
    cells = one_each(records, rows, groups) if groups else {(k[0], ""): r for k, r in one_each(records, rows).items()}
    if all(observed(record, value) is None for record in records):
        return not_observed(value)
    inner = list(dict.fromkeys(key[1] for key in cells))[:MOST_GROUPS]
    order = _order(cells, value)[:MOST_ROWS]
    marks = marks_of([str(g) for g in inner]) if groups else {"": SeriesMark(SIMILARITY, "circle", "solid")}
    names = [wrapped(level_title(rows, level)) for level in order]
    heights = [LABEL * (n.count("<br>") + 1) + STEP * len(inner) + GAP for n in names]
    against = references(records, value)
    low, high = _span(records, value, [v for v, _ in against])
    total = sum(heights)
    lanes = max(1, len(against))
    legend = 0 if not groups else 18 * -(-len(inner) // 2)
    note = f"open: fewer than {FEWEST_PAIRS} pairs · bars: 95\u202f% interval"
    note += " · | blind value" if unprefixed(value) == "rm" else ""
    axes = {
        "xaxis": {
            "range": [low, high],
            "showgrid": True,
            "title_text": with_notes(escape(value_title(value)), [note]),
        },
        "yaxis": {"range": [-total, 0], "visible": False},
        "showlegend": bool(groups),
    }
    figure = go.Figure(layout=chart_layout(total + 106 + 17 * lanes + legend, lanes, **axes))
    top = 0.0
    drawn: dict[str, dict[str, list[Any]]] = {str(g): {} for g in inner}
    for level, name, height in zip(order, names, heights, strict=True):
        missing = [g for g in inner if (level, g) not in cells or observed(cells[level, g], value) is None]
        gaps = ""
        if missing:
            which = "" if not groups else ": " + ", ".join(escape(level_title(groups, g)) for g in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            gaps = f" · <i>not observed{which}{more}</i>"
        figure.add_annotation(text_note(f"<b>{name}</b>{gaps}", **AT_LEFT, align="left", y=top, yanchor="top"))
        base = top - LABEL * (name.count("<br>") + 1)
        figure.add_shape(base_line(top - height + 3, 0, 1, xref="x domain"))
        for i, group in enumerate(inner):
            y = base - STEP * (i + 0.5)
            record = cells.get((level, group))
            found = None if record is None else observed(record, value)
            if record is not None and found is not None:
                mark = marks[str(group)]
                _gather(drawn[str(group)], record, found, value, y, level, group, rows, groups, mark)
        top -= height
    for group in inner:
        _add(
            figure,
            drawn[str(group)],
            value,
            level_title(groups, group) if groups else "value",
            marks[str(group)],
        )
    _add_blinds(figure, drawn)
    labels = floor_labels([(text, v) for v, text in against], high - low)
    add_labelled_lines(figure, labels, low - 0.1 * (high - low), high, lanes)
    keep_opaque(figure)
    return Chart(figure, _words(cells, order, inner, value, rows, groups, against))


def _order(cells: dict[tuple[Any, ...], Record], value: str) -> list[Any]:
    """Sort levels by the mean of their groups' values, highest first, levels without a value last."""
    found: dict[Any, list[float]] = {}
    for (level, _), record in cells.items():
        v = observed(record, value)
        found.setdefault(level, []).extend([] if v is None else [v])
    return sorted(found, key=lambda level: -float(np.mean(found[level])) if found[level] else np.inf)


def _span(records: Sequence[Record], value: str, more: Sequence[float]) -> tuple[float, float]:
    names = [value, f"{value}_low", f"{value}_high"] + ([beside(value, "blind")] if unprefixed(value) == "rm" else [])
    return span_of([float(r[n]) for r in records for n in names if r.get(n) is not None] + list(more), 0.02)


def _gather(
    into: dict[str, list[Any]], record: Record, found: float, value: str, y: float,
    level: Any, group: Any, rows: str, groups: str, mark: SeriesMark,
) -> None:  # fmt: skip
    baseline = rows == "method" and is_baseline(str(level))
    symbol = few_symbol(mark.symbol, not enough(record, value))
    if not groups and baseline:
        symbol = "x-thin-open"
    title = f"<b>{wrapped(level_title(rows, level))}</b>"
    title += f"<br>{escape(level_title(groups, group))}" if groups else ""
    entry = {
        "x": found, "y": y, "symbol": symbol, "text": f"{title}<br>{records_words(record, value)}",
        "data": [level, group], "record": record,
        "blind": record.get(beside(value, "blind")) if unprefixed(value) == "rm" else None,
        "colour": NEUTRAL if not groups and baseline else mark.colour,
    }  # fmt: skip
    for key, item in entry.items():
        into.setdefault(key, []).append(item)


def _add(figure: go.Figure, found: dict[str, list[Any]], value: str, name: str, mark: SeriesMark) -> None:
    held = found.get("record", [])
    spread = record_bars(held, [value] * len(held), mark.colour)
    figure.add_scatter(
        x=found.get("x", [None]), y=found.get("y", [None]), mode="markers", name=escape(name), error_x=spread,
        showlegend=False,
        marker=outlined(found.get("colour", mark.colour), found.get("symbol", mark.symbol), 9, 1.5),
        hovertext=found.get("text", []), hovertemplate=HOVER_TEXT, customdata=found.get("data", []),
    )  # fmt: skip
    legend_entry(figure, name, mark, "markers")


def _add_blinds(figure: go.Figure, drawn: dict[str, dict[str, list[Any]]]) -> None:
    """Draw a tick beside each dot at the RM of a map that ignores flips."""
    ticks = [
        (blind, y, text)
        for found in drawn.values()
        for blind, y, text in zip(found.get("blind", []), found.get("y", []), found.get("text", []), strict=True)
        if blind is not None
    ]
    if ticks:
        figure.add_scatter(
            x=[t[0] for t in ticks], y=[t[1] for t in ticks], mode="markers", name="blind value", showlegend=False,
            marker=outlined(NEUTRAL, "line-ns", 9, 2),
            hovertext=[f"blind value {t[0]:.2f}<br>{t[2]}" for t in ticks], hovertemplate=HOVER_TEXT,
        )  # fmt: skip


def _words(
    cells: dict[tuple[Any, ...], Record], order: Sequence[Any], inner: Sequence[Any],
    value: str, rows: str, groups: str, compared: Sequence[tuple[float, str]],
) -> str:  # fmt: skip
    parts = []
    for level in order:
        each = [
            (f"{level_title(groups, g)} " if groups else "")
            + decimal(observed(cells[level, g], value) if (level, g) in cells else None)
            for g in inner
        ]
        parts.append(f"{level_title(rows, level)}: {', '.join(each)}")
    against = "; ".join(f"{text} {v:.2f}" for v, text in compared)
    end = f" References: {against}." if against else ""
    return f"{value_title(value)}, highest first. {'; '.join(parts)}.{end}"
