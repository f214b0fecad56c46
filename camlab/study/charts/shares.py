"""Similarity over the pairs of a study, kept against flipped, as shares: ECDF and histogram."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import percent
from camlab.drawing.charts.look import HEIGHT, UNIT_TICKS, Chart, add_labelled_lines, chart_layout
from camlab.drawing.charts.titles import OUTCOME_MARKS
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.charts.look import floor_marks, hover
from camlab.study.charts.rows import Sample, floors_of, no_rows, points, pooled_severities, samples
from camlab.study.charts.spread import Groups, _all_degenerate, _words, _x_axis

STEPS = 400  # of an ECDF
BINS = 20


def similarity_steps(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """For each similarity, the share of kept and of flipped pairs that lie at or below it (ECDF).

    At most 400 steps a side, evenly spaced in order; each leads to its pair. The widest gap between the sides
    is marked where both have 5 pairs: the statistic of Kolmogorov and Smirnov.
    """
    if not len(rows):
        return no_rows()
    ((_, sides),) = samples(rows)
    if not any(map(len, sides.values())):
        return _all_degenerate(len(rows))
    floors = floors_of(rows, similarity)
    lanes = max(2, len(floors))
    axes = {
        "xaxis": _x_axis(similarity, pooled_severities(rows)),
        "yaxis": {"range": [-0.02, 1.02], "title_text": "share of pairs", **UNIT_TICKS},
    }
    figure = go.Figure(layout=chart_layout(HEIGHT + 40, lanes, **axes))
    for name, sample in sides.items():
        mark = OUTCOME_MARKS[name]
        look = {
            "mode": "lines",
            "line": {"color": mark.colour, "dash": mark.dash, "width": 2.5, "shape": "hv"},
        }
        look["name"] = _counted(name, sample)
        if not len(sample):
            figure.add_scatter(x=[None], y=[None], hoverinfo="skip", **look)
            continue
        at = sample.spread(STEPS)
        values = sample.values[at]
        # Up to the last of equal values: a tie is one step.
        share = np.searchsorted(sample.values, values, side="right") / len(sample)
        data = points(rows, sample.places[at])
        texts = [
            f"{percent(s)} of {name} pairs<br>at similarity ≤ {v:.2f}"
            for v, s in zip(values, share, strict=True)
        ]
        figure.add_scatter(
            x=[0, *values.tolist(), 1], y=[0, *share.tolist(), 1],
            **hover([texts[0], *texts, texts[-1]], [data[0], *data, data[-1]]), **look,
        )  # fmt: skip
    gap = _add_gap(figure, sides)
    add_labelled_lines(figure, floor_marks(floors), -0.15, 1.03, lanes)
    return Chart(figure, _words("", [("", sides)], similarity, floors) + gap)


def _add_gap(figure: go.Figure, sides: Groups) -> str:
    kept, flipped = sides["kept"], sides["flipped"]
    if not (kept.enough and flipped.enough):
        return ""
    every = np.concatenate([kept.values, flipped.values])
    shares = [np.searchsorted(s.values, every, side="right") / len(s) for s in (kept, flipped)]
    widest = int(np.abs(shares[0] - shares[1]).argmax())
    ends = sorted(float(share[widest]) for share in shares)
    line = {"color": "#8A8F98", "width": 3}
    text = f"widest gap {ends[1] - ends[0]:.2f} at similarity {every[widest]:.2f}"
    figure.add_scatter(
        x=[every[widest]] * 2, y=ends, mode="lines", line=line, name=f"widest gap {ends[1] - ends[0]:.2f}",
        hovertext=[text] * 2, hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    return f" The {text}."


def _counted(name: str, sample: Sample) -> str:
    few = f", fewer than {FEWEST_PAIRS}" if 0 < len(sample) < FEWEST_PAIRS else ""
    return f"{name} (n = {len(sample):,}{few})" if len(sample) else f"{name} (not observed)"


def similarity_histogram(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """The shares of kept and of flipped pairs in 20 equal bins of similarity; the last bin holds 1 itself.

    A bar leads to the pair in the middle of those that it counts.
    """
    if not len(rows):
        return no_rows()
    ((_, sides),) = samples(rows)
    if not any(map(len, sides.values())):
        return _all_degenerate(len(rows))
    floors = floors_of(rows, similarity)
    lanes = max(2, len(floors))
    axes = {
        "xaxis": _x_axis(similarity, pooled_severities(rows)),
        "yaxis": {"title_text": "share of its pairs", "rangemode": "tozero", "tickformat": ".0%"},
        "bargap": 0.12,
        "bargroupgap": 0,
    }
    figure = go.Figure(layout=chart_layout(HEIGHT + 40, lanes, **axes))
    edges = np.linspace(0, 1, BINS + 1)
    for name, sample in sides.items():
        mark = OUTCOME_MARKS[name]
        # Without rounding errors at the edges: similarities are often whole fractions.
        bins = np.clip(np.floor(sample.values * BINS + 1e-9).astype(np.intp), 0, BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        starts = np.cumsum(counts) - counts
        held = np.flatnonzero(counts)
        places = sample.places[starts[held] + counts[held] // 2]
        texts = [
            f"{name}: {percent(counts[b] / len(sample))}, {counts[b]:,} of {len(sample):,} pairs<br>"
            f"similarity {edges[b]:.2f} to {edges[b + 1]:.2f}"
            for b in held
        ]
        look = {"color": mark.colour, "line": {"color": mark.colour, "width": 1}}
        if name == "flipped":
            look["pattern"] = {"shape": "/", "fgcolor": mark.colour, "bgcolor": "rgba(0,0,0,0)", "size": 5}
        figure.add_bar(
            x=((edges[:-1] + edges[1:]) / 2)[held].tolist(), y=(counts[held] / max(1, len(sample))).tolist(),
            name=_counted(name, sample), marker=look, showlegend=True, **hover(texts, points(rows, places)),
        )  # fmt: skip
    add_labelled_lines(figure, floor_marks(floors), -0.15, 1.03, lanes)
    return Chart(figure, _words("", [("", sides)], similarity, floors))
