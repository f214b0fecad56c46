"""The severity curve: similarity, flips and confidence from clean to level 5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import decimal, percent, plural
from camlab.drawing.charts.look import (
    BAND,
    CURVE_HEIGHT,
    FLIPPED,
    HERE,
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    SMALL,
    Chart,
    LabelledLine,
    add_labelled_lines,
    chart_layout,
    empty_figure,
    keep_opaque,
    reference_line,
    text_note,
    unit_axis,
)
from camlab.explore.sweep import Scores, Sweep, ticks
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES


@dataclass(frozen=True)
class _Level:
    """A summary of the draws of one severity; NaN if nothing was observed."""

    severity: float
    n: int
    measured: int  # draws with a similarity
    flips: int
    mean: float
    low: float  # 10th percentile
    high: float  # 90th percentile
    confidence: float

    @property
    def flip_rate(self) -> float:
        """Share of draws that flipped."""
        return self.flips / self.n

    def hover_text(self, title: str) -> str:
        """Return the similarity in words."""
        missing = f", {self.n - self.measured} degenerate" if self.measured < self.n else ""
        if not self.measured:
            return f"{title} not observed ({plural(self.n, 'degenerate draw')})"
        spread = f"{self.low:.2f}–{self.high:.2f}, " if self.measured > 1 else ""
        return f"{title} {self.mean:.2f} ({spread}{plural(self.measured, 'draw')}{missing})"


def _levels(pairs: pd.DataFrame) -> list[_Level]:
    if pairs.empty:
        return []
    severities = pairs["severity"].to_numpy(dtype=float)
    similarities = np.where(pairs["degenerate"].astype(bool), np.nan, pairs["similarity"].astype(float))
    flipped = pairs["flipped"].to_numpy(dtype=bool)
    confidences = pairs["clean_class_prob"].to_numpy(dtype=float)
    levels = []
    for severity in np.unique(severities):
        here = severities == severity
        values = similarities[here & ~np.isnan(similarities)]
        low, mean, high = np.nan, np.nan, np.nan
        if len(values):
            (low, high), mean = np.percentile(values, [10, 90]), values.mean()
        flips, confidence = int(flipped[here].sum()), float(confidences[here].mean())
        shape = (int(here.sum()), len(values), flips, float(mean), float(low), float(high))
        levels.append(_Level(float(severity), *shape, confidence))
    return levels


def _band(levels: Sequence[_Level]) -> tuple[list[float | None], list[float | None]]:
    """Return the outline of 10th to 90th percentile: one closed polygon per run of severities without a gap."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    run: list[_Level] = []
    for level in [*levels, None]:
        if level is not None and level.measured:
            run += [level] if level.measured > 1 else []  # one draw has no spread and would pinch the band
            continue
        if len(run) > 1:
            xs += [*([None] if xs else []), *(v.severity for v in run), *(v.severity for v in reversed(run))]
            ys += [*([None] if ys else []), *(v.high for v in run), *(v.low for v in reversed(run))]
        run = []
    return xs, ys


def sweep_curve(sweep: Sweep, scores: Scores, severity: float) -> Chart:
    """Draw similarity, flips and confidence of a sweep over severity, with one severity (0 to 5) marked."""

    def draw() -> Chart:
        return severity_curve(
            sweep.frame(),
            current=severity,
            threshold=sweep.floors.threshold if sweep.floors else None,
            breaks_at=scores.breaks_at,
            flips_at=scores.flips_at,
            floors=ticks(sweep, "similarity"),
            similarity_title=SIMILARITIES[sweep.scene.state.similarity].scored_title,
            connected=NOISES[sweep.scene.state.noise].monotone,
        )

    return sweep.kept(("curve", severity), draw)


