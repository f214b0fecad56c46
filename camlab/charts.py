"""Plotly figures of noise draws, each with its sentence in words.

Every chart takes a data frame of pairs, one row a pair, with the columns ``severity`` (0–5), ``seed``,
``similarity`` (0–1, NaN where a map is degenerate), ``flipped``, ``degenerate``, ``perturbed_label``,
``perturbed_prob`` (0–1) and ``clean_class_prob`` (0–1, the clean class on the perturbed picture); a frame
without rows needs no columns. Text takes its colour from the page around the figure; marks have mid tones
that keep 3 : 1 on white and on near-black, and no two series differ by colour alone. Names are escaped:
Plotly reads its texts as HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.words import decimal, percent, plural

KEPT, FLIPPED, SIMILARITY, NEUTRAL = "#3A86C8", "#D9730D", "#8A63D2", "#8A8F98"
BAND, GRID, HERE = "rgba(138,99,210,0.20)", "rgba(138,143,152,0.22)", "rgba(138,143,152,0.40)"
CLEAR = "rgba(0,0,0,0)"

CURVE_HEIGHT, HEIGHT = 340, 300
FONT, SMALL = 13, 12
LANE = 17  # pixels that a row of labels above the plot takes
VIOLIN_FROM = 5  # fewer draws make no density worth drawing

PLOTLY_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "doubleClick": False,
    "scrollZoom": False,
    "modeBarButtonsToRemove": [
        *("zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"),
        *("hoverClosestCartesian", "hoverCompareCartesian", "toggleSpikelines"),
    ],
    "toImageButtonOptions": {"format": "png", "filename": "cam-lab", "scale": 2},
}

_UNIT: dict[str, Any] = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "ticktext": ["0", "0.25", "0.5", "0.75", "1"]}
_SAID = "%{hovertext}<extra></extra>"
_GROUPS = (  # flipped?, name, colour, symbol, dash
    (False, "kept", KEPT, "circle", "solid"),
    (True, "flipped", FLIPPED, "diamond", "dash"),
)


@dataclass(frozen=True)
class Chart:
    """A figure and the sentence that says the same to whoever cannot see it."""

    figure: go.Figure
    alt: str


# --- the look that all charts share


def _layout(height: int, lanes: int, **changes: Any) -> go.Layout:
    """The shared layout; ``lanes`` rows of labels are kept free between plot and legend."""
    # Lanes are a share of the paper, so that the plot stays where it is whether they hold labels or not.
    top = 1 - lanes * LANE / (height - 90)
    title = {"standoff": 8, "font": {"size": FONT}}
    axis = {"fixedrange": True, "automargin": True, "zeroline": False, "gridcolor": GRID, "title": title}
    hover = {"bgcolor": "#262B33", "bordercolor": NEUTRAL, "font": {"color": "#F5F6F8", "size": FONT}}
    place = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
    layout = go.Layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 14, "t": 48, "b": 8, "pad": 4},
        font={"size": FONT},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        dragmode=False,
        hovermode="closest",
        hoverlabel={**hover, "align": "left"},
        modebar={"bgcolor": CLEAR, "color": NEUTRAL, "activecolor": SIMILARITY},
        legend={
            **place,
            "font": {"size": SMALL},
            "bgcolor": CLEAR,
            "itemclick": False,
            "itemdoubleclick": False,
        },
        xaxis={**axis, "showgrid": False},
        yaxis={**axis, "domain": [0, top]},
    )
    return layout.update(changes)


def _note(text: str, **where: Any) -> dict[str, Any]:
    """A small annotation without an arrow; ``text`` is already safe."""
    return {"text": text, "showarrow": False, "font": {"size": SMALL}, **where}


def _empty(height: int, lanes: int, axes: Mapping[str, Any]) -> go.Figure:
    figure = go.Figure(layout=_layout(height, lanes, **axes))
    return figure.add_annotation(_note("no draws yet", x=0.5, y=0.4, xref="x domain", yref="y domain"))


def _calm(figure: go.Figure) -> None:
    """A click must not fade what was not clicked: the page shows the choice itself."""
    for trace in figure.select_traces({"type": "scatter"}):
        if "markers" in trace.mode:
            trace.unselected = {"marker": {"opacity": trace.marker.opacity or 1}}


def _line(axis: str, at: float, colour: str, dash: str, width: float) -> dict[str, Any]:
    """A straight line across the plot at one value of an axis, below the data."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{axis}ref": axis, f"{other}0": 0, f"{other}1": 1}
    line = {"color": colour, "dash": dash, "width": width}
    return {"type": "line", **ends, f"{other}ref": f"{other} domain", "line": line, "layer": "below"}


