"""The Distributions, Severity and Pictures tabs of the Study page."""

from collections.abc import Callable

import streamlit as st

from camlab.drawing.charts.look import Chart
from camlab.study.analysis.filters import Filters
from camlab.study.charts.paired import paired_lines
from camlab.study.charts.pictures import PROPERTIES, property_correlations, similarity_against
from camlab.study.charts.ranks import value_ranks
from camlab.study.charts.severity import severity_spread, severity_values
from camlab.study.charts.spread import (
    similarity_histogram,
    similarity_ridges,
    similarity_steps,
    similarity_violins,
)
from pages.shared.page_state import index_in
from pages.shared.text import explanation_popover
from pages.study import data
from pages.study.data import Opened
from pages.study.look import chosen_value, empty
from pages.study.pair import pair, plot
from pages.study.state import page

SPREADS: dict[str, str] = {
    "method": "CAM method",
    "noise": "noise type",
    "severity": "severity",
    "model": "model",
}
GROUPED: dict[str, Callable[..., Chart]] = {"Violins": similarity_violins, "Ridges": similarity_ridges}
SHAPES = GROUPED | {"ECDF": similarity_steps, "Histogram": similarity_histogram}


def distributions(opened: Opened, filters: Filters) -> None:
    """Draw the similarities of kept and of flipped pairs."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        plotted = page.look("plot", "shape", SHAPES, "Violins")
        shape = st.segmented_control(
            "Plot",
            list(SHAPES),
            default=list(SHAPES)[index_in(list(SHAPES), plotted)],
            key=plotted,
            required=True,
            label_visibility="collapsed",
        )
    each = page.look("each", "spread", SPREADS, next(iter(SPREADS)))
    by = right.selectbox(
        "Group by", list(SPREADS), index=index_in(list(SPREADS), each), format_func=lambda name: SPREADS[name],
        key=each,
        disabled=shape not in GROUPED,
        help="Violins and ridges show one shape for each of these.",
    )  # fmt: skip
    draw = SHAPES[shape or "Violins"]
    grouping = {"by": by} if shape in GROUPED else {}
    plot(draw(rows, similarity=opened.similarity, **grouping), f"spread.{shape}.{by}", pick=True)
    explanation_popover(draw.__name__)  # explanations are named after the chart's function
    pair(rows)


def severity(opened: Opened, filters: Filters) -> None:
    """Draw values, ranks and similarities over severity."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    value = chosen_value("severity")
    each = data.summary(opened, filters, ("method", "severity"))
    pooled = data.summary(opened, filters, ("method",))
    noises = [str(noise) for noise in rows["noise"].unique()]
    plot(severity_values(each, value=value, beside=pooled, noises=noises), "levels")
    explanation_popover("severity_values")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Ranks", anchor=False)
        plot(value_ranks(each, value=value), "ranks")
        explanation_popover("value_ranks")
    with right:
        st.subheader("Similarity", anchor=False)
        plot(severity_spread(rows, similarity=opened.similarity), "levels.spread")
        explanation_popover("severity_spread")


def pictures(opened: Opened, filters: Filters) -> None:
    """Draw the correlations of pictures' properties with similarity, and one line per picture."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    images = data.images(opened)
    outcome = filters.outcome if filters.outcome in ("kept", "flipped") else "kept"
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Which properties correlate?", anchor=False)
        plot(property_correlations(rows, images, outcome=outcome, similarity=opened.similarity), "correlations")
        explanation_popover("property_correlations")
    with right:
        st.subheader("One property, by picture", anchor=False)
        shown = page.look("property", "property", PROPERTIES, next(iter(PROPERTIES)))
        prop = st.selectbox(
            "Property", list(PROPERTIES), index=index_in(list(PROPERTIES), shown),
            format_func=lambda name: PROPERTIES[name], key=shown, label_visibility="collapsed",
        )  # fmt: skip
        plot(
            similarity_against(rows, images, prop=prop, outcome=outcome, similarity=opened.similarity),
            f"against.{prop}",
            pick=True,
        )
        explanation_popover("similarity_against")
    st.subheader("The same pictures, kept against flipped", anchor=False)
    plot(paired_lines(rows, similarity=opened.similarity), "paired", pick=True)
    explanation_popover("paired_lines")
    pair(rows)
