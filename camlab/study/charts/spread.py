"""The distribution of similarity over a study's pairs, kept against flipped: violins, ridges, ECDF, histogram.

Densities come from fine histograms and quantiles from sorted values, so that the size of a figure does not grow with
the number of rows. Every row counts; the charts name the degenerate pairs that they leave out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import percent
from camlab.drawing.charts.look import (
    GRID,
    HEIGHT,
    HOVER_TEXT,
    NEUTRAL,
    UNIT_TICKS,
    Chart,
    add_labelled_lines,
    chart_layout,
    keep_opaque,
    reference_line,
    text_note,
)
from camlab.drawing.charts.titles import OUTCOME_MARKS, level_title, measure_title, wrapped
from camlab.explore.charts.draws import silverman_bandwidth
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.charts.look import (
    AT_LEFT,
    base_line,
    floor_labels,
    floor_words,
    hover,
    no_data,
    nothing,
    similarity_axis,
)
from camlab.study.charts.rows import (
    Floats,
    SimilaritySample,
    density,
    floors_of,
    hover_texts,
    points,
    pooled_severities,
    samples,
)

STEPS = 400  # of an ECDF
BINS = 20
GRID_PLACES = np.linspace(0, 1, 201)
NARROWEST = 0.008  # least bandwidth, for values that are all equal
POINTS_A_GROUP = 24
LABEL, HALF, GAP = 17, 34, 12  # pixels: one line of a row's name, half a violin, the gap between rows
MOST_ROWS = 40
Groups = dict[str, SimilaritySample]
_TINTS = {"kept": "rgba(58,134,200,0.30)", "flipped": "rgba(217,115,13,0.22)"}


def _words(by: str, groups: Sequence[tuple[Any, Groups]], similarity: str, floors: dict[str, float]) -> str:
    parts = []
    for level, sides in groups:
        each = ", ".join(sample.words(name) for name, sample in sides.items())
        parts.append(f"{level_title(by, level)}: {each}" if by else each)
    return f"Similarity ({measure_title(similarity)}), kept against flipped. {'; '.join(parts)}.{floor_words(floors)}"


def similarity_violins(rows: pd.DataFrame, *, similarity: str = "rbo", by: str = "method") -> Chart:
    """Draw a split violin per level of a column, kept pairs above the line and flipped pairs below it.

    by: a column of ids, "severity", or "" for one violin of all rows. Bars mark the median and the middle half;
    at most 24 pairs per side, evenly spaced in order, are points. Fewer than 5 pairs are points without a density.
    """
    return _stack(rows, similarity, by, _violin, 2 * HALF)


def similarity_ridges(rows: pd.DataFrame, *, similarity: str = "rbo", by: str = "severity") -> Chart:
    """Draw a ridge per level of a column: the densities of kept and of flipped pairs on one base line.

    by: as for `similarity_violins`. Ticks below the line mark the medians. Fewer than 5 pairs are points.
    """
    return _stack(rows, similarity, by, _ridge, HALF + 16)


Draw = Callable[[go.Figure, pd.DataFrame, Groups, float, bool], None]


def _stack(rows: pd.DataFrame, similarity: str, by: str, draw: Draw, tall: int) -> Chart:
    """Stack one drawing per level, each below its name; the y axis counts pixels."""
    if not len(rows):
        return no_data("no pairs")
    groups = samples(rows, by)
    floors = floors_of(rows, similarity)
    if not any(len(sample) for _, sides in groups for sample in sides.values()):
        return _all_degenerate(len(rows))
    shown = groups[:MOST_ROWS]
    names = [_row_name(by, level, sides) for level, sides in shown]
    heights = [LABEL * (name.count("<br>") + 1) + tall + GAP for name in names]
    total = sum(heights)
    notes = [] if by == "severity" else pooled_severities(rows)
    lanes = max(1, len(floors))
    axes = {
        "xaxis": similarity_axis(similarity, 0.02, notes),
        "yaxis": {"range": [-total, 0], "visible": False},
    }
    figure = go.Figure(layout=chart_layout(total + 90 + 17 * lanes + 16 * len(notes), lanes, **axes))
    for at in UNIT_TICKS["tickvals"]:
        figure.add_shape(reference_line("x", at, GRID, "solid", 1))
    top = 0.0
    for i, ((_, sides), name, height) in enumerate(zip(shown, names, heights, strict=True)):
        label = LABEL * (name.count("<br>") + 1)
        figure.add_annotation(text_note(name, **AT_LEFT, align="left", y=top, yanchor="top"))
        draw(figure, rows, sides, top - label, i == 0)
        top -= height
    add_labelled_lines(
        figure, floor_labels(floors.items()), -0.02, 1.03, lanes
    )  # there are no ticks at the left whose room a label could take
    keep_opaque(figure)
    more = f" {len(groups) - len(shown)} more not drawn." if len(groups) > len(shown) else ""
    return Chart(figure, _words(by, shown, similarity, floors) + more)


def _row_name(by: str, level: Any, sides: Groups) -> str:
    """Return a row's name in bold with its numbers of pairs, escaped."""
    counts = ", ".join(f"{name} {len(sample):,}" for name, sample in sides.items())
    lost = sum(sample.degenerate for sample in sides.values())
    counts += f", degenerate {lost:,}" if lost else ""
    if not by:
        return f"n: {counts}"
    title = wrapped(level_title(by, level), 38)
    apart = "<br>" if len(title.split("<br>")[-1]) + len(counts) > 46 else " · "
    return f"<b>{title}</b>{apart}n: {counts}"