@dataclass(frozen=True)
class _Mark:
    """A labelled vertical line; ``width`` is that of its safe text on a screen of 390 pixels, in x units."""

    at: float
    text: str
    width: float
    colour: str
    thickness: float


def _lanes(marks: Sequence[_Mark], low: float, high: float) -> list[tuple[_Mark, str, int, bool]]:
    """Place the labels of marks above the plot, between ``low`` and ``high``, so that none covers another.

    Gives (mark, the label's end or middle that is at its line, lane counted from the plot, whether the line
    may go up to the label). No line crosses a label, even at 390 pixels.
    """
    marks = sorted(marks, key=lambda m: m.at)
    rightwards = [m.at + m.width <= high for m in marks]
    leftwards = [m.at - m.width >= low for m in marks]
    lanes = [*range(len(marks))]
    if len(marks) == 2 and leftwards[0] and rightwards[1]:
        sides = ["right", "left"]
    elif all(leftwards) and not all(rightwards):
        sides = ["right"] * len(marks)
    else:
        centred = ["center" if m.at + m.width / 2 <= high else "right" for m in marks]
        sides = ["left" if fits else other for fits, other in zip(rightwards, centred, strict=True)]
        lanes.reverse()  # what starts further left stands higher: the next line then ends below it
    starts = [
        m.at - {"left": 0, "center": 0.5, "right": 1}[s] * m.width for m, s in zip(marks, sides, strict=True)
    ]
    spans = [(start, start + m.width) for start, m in zip(starts, marks, strict=True)]
    if all(one[1] <= two[0] for one, two in pairwise(spans)):
        lanes = [0] * len(marks)

    def free(at: float, lane: int) -> bool:
        below = [span for span, other in zip(spans, lanes, strict=True) if other < lane]
        return not any(start < at < end for start, end in below)

    return [(m, s, lane, free(m.at, lane)) for m, s, lane in zip(marks, sides, lanes, strict=True)]


def _add_marks(figure: go.Figure, marks: Sequence[_Mark], low: float, high: float, lanes: int) -> None:
    top = figure.layout.yaxis.domain[1]
    height = (1 - top) / lanes
    for mark, side, lane, joined in _lanes(marks, low, high):
        line = _line("x", mark.at, mark.colour, "dot", mark.thickness)
        figure.add_shape(line)
        bottom = top + lane * height
        if joined:
            reach = bottom + (0.05 if side == "center" else 0.85) * height
            figure.add_shape({**line, "y0": top, "y1": reach, "yref": "paper"})
        place = {"x": mark.at, "xanchor": side, "xshift": {"left": 2, "center": 0, "right": -2}[side]}
        figure.add_annotation(
            _note(mark.text, **place, y=bottom + height / 2, yref="paper", yanchor="middle")
        )


