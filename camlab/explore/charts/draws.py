"""The draws of one severity, kept against flipped: violin and ECDF."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import percent, plural
from camlab.drawing.charts.look import (
    FLIPPED,
    GRID,
    HEIGHT,
    HOVER_TEXT,
    KEPT,
    NEUTRAL,
    UNIT_TICKS,
    Chart,
    LabelledLine,
    add_labelled_lines,
    chart_layout,
    empty_figure,
    keep_opaque,
    reference_line,
    text_note,
    unit_axis,
)
from camlab.explore.sweep import Sweep, ticks
from camlab.metrics import SIMILARITIES

VIOLIN_FROM = 5  # draws; fewer give no meaningful density
_GROUPS = (  # flipped?, name, colour, symbol, dash
    (False, "kept", KEPT, "circle", "solid"),
    (True, "flipped", FLIPPED, "diamond", "dash"),
)


def _degenerate(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs without a similarity."""
    return pairs[pairs["degenerate"].astype(bool) | pairs["similarity"].isna()]


def _measured(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs that have a similarity."""
    return pairs[~pairs["degenerate"].astype(bool) & pairs["similarity"].notna()]


def _group_words(name: str, group: pd.DataFrame) -> str:
    """Describe a group: its size and its similarities, or why there are none."""
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
    parts = [_group_words(name, pairs[pairs["flipped"].astype(bool) == flipped]) for flipped, name, *_ in _GROUPS]
    dropped = len(_degenerate(pairs))
    parts += [f"{plural(dropped, 'degenerate draw')} left out"] if dropped else []
    return f"Similarity ({title}): " + "; ".join(parts) + "."


def silverman_bandwidth(values: Sequence[float]) -> float:
    """Return Silverman's bandwidth (Density Estimation, 1986, eq. 3.31) for values that are not all equal."""
    low, high = np.percentile(values, [25, 75])
    deviation = float(np.std(values, ddof=1))
    return 0.9 * (min(deviation, float(high - low) / 1.34) or deviation) * float(len(values) ** -0.2)


def sweep_violin(sweep: Sweep, severity: float, seed: int) -> Chart:
    """Draw the violins of a sweep's draws at one severity, with the seed's draw marked."""
    title = SIMILARITIES[sweep.scene.state.similarity].scored_title

    def draw() -> Chart:
        return similarity_violin(sweep.frame(severity), similarity_title=title, current_seed=seed)

    return sweep.kept(("violin", severity, seed), draw)


def similarity_violin(pairs_at_severity: pd.DataFrame, *, similarity_title: str, current_seed: int) -> Chart:
    """Draw the similarity of kept and of flipped draws, one point per draw.

    From VIOLIN_FROM draws on, a density is drawn above the points; a bar marks the median. Points carry their seed
    as ``customdata``; ``current_seed`` has a ring. Degenerate pairs are counted in a note, not drawn.
    """
    pairs = pairs_at_severity
    slots = {"tickvals": [1, 0], "ticktext": ["kept<br>n = 0", "flipped<br>n = 0"], "showgrid": False}
    axes: dict[str, Any] = {
        "xaxis": unit_axis(f"similarity ({escape(similarity_title)})"),
        "yaxis": {"range": [-0.5, 1.5], **slots},
        "margin_t": 10,
        "showlegend": False,
    }
    if pairs.empty:
        return Chart(empty_figure(HEIGHT, 1, axes), "No noise draws have been measured at this severity yet.")

    figure = go.Figure(layout=chart_layout(HEIGHT, 1, **axes))
    counts = []
    for row, (flipped, name, colour, symbol, _) in zip((1, 0), _GROUPS, strict=True):
        group = pairs[pairs["flipped"].astype(bool) == flipped]
        shown = _measured(group).sort_values("seed")
        values = shown["similarity"].astype(float).tolist()
        counts.append(f"{name}<br>n = {len(values)}")
        if not values:
            figure.add_annotation(text_note(_group_words(name, group), x=0.5, xref="x domain", y=row))
            continue
        # Draw the grid by hand, so that no grid line crosses the note in an empty slot.
        for at in UNIT_TICKS["tickvals"]:
            line = reference_line("x", at, GRID, "solid", 1)
            figure.add_shape({**line, "y0": row / 2, "y1": row / 2 + 0.5})
        if len(values) >= VIOLIN_FROM and max(values) > min(values):
            width = silverman_bandwidth(values)
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
        # The golden-ratio sequence spreads any run of seeds evenly, and each seed keeps its height.
        y = [row - 0.08 - 0.26 * (seed * 0.6180339887498949 % 1) for seed in seeds]
        texts = [
            f"seed {seed} · {escape(str(label))} {percent(float(probability))} · similarity {value:.2f}"
            for seed, label, probability, value in zip(
                seeds, shown["perturbed_label"], shown["perturbed_prob"], values, strict=True
            )
        ]
        marker = {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.85}
        hover = {"mode": "markers", "hovertemplate": HOVER_TEXT}
        figure.add_scatter(x=values, y=y, customdata=seeds, hovertext=texts, name=name, marker=marker, **hover)
        if current_seed in seeds:
            i = seeds.index(current_seed)
            ring = {"symbol": "circle-open", "size": 18, "color": colour, "line": {"width": 2.5}}
            here = {"x": [values[i]], "y": [y[i]], "customdata": [seeds[i]], "hovertext": [texts[i]]}
            figure.add_scatter(**here, name="current draw", marker=ring, **hover)
        bar = {"mode": "lines", "line": {"color": colour, "width": 3}, "hoverinfo": "skip"}
        figure.add_scatter(x=[float(np.median(values))] * 2, y=[row - 0.38, row + 0.12], name=f"{name} median", **bar)
    figure.update_yaxes(ticktext=counts)

    dropped = _degenerate(pairs)
    notes = ["bar: median"] if len(dropped) < len(pairs) else []
    if current_seed in set(_measured(pairs)["seed"]):
        notes.append(f"ring: seed {current_seed}")
    if len(dropped):
        itself = f" (with seed {current_seed})" if current_seed in set(dropped["seed"]) else ""
        notes.append(f"{len(dropped)} degenerate{itself} not drawn")
    corner = {"x": 0, "xref": "x domain", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "top"}
    figure.add_annotation(text_note(" · ".join(notes), **corner))
    keep_opaque(figure)
    return Chart(figure, _pairs_words(pairs, similarity_title))


def sweep_ecdf(sweep: Sweep, severity: float) -> Chart:
    """Draw the share of a sweep's draws at one severity that lie at or below each similarity."""
    title = SIMILARITIES[sweep.scene.state.similarity].scored_title

    def draw() -> Chart:
        return similarity_ecdf(sweep.frame(severity), similarity_title=title, floors=ticks(sweep, "similarity"))

    return sweep.kept(("ecdf", severity), draw)


def similarity_ecdf(pairs_at_severity: pd.DataFrame, *, similarity_title: str, floors: Mapping[str, float]) -> Chart:
    """Draw the share of kept and of flipped draws that lie at or below each similarity.

    ``floors`` are reference similarities by name, drawn as thin lines. Steps carry their seed as
    ``customdata``. Degenerate pairs are left out of the shares and of n.
    """
    pairs = pairs_at_severity
    lanes = max(2, len(floors))
    axes = {
        "xaxis": unit_axis(f"similarity ({escape(similarity_title)})"),
        "yaxis": unit_axis("share of draws"),
    }
    if pairs.empty:
        return Chart(empty_figure(HEIGHT, lanes, axes), "No noise draws have been measured at this severity yet.")

    figure = go.Figure(layout=chart_layout(HEIGHT, lanes, **axes))
    for flipped, name, colour, _, dash in _GROUPS:
        shown = _measured(pairs[pairs["flipped"].astype(bool) == flipped]).sort_values(["similarity", "seed"])
        values = shown["similarity"].to_numpy(dtype=float)
        look = {"mode": "lines", "line": {"color": colour, "dash": dash, "width": 2.5, "shape": "hv"}}
        look["name"] = f"{name} (n = {len(values)})"
        if not len(values):  # keeps the legend entry
            figure.add_scatter(x=[None], y=[None], hoverinfo="skip", **look)
            continue
        # side="right": equal values are one step.
        share = np.searchsorted(values, values, side="right") / len(values)
        texts = [f"{percent(s)} of {name} draws<br>at similarity ≤ {v:.2f}" for v, s in zip(values, share, strict=True)]
        hover = {"hovertext": ["", *texts, texts[-1]], "hovertemplate": HOVER_TEXT}
        seeds = [None, *(int(seed) for seed in shown["seed"]), None]
        figure.add_scatter(x=[0, *values.tolist(), 1], y=[0, *share.tolist(), 1], customdata=seeds, **hover, **look)
    marks = [LabelledLine(v, f"{escape(k)} {v:.2f}", 0.022 * (len(k) + 5), NEUTRAL, 1) for k, v in floors.items()]
    add_labelled_lines(figure, marks, -0.15, 1.03, lanes)
    beside = "; ".join(f"{name} {value:.2f}" for name, value in floors.items())
    alt = _pairs_words(pairs, similarity_title)
    return Chart(figure, f"{alt[:-1]}; floors: {beside}." if floors else alt)