def _violin(figure: go.Figure, rows: pd.DataFrame, sides: Groups, top: float, first: bool) -> None:
    base = top - HALF
    shapes = _shapes(figure, sides, base)
    for name, sample in sides.items():
        way = 1 if name == "kept" else -1
        mark = OUTCOME_MARKS[name]
        if name in shapes:
            _outline(figure, base + way * (HALF - 3) * shapes[name], base, name)
            low, middle, high = np.percentile(sample.values, [25, 50, 75])
            y = base + way * 5
            line = {"color": mark.colour, "width": 4}
            figure.add_scatter(x=[low, high], y=[y, y], mode="lines", line=line, hoverinfo="skip", showlegend=False)
            figure.add_scatter(
                x=[middle, middle], y=[y - 6, y + 6], mode="lines", line={**line, "width": 3},
                hoverinfo="skip", showlegend=False, name=f"{name} median",
            )  # fmt: skip
        _strip(figure, rows, sample, name, base + way * 10, way * 16.0, first)
    _none(figure, sides, base)


def _ridge(figure: go.Figure, rows: pd.DataFrame, sides: Groups, top: float, first: bool) -> None:
    base = top - HALF - 4
    shapes = _shapes(figure, sides, base)
    for name, sample in sides.items():
        mark = OUTCOME_MARKS[name]
        if name not in shapes:
            _strip(figure, rows, sample, name, base + 4, 12.0, first)
            continue
        _outline(figure, base + HALF * shapes[name], base, name)
        nearest = int(np.abs(sample.values - np.median(sample.values)).argmin())
        place = sample.places[[nearest]]
        low, middle, high = np.percentile(sample.values, [25, 50, 75])
        text = f"{name}: median {middle:.2f}, middle half {low:.2f} to {high:.2f}, n = {len(sample):,}"
        figure.add_scatter(
            x=[middle], y=[base - 6], mode="markers", name=name, legendgroup=name, showlegend=first,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 9},
            meta={"median": name},
            **hover([f"{text}<br>the pair in the middle:<br>{hover_texts(rows, place)[0]}"], points(rows, place)),
        )  # fmt: skip
    _none(figure, sides, base)


def _shapes(figure: go.Figure, sides: Groups, base: float) -> dict[str, Floats]:
    """Draw the base line, and return the densities of sides with enough pairs, with 1 as their joint maximum."""
    figure.add_shape(base_line(base, 0, 1))
    found = {
        name: density(s.values, GRID_PLACES, max(silverman_bandwidth(s.values.tolist()), NARROWEST))
        for name, s in sides.items()
        if s.enough
    }
    highest = max((float(each.max()) for each in found.values()), default=1.0)
    return {name: each / highest for name, each in found.items()}


def _outline(figure: go.Figure, edge: Floats, base: float, name: str) -> None:
    """Fill a density between its base line and its edge."""
    mark = OUTCOME_MARKS[name]
    figure.add_scatter(
        x=[*GRID_PLACES.tolist(), 1, 0], y=[*edge.round(2).tolist(), base, base], mode="lines", fill="toself",
        fillcolor=_TINTS[name], line={"color": mark.colour, "width": 1.5, "dash": mark.dash},
        hoverinfo="skip", showlegend=False, name=f"{name} density",
    )  # fmt: skip


def _strip(
    figure: go.Figure,
    rows: pd.DataFrame,
    sample: SimilaritySample,
    name: str,
    y: float,
    tall: float,
    first: bool,
) -> None:
    """Draw single pairs of a group, spread over the height by the golden-ratio sequence."""
    at = sample.spread(POINTS_A_GROUP)
    mark, places = OUTCOME_MARKS[name], sample.places[at]
    heights: list[float | None] = [y + tall * (i * 0.6180339887498949 % 1) for i in range(len(at))]
    # The legend names both outcomes even if the first row lacks one: a point nowhere stands for it.
    if len(at) or first:
        labels = hover(hover_texts(rows, places), points(rows, places)) if len(at) else {}
        figure.add_scatter(
            x=sample.values[at].tolist() or [None], y=heights or [None], mode="markers",
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 6, "opacity": 0.7},
            name=name, legendgroup=name, showlegend=first, **labels,
        )  # fmt: skip


