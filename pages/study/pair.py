"""The pair of pictures behind a point of a study's plot."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from camlab.cams import CAMS
from camlab.common.errors import CamLabError
from camlab.drawing.charts.look import PLOTLY_CONFIG, Chart
from camlab.drawing.charts.titles import model_title
from camlab.explore.scene import Scene
from camlab.explore.state import to_query
from camlab.study.analysis.striking import KINDS, striking
from camlab.study.charts.rows import POINT, points
from camlab.study.report import row_state
from pages.explore import panels
from pages.shared import image_sets, session
from pages.shared.navigation import EXPLORE
from pages.shared.text import plain
from pages.study.look import title_of
from pages.study.state import page


def plot(chart: Chart, key: str, pick: bool = False) -> None:
    """Draw a chart with its text alternative; with ``pick``, a click on a point shows its pair below."""
    name = f"study.plot.{key}"
    if not pick:
        st.plotly_chart(chart.figure, key=name, config=PLOTLY_CONFIG, alt=chart.alt)
        return
    event = st.plotly_chart(
        chart.figure,
        key=name,
        config=PLOTLY_CONFIG,
        alt=chart.alt,
        on_select="rerun",
        selection_mode="points",
    )
    point = _point(event)
    # A plot keeps its selection, so only a new point counts as a choice; otherwise the last plot would always win.
    if point is not None and point != st.session_state.get(f"{name}.last"):
        _choose(point)
    st.session_state[f"{name}.last"] = point


def _point(event: Any) -> dict[str, Any] | None:
    """Return the row behind the clicked point; None without a click or if the point represents many rows."""
    for each in (event or {}).get("selection", {}).get("points", ()):
        data = each.get("customdata")
        if isinstance(data, (list, tuple)) and len(data) >= len(POINT):
            found = dict(zip(POINT, data, strict=False))
            if all(found[name] is not None for name in ("model", "image", "method", "noise")):
                return found
    return None


def pair(rows: pd.DataFrame) -> None:
    """Draw the chosen pair under its heat maps, with a link to it in Explore."""
    st.subheader("The pictures behind a point", anchor=False)
    _asked(rows)
    if st.session_state.get("study.pair.of") != page.chosen("folder"):  # a pair of another study
        st.session_state.update({"study.pair": None, "study.pair.text": None})
    page.mention("pair", "study.pair.text")
    _striking_pairs(rows)
    point: dict[str, Any] | None = st.session_state.get("study.pair")
    if point is None:
        st.caption("Choose a point in a plot above or one of these pairs to see its two pictures here.")
        return
    state = row_state(point)
    left, right = st.columns([4, 1], vertical_alignment="center")
    method = CAMS[state.method].title if state.method in CAMS else state.method
    left.markdown(plain(f"{method}, layer {state.layer or 'default'}, {model_title(state.model)}, {state.image}"))
    right.page_link(
        EXPLORE,
        label="Open in Explore",
        icon=":material/travel_explore:",
        query_params=to_query(state),
        help="The same pair, with a severity handle.",
    )
    try:
        with st.container(key="study_pair"), st.spinner("Computing the two maps …"):
            scene = Scene(session.engine(state.model), image_sets.picture(state.image), state)
            with session.worker().foreground():
                shown = scene.shown(state.severity, state.shown_seed, brief=True)
            panels.headline(scene, shown)
            panels.panels(scene, shown, scene.picture)
    except CamLabError as error:
        st.info(
            plain(f"The study has the numbers of this pair, but its pictures cannot be shown: {error}"),
            icon=":material/info:",
        )


def _striking_pairs(rows: pd.DataFrame) -> None:
    """Draw a list of striking pairs, to choose one without a click into a plot."""
    titles: dict[tuple[Any, ...], str] = {}
    for kind, entry in KINDS.items():
        places = striking(rows, kind)
        values = rows["similarity"].to_numpy()[places]
        for point, value in zip(points(rows, places), values, strict=True):
            named = dict(zip(POINT, point, strict=True))
            titles[tuple(point)] = (
                f"{entry.title}: {value:.2f}, {title_of('method', named['method'])}, "
                f"{title_of('noise', named['noise'])} at {named['severity']:g}, {named['image']}"
            )
    key = "study.striking"
    if st.session_state.get(key) not in titles:
        st.session_state[key] = None
    st.selectbox(
        "Pairs worth a look", list(titles), index=None, key=key, format_func=lambda each: titles.get(each, str(each)),
        placeholder="where map and prediction disagree most", on_change=_choose_striking, disabled=not titles,
        help="The least similar kept pairs and the most similar flipped pairs among those that pass the filters, one "
        "per picture.",
    )  # fmt: skip


def _choose_striking() -> None:
    if (point := st.session_state.get("study.striking")) is not None:
        _choose(dict(zip(POINT, point, strict=True)))


def _choose(point: dict[str, Any]) -> None:
    """Choose a pair of the open study and put it into the link."""
    st.session_state["study.pair"] = point
    text = json.dumps([point[name] for name in POINT], separators=(",", ":"), default=str)
    st.session_state.update({"study.pair.text": text, "study.pair.of": page.chosen("folder")})


def _asked(rows: pd.DataFrame) -> None:
    """Choose the pair that a link names, if it is among the rows."""
    if (given := page.asked("pair")) is None:
        return
    try:
        point = dict(zip(POINT, json.loads(given), strict=True))
        found = pd.Series(True, index=rows.index)
        for name, value in point.items():
            found &= rows[name] == value
        there = bool(found.any())
    except (ValueError, TypeError):
        there = False
    if there:
        _choose(point)
    else:
        page.say(["The link's pair is not among those shown; a filter may hide it, or it belongs to another study."])
