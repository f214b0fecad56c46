"""The critical-difference diagram: average ranks, with bars that join ranks without a significant difference."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from camlab.common.wording import listed, plural
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    keep_opaque,
    text_note,
)
from camlab.drawing.charts.titles import lines_of
from camlab.study.charts.look import AT_LEFT, base_line, interval_bars, nothing, outlined
from camlab.study.stats.results import TestResult, Value

ROW, LINE = 40, 16  # pixels of a row, and of every further line of its name
LANE = 0.045  # width of a bar's lane, as a share of the width between the first and the last rank


def groups_alike(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Return the maximal runs of ascending ranks within the critical difference, each as first and last index.

    A single rank is no run.
    """
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(i for i, other in enumerate(ranks) if other - rank < critical)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def critical_diagram(result: TestResult) -> Chart:
    """Draw a Friedman test with Nemenyi's critical difference: one row per level, best average rank first.

    Each row has a dot at the average rank, with its interval. A bar at the right joins rows whose ranks lie closer
    than the critical difference, which is drawn above the first row.
    """
    title = "average rank, 1 is the highest"
    if not result.done or result.critical is None:
        reason = result.reason or "this test has no critical difference."
        return nothing(f"Not drawn: {reason}", f"No critical-difference diagram: {reason}")
    ranks = [value.value for value in result.ranks]
    k = len(ranks)
    runs = groups_alike(ranks, result.critical)
    lanes = lanes_of(runs)
    step = LANE * (k - 1)
    right = k + step * (max(lanes, default=-1) + 2)
    names = [[escape(line) for line in lines_of(value.name)] for value in result.ranks]
    heights = [ROW + LINE * (len(lines) - 1) for lines in names]
    places = [-sum(heights[: i + 1]) for i in range(k)]
    total = sum(heights) + ROW
    figure = go.Figure(
        layout=chart_layout(
            total + 110,
            0,
            showlegend=False,
            xaxis={
                "range": [1 - 0.04 * (k - 1), right],
                "tickvals": [*range(1, k + 1)],
                "title_text": title,
                "ticks": "outside",
                "tickcolor": NEUTRAL,
            },
            yaxis={"range": [places[-1] - 14, ROW], "visible": False},
        )
    )
    for value, place, lines in zip(result.ranks, places, names, strict=True):
        _add_row(figure, value, place, lines, k)
    for (first, last), lane in zip(runs, lanes, strict=True):
        members = [value.name for value in result.ranks[first : last + 1]]
        x = k + step * (lane + 1)
        figure.add_scatter(
            x=[x, x],
            y=[places[first] + 6, places[last] - 6],
            mode="lines+markers",
            line={"color": NEUTRAL, "width": 5},
            marker=outlined(NEUTRAL, "line-ew", 11, 3),
            hovertext=[f"not shown to differ:<br>{'<br>'.join(map(escape, members))}"] * 2,
            hovertemplate=HOVER_TEXT,
            meta={"bar": members},
        )
    _add_ruler(figure, result.critical, k)
    if runs:
        figure.add_annotation(
            text_note(
                "a bar joins what is not shown to differ",
                x=1,
                xref="x domain",
                xanchor="right",
                y=1,
                yref="y domain",
                yanchor="bottom",
            )
        )
    keep_opaque(figure)
    return Chart(figure, _description(result, runs))


def _add_row(figure: go.Figure, value: Value, place: float, lines: Sequence[str], k: int) -> None:
    """Draw a thin line with the dot and its interval on it, and name and rank above."""
    figure.add_shape(base_line(place, 1, k))
    span = ""
    if value.low is not None and value.high is not None:
        span = f"<br>95 % interval {value.low:.2f} to {value.high:.2f}"
    text = "<br>".join(lines)
    figure.add_scatter(
        x=[value.value],
        y=[place],
        mode="markers",
        marker={"color": SIMILARITY, "size": 10},
        error_x=interval_bars([value.value], [value.low], [value.high], SIMILARITY, 2, 6),
        hovertext=[f"{text}<br>average rank {value.value:.2f}{span}"],
        hovertemplate=HOVER_TEXT,
        meta={"level": value.name},
    )
    figure.add_annotation(
        text_note(f"{text}: <b>{value.value:.2f}</b>", **AT_LEFT, align="left", y=place + 6, yanchor="bottom")
    )


def _add_ruler(figure: go.Figure, critical: float, k: int) -> None:
    """Draw the critical difference as a length on the axis of ranks, cut off if it does not fit."""
    end = min(1 + critical, k)
    whole = 1 + critical <= k
    figure.add_scatter(
        x=[1, end],
        y=[12, 12],
        mode="lines+markers",
        line={"color": NEUTRAL, "width": 2},
        marker=outlined(NEUTRAL, ["line-ns", "line-ns" if whole else "arrow-right"], 11, 2),
        hovertext=[f"critical difference {critical:.2f}"] * 2,
        hovertemplate=HOVER_TEXT,
        meta={"ruler": critical},
    )
    figure.add_annotation(text_note(f"critical difference {critical:.2f}", **AT_LEFT, y=18, yanchor="bottom"))


def lanes_of(runs: Sequence[tuple[int, int]]) -> list[int]:
    """Return a lane for every run, so that runs which share a row do not overlap."""
    free: list[int] = []  # the last row of each lane
    lanes = []
    for first, last in runs:
        lane = next((i for i, until in enumerate(free) if until < first), len(free))
        free[lane : lane + 1] = [last]
        lanes.append(lane)
    return lanes


def _description(result: TestResult, runs: Sequence[tuple[int, int]]) -> str:
    ranks = ", ".join(f"{value.name} {value.value:.2f}" for value in result.ranks)
    alike = [listed([value.name for value in result.ranks[first : last + 1]]) for first, last in runs]
    joined = f"Not shown to differ: {'; '.join(alike)}." if alike else "All pairs differ."
    return (
        f"Critical-difference diagram over {plural(result.n, 'picture')}. Average ranks, 1 the highest: {ranks}. "
        f"Critical difference {result.critical:.2f}. {joined}"
    )