def _none(figure: go.Figure, sides: Groups, base: float) -> None:
    """Add a note on each side of a row that has no pair, or too few."""
    texts = []
    for name, sample in sides.items():
        if not len(sample):
            texts.append(f"{name}: not observed")
        elif not sample.enough:
            texts.append(f"{name}: fewer than {FEWEST_PAIRS} pairs")
    if texts:
        figure.add_annotation(text_note(f"<i>{' · '.join(texts)}</i>", **AT_LEFT, y=base, yanchor="top"))


def _all_degenerate(n: int) -> Chart:
    return nothing(
        f"all {n:,} pairs are degenerate: no similarity",
        f"No similarity to show: all {n:,} pairs have a degenerate map.",
    )


def _shares(
    rows: pd.DataFrame, similarity: str, draw: Callable[[go.Figure, pd.DataFrame, Groups], str], **layout: Any
) -> Chart:
    """Draw the shares of all kept and of all flipped pairs over similarity; ``draw`` returns words to add."""
    if not len(rows):
        return no_data("no pairs")
    ((_, sides),) = samples(rows)
    if not any(map(len, sides.values())):
        return _all_degenerate(len(rows))
    floors = floors_of(rows, similarity)
    lanes = max(2, len(floors))
    axis = similarity_axis(similarity, 0.02, pooled_severities(rows))
    figure = go.Figure(layout=chart_layout(HEIGHT + 40, lanes, xaxis=axis, **layout))
    more = draw(figure, rows, sides)
    add_labelled_lines(figure, floor_labels(floors.items()), -0.15, 1.03, lanes)
    return Chart(figure, _words("", [("", sides)], similarity, floors) + more)


def similarity_steps(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """Draw the share of kept and of flipped pairs at or below each similarity (ECDF).

    There are at most 400 steps per side, evenly spaced in order; each identifies its pair. The widest gap between the
    sides, the Kolmogorov–Smirnov statistic, is marked if both have at least 5 pairs.
    """
    axis = {"range": [-0.02, 1.02], "title_text": "share of pairs", **UNIT_TICKS}
    return _shares(rows, similarity, _steps, yaxis=axis)


def _steps(figure: go.Figure, rows: pd.DataFrame, sides: Groups) -> str:
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
        # side="right" makes equal values one step.
        share = np.searchsorted(sample.values, values, side="right") / len(sample)
        data = points(rows, sample.places[at])
        texts = [f"{percent(s)} of {name} pairs<br>at similarity ≤ {v:.2f}" for v, s in zip(values, share, strict=True)]
        figure.add_scatter(
            x=[0, *values.tolist(), 1], y=[0, *share.tolist(), 1],
            **hover([texts[0], *texts, texts[-1]], [data[0], *data, data[-1]]), **look,
        )  # fmt: skip
    return _add_gap(figure, sides)


def _add_gap(figure: go.Figure, sides: Groups) -> str:
    kept, flipped = sides["kept"], sides["flipped"]
    if not (kept.enough and flipped.enough):
        return ""
    every = np.concatenate([kept.values, flipped.values])
    shares = [np.searchsorted(s.values, every, side="right") / len(s) for s in (kept, flipped)]
    widest = int(np.abs(shares[0] - shares[1]).argmax())
    ends = sorted(float(share[widest]) for share in shares)
    text = f"widest gap {ends[1] - ends[0]:.2f} at similarity {every[widest]:.2f}"
    figure.add_scatter(
        x=[every[widest]] * 2, y=ends, mode="lines", line={"color": NEUTRAL, "width": 3},
        name=f"widest gap {ends[1] - ends[0]:.2f}", hovertext=[text] * 2, hovertemplate=HOVER_TEXT,
    )  # fmt: skip
    return f" The {text}."


def _counted(name: str, sample: SimilaritySample) -> str:
    few = f", fewer than {FEWEST_PAIRS}" if 0 < len(sample) < FEWEST_PAIRS else ""
    return f"{name} (n = {len(sample):,}{few})" if len(sample) else f"{name} (not observed)"


def similarity_histogram(rows: pd.DataFrame, *, similarity: str = "rbo") -> Chart:
    """Draw the shares of kept and of flipped pairs in 20 equal bins of similarity; the last bin includes 1.

    A bar identifies the middle one of its pairs.
    """
    axis = {"title_text": "share of its pairs", "rangemode": "tozero", "tickformat": ".0%"}
    return _shares(rows, similarity, _bars, yaxis=axis, bargap=0.12, bargroupgap=0)


def _bars(figure: go.Figure, rows: pd.DataFrame, sides: Groups) -> str:
    edges = np.linspace(0, 1, BINS + 1)
    for name, sample in sides.items():
        mark = OUTCOME_MARKS[name]
        # The small addend avoids rounding errors at the edges: similarities are often simple fractions.
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
    return ""
