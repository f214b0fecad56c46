"""How similar the two maps of each of several pairs are, whatever the pairs differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from camlab.common.wording import decimal
from camlab.drawing.charts.dots import add_ticks, dot_rows
from camlab.drawing.charts.look import FLIPPED, HOVER_TEXT, KEPT, Chart, chart_layout, empty_figure
from camlab.drawing.charts.titles import wrapped

ROW = 48  # pixels that a pair takes


@dataclass(frozen=True)
class PairDot:
    """One pair: its similarity on [0, 1] (None: not observed), whether it flipped, and what chance scores.

    title: its whole name; short: what fits beside its row, broken at commas.
    """

    title: str
    short: str
    similarity: float | None
    flipped: bool
    floor: float | None = None


def pair_dots(pairs: Sequence[PairDot], *, similarity_title: str) -> Chart:
    """One row a pair, in their order: its similarity, kept apart from flipped, and a tick where chance lies.

    similarity_title: the measure, or the measures where pairs have been compared by several.
    """
    axes, height = dot_rows(len(pairs), ROW, similarity_title)
    words = "; ".join(f"{pair.title}: {_words(pair)}" for pair in pairs)
    there = [(y, pair) for y, pair in enumerate(pairs) if pair.similarity is not None]
    if not there:
        return Chart(empty_figure(height, 0, axes, "no similarity was observed"), words or "No pair.")
    figure = go.Figure(layout=chart_layout(height, 0, **axes))
    figure.update_yaxes(
        tickvals=[*range(len(pairs))], ticktext=[wrapped(pair.short, 22, ", ") for pair in pairs]
    )
    for flipped, colour, symbol, name in (
        (False, KEPT, "circle", "kept"),
        (True, FLIPPED, "diamond", "flipped"),
    ):
        rows = [(y, pair) for y, pair in there if pair.flipped == flipped]
        if rows:
            figure.add_scatter(
                x=[pair.similarity for _, pair in rows], y=[y for y, _ in rows], name=name, mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 13},
                hovertext=[f"{escape(pair.title)}<br>{_words(pair)}" for _, pair in rows], hovertemplate=HOVER_TEXT,
            )  # fmt: skip
    marks = {y: pair.floor for y, pair in there if pair.floor is not None}
    add_ticks(figure, marks, "random ranking", "chance {:.2f}")
    return Chart(figure, f"Similarity of the two maps ({similarity_title}). {words}.")


def _words(pair: PairDot) -> str:
    chance = "" if pair.floor is None else f", chance {pair.floor:.2f}"
    return f"{decimal(pair.similarity)}{chance}, prediction {'flipped' if pair.flipped else 'kept'}"
