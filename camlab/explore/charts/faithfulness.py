"""Deletion and insertion: what is left of a class's probability while the pixels that a map shows go or come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from camlab.common.wording import percent
from camlab.drawing.charts.look import (
    HEIGHT,
    HOVER_TEXT,
    KEPT,
    SIMILARITY,
    UNIT_TICKS,
    Chart,
    chart_layout,
    empty_figure,
)
from camlab.explore.trials.faithfulness import SIDES, Faithful

_LOOK = {"clean": (KEPT, "solid"), "perturbed": (SIMILARITY, "dash")}
_AXIS = {"deletion": "share of pixels taken away", "insertion": "share of pixels brought back"}


def faithfulness_curves(found: Faithful, measure: str, sides: Sequence[str] = SIDES) -> Chart:
    """The explained class's probability over the share of pixels, hottest first, clean against perturbed.

    ``measure``: deletion or insertion. The area under each curve stands in its name.
    """
    axes = {
        "xaxis": {"range": [-0.02, 1.02], "title_text": _AXIS[measure], **UNIT_TICKS},
        "yaxis": {"range": [-0.02, 1.02], "title_text": "probability", **UNIT_TICKS},
    }
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
        colour, dash = _LOOK[side]
        area = found.values[measure, side]
        figure.add_scatter(
            x=shares,
            y=values.tolist(),
            name=f"{side}, area {area:.2f}",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertext=[
                f"{side}: {percent(v)} at {percent(s)} of the pixels"
                for s, v in zip(shares, values, strict=True)
            ],
            hovertemplate=HOVER_TEXT,
        )
        words.append(f"{side} from {percent(values[0])} to {percent(values[-1])}, area {area:.2f}")
    return Chart(figure, f"{measure.capitalize()}, probability of the explained class: {'; '.join(words)}.")
