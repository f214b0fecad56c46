"""The filter bar of the Study page, which selects the pairs of every plot below it."""

from functools import partial

import pandas as pd
import streamlit as st

from camlab.common.grouping import numbered
from camlab.common.wording import plural
from camlab.drawing.charts.titles import level_title, measure_title
from camlab.study.analysis.filters import OUTCOMES, SAME, Filters
from camlab.study.analysis.summary import SCORES
from camlab.study.store import Study
from pages.shared.page_state import among, index_in
from pages.shared.text import plain
from pages.study import data
from pages.study.state import page

_FIELDS = (
    ("models", "model", "Models"),
    ("sets", "image_set", "Image sets"),
    ("methods", "method", "CAM methods"),
    ("layers", "layer", "Layers"),
    ("noises", "noise", "Noise types"),
    ("severities", "severity", "Severities"),
)


def begin(study: Study, opened: data.Opened) -> None:
    """Start with the first layer of each model if a study has several: layers should not be pooled."""
    name = study.folder.name
    if st.session_state.get("study.seen") == name:
        return
    st.session_state["study.seen"] = name
    layers = [[layer["name"] for layer in model["layers"]] for model in data.models(study).values()]
    if not page.is_filtered() and any(len(each) > 1 for each in layers):
        page.choose("layers", list(dict.fromkeys(each[0] for each in layers if each)))


def bar(opened: data.Opened) -> Filters:
    """Draw the bar and return its filters, without values that the study does not have."""
    every = data.all_rows(opened)
    found, problems = page.filters().checked(every, data.options(opened))
    if problems:
        page.set_filters(found)
        for problem in problems:
            st.warning(plain(problem), icon=":material/info:")
    options = data.options(opened)
    with st.container(horizontal=True, key="study_filters"):
        for name, column, label in _FIELDS:
            if len(options[name]) > 1:
                st.multiselect(
                    label,
                    options[name],
                    default=among(options[name], page.key(name)),
                    key=page.key(name),
                    format_func=partial(level_title, column),
                    placeholder="all",
                    help="Empty: all.",
                )
            else:
                page.choose(name, [])
        st.selectbox(
            "Pairs",
            list(OUTCOMES),
            index=index_in(list(OUTCOMES), page.key("outcome")),
            key=page.key("outcome"),
            format_func=lambda name: OUTCOMES[name].title,
            help="Kept or flipped predictions. C needs kept pairs and R needs flipped pairs; without them it is not "
            "observed.",
        )
        st.selectbox(
            "Pictures",
            list(SAME),
            index=index_in(list(SAME), page.key("same")),
            key=page.key("same"),
            format_func=lambda name: SAME[name],
            help="Compare the same pictures: those with both a kept and a flipped pair (C against R), or those kept at "
            "every severity (C over severities).",
        )
        st.selectbox(
            "Similarity",
            _scores(opened),
            index=index_in(_scores(opened), page.key("similarity")),
            key=page.key("similarity"),
            format_func=measure_title,
            help="The similarity behind C, R and RM. The study stores all of them.",
        )
    found = page.filters()
    rows = data.rows(opened, found)
    pictures = rows["image"].nunique()
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.caption(
        f"{len(rows):,} of {len(every):,} pairs, {plural(pictures, 'picture')}, "
        f"{int(rows['flipped'].sum()):,} flips, {int(rows['degenerate'].sum()):,} degenerate." + _pooled(rows)
    )
    if page.is_filtered():
        right.button(
            "Clear the filters",
            icon=":material/filter_alt_off:",
            on_click=page.set_filters,
            args=(Filters(),),
            width="stretch",
        )
    if not data.with_intervals(opened, found):
        st.checkbox(
            "Compute intervals",
            key="study.intervals",
            help="2,000 bootstrap replicates over pictures; with this many pairs they take some seconds.",
        )
    return found


def _scores(opened: data.Opened) -> list[str]:
    # The decomposition into class and noise is measured only if the plan includes it.
    decomposed = bool((opened.study.manifest.get("settings") or {}).get("decompose"))
    return [name for name in SCORES if decomposed or name not in ("rbo_class_only", "rbo_noise_only")]


def _pooled(rows: pd.DataFrame) -> str:
    """Return a warning about pooled models or layers, which should be compared separately."""
    places = numbered(rows, ["model", "layer"])[1]
    models = {model for model, _ in places}
    several = ["models"] * (len(models) > 1) + ["layers"] * (len(places) > len(models))
    return f" Several {' and '.join(several)} are pooled." if several else ""
