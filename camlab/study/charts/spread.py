"""How similarity is spread over the pairs of a study, kept against flipped: violins, ridges, ECDF, histogram.

Densities come from fine histograms and quantiles from sorted values, so that a million rows draw no more than a
thousand. Every row counts; what is left out (degenerate pairs) is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.drawing.charts.look import (
    GRID,
    SMALL,
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
from camlab.study.charts.look import floor_marks, floor_words, hover, nothing
from camlab.study.charts.rows import (
    Floats,
    Sample,
    add_points,
    density,
    floors_of,
    no_rows,
    points,
    pooled_severities,
    said,
    samples,
)

GRID_POINTS = 201
NARROWEST = 0.008  # bandwidth; where all values are equal, a density would have none
POINTS_A_GROUP = 24
LABEL, HALF, GAP = 17, 34, 12  # pixels: a line of a row's name, half a violin, between rows
MOST_ROWS = 40
Groups = dict[str, Sample]
_TINTS = {"kept": "rgba(58,134,200,0.30)", "flipped": "rgba(217,115,13,0.22)"}


def _density(sample: Sample, grid: Floats) -> Floats | None:
    """The density of a group, or None where it has too few pairs to have one."""
    if not sample.enough:
        return None
    return density(sample.values, grid, max(silverman_bandwidth(sample.values.tolist()), NARROWEST))


def _x_axis(similarity: str, note: str) -> dict[str, Any]:
    small = f'<br><span style="font-size:{SMALL}px">{escape(note)}</span>' if note else ""
    return {
        "range": [-0.02, 1.02],
        "title_text": f"similarity ({escape(measure_title(similarity))}){small}",
        **UNIT_TICKS,
    }


def _words(by: str, groups: Sequence[tuple[Any, Groups]], similarity: str, floors: dict[str, float]) -> str:
    parts = []
    for level, sides in groups:
        each = ", ".join(sample.words(name) for name, sample in sides.items())
        parts.append(f"{level_title(by, level)}: {each}" if by else each)
    return f"Similarity ({measure_title(similarity)}), kept against flipped. {'; '.join(parts)}.{floor_words(floors)}"


def similarity_violins(rows: pd.DataFrame, *, similarity: str = "rbo", by: str = "method") -> Chart:
    """A split violin for each level of a column, kept pairs above the line and flipped ones below it.

    by: a column of ids, "severity", or "" for one violin of all rows. Bars mark the median and the middle half;
    at most 24 pairs a side, evenly spaced in order, are points. Fewer than 5 pairs get points and no density.
    """
    return _stack(rows, similarity, by, _violin, 2 * HALF)


def similarity_ridges(rows: pd.DataFrame, *, similarity: str = "rbo", by: str = "severity") -> Chart:
    """A ridge for each level of a column: the densities of kept and of flipped pairs on one base line.

    by: as for `similarity_violins`. Ticks below the line mark the medians. Fewer than 5 pairs are points.
    """
    return _stack(rows, similarity, by, _ridge, HALF + 16)


Draw = Callable[[go.Figure, pd.DataFrame, Groups, float, bool], None]


def _stack(rows: pd.DataFrame, similarity: str, by: str, draw: Draw, tall: int) -> Chart:
    """Rows of one kind below one another, each under its name; pixels are the unit of the y axis."""
    if not len(rows):
        return no_rows()
    groups = samples(rows, by)
    floors = floors_of(rows, similarity)
    if not any(len(sample) for _, sides in groups for sample in sides.values()):
        return _all_degenerate(len(rows))
    shown = groups[:MOST_ROWS]
    names = [_row_name(by, level, sides) for level, sides in shown]
    heights = [LABEL * (name.count("<br>") + 1) + tall + GAP for name in names]
    total = sum(heights)
    note = "" if by == "severity" else pooled_severities(rows)
    lanes = max(1, len(floors))
    axes = {
        "xaxis": _x_axis(similarity, note),
        "yaxis": {"range": [-total, 0], "visible": False},
    }
    figure = go.Figure(layout=chart_layout(total + 90 + 17 * lanes + (16 if note else 0), lanes, **axes))
    for at in UNIT_TICKS["tickvals"]:
        figure.add_shape(reference_line("x", at, GRID, "solid", 1))
    top = 0.0
    for i, ((_, sides), name, height) in enumerate(zip(shown, names, heights, strict=True)):
        label = LABEL * (name.count("<br>") + 1)
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "align": "left"}
        figure.add_annotation(text_note(name, y=top, yanchor="top", **place))
        draw(figure, rows, sides, top - label, i == 0)
        top -= height
    add_labelled_lines(
        figure, floor_marks(floors), -0.02, 1.03, lanes
    )  # no ticks at the left whose room a name could take
    keep_opaque(figure)
    more = f" {len(groups) - len(shown)} more not drawn." if len(groups) > len(shown) else ""
    return Chart(figure, _words(by, shown, similarity, floors) + more)


def _row_name(by: str, level: Any, sides: Groups) -> str:
    """The row's name in bold and what it rests on; escaped."""
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
    _baseline(figure, base)
    grid = np.linspace(0, 1, GRID_POINTS)
    shapes = {name: _density(sample, grid) for name, sample in sides.items()}
    highest = max((float(d.max()) for d in shapes.values() if d is not None), default=1.0)
    for name, sample in sides.items():
        way = 1 if name == "kept" else -1
        shape = shapes[name]
        mark = OUTCOME_MARKS[name]
        if shape is not None:
            _outline(figure, grid, base + way * (HALF - 3) / highest * shape, base, name)
            low, middle, high = np.percentile(sample.values, [25, 50, 75])
            y = base + way * 5
            line = {"color": mark.colour, "width": 4}
            figure.add_scatter(
                x=[low, high], y=[y, y], mode="lines", line=line, hoverinfo="skip", showlegend=False
            )
            figure.add_scatter(
                x=[middle, middle], y=[y - 6, y + 6], mode="lines", line={**line, "width": 3},
                hoverinfo="skip", showlegend=False, name=f"{name} median",
            )  # fmt: skip
        _strip(figure, rows, sample, name, base + way * 10, way * 16.0, first)
    _none(figure, sides, base)


