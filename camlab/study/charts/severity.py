"""Severity curves of a study: similarity, or a value such as C, per severity, beside pooled and stratified values."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import decimal
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    Chart,
    chart_layout,
    keep_opaque,
    reference_line,
)
from camlab.drawing.charts.titles import (
    OUTCOME_MARKS,
    SeriesMark,
    few_symbol,
    level_title,
    marks_of,
    measure_title,
    series_title,
)
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.noise import NOISES
from camlab.study.analysis.values import enough, interval_text, observed, references, rests_on, value_title
from camlab.study.charts.look import (
    ON_LINE,
    floor_lines,
    floor_words,
    hover,
    interval_bars,
    legend_entry,
    no_data,
    nothing,
    outlined,
    record_bars,
    records_words,
    similarity_axis,
    span_of,
    with_notes,
)
from camlab.study.charts.rows import POINT, SimilaritySample, floors_of, hover_texts, points, samples

HEIGHT = 400
POOLED, STRATIFIED = 5.75, 6.5  # positions of these values on the axis, beside the severities


def joined(noises: Sequence[str]) -> bool:
    """Return whether lines may join the severities: every noise type changes steadily with severity."""
    return all(NOISES[str(noise)].monotone for noise in noises if str(noise) in NOISES)


def _axis(lowest: float, connect: bool, notes: Sequence[str]) -> dict[str, Any]:
    """Return the axis of severity, with the places of the pooled and the stratified value at its end."""
    lines = [*notes, *([] if connect else ["not joined: some noise type does not grow steadily"])]
    return {
        "range": [min(1.0, lowest) - 0.4, STRATIFIED + 0.35],
        "tickvals": [1, 2, 3, 4, 5, POOLED, STRATIFIED],
        "ticktext": ["1", "2", "3", "4", "5", "pooled", "strat."],
        "title_text": with_notes("severity", lines),
    }


def severity_spread(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """Draw the mean similarity of kept and of flipped pairs per severity, with the middle 80 % of pairs as a band.

    The pooled means beside the severities mostly compare mild with strong noise. The stratified means give each
    severity with the outcome equal weight, as `camlab.metrics.stratified` does. Points of noise types that are not
    monotone are not joined. A point identifies the pair nearest to it.
    """
    if not len(rows):
        return no_data("no pairs")
    groups = samples(rows, "severity")
    if not any(len(sample) for _, sides in groups for sample in sides.values()):
        return nothing("no pair has a similarity", "No curves: every pair has a degenerate map.")
    connect = joined(list(rows["noise"].astype(str).unique()))
    notes = [
        f"{'band' if connect else 'bars'}: the middle 80\u202f% of pairs",
        "strat.: mean of the severities",
    ]
    axes = {
        "xaxis": _axis(min(float(level) for level, _ in groups), connect, notes),
        "yaxis": similarity_axis(similarity, 0.035),
    }
    figure = go.Figure(layout=chart_layout(HEIGHT, 0, **axes))
    figure.add_shape(reference_line("x", 5.375, NEUTRAL, "dot", 1))
    ((_, whole),) = samples(rows)
    words = []
    for name, mark in OUTCOME_MARKS.items():
        each = [(float(level), sides[name]) for level, sides in groups]
        _add_spread(figure, rows, each, name, mark, connect)
        pooled = whole[name]
        strata = [sides[name] for _, sides in groups if len(sides[name])]
        words.append(_beside(figure, name, mark, pooled, strata))
    floors = floors_of(rows, similarity)
    floor_lines(figure, floors)
    keep_opaque(figure)
    parts = [
        f"severity {level:g}: " + ", ".join(sample.words(name) for name, sample in sides.items())
        for level, sides in groups
    ]
    alt = f"Similarity ({measure_title(similarity)}) by severity. {'; '.join(parts)}. {' '.join(words)}"
    return Chart(figure, alt + floor_words(floors))


def _add_spread(
    figure: go.Figure,
    rows: pd.DataFrame,
    each: Sequence[tuple[float, SimilaritySample]],
    name: str,
    mark: SeriesMark,
    connect: bool,
) -> None:
    """Draw the line of one outcome and its band; fewer than 5 pairs have an open symbol and no band."""
    shown = [(level, sample) for level, sample in each if len(sample)]
    if not shown:
        legend_entry(figure, f"{name} (not observed)", mark)
        return
    spreads = {level: np.percentile(s.values, [10, 90]) for level, s in shown if s.enough}
    if connect:
        # A severity with too few pairs interrupts the band.
        run: list[float] = []
        for level, sample in [*each, (np.inf, None)]:
            if sample is not None and level in spreads:
                run.append(level)
                continue
            if len(run) > 1:
                edge = [*(spreads[v][1] for v in run), *(spreads[v][0] for v in reversed(run))]
                figure.add_scatter(
                    x=[*run, *reversed(run)], y=edge, mode="lines", line={"width": 0}, fill="toself",
                    fillcolor=mark.colour, opacity=0.18, hoverinfo="skip", showlegend=False, name=f"{name} band",
                )  # fmt: skip
            run = []
    means = {level: float(s.values.mean()) for level, s in shown}
    places = np.array([s.places[np.abs(s.values - means[level]).argmin()] for level, s in shown])
    texts = []
    for (level, sample), near in zip(shown, hover_texts(rows, places), strict=True):
        low, high = spreads.get(level, (np.nan, np.nan))
        span = f", middle 80\u202f% {low:.2f} to {high:.2f}" if sample.enough else f" (fewer than {FEWEST_PAIRS} pairs)"
        lost = f", {sample.degenerate} degenerate left out" if sample.degenerate else ""
        texts.append(
            f"severity {level:g}, {name}: mean {means[level]:.2f}{span}<br>n = {len(sample):,}{lost}"
            f"<br>the pair nearest to it:<br>{near}"
        )
    by_level = dict(zip([level for level, _ in shown], zip(texts, points(rows, places), strict=True), strict=True))
    absent: tuple[str, list[Any]] = ("", [None] * len(POINT))
    filled = [by_level.get(level, absent) for level, _ in each]
    bars = None
    if not connect:
        lows, highs = ([spreads[v][i] if v in spreads else means.get(v) for v, _ in each] for i in (0, 1))
        bars = interval_bars([means.get(level) for level, _ in each], lows, highs, mark.colour)
    # Bars of the two outcomes would cover each other; bands do not.
    shift = 0.0 if connect else 0.07 * (1 if name == "flipped" else -1)
    symbols = [few_symbol(mark.symbol, not sample.enough) for _, sample in each]
    figure.add_scatter(
        x=[level + shift for level, _ in each], y=[means.get(level) for level, _ in each],
        mode="lines+markers" if connect else "markers", name=name, error_y=bars, showlegend=False,
        line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
        marker={"color": mark.colour, "symbol": symbols, "size": 9},
        **hover([t for t, _ in filled], [d for _, d in filled]),
    )  # fmt: skip
    legend_entry(figure, name, mark, "lines+markers" if connect else "markers")


def _beside(
    figure: go.Figure,
    name: str,
    mark: SeriesMark,
    pooled: SimilaritySample,
    strata: Sequence[SimilaritySample],
) -> str:
    """Draw the pooled and the stratified mean of one outcome, and return them in words."""
    values = [float(pooled.values.mean()) if len(pooled) else None]
    values += [float(np.mean([s.values.mean() for s in strata])) if strata else None]
    texts = [
        f"{name}, all severities pooled: {decimal(values[0])}<br>n = {len(pooled):,}",
        f"{name}, mean of {len(strata)} severities: {decimal(values[1])}<br>"
        f"n = {sum(map(len, strata)):,}, at least {min(map(len, strata), default=0):,} per severity",
    ]
    figure.add_scatter(
        x=[POOLED, STRATIFIED], y=values, mode="markers", name=f"{name} beside", showlegend=False,
        marker={"color": mark.colour, "symbol": mark.symbol, "size": 10}, hovertext=texts, hovertemplate=HOVER_TEXT,
    )  # fmt: skip
    return f"{name.capitalize()}: pooled mean {decimal(values[0])}, stratified {decimal(values[1])}."


MOST_SERIES = 24


def severity_values(
    records: Sequence[Mapping[str, Any]],
    *,
    value: str = "rm",
    series: str = "method",
    beside: Sequence[Mapping[str, Any]] = (),
    noises: Sequence[str] = (),
) -> Chart:
    """Draw a value over the severities, one line per level of ``series``, with intervals as bars.

    records: by ``series`` and severity, as `camlab.study.analysis.summary.records` returns them. beside: records
    by ``series`` alone, whose pooled and stratified values stand beside the severities. noises: names of the types
    that the records pool; points are not joined if one is not monotone. Values from fewer than 5 pairs are
    open symbols; values that were not observed have no point.
    """
    if not records:
        return no_data("nothing")
    levels = list(dict.fromkeys(str(r[series]) for r in [*records, *beside]))[:MOST_SERIES]
    there = {(str(r[series]), float(r["severity"])): r for r in records}
    severities = sorted({severity for _, severity in there})
    if not any(observed(r, value) is not None for r in records):
        return nothing(f"{value_title(value)}: not observed", f"{value_title(value)} was not observed at any severity.")
    totals = {str(r[series]): r for r in beside}
    marks = marks_of(levels)
    connect = joined(noises)
    notes = ["bars: 95\u202f% interval · open: fewer than 5 pairs"]
    notes += ["strat.: mean of the severities"] if beside else []
    axes = {
        "xaxis": _axis(severities[0], connect, notes),
        "yaxis": {"range": [*_span(records, beside, value)], "title_text": escape(value_title(value))},
    }
    rows_of_legend = -(-len(levels) // 2)
    figure = go.Figure(layout=chart_layout(HEIGHT + 18 * rows_of_legend, 0, **axes))
    floor_lines(figure, {name: at for at, name in references([*records, *beside], value)})
    if totals:
        figure.add_shape(reference_line("x", 5.375, NEUTRAL, "dot", 1))
    words = []
    for i, level in enumerate(levels):
        # Shift the series sideways, so that their intervals do not cover one another.
        shift = 0.05 * (i - (len(levels) - 1) / 2) if len(levels) > 1 else 0.0
        shift *= min(1.0, 8 / len(levels))
        mine = [(severity, there.get((level, severity))) for severity in severities]
        words.append(_add_line(figure, level, series, mine, value, marks[level], shift, connect))
        if level in totals:
            _add_totals(figure, level, series, totals[level], value, marks[level], shift)
    keep_opaque(figure)
    return Chart(figure, f"{value_title(value)} by severity. {' '.join(words)}")


def _span(records: Sequence[Mapping[str, Any]], beside: Sequence[Mapping[str, Any]], value: str) -> tuple[float, float]:
    """Return the range of a value's axis: it covers all values, intervals and references."""
    names = [f"{p}{value}{e}" for p in ("", "stratified_") for e in ("", "_low", "_high")]
    found = [float(r[name]) for r in [*records, *beside] for name in names if r.get(name) is not None]
    found += [at for at, _ in references([*records, *beside], value)]
    return span_of(found, 0.03)


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
        marker=outlined(mark.colour, symbols, 9, 1.5),
        error_y=record_bars([record for _, record in mine], [value] * len(mine), mark.colour),
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
    # Records of a single severity have no stratified value: it would equal the pooled one.
    values = [record.get(name) for name in names]
    symbol = few_symbol(mark.symbol, not enough(record, value))
    texts = [
        f"<b>{escape(level_title(series, level))}</b>, {label}<br>{value_title(name)} {decimal(record.get(name))}"
        f"{interval_text(record, name, ON_LINE)}<br>rests on {rests_on(record, value):,} pairs"
        for label, name in zip(labels, names, strict=True)
    ]
    figure.add_scatter(
        x=[POOLED + shift, STRATIFIED + shift], y=values, mode="markers", showlegend=False,
        marker=outlined(mark.colour, symbol, 9, 1.5), error_y=record_bars([record] * 2, names, mark.colour),
        hovertext=texts, hovertemplate=HOVER_TEXT, meta={"beside": level},
    )  # fmt: skip
