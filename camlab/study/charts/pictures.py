"""Similarity against properties of a study's pictures, which shows the kind of picture that keeps its map."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from camlab.common.errors import BadSetting
from camlab.common.wording import plural
from camlab.drawing.charts.look import (
    HOVER_TEXT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    chart_layout,
    keep_opaque,
    reference_line,
    text_note,
)
from camlab.drawing.charts.titles import OUTCOME_MARKS, SeriesMark, few_symbol, measure_title
from camlab.images.properties import PROPERTIES as MEASURED
from camlab.metrics.association import Association, association
from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES
from camlab.study.analysis.summary import similarities, usable
from camlab.study.charts.look import (
    AT_LEFT,
    base_line,
    floor_lines,
    floor_words,
    hover,
    interval_bars,
    no_data,
    nothing,
    outlined,
    similarity_axis,
    with_notes,
)
from camlab.study.charts.rows import (
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

PROPERTIES = {
    **{name: f"{entry.title[:1].lower()}{entry.title[1:]}" for name, entry in MEASURED.items()},
    "clean_prob": "probability of the clean prediction",
    "clean_margin": "margin of the clean prediction",
}
"""Columns of a study's pictures to plot similarity against, with their titles."""

OUTCOMES = ("kept", "flipped", "all")
MOST_POINTS = 500
CROWDED = 150  # above this number, points are smaller and fainter
FIFTHS_FROM = 25  # points; with fewer, a fifth has fewer than 5
HEIGHT = 380
KEY = ("model", "image_set", "image")


@dataclass(frozen=True)
class _Pictures:
    """Mean similarity of each picture under each model, with its rows and properties."""

    means: Floats
    counts: Index
    nearest: Index  # the row nearest to the mean
    picture: Index  # a number per picture, shared between models
    names: list[str]
    table: pd.DataFrame  # properties, one row per picture and model


def _pictures(rows: pd.DataFrame, images: pd.DataFrame, outcome: str) -> _Pictures:
    if outcome not in OUTCOMES:
        raise BadSetting(f"Pairs are {', '.join(OUTCOMES[:2])} or {OUTCOMES[2]}, not {outcome[:40]!r}.")
    good = usable(rows)
    if outcome != "all":
        good &= rows["flipped"].to_numpy(dtype=bool) == (outcome == "flipped")
    codes, levels = zip(*(coded(rows, column) for column in KEY), strict=True)
    shape = tuple(len(each) for each in levels)
    joint = np.asarray(np.ravel_multi_index(codes, shape))[good]
    there, group = np.unique(joint, return_inverse=True)
    values = similarities(rows)[good]
    counts = np.bincount(group, minlength=len(there))
    means = means_of(group, values, len(there))
    nearest = np.flatnonzero(good)[nearest_to(means, group, values)]
    parts = [np.asarray(part) for part in np.unravel_index(there, shape)]
    keys = pd.DataFrame({c: [str(level[i]) for i in part] for c, level, part in zip(KEY, levels, parts, strict=True)})
    have = [name for name in PROPERTIES if name in images.columns]
    known = images.assign(**{c: images[c].astype(str) for c in KEY}).drop_duplicates(list(KEY))[[*KEY, *have]]
    table = keys.merge(known, on=list(KEY), how="left", validate="many_to_one")
    picture = parts[1] * shape[2] + parts[2]
    return _Pictures(means, counts, nearest, picture, keys["image"].tolist(), table)


def _column(found: _Pictures, prop: str) -> Floats:
    if prop not in found.table:
        return np.full(len(found.means), np.nan)
    values: Floats = found.table[prop].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _rho(found: Association) -> str:
    """Write the correlation in words."""
    of = plural(found.n_pictures, "picture")
    if found.rho is None:
        why = f"fewer than {FEWEST_PAIRS}" if found.n < FEWEST_PAIRS else "no variation"
        return f"Spearman's ρ not observed ({why}, {of})"
    span = "" if found.interval is None else f" ({found.interval.low:.2f} to {found.interval.high:.2f})"
    return f"Spearman's ρ = {found.rho:.2f}{span}, {of}".replace("-", "−")


