"""What charts with a dot a row share: a scale of similarity, a row each, and a tick at what the dot is held against."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.drawing.charts.look import HOVER_TEXT, NEUTRAL, UNIT_TICKS


def dot_rows(count: int, row: int, similarity_title: str) -> tuple[dict[str, Any], int]:
    """Axes for ``count`` rows from above to below on a scale of similarity, and the figure's height in pixels.

    row: pixels that one takes; similarity_title: the measure, not escaped.
    """
    axes = {
        "xaxis": {
            "range": [-0.02, 1.02],
            "title_text": f"similarity ({escape(similarity_title)})",
            **UNIT_TICKS,
            "showgrid": True,
        },
        "yaxis": {"range": [count - 0.4, -0.6], "showgrid": False},
    }
    return axes, 110 + row * max(count, 1)


def add_ticks(figure: go.Figure, marks: Mapping[int, float], name: str, hover: str) -> None:
    """A tick in each row that has one, by the row's place; ``hover``: its words, with {} for the number."""
    if marks:
        figure.add_scatter(
            x=list(marks.values()), y=list(marks), name=name, mode="markers",
            marker={"color": NEUTRAL, "symbol": "line-ns", "size": 22, "line": {"color": NEUTRAL, "width": 2.5}},
            hovertext=[hover.format(value) for value in marks.values()], hovertemplate=HOVER_TEXT,
        )  # fmt: skip
