"""The look that all Plotly figures share, and a figure with its description in words.

Text takes its colour from the page around the figure; marks have mid tones with a contrast of 3 : 1 on white and
on near-black, and no two series differ by colour alone. Names are escaped, as Plotly reads texts as HTML.

Charts of noise draws take a data frame of pairs, one row per pair, with the columns ``severity`` (0–5), ``seed``,
``similarity`` (0–1, NaN where a map is degenerate), ``flipped``, ``degenerate``, ``perturbed_label``,
``perturbed_prob`` (0–1) and ``clean_class_prob`` (0–1, the clean class on the perturbed picture); a frame
without rows needs no columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

KEPT, FLIPPED, SIMILARITY, NEUTRAL = "#3A86C8", "#D9730D", "#8A63D2", "#8A8F98"
BAND, GRID, HERE = "rgba(138,99,210,0.20)", "rgba(138,143,152,0.22)", "rgba(138,143,152,0.40)"
CLEAR = "rgba(0,0,0,0)"

CURVE_HEIGHT, HEIGHT = 340, 300
FONT, SMALL = 13, 12
LANE = 17  # pixels per row of labels above the plot

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

UNIT_TICKS: dict[str, Any] = {
    "tickvals": [0, 0.25, 0.5, 0.75, 1],
    "ticktext": ["0", "0.25", "0.5", "0.75", "1"],
}
HOVER_TEXT = "%{hovertext}<extra></extra>"


def unit_axis(title: str, rim: float = 0.02) -> dict[str, Any]:
    """Return the settings of an axis from 0 to 1 with a rim at either end; ``title`` must be escaped."""
    return {"range": [-rim, 1 + rim], "title_text": title, **UNIT_TICKS}


@dataclass(frozen=True)
class Chart:
    """A figure and its text alternative."""

    figure: go.Figure
    alt: str


def chart_layout(height: int, lanes: int, **changes: Any) -> go.Layout:
    """Return the shared layout with room for ``lanes`` rows of labels between plot and legend."""
    # Lanes take a fixed share of the paper, so that the plot does not move when labels appear or disappear.
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


def text_note(text: str, **where: Any) -> dict[str, Any]:
    """Return a small annotation without an arrow; ``text`` must be escaped."""
    return {"text": text, "showarrow": False, "font": {"size": SMALL}, **where}


def empty_figure(height: int, lanes: int, axes: Mapping[str, Any], text: str = "no draws yet") -> go.Figure:
    """Return a figure with axes and a text in place of data."""
    figure = go.Figure(layout=chart_layout(height, lanes, **axes))
    return figure.add_annotation(text_note(text, x=0.5, y=0.4, xref="x domain", yref="y domain"))


def keep_opaque(figure: go.Figure) -> None:
    """Keep unselected points opaque after a click: the page itself shows the choice."""
    for trace in figure.select_traces({"type": "scatter"}):
        if "markers" in trace.mode:
            trace.unselected = {"marker": {"opacity": trace.marker.opacity or 1}}


def reference_line(axis: str, at: float, colour: str, dash: str, width: float) -> dict[str, Any]:
    """Return a straight line across the plot at one value of an axis, below the data."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{axis}ref": axis, f"{other}0": 0, f"{other}1": 1}
    line = {"color": colour, "dash": dash, "width": width}
    return {"type": "line", **ends, f"{other}ref": f"{other} domain", "line": line, "layer": "below"}


@dataclass(frozen=True)
class LabelledLine:
    """A labelled vertical line; ``width``: the width of its escaped text on a screen of 390 pixels, in x units."""

    at: float
    text: str
    width: float
    colour: str
    thickness: float


def label_lanes(marks: Sequence[LabelledLine], low: float, high: float) -> list[tuple[LabelledLine, str, int, bool]]:
    """Place the labels of vertical lines above the plot, between ``low`` and ``high``, without overlap.

    Returns per line: the line, its label's anchor (left, center or right), its lane counted from the plot, and whether
    the line may reach up to the label. No line crosses a label, even on a screen of 390 pixels.
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
        lanes.reverse()  # the leftmost label is highest: the next line ends below it
    starts = [m.at - {"left": 0, "center": 0.5, "right": 1}[s] * m.width for m, s in zip(marks, sides, strict=True)]
    spans = [(start, start + m.width) for start, m in zip(starts, marks, strict=True)]
    if all(one[1] <= two[0] for one, two in pairwise(spans)):
        lanes = [0] * len(marks)

    def free(at: float, lane: int) -> bool:
        below = [span for span, other in zip(spans, lanes, strict=True) if other < lane]
        return not any(start < at < end for start, end in below)

    return [(m, s, lane, free(m.at, lane)) for m, s, lane in zip(marks, sides, lanes, strict=True)]


def add_labelled_lines(figure: go.Figure, marks: Sequence[LabelledLine], low: float, high: float, lanes: int) -> None:
    """Add labelled vertical lines to a figure, see `label_lanes`."""
    top = figure.layout.yaxis.domain[1]
    height = (1 - top) / lanes
    for mark, side, lane, joined in label_lanes(marks, low, high):
        line = reference_line("x", mark.at, mark.colour, "dot", mark.thickness)
        figure.add_shape(line)
        bottom = top + lane * height
        if joined:
            reach = bottom + (0.05 if side == "center" else 0.85) * height
            figure.add_shape({**line, "y0": top, "y1": reach, "yref": "paper"})
        place = {"x": mark.at, "xanchor": side, "xshift": {"left": 2, "center": 0, "right": -2}[side]}
        figure.add_annotation(text_note(mark.text, **place, y=bottom + height / 2, yref="paper", yanchor="middle"))
