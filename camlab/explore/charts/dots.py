"""Charts with one row and one dot per item on a scale of similarity: pairs side by side, methods over noise draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.common.wording import decimal, plural
from camlab.drawing.charts.look import (
    FLIPPED,
    HOVER_TEXT,
    KEPT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    empty_figure,
    unit_axis,
)
from camlab.drawing.charts.titles import level_title, short_title, wrapped
from camlab.explore.trials.steadiness import Steady

PAIR_ROW, METHOD_ROW = 48, 44  # pixels per row
_PREDICTION = ((False, KEPT, "circle", "kept"), (True, FLIPPED, "diamond", "flipped"))
_OUTCOMES = {  # colour, symbol, name
    "moves": (FLIPPED, "diamond", "moves"),
    "holds": (KEPT, "circle", "holds"),
    "unsure": (SIMILARITY, "square", "cannot be told"),
    "random": (NEUTRAL, "x-thin-open", "random map"),
}


def _axes(count: int, row: int, similarity_title: str) -> tuple[dict[str, Any], int]:
    """Return the axes for ``count`` rows of ``row`` pixels, from top to bottom, and the figure's height in pixels."""
    axes = {
        "xaxis": {**unit_axis(f"similarity ({escape(similarity_title)})"), "showgrid": True},
        "yaxis": {"range": [count - 0.4, -0.6], "showgrid": False},
    }
    return axes, 110 + row * max(count, 1)


def _add_ticks(figure: go.Figure, marks: Mapping[int, float], name: str, hover: str) -> None:
    """Add a reference tick to each row in ``marks``; ``hover``: its text, with {} for the value."""
    if marks:
        figure.add_scatter(
            x=list(marks.values()), y=list(marks), name=name, mode="markers",
            marker={"color": NEUTRAL, "symbol": "line-ns", "size": 22, "line": {"color": NEUTRAL, "width": 2.5}},
            hovertext=[hover.format(value) for value in marks.values()], hovertemplate=HOVER_TEXT,
        )  # fmt: skip


@dataclass(frozen=True)
class PairDot:
    """One pair: its similarity in [0, 1] (None: not observed), whether it flipped, and the random-ranking floor.

    title: its full name; short: the label beside its row, broken at commas.
    """

    title: str
    short: str
    similarity: float | None
    flipped: bool
    floor: float | None = None


def pair_dots(pairs: Sequence[PairDot], *, similarity_title: str) -> Chart:
    """Draw one row per pair, in their order: its similarity, kept or flipped, and a tick at the floor.

    similarity_title: the measure, or all measures if the pairs were compared by several.
    """
    axes, height = _axes(len(pairs), PAIR_ROW, similarity_title)
    words = "; ".join(f"{pair.title}: {_pair_words(pair)}" for pair in pairs)
    there = [(y, pair) for y, pair in enumerate(pairs) if pair.similarity is not None]
    if not there:
        return Chart(empty_figure(height, 0, axes, "no similarity was observed"), words or "No pair.")
    figure = go.Figure(layout=chart_layout(height, 0, **axes))
    figure.update_yaxes(tickvals=[*range(len(pairs))], ticktext=[wrapped(pair.short, 22, ", ") for pair in pairs])
    for flipped, colour, symbol, name in _PREDICTION:
        rows = [(y, pair) for y, pair in there if pair.flipped == flipped]
        if rows:
            figure.add_scatter(
                x=[pair.similarity for _, pair in rows], y=[y for y, _ in rows], name=name, mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 13},
                hovertext=[f"{escape(pair.title)}<br>{_pair_words(pair)}" for _, pair in rows],
                hovertemplate=HOVER_TEXT,
            )  # fmt: skip
    marks = {y: pair.floor for y, pair in there if pair.floor is not None}
    _add_ticks(figure, marks, "random ranking", "chance {:.2f}")
    return Chart(figure, f"Similarity of the two maps ({similarity_title}). {words}.")


def _pair_words(pair: PairDot) -> str:
    chance = "" if pair.floor is None else f", chance {pair.floor:.2f}"
    return f"{decimal(pair.similarity)}{chance}, prediction {'flipped' if pair.flipped else 'kept'}"


def steady_methods(found: Sequence[Steady], *, similarity_title: str) -> Chart:
    """Draw one row per method: its mean similarity over the draws that kept the prediction, with 95 % interval.

    A tick marks the threshold, halfway between 1 and the floor of other pictures; maps to the left of it have moved.
    Methods without a similarity are listed without a dot.
    """
    axes, height = _axes(len(found), METHOD_ROW, similarity_title)
    there = [(y, each) for y, each in enumerate(found) if each.similarity is not None]
    if not there:
        return Chart(empty_figure(height, 0, axes, "no draw kept the prediction"), "No draw kept the prediction.")
    figure = go.Figure(layout=chart_layout(height, 0, **axes))
    labels = [short_title("method", e.method) + (" (random)" if e.baseline else "") for e in found]
    figure.update_yaxes(tickvals=[*range(len(found))], ticktext=[wrapped(label, 24) for label in labels])
    for kind, (colour, symbol, name) in _OUTCOMES.items():
        rows = [(y, each) for y, each in there if _outcome(each) == kind]
        if not rows:
            continue
        spread = {
            "type": "data", "symmetric": False, "color": colour, "thickness": 2, "width": 0,
            "array": [0 if e.high is None else e.high - (e.similarity or 0) for _, e in rows],
            "arrayminus": [0 if e.low is None else (e.similarity or 0) - e.low for _, e in rows],
        }  # fmt: skip
        figure.add_scatter(
            x=[e.similarity for _, e in rows], y=[y for y, _ in rows], name=name, mode="markers", error_x=spread,
            marker={"color": colour, "symbol": symbol, "size": 13, "line": {"color": colour, "width": 2}},
            hovertext=[f"{escape(level_title('method', e.method))}<br>{escape(_steady_words(e))}" for _, e in rows],
            hovertemplate=HOVER_TEXT,
        )  # fmt: skip
    marks = {y: each.threshold for y, each in there if each.threshold is not None}
    _add_ticks(figure, marks, "broken below", "counts as broken below {:.2f}")
    parts = [f"{level_title('method', e.method)}: {_steady_words(e)}" for e in found]
    return Chart(figure, f"Mean similarity ({similarity_title}) where the prediction stayed. {'; '.join(parts)}.")


def _outcome(each: Steady) -> str:
    return "random" if each.baseline else each.outcome if each.outcome in _OUTCOMES else "unsure"


def _steady_words(each: Steady) -> str:
    span = "" if each.low is None or each.high is None else f" [{each.low:.2f}, {each.high:.2f}]"
    against = "" if each.threshold is None else f", broken below {each.threshold:.2f}"
    outcome = "not observed" if each.outcome == "unseen" else _OUTCOMES[each.outcome][2]
    return f"{decimal(each.similarity)}{span} over {each.measured} of {plural(each.n, 'draw')}{against}, {outcome}"
