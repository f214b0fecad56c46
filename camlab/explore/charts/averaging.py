"""Similarity of a pair of maps over the number of noisy copies that each is averaged over."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from camlab.common.wording import decimal
from camlab.drawing.charts.look import (
    HEIGHT,
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    UNIT_TICKS,
    Chart,
    chart_layout,
    empty_figure,
    keep_opaque,
)
from camlab.explore.trials.averaging import Averaged, sentence


def remedy_chart(found: Sequence[Averaged], *, copies: Sequence[int], similarity_title: str) -> Chart:
    """Similarity of the two maps, and what is left of the clean map, by the number of averaged copies.

    ``copies`` are the numbers that the axis has a place for, whether they are found yet or not; values that are
    not observed have no point. All in [0, 1] but the correlation with the clean map, of which what is below 0 is
    drawn at 0 and said as it is.
    """
    title = escape(similarity_title)
    names = [str(n) if n else "none" for n in copies]
    axes = {
        "xaxis": {
            "tickvals": [*range(len(copies))],
            "ticktext": names,
            "range": [-0.4, len(copies) - 0.6],
            "title_text": "noisy copies averaged",
        },
        "yaxis": {"range": [-0.035, 1.035], "title_text": f"similarity ({title})", **UNIT_TICKS},
    }
    if not found:
        return Chart(empty_figure(HEIGHT, 1, axes, "not computed yet"), "Nothing has been averaged yet.")
    figure = go.Figure(layout=chart_layout(HEIGHT, 1, **axes))
    place = {n: i for i, n in enumerate(copies)}
    # name, values, colour, dash, symbol, what a value is
    series = (
        (
            "clean and perturbed map",
            [each.similarity for each in found],
            SIMILARITY,
            "solid",
            "circle",
            "similarity of the two maps",
        ),
        (
            "clean map and itself without averaging (r)",
            [each.kept for each in found],
            NEUTRAL,
            "dot",
            "square-open",
            "correlation with the clean map without averaging",
        ),
    )
    for name, values, colour, dash, symbol, what in series:
        shown = [(each.copies, value) for each, value in zip(found, values, strict=True) if value is not None]
        figure.add_scatter(
            x=[place[n] for n, _ in shown],
            y=[max(value, 0.0) for _, value in shown],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertext=[
                f"{what} {value:.2f}<br>{n or 'no'} noisy {'copy' if n == 1 else 'copies'}"
                for n, value in shown
            ],
            hovertemplate=HOVER_TEXT,
        )
    keep_opaque(figure)
    each = "; ".join(f"{n.copies or 'none'}: {decimal(n.similarity)}" for n in found)
    alt = f"Similarity ({similarity_title}) by the number of noisy copies averaged: {each}. {sentence(found)}"
    return Chart(figure, alt.strip())
