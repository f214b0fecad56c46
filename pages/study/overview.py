"""The Overview and Compare tabs of the Study page."""

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.analysis.values import VALUE_LABELS
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.plane import cr_plane
from camlab.study.store import list_studies
from pages.shared.page_state import index_in
from pages.shared.text import explanation_popover, plain
from pages.study import data
from pages.study.data import Opened
from pages.study.look import OVER, chosen_over, chosen_value, draw_table, empty, numbers_of
from pages.study.pair import plot
from pages.study.state import page

MOST_WARNINGS = 3
COUNTS = {"n": "Pairs", "n_pictures": "Pictures", "n_flipped": "Flips"}


def overview(opened: Opened, filters: Filters) -> None:
    """Draw tiles, the C–R plane, dots with intervals, and heat maps by severity and by noise type."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    _tiles(opened, filters)
    methods = data.summary(opened, filters, ("method",))
    _warnings(methods)
    with st.container(horizontal=True, key="study_choices"):
        value = chosen_value("overview")
        over = chosen_over("overview", rows)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Consistency against responsiveness", anchor=False)
        plot(cr_plane(methods, stratified=bool(over)), "plane")
        explanation_popover("cr_plane")
    with right:
        st.subheader("Methods", anchor=False)
        plot(_dots(methods, value), "dots")
        explanation_popover("value_dots")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("By severity", anchor=False)
        each = data.summary(opened, filters, ("method", "severity"))
        plot(value_heatmap(each, value=value, columns="severity"), "heat.severity")
        explanation_popover("value_heatmap")
    with right:
        st.subheader("By noise type", anchor=False)
        plot(
            value_heatmap(data.summary(opened, filters, ("method", "noise")), value=over + value),
            "heat.noise",
        )
        explanation_popover("value_heatmap", "noise")


def _dots(methods: list[dict[str, Any]], value: str) -> Any:
    """Draw one dot per method, or two if the severities can be pooled and averaged."""
    if not any(f"stratified_{value}" in record for record in methods):
        return value_dots(methods, value=value)
    ends = ("", "_low", "_high")
    both = [
        {**record, **{f"{value}{end}": record.get(f"{prefix}{value}{end}") for end in ends}, "over": title}
        for prefix, title in OVER.items()
        for record in methods
    ]
    return value_dots(both, value=value, groups="over")


def _warnings(methods: Iterable[Mapping[str, Any]]) -> None:
    """Draw each kind of warning once: methods share their pictures and most warnings."""
    first: dict[str, str] = {}
    for record in methods:
        for warning in record["warnings"]:
            first.setdefault(" ".join(warning.split()[:2]), warning)
    if first:
        st.warning("\n\n".join(plain(each) for each in [*first.values()][:MOST_WARNINGS]), icon=":material/balance:")


def _tiles(opened: Opened, filters: Filters) -> None:
    """Draw the counts of pairs, pictures, flips, degenerate pairs and ties."""
    rows = data.rows(opened, filters)
    flips, near = int(rows["flipped"].sum()), int(rows["near"].sum())
    tied = int(rows["tied"].sum()) if "tied" in rows else 0
    with st.container(horizontal=True, key="study_tiles"):
        for label, value, text in (
            ("Pairs", len(rows), "Pairs of a clean and a noisy picture, one per method."),
            ("Pictures", rows["image"].nunique(), "The units of intervals and tests."),
            ("Flips", flips, f"Pairs whose prediction changed: {flips / len(rows):.0%}."),
            ("Near flips", near, "Flips to another class of the clean top 5."),
            ("Degenerate", int(rows["degenerate"].sum()), "Pairs with a degenerate map: they have no similarity and "
             "count in neither C nor R."),
            ("Ties", tied, "Pairs whose top two classes tie within rounding error: another machine may see a flip "
             "where this one does not."),
        ):  # fmt: skip
            st.metric(label, f"{value:,}", help=text)


def compare(opened: Opened, filters: Filters) -> None:
    """Draw the methods of this and another study with their intervals."""
    others = {s.folder.name: s for s in list_studies() if str(s.folder) != opened.folder}
    if not others:
        st.info(
            "There is no other study to compare with; run or import one.",
            icon=":material/info:",
        )
        return
    if st.session_state.get("study.other") not in others:  # deleted in the meantime
        st.session_state.pop("study.other", None)
    titles = data.titles(others.values())
    chosen = page.look("with", "other", others, next(iter(others)))
    name = st.selectbox(
        "With",
        list(others),
        index=index_in(list(others), chosen),
        format_func=lambda n: titles[n],
        key=chosen,
        help="Another study on this machine.",
    )
    other = data.opened(others[name].folder, opened.similarity)
    names = (opened.study.name, others[name].name)
    if names[0] == names[1]:
        names = (f"{names[0]} (this one)", f"{names[1]} (the other)")
    value = chosen_value("compare")
    both = [
        {**record, "study": title}
        for each, title in ((opened, names[0]), (other, names[1]))
        for record in data.summary(each, filters, ("method",))
    ]
    if not both:
        st.info("No pair of either study passes these filters.", icon=":material/filter_alt_off:")
        return
    plot(value_dots(both, value=value, groups="study"), "compare")
    explanation_popover("value_dots")
    order = {method: i for i, method in enumerate(dict.fromkeys(r["method"] for r in both))}
    both.sort(key=lambda r: (order[r["method"]], names.index(r["study"])))
    columns = ("consistency", "responsiveness", "rm", "gap", "auroc")
    table, shown = numbers_of(both, ["method", "study"], COUNTS, {c: VALUE_LABELS[c].short for c in columns})
    draw_table(table, shown)
    st.caption(
        "The filters apply to both studies. Compare two studies only if pictures, layers and severities are the same; "
        "see About."
    )
