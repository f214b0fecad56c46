"""Story mode: one slide at a time in large type; buttons and arrow keys turn the slides."""

from html import escape

import streamlit as st

from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.drawing.pictures import data_url
from camlab.drawing.slides import STEPS, Slide
from camlab.explore.output.story import measure, scene_slides
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState, to_query
from camlab.study.store import open_study, studies_root
from camlab.study.story import study_slides
from pages.present.state import page
from pages.shared import image_sets, session
from pages.shared.component import Component
from pages.shared.feedback import skeleton
from pages.shared.navigation import EXPLORE, STUDY
from pages.shared.text import explanation_popover
from pages.study import data

_keys = Component("keys")
KEPT = 12  # stories that a server caches for studies, and a session for pictures


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _of_study(folder: str, when: data.Stamp) -> list[Slide]:
    return study_slides(open_study(folder))


def _of_scene(state: ExploreState) -> list[Slide]:
    """Return the slides of a state; each session caches the last few, because pictures may be private."""
    kept: dict[ExploreState, list[Slide]] = st.session_state.setdefault("present.slides", {})
    if state not in kept:
        with session.worker().foreground():
            scene = Scene(session.engine(state.model), image_sets.picture(state.image), state)
            kept[state] = scene_slides(measure(scene))
        while len(kept) > KEPT:
            kept.pop(next(iter(kept)))
    return kept[state]


def story() -> None:
    """Draw the slide of the chosen step."""
    step = int(page.chosen("step"))
    _bar(step)
    place = st.empty()
    with place.container():
        skeleton("Measuring the story …")
    folder, state = page.study(), page.state()
    if state is None:
        path = studies_root() / folder
        slides = _of_study(str(path), data.stamp(open_study(path)))
    else:
        slides = _of_scene(state)
    with place.container(), st.container(key="story_slide"):
        _slide(slides[step - 1], step, state)


def _bar(step: int) -> None:
    names = list(STEPS)
    with st.container(key="story_bar", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.button(
            "Back",
            icon=":material/arrow_back:",
            key="story_back",
            disabled=step == 1,
            on_click=page.go,
            args=(-1,),
        )
        dots = "".join(
            f'<i class="{"cl-here" if i == step else "cl-done" if i < step else ""}"></i>'
            for i in range(1, len(names) + 1)
        )
        st.html(
            f'<p class="cl-steps" role="status"><span aria-hidden="true">{dots}</span> Step {step} of {len(names)}: '
            f"{escape(STEPS[names[step - 1]])}</p>"
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            icon_position="right",
            key="story_next",
            type="primary",
            disabled=step == len(names),
            on_click=page.go,
            args=(1,),
            help="The right arrow key does the same.",
        )
    _keys.draw("story_keys", {"keys": {"ArrowRight": 1, "ArrowLeft": -1}}, moves=page.take_moves)


def _slide(slide: Slide, step: int, state: ExploreState | None) -> None:
    words = "".join(f"<p>{escape(text)}</p>" for text in slide.words)
    points = "".join(f"<li>{escape(text)}</li>" for text in slide.points)
    listed = f"<ol>{points}</ol>" if points else ""
    st.html(f'<section class="cl-slide"><h2>{escape(slide.headline)}</h2>{words}{listed}</section>')
    if slide.images:
        with st.container(key="story_images"):
            columns = st.columns(max(len(slide.images), 2), gap="medium")
        for column, image in zip(columns, slide.images, strict=False):
            with column:
                st.image(data_url(image.pixels), width="stretch", output_format="PNG", alt=image.alt)
                st.html(f'<p class="cl-caption">{escape(image.caption)}</p>')
    if slide.credit:
        st.html(slide.credit)
    if slide.chart is not None:
        st.plotly_chart(slide.chart.figure, key=f"story.chart.{step}", config=PLOTLY_CONFIG, alt=slide.chart.alt)
    if slide.gauges:
        for column, gauge in zip(st.columns(len(slide.gauges), gap="large"), slide.gauges, strict=True):
            column.html(gauge)
    if slide.about:
        explanation_popover(slide.about)
    if step == len(STEPS):
        _ways_on(state)


def _ways_on(state: ExploreState | None) -> None:
    with st.container(horizontal=True, key="story_ways"):
        if state is not None:
            st.page_link(
                EXPLORE,
                label="Try it yourself in Explore",
                icon=":material/travel_explore:",
                query_params=to_query(state),
            )
        st.page_link(STUDY, label="Measure many pictures", icon=":material/analytics:")
        st.button(
            "Make a report",
            icon=":material/description:",
            key="story_report",
            on_click=page.choose,
            args=("mode", "report"),
        )