def severity_curve(
    pairs: pd.DataFrame,
    *,
    current: float,
    threshold: float | None,
    breaks_at: float | None,
    flips_at: float | None,
    floors: Mapping[str, float],
    similarity_title: str,
    connected: bool = True,
) -> Chart:
    """Draw similarity, flip rate and confidence in the clean class over severity.

    The similarity is the mean over draws, with its 10th to 90th percentile; below ``threshold`` the map
    counts as broken; ``floors`` are reference similarities by name. ``connected=False`` (for a noise type that is
    not monotone) shows only the levels 0 to 5, as separate points. Each point carries its severity as
    ``customdata``. Axes are fixed, so nothing moves while draws arrive.
    """
    title = escape(similarity_title)
    y_title = f"similarity ({title}) / share" if len(similarity_title) < 15 else f"{title} / share"
    # No spikes: the tooltip's guide line would have a white edge on a dark page.
    x_axis = {"range": [-0.12, 5.12], "tickvals": [*range(6)], "title_text": "severity", "showspikes": False}
    axes = {
        "xaxis": {**x_axis, "unifiedhovertitle": {"text": "severity %{x}"}},
        "yaxis": unit_axis(y_title, 0.035),
        "hovermode": "x unified",
        "hoverdistance": -1,  # hovering or clicking anywhere in the plot picks the nearest severity
    }
    levels = [v for v in _levels(pairs) if connected or v.severity in range(6)]
    if not levels:
        return Chart(empty_figure(CURVE_HEIGHT, 2, axes), "No noise draws have been measured yet.")

    figure = go.Figure(layout=chart_layout(CURVE_HEIGHT, 2, **axes))
    references = [(value, f"{escape(name)} {value:.2f}", "dot") for name, value in floors.items()]
    references += [] if threshold is None else [(threshold, f"breaks below {threshold:.2f}", "solid")]
    height = -1.0
    for value, text, dash in sorted(references):
        height = max(value, height + 0.075)  # a label sits on its line or on the label below
        figure.add_shape(reference_line("y", value, NEUTRAL, dash, 1))
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "y": height, "yanchor": "bottom"}
        figure.add_annotation(text_note(text, **place))

    spread: dict[str, Any] = {}
    band_x, band_y = _band(levels)
    if connected and band_x:
        outline = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": BAND}
        hidden = {"hoverinfo": "skip", "showlegend": False}
        figure.add_scatter(x=band_x, y=band_y, name="10th to 90th percentile", **outline, **hidden)
    elif not connected:
        up = [v.high - v.mean if v.measured > 1 else 0 for v in levels]
        down = [v.mean - v.low if v.measured > 1 else 0 for v in levels]
        look = {"color": SIMILARITY, "thickness": 1.5, "width": 0}
        spread["error_y"] = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **look}
    if any(v.measured > 1 for v in levels):  # on the axis, as another legend entry would wrap on a phone
        meaning = f"{'band' if connected else 'bars'}: 10–90\u202f% of draws"
        figure.update_xaxes(title_text=f'severity<span style="font-size:{SMALL}px"> · {meaning}</span>')

    def series(name: str, y: list[float], texts: list[str], colour: str, dash: str, symbol: str, **more: Any) -> None:
        x = [v.severity for v in levels]
        mode = "lines+markers" if connected else "markers"
        look = {"line": {"color": colour, "dash": dash, "width": 2}, "mode": mode}
        marker = {"color": colour, "symbol": symbol, "size": 8}
        hover = {"customdata": x, "hovertext": texts, "hovertemplate": HOVER_TEXT}
        figure.add_scatter(x=x, y=y, name=name, marker=marker, **look, **hover, **more)

    # Where points coincide, the open square on top and the corners of the diamond below stay visible.
    texts = [v.hover_text(title) for v in levels]
    series("similarity", [v.mean for v in levels], texts, SIMILARITY, "solid", "circle", zorder=2, **spread)
    texts = [f"flipped {percent(v.flip_rate)} ({v.flips} of {plural(v.n, 'draw')})" for v in levels]
    series("flip rate", [v.flip_rate for v in levels], texts, FLIPPED, "dash", "diamond", zorder=1)
    texts = [f"confidence in the clean class {percent(v.confidence)}" for v in levels]
    series("confidence", [v.confidence for v in levels], texts, NEUTRAL, "dot", "square-open", zorder=3)

    figure.add_shape(reference_line("x", current, HERE, "solid", 7))
    handle = {"mode": "markers", "marker": {"symbol": "triangle-up", "size": 12, "color": NEUTRAL}}
    hidden = {"cliponaxis": False, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=[current], y=[-0.035], customdata=[current], name="current severity", **handle, **hidden)
    marks = [
        LabelledLine(at, f"{what} {at:g}", width, colour, 1.5)
        for at, what, width, colour in (
            (breaks_at, "map breaks", 1.95, SIMILARITY),
            (flips_at, "prediction flips", 2.25, FLIPPED),
        )
        if at is not None
    ]
    add_labelled_lines(figure, marks, -0.6, 5.15, 2)
    keep_opaque(figure)
    return Chart(figure, _curve_words(levels, current, breaks_at, flips_at, similarity_title))


def _curve_words(
    levels: Sequence[_Level], current: float, breaks_at: float | None, flips_at: float | None, title: str
) -> str:
    def at(level: _Level, where: str) -> str:
        return f"{decimal(level.mean)} {where} ({percent(level.flip_rate)} of draws flipped)"

    first, last = levels[0], levels[-1]
    start = at(first, f"at severity {first.severity:g}")
    way = f"is {start}"
    if first is not last:
        way = f"goes from {start} to {at(last, f'at severity {last.severity:g}')}"
    here = [v for v in levels if v.severity == current]
    now = f"the current severity is {current:g}"
    if here:
        now = "the current one" if first is last else at(here[0], f"at the current severity {current:g}")
    breaks = "no break of the map seen" if breaks_at is None else f"the map breaks at {breaks_at:g}"
    flips = "at no severity do most draws flip" if flips_at is None else f"the prediction flips at {flips_at:g}"
    return f"Mean similarity ({title}) {way}; {now}; {breaks}; {flips}."
