"""Severity curves of a study: what happens at each severity first, and pooled and stratified values beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import decimal
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    SMALL,
    UNIT_TICKS,
    Chart,
    chart_layout,
    keep_opaque,
    reference_line,
)
from camlab.drawing.charts.titles import OUTCOME_MARKS, SeriesMark, measure_title
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.charts.look import floor_lines, floor_words, hover, legend_entry, nothing
from camlab.study.charts.rows import Sample, floors_of, no_rows, points, said, samples

HEIGHT = 400
POOLED, STRATIFIED = 5.75, 6.5  # where the two stand beside the severities


def joined(noises: Sequence[str]) -> bool:
    """Whether points may be joined over severity: every noise type moves away from the clean picture steadily."""
    from camlab.noise import NOISES

    return all(NOISES[str(noise)].monotone for noise in noises if str(noise) in NOISES)


def _axes(y_title: str, y_range: Sequence[float], notes: Sequence[str], **y: Any) -> dict[str, Any]:
    small = "".join(f'<br><span style="font-size:{SMALL}px">{note}</span>' for note in notes)
    return {
        "xaxis": {
            "range": [0.6, STRATIFIED + 0.35],
            "tickvals": [1, 2, 3, 4, 5, POOLED, STRATIFIED],
            "ticktext": ["1", "2", "3", "4", "5", "pooled", "strat."],
            "title_text": f"severity{small}",
        },
        "yaxis": {"range": [*y_range], "title_text": escape(y_title), **y},
    }


def severity_spread(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """Mean similarity of kept and of flipped pairs at each severity, with the middle 80 % of pairs as a band.

    Beside the severities stand the pooled means, which mostly compare mild with strong noise, and the stratified
    ones, each severity where the side was observed counting once, as in `camlab.metrics.stratified`. Points of
    noise types whose path is not monotone are not joined. A point leads to the pair nearest to it.
    """
    if not len(rows):
        return no_rows()
    groups = samples(rows, "severity")
    if not any(len(sample) for _, sides in groups for sample in sides.values()):
        return nothing("no pair has a similarity", "No curves: every pair has a degenerate map.")
    connect = joined(list(rows["noise"].astype(str).unique()))
    notes = ["band: the middle 80\u202f% of pairs" if connect else "bars: the middle 80\u202f% of pairs"]
    notes += [] if connect else ["not joined: a noise type here does not grow steadily"]
    notes += ["strat.: mean of the severities"]
    title = f"similarity ({measure_title(similarity)})"
    low = min(1.0, *(float(level) for level, _ in groups))
    axes = _axes(title, [-0.035, 1.035], notes, **UNIT_TICKS)
    axes["xaxis"]["range"][0] = low - 0.4
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
    each: Sequence[tuple[float, Sample]],
    name: str,
    mark: SeriesMark,
    connect: bool,
) -> None:
    """The line of one outcome and its band; fewer than 5 pairs make an open symbol and no band."""
    shown = [(level, sample) for level, sample in each if len(sample)]
    if not shown:
        legend_entry(figure, f"{name} (not observed)", mark)
        return
    spreads = {level: np.percentile(s.values, [10, 90]) for level, s in shown if s.enough}
    if connect:
        # A severity without enough pairs breaks the band.
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
    for (level, sample), near in zip(shown, said(rows, places), strict=True):
        low, high = spreads.get(level, (np.nan, np.nan))
        span = (
            f", middle 80\u202f% {low:.2f} to {high:.2f}"
            if sample.enough
            else f" (fewer than {FEWEST_PAIRS} pairs)"
        )
        lost = f", {sample.degenerate} degenerate left out" if sample.degenerate else ""
        texts.append(
            f"severity {level:g}, {name}: mean {means[level]:.2f}{span}<br>n = {len(sample):,}{lost}"
            f"<br>the pair nearest to it:<br>{near}"
        )
    by_level = dict(
        zip([level for level, _ in shown], zip(texts, points(rows, places), strict=True), strict=True)
    )
    nobody: tuple[str, list[Any]] = ("", [None] * 8)
    filled = [by_level.get(level, nobody) for level, _ in each]
    bars = None
    if not connect:
        up = [spreads[level][1] - means[level] if level in spreads else 0 for level, _ in each]
        down = [means[level] - spreads[level][0] if level in spreads else 0 for level, _ in each]
        bars = {
            "type": "data", "symmetric": False, "array": up, "arrayminus": down,
            "color": mark.colour, "thickness": 1.5, "width": 0,
        }  # fmt: skip
    # Bars of both outcomes would cover one another; bands do not.
    shift = 0.0 if connect else 0.07 * (1 if name == "flipped" else -1)
    symbols = [mark.symbol if sample.enough else f"{mark.symbol}-open" for _, sample in each]
    figure.add_scatter(
        x=[level + shift for level, _ in each], y=[means.get(level) for level, _ in each],
        mode="lines+markers" if connect else "markers", name=name, error_y=bars, showlegend=False,
        line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
        marker={"color": mark.colour, "symbol": symbols, "size": 9},
        **hover([t for t, _ in filled], [d for _, d in filled]),
    )  # fmt: skip
    legend_entry(figure, name, mark, "lines+markers" if connect else "markers")


def _beside(figure: go.Figure, name: str, mark: SeriesMark, pooled: Sample, strata: Sequence[Sample]) -> str:
    """Pooled and stratified mean of one outcome."""
    values = [float(pooled.values.mean()) if len(pooled) else None]
    values += [float(np.mean([s.values.mean() for s in strata])) if strata else None]
    texts = [
        f"{name}, all severities pooled: {decimal(values[0])}<br>n = {len(pooled):,}",
        f"{name}, mean of {len(strata)} severities: {decimal(values[1])}<br>"
        f"n = {sum(map(len, strata)):,}, {min(map(len, strata), default=0):,} where there are fewest",
    ]
    figure.add_scatter(
        x=[POOLED, STRATIFIED], y=values, mode="markers", name=f"{name} beside", showlegend=False,
        marker={"color": mark.colour, "symbol": mark.symbol, "size": 10}, hovertext=texts, hovertemplate=HOVER_TEXT,
    )  # fmt: skip
    return f"{name.capitalize()}: pooled mean {decimal(values[0])}, stratified {decimal(values[1])}."
