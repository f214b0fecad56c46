"""How steady each method's map of one picture is, against what counts as broken."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from camlab.common.wording import decimal, plural
from camlab.drawing.charts.dots import add_ticks, dot_rows
from camlab.drawing.charts.look import (
    FLIPPED,
    HOVER_TEXT,
    KEPT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    empty_figure,
)
from camlab.drawing.charts.titles import level_title, wrapped

if TYPE_CHECKING:
    from camlab.explore.trials.steadiness import Steady

ROW = 44  # pixels that a method takes
_LOOK = {  # by outcome: colour, symbol, name
    "moves": (FLIPPED, "diamond", "moves"),
    "holds": (KEPT, "circle", "holds"),
    "unsure": (SIMILARITY, "square", "cannot be told"),
    "random": (NEUTRAL, "x-thin-open", "random map"),
}


def steady_methods(found: Sequence[Steady], *, similarity_title: str) -> Chart:
    """One row a method: mean similarity over the draws that kept the prediction, its 95 % interval, its threshold.

    The threshold, halfway between 1 and the floor of other pictures, is a tick; what lies left of it has moved.
    Methods without a similarity are named, with nothing drawn.
    """
    axes, height = dot_rows(len(found), ROW, similarity_title)
    if not any(each.similarity is not None for each in found):
        return Chart(
            empty_figure(height, 0, axes, "no draw kept the prediction"), "No draw kept the prediction."
        )
    figure = go.Figure(layout=chart_layout(height, 0, **axes))
    figure.update_yaxes(
        tickvals=[*range(len(found))],
        ticktext=[wrapped(_short(each), 24) for each in found],
    )
    for kind, (colour, symbol, name) in _LOOK.items():
        rows = [
            (y, each) for y, each in enumerate(found) if each.similarity is not None and _kind(each) == kind
        ]
        if not rows:
            continue
        said = [f"{escape(level_title('method', e.method))}<br>{escape(_words(e))}" for _, e in rows]
        spread = {
            "type": "data", "symmetric": False, "color": colour, "thickness": 2, "width": 0,
            "array": [0 if e.high is None else e.high - (e.similarity or 0) for _, e in rows],
            "arrayminus": [0 if e.low is None else (e.similarity or 0) - e.low for _, e in rows],
        }  # fmt: skip
        figure.add_scatter(
            x=[e.similarity for _, e in rows], y=[y for y, _ in rows], name=name, mode="markers", error_x=spread,
            marker={"color": colour, "symbol": symbol, "size": 13, "line": {"color": colour, "width": 2}},
            hovertext=said, hovertemplate=HOVER_TEXT,
        )  # fmt: skip
    marks = {
        y: e.threshold for y, e in enumerate(found) if e.threshold is not None and e.similarity is not None
    }
    add_ticks(figure, marks, "broken below", "counts as broken below {:.2f}")
    parts = [f"{level_title('method', e.method)}: {_words(e)}" for e in found]
    return Chart(
        figure, f"Mean similarity ({similarity_title}) where the prediction stayed. {'; '.join(parts)}."
    )


def _kind(each: Steady) -> str:
    return "random" if each.baseline else each.outcome if each.outcome in _LOOK else "unsure"


def _short(each: Steady) -> str:
    from camlab.drawing.charts.titles import short_title

    return short_title("method", each.method) + (" (random)" if each.baseline else "")


def _words(each: Steady) -> str:
    span = "" if each.low is None or each.high is None else f" [{each.low:.2f}, {each.high:.2f}]"
    against = "" if each.threshold is None else f", broken below {each.threshold:.2f}"
    return (
        f"{decimal(each.similarity)}{span} over {each.measured} of {plural(each.n, 'draw')}{against}, "
        + {"moves": "moves", "holds": "holds", "unsure": "cannot be told", "unseen": "not observed"}[
            each.outcome
        ]
    )