def _which(outcome: str) -> str:
    return "of all pairs" if outcome == "all" else f"of {outcome} pairs"


def similarity_against(
    rows: pd.DataFrame,
    images: pd.DataFrame,
    *,
    prop: str = "clutter",
    outcome: str = "kept",
    similarity: str = "rbo",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Chart:
    """Draw mean similarity against a property of the pictures, one point per picture and model.

    images: the study's table of pictures. outcome: the pairs that count, "kept", "flipped" or "all". The rank
    correlation, with its interval over pictures, covers all points; at most 500 are drawn, chosen by
    ``default_rng(seed)``. From 25 points on, the medians of five equal parts are joined. A point identifies the pair
    nearest to its mean. Raises BadSetting.
    """
    if prop not in PROPERTIES:
        raise BadSetting(f"Pictures have no property {prop[:40]!r}; choose one of: {', '.join(PROPERTIES)}.")
    if not len(rows):
        return no_data("no pairs")
    found = _pictures(rows, images, outcome)
    x, y = _column(found, prop), found.means
    known = np.flatnonzero(~np.isnan(x))
    if not len(known):
        reason = (
            f"no {outcome} pair with a similarity" if not len(y) else f"no picture has a value for: {PROPERTIES[prop]}"
        )
        return nothing(reason, f"Nothing to show: {reason}.")
    measured = association(x, y, found.picture, replicates)
    shown = known
    if len(known) > MOST_POINTS:
        shown = np.sort(np.random.default_rng(seed).choice(known, MOST_POINTS, replace=False))
    notes = [_rho(measured)]
    notes += [f"open: fewer than {FEWEST_PAIRS} pairs"] if (found.counts[shown] < FEWEST_PAIRS).any() else []
    if len(shown) < len(known):
        notes.append(f"{len(shown)} of {len(known)} points drawn, at random")
    if len(known) < len(y):
        notes.append(f"{len(y) - len(known)} without this property left out")
    notes += pooled_severities(rows)
    pad = 0.03 * (float(np.ptp(x[known])) or 1.0)
    axes = {
        "xaxis": {
            "range": [float(x[known].min()) - pad, float(x[known].max()) + pad],
            "title_text": with_notes(escape(PROPERTIES[prop]), [escape(note) for note in notes]),
        },
        "yaxis": similarity_axis(similarity, 0.035),
    }
    figure = go.Figure(layout=chart_layout(HEIGHT + 16 * len(notes), 0, **axes))
    mark = OUTCOME_MARKS.get(outcome, SeriesMark(SIMILARITY, "square", "solid"))
    places = found.nearest[shown]
    texts = [
        f"<b>{escape(found.names[i])}</b><br>{escape(PROPERTIES[prop])} {x[i]:.3g}, mean similarity {y[i]:.2f}<br>"
        f"n = {plural(int(found.counts[i]), 'pair')}"
        f"{f' (fewer than {FEWEST_PAIRS})' if found.counts[i] < FEWEST_PAIRS else ''}<br>the pair nearest to it:<br>{s}"
        for i, s in zip(shown, hover_texts(rows, places), strict=True)
    ]
    few, crowded = found.counts[shown] < FEWEST_PAIRS, len(shown) > CROWDED
    figure.add_scatter(
        x=x[shown].tolist(), y=y[shown].tolist(), mode="markers", name=f"a picture, mean {_which(outcome)}",
        marker={
            "color": mark.colour, "size": 6 if crowded else 8, "opacity": 0.5 if crowded else 0.75,
            "symbol": [few_symbol(mark.symbol, bool(f)) for f in few],
            "line": {"color": mark.colour, "width": 1.5},
        },
        **hover(texts, points(rows, places)),
    )  # fmt: skip
    if len(known) >= FIFTHS_FROM:
        _add_fifths(figure, x[known], y[known])
    floors = floors_of(rows, similarity)
    floor_lines(figure, floors)
    keep_opaque(figure)
    drawn = "; ".join(notes[1:])
    alt = (
        f"Mean similarity ({measure_title(similarity)}) {_which(outcome)} against {PROPERTIES[prop]}: "
        f"{_rho(measured)}.{f' {drawn}.' if drawn else ''}{floor_words(floors)}"
    )
    return Chart(figure, alt)


def _add_fifths(figure: go.Figure, x: Floats, y: Floats) -> None:
    """Join the medians of five parts with equally many points; equal values may fall into different parts."""
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, 5)
    figure.add_scatter(
        x=[float(np.median(x[p])) for p in parts], y=[float(np.median(y[p])) for p in parts],
        mode="lines+markers", name="median of a fifth", line={"color": SIMILARITY, "width": 3},
        marker={"color": "#FFFFFF", "symbol": "square", "size": 9, "line": {"color": SIMILARITY, "width": 3}},
        hovertext=[
            f"median {np.median(y[p]):.2f} of {len(p)} points,<br>{x[p].min():.3g} to {x[p].max():.3g}" for p in parts
        ],
        hovertemplate=HOVER_TEXT,
    )  # fmt: skip


