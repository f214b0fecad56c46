"""What the charts of a study share: names, marks that differ by more than colour, and words for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.drawing.charts.look import (
    HEIGHT,
    HOVER_TEXT,
    NEUTRAL,
    Chart,
    LabelledLine,
    empty_figure,
    reference_line,
    text_note,
)
from camlab.drawing.charts.titles import SeriesMark, wrapped


def floor_lines(figure: go.Figure, floors: Mapping[str, float]) -> None:
    """The floors as lines over the height of similarity, the lowest named below its line, the others above."""
    for i, (name, value) in enumerate(sorted(floors.items(), key=lambda each: each[1])):
        figure.add_shape(reference_line("y", value, NEUTRAL, "dot", 1))
        # Close together, the upper line would strike the lower one's name through.
        side = "top" if i == 0 and len(floors) > 1 else "bottom"
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "y": value, "yanchor": side}
        figure.add_annotation(text_note(f"{escape(name)} {value:.2f}", **place))


def floor_marks(floors: Mapping[str, float]) -> list[LabelledLine]:
    """The floors as labelled lines across an axis of similarity that is 0 to 1 wide."""
    return [LabelledLine(v, f"{k} {v:.2f}", 0.022 * (len(k) + 5), NEUTRAL, 1) for k, v in floors.items()]


def floor_words(floors: Mapping[str, float]) -> str:
    """The floors in words, as the end of a sentence."""
    return f" Floors: {'; '.join(f'{k} {v:.2f}' for k, v in floors.items())}." if floors else ""


def nothing(text: str, why: str, axes: Mapping[str, Any] | None = None, height: int = HEIGHT) -> Chart:
    """A chart that says what is missing; ``text`` on it, ``why`` as its sentence."""
    hidden = {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
    lines = wrapped(text, 44, " ")
    return Chart(empty_figure(height, 0, hidden if axes is None else axes, lines), why)


def hover(texts: Sequence[str], data: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The settings of points that say something and lead somewhere."""
    return {
        "hovertext": list(texts),
        "hovertemplate": HOVER_TEXT,
        "customdata": [list(each) for each in data],
    }


def legend_entry(figure: go.Figure, name: str, mark: SeriesMark, mode: str = "lines+markers") -> None:
    """A series in the legend: it shows the symbol of enough pairs, whatever the first point of the series rests on."""
    figure.add_scatter(
        x=[None], y=[None], mode=mode, name=escape(name), hoverinfo="skip",
        line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
        marker={"color": mark.colour, "symbol": mark.symbol, "size": 9, "line": {"color": mark.colour, "width": 1.5}},
    )  # fmt: skip
