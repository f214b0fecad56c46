"""The filter bar of the Study page: what every plot below it is made of."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from camlab.common.grouping import numbered
from camlab.common.wording import plural
from camlab.drawing.charts.titles import level_title, measure_title
from camlab.study.analysis.filters import OUTCOMES, SAME, Filters
from camlab.study.analysis.summary import SCORES
from camlab.study.store import Study
from pages.shared.text import plain
from pages.study import data, link

_FIELDS = (
    ("models", "model", "Models"),
    ("sets", "image_set", "Image sets"),
    ("methods", "method", "CAM methods"),
    ("layers", "layer", "Layers"),
    ("noises", "noise", "Noise types"),
    ("severities", "severity", "Severities"),
)


def begin(study: Study, opened: data.Opened) -> None:
    """Where a study has several layers a model, look at the first of each first: they are not to be pooled."""
    name = study.folder.name
    if st.session_state.get("study.seen") == name:
        return
    st.session_state["study.seen"] = name
    layers = [[layer["name"] for layer in model["layers"]] for model in data.models(study).values()]
    if not link.is_filtered() and any(len(each) > 1 for each in layers):
        link.choose("layers", list(dict.fromkeys(each[0] for each in layers if each)))


def bar(opened: data.Opened) -> Filters:
    """Draw the bar; the filters that it holds, without what the study does not have."""
    every = data.all_rows(opened)
    found, problems = data.checked(opened, link.filters())
    if problems:
        link.put(found)
        for problem in problems:
            st.warning(plain(problem), icon=":material/info:")
    options = data.options(opened)
    with st.container(horizontal=True, key="study_filters"):
        for name, column, label in _FIELDS:
            if len(options[name]) > 1:
                st.multiselect(
                    label,
                    options[name],
                    key=link.key(name),
                    format_func=partial(level_title, column),
                    placeholder="all",
                    help="Nothing chosen: all of them.",
                )
            else:
                link.choose(name, [])
        st.selectbox(
            "Pairs",
            list(OUTCOMES),
            key=link.key("outcome"),
            format_func=lambda name: OUTCOMES[name].title,
            help="By what became of the prediction. C needs kept and R flipped pairs: with one of the two the other is "
            "not observed.",
        )
        st.selectbox(
            "Pictures",
            list(SAME),
            key=link.key("same"),
            format_func=lambda name: SAME[name],
            help="Let the same pictures speak on both sides: those with a kept and a flipped pair (C against R), or "
            "those kept at every severity (C along the severities).",
        )
        st.selectbox(
            "Similarity",
            _scores(opened),
            key=link.key("similarity"),
            format_func=measure_title,
            help="What C, R and RM are made of. The study stores all of them.",
        )
    found = link.filters()
    rows = data.rows(opened, found)
    pictures = rows["image"].nunique()
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.caption(
        f"{len(rows):,} of {len(every):,} pairs, {plural(pictures, 'picture')}, "
        f"{int(rows['flipped'].sum()):,} flips, {int(rows['degenerate'].sum()):,} degenerate." + _pooled(rows)
    )
    if link.is_filtered():
        right.button(
            "Clear the filters",
            icon=":material/filter_alt_off:",
            on_click=link.put,
            args=(Filters(),),
            width="stretch",
        )
    if not data.with_intervals(opened, found):
        st.checkbox(
            "Intervals, too",
            key="study.intervals",
            help="2,000 bootstrap replicates over pictures; with so many pairs they take some seconds.",
        )
    return found


def _scores(opened: data.Opened) -> list[str]:
    # The two parts of what moved the map are measured only where the plan asked for them.
    decomposed = bool((opened.study.manifest.get("settings") or {}).get("decompose"))
    return [name for name in SCORES if decomposed or name not in ("rbo_class_only", "rbo_noise_only")]


def _pooled(rows: pd.DataFrame) -> str:
    """What is pooled although it had better be told apart."""
    places = numbered(rows, ["model", "layer"])[1]
    models = {model for model, _ in places}
    several = ["models"] * (len(models) > 1) + ["layers"] * (len(places) > len(models))
    return f" Several {' and '.join(several)} are pooled." if several else ""