def property_correlations(
    rows: pd.DataFrame,
    images: pd.DataFrame,
    *,
    outcome: str = "kept",
    similarity: str = "rbo",
    replicates: int = REPLICATES,
) -> Chart:
    """Draw Spearman's ρ of similarity with every property of the pictures, with its interval over pictures.

    An open symbol means that the interval contains 0. ``customdata``: the property. Raises BadSetting.
    """
    if not len(rows):
        return no_data("no pairs")
    found = _pictures(rows, images, outcome)
    each = {prop: association(_column(found, prop), found.means, found.picture, replicates) for prop in PROPERTIES}
    if all(a.rho is None for a in each.values()):
        why = f"fewer than {FEWEST_PAIRS} pictures with a value, or none that varies"
        return nothing(f"no correlation observed: {why}", f"No correlation observed: {why}.")
    order = sorted(each, key=lambda p: -abs(each[p].rho or 0.0))
    row = 44
    axes: dict[str, Any] = {
        "xaxis": {
            "range": [-1.04, 1.04], "tickvals": [-1, -0.5, 0, 0.5, 1], "showgrid": True,
            "title_text": with_notes(
                f"Spearman's ρ with similarity {_which(outcome)}",
                ["bars: 95\u202f% interval · open: it contains 0, or is missing"],
            ),
        },
        "yaxis": {"range": [-row * len(order), 0], "visible": False},
        "showlegend": False,
        "margin_t": 24,
    }  # fmt: skip
    figure = go.Figure(layout=chart_layout(row * len(order) + 100, 0, **axes))
    figure.add_shape(reference_line("x", 0, NEUTRAL, "dot", 1.5))
    for i, prop in enumerate(order):
        y = -row * i
        one = each[prop]
        text = f"<b>{escape(PROPERTIES[prop])}</b> · n = {one.n_pictures}"
        text += "" if one.rho is not None else " · <i>not observed</i>"
        figure.add_annotation(text_note(text, **AT_LEFT, y=y - 4, yanchor="top"))
        figure.add_shape(base_line(y - 31, -1, 1))
        if one.rho is None:
            continue
        low, high = (None, None) if one.interval is None else (one.interval.low, one.interval.high)
        clear = low is not None and high is not None and (low > 0 or high < 0)
        figure.add_scatter(
            x=[one.rho], y=[y - 31], mode="markers", name=escape(PROPERTIES[prop]),
            error_x=interval_bars([one.rho], [low], [high], SIMILARITY, 2, 4),
            marker=outlined(SIMILARITY, "circle" if clear else "circle-open", 11, 2),
            **hover(
                [
                    f"<b>{escape(PROPERTIES[prop])}</b><br>{escape(_rho(one))}<br>{plural(one.n, 'point')}, "
                    f"{one.replicates} bootstrap replicates"
                ],
                [[prop]],
            ),
        )  # fmt: skip
    keep_opaque(figure)
    parts = "; ".join(f"{PROPERTIES[prop]}: {_rho(each[prop])}" for prop in order)
    return Chart(
        figure,
        f"Similarity ({measure_title(similarity)}) {_which(outcome)} and properties of pictures. {parts}.",
    )
