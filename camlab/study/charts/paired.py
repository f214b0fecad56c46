"""Paired lines: the same pictures under two or more conditions, one line per picture."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.wording import plural
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    keep_opaque,
)
from camlab.drawing.charts.titles import level_title, measure_title, short_title, wrapped
from camlab.metrics import same_pictures
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.summary import similarities, usable
from camlab.study.charts.look import (
    floor_lines,
    floor_words,
    hover,
    no_data,
    nothing,
    similarity_axis,
    with_notes,
)
from camlab.study.charts.rows import (
    POINT,
    Floats,
    Index,
    coded,
    floors_of,
    hover_texts,
    nearest_to,
    points,
    pooled_severities,
)
from camlab.study.stats.cells import means_of

MOST_PICTURES = 40
MOST_LEVELS = 24
HEIGHT = 380
OUTCOME = "outcome"


def paired_lines(
    rows: pd.DataFrame,
    *,
    similarity: str = "rbo",
    across: str = OUTCOME,
    most: int = MOST_PICTURES,
    seed: int = 0,
) -> Chart:
    """Draw one line per picture: its mean similarity under each level of a column, or kept against flipped.

    across: "outcome" compares a picture's kept with its flipped pairs within each severity that has both, with equal
    weights; otherwise a column of ids or "severity". Only pictures with a value at every level take part, so that the
    bold line, their mean, compares the same pictures. At most ``most`` pictures are drawn, chosen by
    ``default_rng(seed)``; the mean covers all. A point identifies the pair nearest to it.
    """
    if not len(rows):
        return no_data("no pairs")
    rows, levels, codes = _conditions(rows, across)
    if len(levels) < 2:
        only = f": only {level_title(across, levels[0])}" if levels else ""
        reason = "no picture has a kept and a flipped pair at one severity" if across == OUTCOME else f"one {across}"
        return nothing(
            f"nothing to compare: {reason}",
            f"No paired lines: there is nothing to compare across {across.replace('_', ' ')}{only or f' ({reason})'}.",
        )
    means, nearest, names = _cells(rows, codes, len(levels), within_severity=across == OUTCOME)
    whole = ~np.isnan(means).any(axis=1)
    if not whole.any():
        return nothing(
            "no picture has a similarity everywhere",
            "No paired lines: no picture has a similarity at every level.",
        )
    chosen = np.flatnonzero(whole)
    total = len(chosen)
    if total > most:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
    return _drawn(rows, similarity, across, levels, means, nearest, names, chosen, whole)


def _conditions(rows: pd.DataFrame, across: str) -> tuple[pd.DataFrame, list[Any], Index]:
    """Return the rows that take part, the compared levels, and the level of each row."""
    if across != OUTCOME:
        codes, levels = coded(rows, across)
        if len(levels) > MOST_LEVELS:
            rows, codes, levels = rows[codes < MOST_LEVELS], codes[codes < MOST_LEVELS], levels[:MOST_LEVELS]
        return rows, levels, codes
    rows = same_pictures(rows[usable(rows)])
    if not len(rows):
        return rows, [], np.zeros(0, np.intp)
    return rows, ["kept", "flipped"], rows["flipped"].to_numpy(dtype=bool).astype(np.intp)


def _cells(rows: pd.DataFrame, codes: Index, levels: int, within_severity: bool) -> tuple[Floats, Index, list[Any]]:
    """Return means (pictures, levels), the position of the row nearest to each (−1: none), and the pictures' names.

    within_severity: average the severities' means, because kept pairs mostly have milder noise than flipped ones.
    """
    picture, names = coded(rows, "image")
    values, good = similarities(rows), usable(rows)
    cell = (picture * levels + codes)[good]
    kept = values[good]
    size = len(names) * levels
    if within_severity:
        level, severities = coded(rows, "severity")
        fine = cell * len(severities) + level[good]
        each = means_of(fine, kept, size * len(severities))
        means = means_of(np.arange(len(each)) // len(severities), each, size)
    else:
        means = means_of(cell, kept, size)
    places = np.append(np.flatnonzero(good), -1)  # the last for a cell without a row
    nearest = places[nearest_to(means, cell, kept)]
    return means.reshape(-1, levels), nearest.reshape(-1, levels), names


def _drawn(
    rows: pd.DataFrame, similarity: str, across: str, levels: list[Any],
    means: Floats, nearest: Index, names: list[Any], chosen: Index, whole: Any,
) -> Chart:  # fmt: skip
    titles = [level_title(across, level) for level in levels]
    many = len(levels) > 3
    ticks = [f"{level:g}" for level in levels] if across == "severity" else [
        wrapped(short_title(across, level), 14, " ") for level in levels
    ]  # fmt: skip
    total = int(whole.sum())
    shown = plural(len(chosen), "picture") if len(chosen) == total else f"{len(chosen)} of {total} pictures"
    notes = [shown if len(chosen) == total else f"{shown}, drawn at random"]
    left_out = len(names) - total
    notes += [f"{left_out} without a value everywhere left out"] if left_out else []
    notes += [] if across in (OUTCOME, "severity") else pooled_severities(rows)
    axes = {
        "xaxis": {
            "range": [-0.25, len(levels) - 0.75],
            "tickvals": [*range(len(levels))],
            "ticktext": ticks,
            "tickangle": -60 if many and across != "severity" else 0,
            "title_text": with_notes("severity" if across == "severity" else "", notes),
        },
        "yaxis": similarity_axis(similarity, 0.035),
    }
    figure = go.Figure(layout=chart_layout(HEIGHT + 16 * len(notes) + (60 if many else 0), 0, **axes))
    x = [*range(len(levels))]
    xs: list[float | None] = []
    ys: list[float | None] = []
    texts: list[str] = []
    data: list[list[Any]] = []
    absent: list[Any] = [None] * len(POINT)
    flat = nearest[chosen].ravel()
    nearest_texts, data_all = hover_texts(rows, flat), points(rows, flat)
    for i, picture in enumerate(chosen):
        here = slice(i * len(levels), (i + 1) * len(levels))
        xs += [*x, None]
        ys += [*means[picture].tolist(), None]
        texts += [
            f"<b>{escape(str(names[picture]))}</b>: mean {value:.2f}, {escape(t)}<br>the pair nearest to it:<br>{s}"
            for value, t, s in zip(means[picture], titles, nearest_texts[here], strict=True)
        ] + [""]
        data += [*data_all[here], absent]
    figure.add_scatter(
        x=xs, y=ys, mode="lines+markers", name="a picture", line={"color": NEUTRAL, "width": 1},
        marker={"color": NEUTRAL, "size": 6, "symbol": "circle"}, opacity=0.55, **hover(texts, data),
    )  # fmt: skip
    middle = means[whole].mean(axis=0)
    few = f", fewer than {FEWEST_PAIRS}" if total < FEWEST_PAIRS else ""
    figure.add_scatter(
        x=x, y=middle.tolist(), mode="lines+markers", name=f"mean (n = {total}{few})",
        line={"color": SIMILARITY, "width": 4}, marker={"color": SIMILARITY, "size": 11, "symbol": "square"},
        hovertext=[
            f"mean of {plural(total, 'picture')}: {value:.2f}, {escape(t)}"
            for value, t in zip(middle, titles, strict=True)
        ],
        hovertemplate=HOVER_TEXT,
    )  # fmt: skip
    floors = floors_of(rows, similarity)
    floor_lines(figure, floors)
    keep_opaque(figure)
    described = "; ".join(f"{t} {v:.2f}" for t, v in zip(titles, middle, strict=True))
    drop = int((means[whole][:, -1] < means[whole][:, 0]).sum())
    alt = (
        f"Mean similarity ({measure_title(similarity)}) of the same {plural(total, 'picture')}: {described}. "
        f"{drop} of {total} lie lower at {titles[-1]} than at {titles[0]}. "
        f"Drawn: {', '.join(notes)}.{floor_words(floors)}"
    )
    return Chart(figure, alt)
