"""Charts of the trials on one pair: averaging over noisy copies, and deletion and insertion of pixels."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from camlab.common.wording import decimal, percent
from camlab.drawing.charts.look import (
    HEIGHT,
    HOVER_TEXT,
    KEPT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    empty_figure,
    keep_opaque,
    unit_axis,
)
from camlab.explore.trials.averaging import Averaged, sentence
from camlab.explore.trials.faithfulness import SIDES, Faithful

_SIDES = {"clean": (KEPT, "solid"), "perturbed": (SIMILARITY, "dash")}
_SHARES = {"deletion": "share of pixels removed", "insertion": "share of pixels restored"}


def averaging_chart(found: Sequence[Averaged], *, copies: Sequence[int], similarity_title: str) -> Chart:
    """Draw the maps' similarity, and their correlation with the clean map, over the number of averaged copies.

    ``copies``: all numbers on the axis, measured or not. Values that are not observed have no point. All values are in
    [0, 1] except the correlation, which is drawn at 0 if it is negative and labelled with its true value.
    """
    axes = {
        "xaxis": {
            "tickvals": [*range(len(copies))],
            "ticktext": [str(n) if n else "none" for n in copies],
            "range": [-0.4, len(copies) - 0.6],
            "title_text": "noisy copies averaged",
        },
        "yaxis": unit_axis(f"similarity ({escape(similarity_title)})", 0.035),
    }
    if not found:
        return Chart(empty_figure(HEIGHT, 1, axes, "not computed yet"), "Nothing has been averaged yet.")
    figure = go.Figure(layout=chart_layout(HEIGHT, 1, **axes))
    place = {n: i for i, n in enumerate(copies)}
    for name, values, colour, dash, symbol, what in (
        (
            "clean and perturbed map", [each.similarity for each in found],
            SIMILARITY, "solid", "circle", "similarity of the two maps",
        ),
        (
            "clean map and itself without averaging (r)", [each.kept for each in found],
            NEUTRAL, "dot", "square-open", "correlation with the clean map without averaging",
        ),
    ):  # fmt: skip
        shown = [(each.copies, value) for each, value in zip(found, values, strict=True) if value is not None]
        figure.add_scatter(
            x=[place[n] for n, _ in shown],
            y=[max(value, 0.0) for _, value in shown],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertext=[
                f"{what} {value:.2f}<br>{n or 'no'} noisy {'copy' if n == 1 else 'copies'}" for n, value in shown
            ],
            hovertemplate=HOVER_TEXT,
        )
    keep_opaque(figure)
    each = "; ".join(f"{n.copies or 'none'}: {decimal(n.similarity)}" for n in found)
    alt = f"Similarity ({similarity_title}) by the number of noisy copies averaged: {each}. {sentence(found)}"
    return Chart(figure, alt.strip())


def faithfulness_curves(found: Faithful, measure: str, sides: Sequence[str] = SIDES) -> Chart:
    """Draw the explained class's probability over the share of pixels, hottest first, for the clean and noisy map.

    ``measure``: deletion or insertion. The legend gives the area under each curve.
    """
    axes = {"xaxis": unit_axis(_SHARES[measure]), "yaxis": unit_axis("probability")}
    present = [side for side in sides if (measure, side) in found.curves]
    if not present:
        return Chart(
            empty_figure(HEIGHT, 1, axes, "not computed yet"),
            f"The {measure} curves have not been computed yet.",
        )
    figure = go.Figure(layout=chart_layout(HEIGHT, 1, **axes))
    words = []
    for side in present:
        values = found.curves[measure, side]
        shares = np.linspace(0, 1, len(values)).tolist()
        colour, dash = _SIDES[side]
        area = found.values[measure, side]
        figure.add_scatter(
            x=shares,
            y=values.tolist(),
            name=f"{side}, area {area:.2f}",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertext=[
                f"{side}: {percent(v)} at {percent(s)} of the pixels" for s, v in zip(shares, values, strict=True)
            ],
            hovertemplate=HOVER_TEXT,
        )
        words.append(f"{side} from {percent(values[0])} to {percent(values[-1])}, area {area:.2f}")
    return Chart(figure, f"{measure.capitalize()}, probability of the explained class: {'; '.join(words)}.")