def _ridge(figure: go.Figure, rows: pd.DataFrame, sides: Groups, top: float, first: bool) -> None:
    base = top - HALF - 4
    _baseline(figure, base)
    grid = np.linspace(0, 1, GRID_POINTS)
    shapes = {name: _density(sample, grid) for name, sample in sides.items()}
    highest = max((float(d.max()) for d in shapes.values() if d is not None), default=1.0)
    for name, sample in sides.items():
        shape = shapes[name]
        mark = OUTCOME_MARKS[name]
        if shape is None:
            _strip(figure, rows, sample, name, base + 4, 12.0, first)
            continue
        _outline(figure, grid, base + HALF / highest * shape, base, name)
        nearest = int(np.abs(sample.values - np.median(sample.values)).argmin())
        place = sample.places[[nearest]]
        low, middle, high = np.percentile(sample.values, [25, 50, 75])
        text = f"{name}: median {middle:.2f}, middle half {low:.2f} to {high:.2f}, n = {len(sample):,}"
        figure.add_scatter(
            x=[middle], y=[base - 6], mode="markers", name=name, legendgroup=name, showlegend=first,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 9},
            meta={"median": name},
            **hover([f"{text}<br>the pair in the middle:<br>{said(rows, place)[0]}"], points(rows, place)),
        )  # fmt: skip
    _none(figure, sides, base)


def _baseline(figure: go.Figure, y: float) -> None:
    line = {"color": GRID, "width": 1}
    figure.add_shape({"type": "line", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line, "layer": "below"})


def _outline(figure: go.Figure, grid: Floats, edge: Floats, base: float, name: str) -> None:
    """A filled density between its base line and its edge."""
    mark = OUTCOME_MARKS[name]
    figure.add_scatter(
        x=[*grid.tolist(), 1, 0], y=[*edge.round(2).tolist(), base, base], mode="lines", fill="toself",
        fillcolor=_TINTS[name], line={"color": mark.colour, "width": 1.5, "dash": mark.dash},
        hoverinfo="skip", showlegend=False, name=f"{name} density",
    )  # fmt: skip


def _strip(
    figure: go.Figure, rows: pd.DataFrame, sample: Sample, name: str, y: float, tall: float, first: bool
) -> None:
    """Single pairs of a group; the golden-ratio sequence spreads them over the height."""
    at = sample.spread(POINTS_A_GROUP)
    if not len(at):
        mark = OUTCOME_MARKS[name]
        if first:  # the legend names both outcomes whatever the first row holds
            figure.add_scatter(
                x=[None], y=[None], mode="markers", name=name, legendgroup=name,
                marker={"color": mark.colour, "symbol": mark.symbol, "size": 6},
            )  # fmt: skip
        return
    heights = [y + tall * (i * 0.6180339887498949 % 1) for i in range(len(at))]
    add_points(
        figure, rows, sample, at, heights, OUTCOME_MARKS[name],
        name=name, legendgroup=name, showlegend=first,
    )  # fmt: skip


def _none(figure: go.Figure, sides: Groups, base: float) -> None:
    """Say which side of a row has no pair, or too few."""
    texts = []
    for name, sample in sides.items():
        if not len(sample):
            texts.append(f"{name}: not observed")
        elif not sample.enough:
            texts.append(f"{name}: fewer than {FEWEST_PAIRS} pairs")
    if texts:
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "y": base, "yanchor": "top"}
        figure.add_annotation(text_note(f"<i>{' · '.join(texts)}</i>", **place))


def _all_degenerate(n: int) -> Chart:
    return nothing(
        f"all {n:,} pairs are degenerate: no similarity",
        f"No similarity to show: all {n:,} pairs have a degenerate map.",
    )
