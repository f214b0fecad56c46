"""The Statistics tab: the verdict, the tests with their assumptions, and the number of pictures needed."""

import dataclasses
from typing import Any

import pandas as pd
import streamlit as st

from camlab.common.grouping import numbered
from camlab.common.wording import plural
from camlab.drawing.charts.titles import titled
from camlab.study.analysis.filters import Filters
from camlab.study.stats import RESPONSES, TESTS, TestResult, Verdict, power_note, prepare, run_tests, verdict
from camlab.study.stats.results import p_text
from pages.shared.page_state import index_in
from pages.shared.text import explanation_popover, plain
from pages.study import data
from pages.study.data import Opened
from pages.study.look import draw_table, empty, place_of, title_of
from pages.study.pair import plot
from pages.study.state import page

_KEPT = 4


@st.cache_resource(max_entries=_KEPT, show_spinner="Averaging over seeds …")
def _cells(opened: Opened, filters: Filters) -> Any:
    return prepare(data.rows(opened, filters))


@st.cache_resource(max_entries=16, show_spinner="Testing …")
def _tested(opened: Opened, filters: Filters, response: str, test: str) -> list[TestResult]:
    return run_tests(_cells(opened, filters), response=response, tests=[test])


@st.cache_resource(max_entries=16, show_spinner="Comparing the methods …")
def _judged(opened: Opened, filters: Filters, response: str, model: str, layer: str) -> Verdict:
    return verdict(_cells(opened, filters), model=model, layer=layer, response=response)


def with_titles(sentence: str) -> str:
    """Replace the names of methods and models by their titles and escape the sentence for Markdown."""
    return plain(titled(sentence))


def statistics(opened: Opened, filters: Filters) -> None:
    """Draw the tab."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    response = st.segmented_control(
        "What is compared", list(RESPONSES), default="kept", required=True,
        key=page.look("response", "response", RESPONSES, "kept"),
        format_func=lambda name: RESPONSES[name].title,
        help="For each picture, averaged over seeds first: the similarity of its kept pairs (as C), one minus that of "
        "its flipped pairs (as R), or the similarity of all its pairs. Pictures are the blocks of every test.",
    ) or "kept"  # fmt: skip
    st.subheader("Which CAM should I trust?", anchor=False)
    for model, layer in numbered(rows, ["model", "layer"])[1]:
        _verdict(_judged(opened, filters, response, model, layer), place_of({"model": model, "layer": layer}))
    explanation_popover("verdict")
    st.subheader("Tests", anchor=False)
    question = page.look("question", "test", TESTS, next(iter(TESTS)))
    test = st.selectbox(
        "Question", list(TESTS), index=index_in(list(TESTS), question),
        format_func=lambda name: TESTS[name].question, key=question,
        help="Each test lists its assumptions and whether they hold here.",
    )  # fmt: skip
    results = _tested(opened, filters, response, test)
    for place, result in enumerate(results[:24]):
        _result(place, result)
    if len(results) > 24:
        st.caption(f"{len(results) - 24} further groups; filter to see them, or use `camlab stats`.")
    st.subheader("How many pictures would it take?", anchor=False)
    note = power_note(_cells(opened, filters), response)
    st.markdown(with_titles(note.sentence or note.reason))


def _verdict(found: Verdict, where: str) -> None:
    words = found.sentence or found.reason
    show = st.success if found.trusted else st.info
    show(f"**{plain(where)}**: {with_titles(words)}", icon=":material/gavel:")
    for caution in found.cautions:
        st.caption(with_titles(caution))


def _result(place: int, found: TestResult) -> None:
    group = place_of(found.group) or "all pairs"
    with st.container(border=True, key=f"result_{place}"):
        st.markdown(f"**{plain(found.title)}** · {plain(group)}")
        if not found.done:
            st.info(with_titles(found.reason[:1].upper() + found.reason[1:]), icon=":material/block:")
            return
        st.markdown(with_titles(found.sentence))
        effect = found.effect
        facts = [
            f"{found.statistic_name} = {found.statistic:.4g}" if found.statistic is not None else "",
            p_text(found.p) if found.p is not None else "",
            f"{p_text(found.p_across)} over all groups (Holm)" if found.p_across is not None else "",
            effect.text if effect is not None else "",
            f"{plural(found.n, 'picture')}, {plural(found.n_pairs, 'pair')}" if found.n_pairs else f"n = {found.n}",
            found.p_method or "",
        ]
        st.caption(plain(" · ".join(filter(None, facts))))
        if found.ranks and found.critical:
            # SciPy and scikit-posthocs take two seconds to import: import them only to draw the diagram.
            from camlab.study.charts.critical import critical_diagram

            titled = [dataclasses.replace(r, name=title_of(found.compares, r.name)) for r in found.ranks]
            plot(critical_diagram(dataclasses.replace(found, ranks=tuple(titled))), f"cd.{found.test}.{group}")
            explanation_popover("critical_diagram", str(place))
        if found.pairs:
            with st.expander(f"Pairwise comparisons ({len(found.pairs)})"):
                _pairs(found)
        with st.expander("Assumptions, and what was left out", key=f"assumptions_{place}"):
            for each in found.assumptions:
                mark = {True: "✓", False: "✗", None: "?"}[each.holds]
                st.markdown(f"{mark} **{plain(each.name)}**: {with_titles(each.says)}")
            for left in found.left_out:
                st.caption(plain(left if isinstance(left, str) else str(left)))


def _pairs(found: TestResult) -> None:
    """Draw the pairwise comparisons as a table."""
    table = []
    for each in found.pairs:
        p = each.p_adjusted
        table.append(
            {
                "A": title_of(found.compares, each.a),
                "B": title_of(found.compares, each.b),
                "Differ": "yes" if each.differ else "not tested" if p is None else "not shown",
                "Pictures": each.n,
                "A − B": each.difference,
                "p, adjusted": "–" if p is None else p_text(p).removeprefix("p = "),
                "Effect": each.effect.text if each.effect is not None else each.note,
            }
        )
    draw_table(
        pd.DataFrame(table),
        {
            "A − B": st.column_config.NumberColumn(format="%.3f", help="Difference of the means over pictures."),
            "Differ": st.column_config.TextColumn(help="“not shown” does not prove that they are equal."),
        },
    )