def _degenerate(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs without a similarity."""
    return pairs[pairs["degenerate"].astype(bool) | pairs["similarity"].isna()]


def _measured(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that have a similarity."""
    return pairs[~pairs["degenerate"].astype(bool) & pairs["similarity"].notna()]


# --- the severity curve


@dataclass(frozen=True)
class _Level:
    """The draws of one severity, summed up; NaN where nothing was observed."""

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
        return self.flips / self.n

    def said(self, title: str) -> str:
        """The similarity in words."""
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
    """The outline of 10th to 90th percentile: one closed polygon for each run of severities without a gap."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    run: list[_Level] = []
    for level in [*levels, None]:
        if level is not None and level.measured:
            run += [level] if level.measured > 1 else []  # one draw has no spread: it must not pinch the band
            continue
        if len(run) > 1:
            xs += [*([None] if xs else []), *(v.severity for v in run), *(v.severity for v in reversed(run))]
            ys += [*([None] if ys else []), *(v.high for v in run), *(v.low for v in reversed(run))]
        run = []
    return xs, ys


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
    """Similarity, flip rate and confidence in the clean class over severity.

    The similarity is the mean over draws, with its 10th to 90th percentile; below ``threshold`` the map
    counts as broken; ``floors`` are reference similarities by name. ``connected=False`` (a path that is not
    monotone) shows the levels 0 to 5 only, as points that are not joined. Each point carries its severity as
    ``customdata``. Axes are fixed: nothing moves while draws arrive.
    """
    title = escape(similarity_title)
    y_title = f"similarity ({title}) / share" if len(similarity_title) < 15 else f"{title} / share"
    # The tooltip's guide line would have a white edge on a dark page: no spikes.
    x_axis = {"range": [-0.12, 5.12], "tickvals": [*range(6)], "title_text": "severity", "showspikes": False}
    axes = {
        "xaxis": {**x_axis, "unifiedhovertitle": {"text": "severity %{x}"}},
        "yaxis": {"range": [-0.035, 1.035], "title_text": y_title, **_UNIT},
        "hovermode": "x unified",
        "hoverdistance": -1,  # hovering or clicking anywhere in the plot picks the nearest severity
    }
    levels = [v for v in _levels(pairs) if connected or v.severity in range(6)]
    if not levels:
        return Chart(_empty(CURVE_HEIGHT, 2, axes), "No noise draws have been measured yet.")

    figure = go.Figure(layout=_layout(CURVE_HEIGHT, 2, **axes))
    references = [(value, f"{escape(name)} {value:.2f}", "dot") for name, value in floors.items()]
    references += [] if threshold is None else [(threshold, f"breaks below {threshold:.2f}", "solid")]
    height = -1.0
    for value, text, dash in sorted(references):
        height = max(value, height + 0.075)  # a label sits on its line, or on the label below it
        figure.add_shape(_line("y", value, NEUTRAL, dash, 1))
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "y": height, "yanchor": "bottom"}
        figure.add_annotation(_note(text, **place))

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
    if any(v.measured > 1 for v in levels):  # said on the axis: one more legend entry would wrap on a phone
        meaning = f"{'band' if connected else 'bars'}: 10–90\u202f% of draws"
        figure.update_xaxes(title_text=f'severity<span style="font-size:{SMALL}px"> · {meaning}</span>')

    def series(
        name: str, y: list[float], said: list[str], colour: str, dash: str, symbol: str, **more: Any
    ) -> None:
        x = [v.severity for v in levels]
        look = {
            "line": {"color": colour, "dash": dash, "width": 2},
            "mode": "lines+markers" if connected else "markers",
        }
        marker = {"color": colour, "symbol": symbol, "size": 8}
        hover = {"customdata": x, "hovertext": said, "hovertemplate": _SAID}
        figure.add_scatter(x=x, y=y, name=name, marker=marker, **look, **hover, **more)

    # Where points coincide, the open square on top and the corners of the diamond below stay visible.
    said = [v.said(title) for v in levels]
    series("similarity", [v.mean for v in levels], said, SIMILARITY, "solid", "circle", zorder=2, **spread)
    said = [f"flipped {percent(v.flip_rate)} ({v.flips} of {plural(v.n, 'draw')})" for v in levels]
    series("flip rate", [v.flip_rate for v in levels], said, FLIPPED, "dash", "diamond", zorder=1)
    said = [f"confidence in the clean class {percent(v.confidence)}" for v in levels]
    series("confidence", [v.confidence for v in levels], said, NEUTRAL, "dot", "square-open", zorder=3)

    figure.add_shape(_line("x", current, HERE, "solid", 7))
    handle = {"mode": "markers", "marker": {"symbol": "triangle-up", "size": 12, "color": NEUTRAL}}
    hidden = {"cliponaxis": False, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(
        x=[current], y=[-0.035], customdata=[current], name="current severity", **handle, **hidden
    )
    marks = (
        [] if breaks_at is None else [_Mark(breaks_at, f"map breaks {breaks_at:g}", 1.95, SIMILARITY, 1.5)]
    )
    marks += (
        [] if flips_at is None else [_Mark(flips_at, f"prediction flips {flips_at:g}", 2.25, FLIPPED, 1.5)]
    )
    _add_marks(figure, marks, -0.6, 5.15, 2)
    _calm(figure)
    return Chart(figure, _curve_words(levels, current, breaks_at, flips_at, similarity_title))


def _curve_words(
    levels: Sequence[_Level], current: float, breaks_at: float | None, flips_at: float | None, title: str
) -> str:
    def at(level: _Level, where: str) -> str:
        return f"{decimal(level.mean)} {where} ({percent(level.flip_rate)} of draws flipped)"

    first, last = levels[0], levels[-1]
    start = at(first, f"at severity {first.severity:g}")
    way = (
        f"is {start}"
        if first is last
        else f"goes from {start} to {at(last, f'at severity {last.severity:g}')}"
    )
    here = [v for v in levels if v.severity == current]
    now = f"the current severity is {current:g}"
    if here:
        now = "the current one" if first is last else at(here[0], f"at the current severity {current:g}")
    breaks = "no break of the map seen" if breaks_at is None else f"the map breaks at {breaks_at:g}"
    flips = "no flip of the prediction seen" if flips_at is None else f"the prediction flips at {flips_at:g}"
    return f"Mean similarity ({title}) {way}; {now}; {breaks}; {flips}."


# --- the draws of one severity, kept against flipped


def _group_words(name: str, group: pd.DataFrame) -> str:
    """A group in words: its number and its similarities, or why there are none."""
    values = _measured(group)["similarity"].astype(float)
    if group.empty:
        return f"no draw {name}"
    if values.empty:
        return f"{plural(len(group), f'{name} draw')}, degenerate"
    if len(values) == 1:
        return f"1 {name} draw at {values.iloc[0]:.2f}"
    spread = f"({values.min():.2f} to {values.max():.2f})"
    return f"{len(values)} {name} draws with median {values.median():.2f} {spread}"


def _pairs_words(pairs: pd.DataFrame, title: str) -> str:
    parts = [
        _group_words(name, pairs[pairs["flipped"].astype(bool) == flipped]) for flipped, name, *_ in _GROUPS
    ]
    dropped = len(_degenerate(pairs))
    parts += [f"{plural(dropped, 'degenerate draw')} left out"] if dropped else []
    return f"Similarity ({title}): " + "; ".join(parts) + "."


def _bandwidth(values: Sequence[float]) -> float:
    """Silverman's rule of thumb (Density Estimation, 1986, eq. 3.31), for values that are not all equal."""
    low, high = np.percentile(values, [25, 75])
    deviation = float(np.std(values, ddof=1))
    return 0.9 * (min(deviation, float(high - low) / 1.34) or deviation) * float(len(values) ** -0.2)


def similarity_violin(pairs_at_severity: pd.DataFrame, *, similarity_title: str, current_seed: int) -> Chart:
    """Similarity of the draws that kept the prediction against those that flipped it, every draw a point.

    From five draws on, a density stands above the points; a bar marks the median. Points carry their seed as
    ``customdata``; ``current_seed`` has a ring. Degenerate pairs are counted in a note, not drawn.
    """
    pairs = pairs_at_severity
    slots = {"tickvals": [1, 0], "ticktext": ["kept<br>n = 0", "flipped<br>n = 0"], "showgrid": False}
    axes: dict[str, Any] = {
        "xaxis": {"range": [-0.02, 1.02], "title_text": f"similarity ({escape(similarity_title)})", **_UNIT},
        "yaxis": {"range": [-0.5, 1.5], **slots},
        "margin_t": 10,
        "showlegend": False,
    }
    if pairs.empty:
        return Chart(_empty(HEIGHT, 1, axes), "No noise draws have been measured at this severity yet.")

    figure = go.Figure(layout=_layout(HEIGHT, 1, **axes))
    counts = []
    for row, (flipped, name, colour, symbol, _) in zip((1, 0), _GROUPS, strict=True):
        group = pairs[pairs["flipped"].astype(bool) == flipped]
        shown = _measured(group).sort_values("seed")
        values = shown["similarity"].astype(float).tolist()
        counts.append(f"{name}<br>n = {len(values)}")
        if not values:
            figure.add_annotation(_note(_group_words(name, group), x=0.5, xref="x domain", y=row))
            continue
        for at in _UNIT["tickvals"]:  # a grid by hand: none of its lines crosses the words in an empty slot
            figure.add_shape({**_line("x", at, GRID, "solid", 1), "y0": row / 2, "y1": row / 2 + 0.5})
        if len(values) >= VIOLIN_FROM and max(values) > min(values):
            width = _bandwidth(values)
            span = [max(0.0, min(values) - 2 * width), min(1.0, max(values) + 2 * width)]
            density = {"bandwidth": width, "spanmode": "manual", "span": span, "points": False, "width": 0.9}
            look = {
                "line": {"color": colour, "width": 1},
                "fillcolor": colour,
                "opacity": 0.35,
                "hoverinfo": "skip",
            }
            place = {"y0": row + 0.02, "orientation": "h", "side": "positive", "name": f"{name} density"}
            figure.add_violin(x=values, **place, **density, **look)
        seeds = [int(seed) for seed in shown["seed"]]
        # The golden-ratio sequence: any run of seeds is spread evenly, and a seed keeps its height.
        y = [row - 0.08 - 0.26 * (seed * 0.6180339887498949 % 1) for seed in seeds]
        said = [
            f"seed {seed} · {escape(str(label))} {percent(float(probability))} · similarity {value:.2f}"
            for seed, label, probability, value in zip(
                seeds, shown["perturbed_label"], shown["perturbed_prob"], values, strict=True
            )
        ]
        marker = {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.85}
        hover = {"mode": "markers", "hovertemplate": _SAID}
        figure.add_scatter(x=values, y=y, customdata=seeds, hovertext=said, name=name, marker=marker, **hover)
        if current_seed in seeds:
            i = seeds.index(current_seed)
            ring = {"symbol": "circle-open", "size": 18, "color": colour, "line": {"width": 2.5}}
            here = {"x": [values[i]], "y": [y[i]], "customdata": [seeds[i]], "hovertext": [said[i]]}
            figure.add_scatter(**here, name="current draw", marker=ring, **hover)
        bar = {"mode": "lines", "line": {"color": colour, "width": 3}, "hoverinfo": "skip"}
        figure.add_scatter(
            x=[float(np.median(values))] * 2, y=[row - 0.38, row + 0.12], name=f"{name} median", **bar
        )
    figure.update_yaxes(ticktext=counts)

    dropped = _degenerate(pairs)
    notes = ["bar: median"] if len(dropped) < len(pairs) else []
    if current_seed in set(_measured(pairs)["seed"]):
        notes.append(f"ring: seed {current_seed}")
    if len(dropped):
        itself = f" (with seed {current_seed})" if current_seed in set(dropped["seed"]) else ""
        notes.append(f"{len(dropped)} degenerate{itself} not drawn")
    corner = {"x": 0, "xref": "x domain", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "top"}
    figure.add_annotation(_note(" · ".join(notes), **corner))
    _calm(figure)
    return Chart(figure, _pairs_words(pairs, similarity_title))


def similarity_ecdf(
    pairs_at_severity: pd.DataFrame, *, similarity_title: str, floors: Mapping[str, float]
) -> Chart:
    """For each similarity, the share of kept and of flipped draws that lie at or below it.

    ``floors`` are reference similarities by name, drawn as faint lines. Steps carry their seed as
    ``customdata``. Degenerate pairs are left out of the shares and of n.
    """
    pairs = pairs_at_severity
    lanes = max(2, len(floors))
    axes: dict[str, Any] = {
        "xaxis": {"range": [-0.02, 1.02], "title_text": f"similarity ({escape(similarity_title)})", **_UNIT},
        "yaxis": {"range": [-0.02, 1.02], "title_text": "share of draws", **_UNIT},
    }
    if pairs.empty:
        return Chart(_empty(HEIGHT, lanes, axes), "No noise draws have been measured at this severity yet.")

    figure = go.Figure(layout=_layout(HEIGHT, lanes, **axes))
    for flipped, name, colour, _, dash in _GROUPS:
        shown = _measured(pairs[pairs["flipped"].astype(bool) == flipped]).sort_values(["similarity", "seed"])
        values = shown["similarity"].to_numpy(dtype=float)
        look = {"mode": "lines", "line": {"color": colour, "dash": dash, "width": 2.5, "shape": "hv"}}
        look["name"] = f"{name} (n = {len(values)})"
        if not len(values):  # the legend keeps its place
            figure.add_scatter(x=[None], y=[None], hoverinfo="skip", **look)
            continue
        # Up to the last of equal values: a tie is one step.
        share = np.searchsorted(values, values, side="right") / len(values)
        said = [
            f"{percent(s)} of {name} draws<br>at similarity ≤ {v:.2f}"
            for v, s in zip(values, share, strict=True)
        ]
        hover = {"hovertext": ["", *said, said[-1]], "hovertemplate": _SAID}
        seeds = [None, *(int(seed) for seed in shown["seed"]), None]
        figure.add_scatter(
            x=[0, *values.tolist(), 1], y=[0, *share.tolist(), 1], customdata=seeds, **hover, **look
        )
    marks = [_Mark(v, f"{escape(k)} {v:.2f}", 0.022 * (len(k) + 5), NEUTRAL, 1) for k, v in floors.items()]
    _add_marks(figure, marks, -0.15, 1.03, lanes)
    beside = "; ".join(f"{name} {value:.2f}" for name, value in floors.items())
    alt = _pairs_words(pairs, similarity_title)
    return Chart(figure, f"{alt[:-1]}; floors: {beside}." if floors else alt)
