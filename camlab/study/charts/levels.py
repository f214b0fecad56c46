"""C, R, RM and their kin over the severities, a line a method; pooled and stratified values beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.common.wording import decimal
from camlab.drawing.charts.look import HOVER_TEXT, NEUTRAL, Chart, chart_layout, keep_opaque, reference_line
from camlab.drawing.charts.titles import SeriesMark, few_symbol, level_title, marks_of, series_title
from camlab.study.charts.look import floor_lines, legend_entry, nothing
from camlab.study.charts.severity import HEIGHT, POOLED, STRATIFIED, _axes, joined
from camlab.study.charts.values import (
    enough,
    error_bars,
    interval_words,
    no_records,
    observed,
    records_words,
    references,
    rests_on,
    value_title,
)

MOST_SERIES = 24


def severity_values(
    records: Sequence[Mapping[str, Any]],
    *,
    value: str = "rm",
    series: str = "method",
    beside: Sequence[Mapping[str, Any]] = (),
    noises: Sequence[str] = (),
) -> Chart:
    """A value over the severities, a line a level of ``series``, with its interval as bars.

    records: of `camlab.study.analysis.summary.records`, by ``series`` and severity. beside: the same by ``series`` alone, whose
    pooled and stratified values stand beside the severities. noises: the types that the records pool, by name; where
    one is not monotone no points are joined. Values that rest on fewer than 5 pairs are open symbols; values that
    were not observed have no point.
    """
    if not records:
        return no_records()
    levels = list(dict.fromkeys(str(r[series]) for r in [*records, *beside]))[:MOST_SERIES]
    there = {(str(r[series]), float(r["severity"])): r for r in records}
    severities = sorted({severity for _, severity in there})
    if not any(observed(r, value) is not None for r in records):
        return nothing(
            f"{value_title(value)}: not observed", f"{value_title(value)} was not observed at any severity."
        )
    totals = {str(r[series]): r for r in beside}
    marks = marks_of(levels)
    connect = joined(noises)
    notes = ["bars: 95\u202f% interval · open: fewer than 5 pairs"]
    notes += ["strat.: mean of the severities"] if beside else []
    notes += [] if connect else ["not joined: a noise type here does not grow steadily"]
    axes = _axes(value_title(value), _span(records, beside, value), notes)
    axes["xaxis"]["range"][0] = min(1.0, *severities) - 0.4
    rows_of_legend = -(-len(levels) // 2)
    figure = go.Figure(layout=chart_layout(HEIGHT + 18 * rows_of_legend, 0, **axes))
    floor_lines(figure, {name: at for at, name in references([*records, *beside], value)})
    if totals:
        figure.add_shape(reference_line("x", 5.375, NEUTRAL, "dot", 1))
    words = []
    for i, level in enumerate(levels):
        # A little to the side of one another, so that intervals can be told apart.
        shift = 0.05 * (i - (len(levels) - 1) / 2) if len(levels) > 1 else 0.0
        shift *= min(1.0, 8 / len(levels))
        mine = [(severity, there.get((level, severity))) for severity in severities]
        words.append(_add_line(figure, level, series, mine, value, marks[level], shift, connect))
        if level in totals:
            _add_totals(figure, level, series, totals[level], value, marks[level], shift)
    keep_opaque(figure)
    return Chart(figure, f"{value_title(value)} by severity. {' '.join(words)}")


def _span(
    records: Sequence[Mapping[str, Any]], beside: Sequence[Mapping[str, Any]], value: str
) -> tuple[float, float]:
    """The range of a value's axis: all that is drawn, and the value that says nothing."""
    names = [f"{p}{value}{e}" for p in ("", "stratified_") for e in ("", "_low", "_high")]
    found = [float(r[name]) for r in [*records, *beside] for name in names if r.get(name) is not None]
    found += [at for at, _ in references([*records, *beside], value)]
    low, high = min(found), max(found)
    pad = max(0.03, 0.06 * (high - low))
    return low - pad, high + pad


def _add_line(
    figure: go.Figure, level: str, series: str, mine: Sequence[tuple[float, Mapping[str, Any] | None]],
    value: str, mark: SeriesMark, shift: float, connect: bool,
) -> str:  # fmt: skip
    title = level_title(series, level)
    values = [None if record is None else observed(record, value) for _, record in mine]
    texts = [
        f"<b>{escape(title)}</b>, severity {severity:g}<br>"
        + ("not measured" if record is None else records_words(record, value))
        for severity, record in mine
    ]
    filled = [record is not None and enough(record, value) for _, record in mine]
    symbols = [few_symbol(mark.symbol, not full) for full in filled]
    figure.add_scatter(
        x=[severity + shift for severity, _ in mine], y=values, mode="lines+markers" if connect else "markers",
        name=escape(title), showlegend=False,
        line={"color": mark.colour, "dash": mark.dash, "width": 2},
        marker={"color": mark.colour, "symbol": symbols, "size": 9, "line": {"width": 1.5, "color": mark.colour}},
        error_y=error_bars([record for _, record in mine], [value] * len(mine), mark.colour),
        hovertext=texts, hovertemplate=HOVER_TEXT, customdata=[[level, severity] for severity, _ in mine],
        meta={"level": level},
    )  # fmt: skip
    legend_entry(figure, series_title(series, level), mark, "lines+markers" if connect else "markers")
    said_values = ", ".join(decimal(v) for v in values)
    return f"{title}: {said_values}."


def _add_totals(
    figure: go.Figure,
    level: str,
    series: str,
    record: Mapping[str, Any],
    value: str,
    mark: SeriesMark,
    shift: float,
) -> None:
    names = [value, f"stratified_{value}"]
    labels = ["all severities pooled", "mean of the severities"]
    # Records of a single severity have no stratified value of their own: it is the pooled one.
    values = [record.get(name) for name in names]
    symbol = few_symbol(mark.symbol, not enough(record, value))
    texts = [
        f"<b>{escape(level_title(series, level))}</b>, {label}<br>{value_title(name)} {decimal(record.get(name))}"
        f"{interval_words(record, name)}<br>rests on {rests_on(record, value):,} pairs"
        for label, name in zip(labels, names, strict=True)
    ]
    figure.add_scatter(
        x=[POOLED + shift, STRATIFIED + shift], y=values, mode="markers", showlegend=False,
        marker={"color": mark.colour, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": mark.colour}},
        error_y=error_bars([record] * 2, names, mark.colour),
        hovertext=texts, hovertemplate=HOVER_TEXT, meta={"beside": level},
    )  # fmt: skip
