"""The Distributions, Severity and Pictures tabs of the Study page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.charts.levels import severity_values
from camlab.study.charts.paired import paired_lines
from camlab.study.charts.pictures import PROPERTIES, property_correlations, similarity_against
from camlab.study.charts.ranks import value_ranks
from camlab.study.charts.severity import severity_spread
from camlab.study.charts.shares import similarity_histogram, similarity_steps
from camlab.study.charts.spread import similarity_ridges, similarity_violins
from pages.shared.text import what
from pages.study import data, link
from pages.study.data import Opened
from pages.study.look import chosen_value, empty
from pages.study.pair import pair, plot

SPREADS: dict[str, str] = {
    "method": "CAM method",
    "noise": "noise type",
    "severity": "severity",
    "model": "model",
}
SHAPES: dict[str, Callable[..., object]] = {
    "Violins": lambda rows, similarity, by: similarity_violins(rows, similarity=similarity, by=by),
    "Ridges": lambda rows, similarity, by: similarity_ridges(rows, similarity=similarity, by=by),
    "ECDF": lambda rows, similarity, by: similarity_steps(rows, similarity=similarity),
    "Histogram": lambda rows, similarity, by: similarity_histogram(rows, similarity=similarity),
}
#: The name of each shape's explanation.
EXPLAINED = {
    "Violins": "similarity_violins",
    "Ridges": "similarity_ridges",
    "ECDF": "similarity_steps",
    "Histogram": "similarity_histogram",
}


def distributions(opened: Opened, filters: Filters) -> None:
    """Similarities of kept and of flipped pairs."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        shape = st.segmented_control(
            "Plot",
            list(SHAPES),
            default="Violins",
            key=link.look("plot", "shape", SHAPES, "Violins"),
            required=True,
            label_visibility="collapsed",
        )
    by = right.selectbox(
        "One for each", list(SPREADS), format_func=lambda name: SPREADS[name],
        key=link.look("each", "spread", SPREADS, next(iter(SPREADS))),
        disabled=shape not in ("Violins", "Ridges"),
        help="What the violins and ridges are told apart by.",
    )  # fmt: skip
    plot(SHAPES[shape or "Violins"](rows, opened.similarity, by), f"spread.{shape}.{by}", pick=True)  # type: ignore[arg-type]
    what(EXPLAINED[shape or "Violins"])
    pair(rows)


def severity(opened: Opened, filters: Filters) -> None:
    """Values, ranks and similarities along the severities."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    value = chosen_value("severity")
    each = data.summary(opened, filters, ("method", "severity"))
    pooled = data.summary(opened, filters, ("method",))
    noises = [str(noise) for noise in rows["noise"].unique()]
    plot(severity_values(each, value=value, beside=pooled, noises=noises), "levels")
    what("severity_values")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Ranks", anchor=False)
        plot(value_ranks(each, value=value), "ranks")
        what("value_ranks")
    with right:
        st.subheader("Similarity", anchor=False)
        plot(severity_spread(rows, similarity=opened.similarity), "levels.spread")
        what("severity_spread")


def pictures(opened: Opened, filters: Filters) -> None:
    """What of a picture goes with fragile maps, and each picture's own lines."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    images = data.images(opened)
    outcome = filters.outcome if filters.outcome in ("kept", "flipped") else "kept"
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Which property goes with it?", anchor=False)
        plot(
            property_correlations(rows, images, outcome=outcome, similarity=opened.similarity), "correlations"
        )
        what("property_correlations")
    with right:
        st.subheader("Picture by picture", anchor=False)
        prop = st.selectbox(
            "Property", list(PROPERTIES), format_func=lambda name: PROPERTIES[name],
            key=link.look("property", "property", PROPERTIES, next(iter(PROPERTIES))), label_visibility="collapsed",
        )  # fmt: skip
        plot(
            similarity_against(rows, images, prop=prop, outcome=outcome, similarity=opened.similarity),
            f"against.{prop}",
            pick=True,
        )
        what("similarity_against")
    st.subheader("The same pictures, kept against flipped", anchor=False)
    plot(paired_lines(rows, similarity=opened.similarity), "paired", pick=True)
    what("paired_lines")
    pair(rows)
