"""The frame around a lesson: the list of lessons, texts, settings, run, question, and links to its neighbours."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.drawing.pictures import Bytes, data_url
from camlab.lessons import LESSONS, Lesson, LessonRun, Setting, finish
from pages.learn.settings import settings
from pages.learn.state import page
from pages.shared import background_work, image_sets, session
from pages.shared.component import Component
from pages.shared.text import plain

KIND = "lesson"
_DONE = "learn.done"

_keeper = Component("progress")


# --- progress


def done() -> list[str]:
    """Return the lessons whose question was answered in this browser session."""
    found: list[str] = st.session_state.setdefault(_DONE, [])
    return found


def _finish_lesson(name: str) -> None:
    if name not in done():
        st.session_state[_DONE] = [*done(), name]


def _reset() -> None:
    st.session_state[_DONE] = []
    st.session_state["learn.states"] = {}
    st.session_state["learn.resets"] = st.session_state.get("learn.resets", 0) + 1
    page.change(answer=None, answers="", placed="", off=())


def progress() -> None:
    """Store the progress in the browser's session, which outlives a reload of the page."""
    with st.container(key="learn_keeper"):
        data = {"done": done(), "resets": st.session_state.get("learn.resets", 0)}
        _keeper.draw("learn.keeper", data, kept=_restore)


def _restore(names: Any) -> bool:
    """Add the lessons that the browser remembers from before this page was loaded; return whether some are new."""
    before = done()
    for name in names if isinstance(names, list | tuple) else ():
        if isinstance(name, str) and name in LESSONS:
            _finish_lesson(name)
    return done() != before


def shelf() -> None:
    """Draw the choice of lessons, the progress, and the button that resets it."""
    current = page.state().lesson
    titles = {name: f"{each.number} · {each.title}{' ✓' if name in done() else ''}" for name, each in LESSONS.items()}
    page.put("shelf", current)
    st.pills(
        "Lessons", list(titles), default=current, format_func=lambda name: titles[name], key=page.key("shelf"),
        on_change=page.when("shelf", _chosen), label_visibility="collapsed",
    )  # fmt: skip
    with st.container(key="learn_progress", horizontal=True, vertical_alignment="center"):
        count = len(done())
        st.progress(count / len(LESSONS), text=f"{count} of {len(LESSONS)} lessons done")
        st.button(
            "Start over",
            icon=":material/restart_alt:",
            on_click=_reset,
            disabled=not count,
            help="Clear the progress and all answers.",
            type="tertiary",
        )


def _chosen() -> None:
    name = session.reported(page.key("shelf"))
    if name in LESSONS and name != page.state().lesson:
        page.go_to(name)


# --- the lesson


def opening(lesson: Lesson) -> None:
    """Draw the lesson's title, introduction, steps and settings."""
    st.subheader(f"{lesson.number} · {lesson.title}", anchor=False)
    st.caption(f"{lesson.minutes} minutes")
    with st.container(key="learn_words"):
        st.markdown(plain(lesson.intro))
        st.markdown("\n".join(f"{i}. {plain(step)}" for i, step in enumerate(lesson.steps, 1)))
    settings(lesson, page.state())


def setting(lesson: Lesson) -> Setting:
    """Load the engine and the picture of the current state. Raises CamLabError if one is unavailable."""
    state = page.state()
    return Setting(session.engine(state.model), image_sets.picture(state.image), state)


def is_there(lesson: Lesson) -> bool:
    """Return whether this lesson has begun with these settings."""
    return background_work.latest(KIND, lesson.decides(page.state())) is not None


def run_of(lesson: Lesson, given: Setting) -> LessonRun:
    """Return the lesson's run for these settings; a new run has its quick part done."""
    key = lesson.decides(given.state)
    run: LessonRun | None = background_work.latest(KIND, key)
    if run is None:
        with session.worker().foreground():
            run = lesson.begin(given)
            if not lesson.counts:
                finish(run)
        background_work.hold(KIND, key, run)
        if given.state.run and lesson.counts:
            _submit(run)
    run.setting = given
    return run


def _submit(run: LessonRun) -> None:
    run.started = True
    run.job.touch()
    session.worker().submit(run.job)


def image(picture: Bytes, alt: str, caption: str | None = None) -> None:
    """Draw a picture (H, W, 3) as wide as its column."""
    st.image(data_url(picture), caption=caption, width="stretch", output_format="PNG", alt=alt)


def measure(lesson: Lesson, run: LessonRun, label: str, draw: Callable[[], None]) -> None:
    """Draw the button that starts the measurement, its progress with Cancel, and the results so far."""
    running = run.started and run.job.running
    if not run.started or run.job.cancelled or run.job.error:
        st.button(label, icon=":material/play_arrow:", type="primary", key="learn.start",
                  on_click=_start, args=(lesson,))  # fmt: skip
    if run.started:
        background_work.watch(KIND, run, running, lesson.counts, draw)


def _start(lesson: Lesson) -> None:
    """Start the measurement, or restart it after a failure or Cancel. Only in a callback."""
    page.change(run=True)
    state = page.state()
    key = lesson.decides(state)
    run: LessonRun | None = background_work.latest(KIND, key)
    if run is None or run.started:
        try:
            with session.worker().foreground():
                run = lesson.begin(setting(lesson))
        except CamLabError as error:
            page.say([str(error)])
            return
        background_work.hold(KIND, key, run)
    _submit(run)


def ground(lesson: Lesson) -> None:
    """Draw the formulas with their explanations, and the sources."""
    with st.container(key="learn_ground", border=True):
        for formula in lesson.formulas:
            for line in formula.latex.split("\\qquad"):
                st.latex(line)
            st.caption(plain(formula.words))
        sources = "\n".join(f"- [{plain(s.who)}, *{plain(s.title)}*]({s.address})" for s in lesson.sources)
        st.caption(f"Sources\n{sources}")


def question(lesson: Lesson, run: LessonRun) -> None:
    """Draw the question once the run is complete; explain the answer unless the teacher hides it."""
    st.subheader("Question", anchor=False)
    if not run.complete:
        st.info(
            "The question appears here when the measurement is done."
            if run.started and run.job.running
            else "The question is about your measurement: start the measurement above to see it.",
            icon=":material/hourglass_empty:",
        )
        return
    asked, state = run.sheet().question, page.state()
    answer = state.answer if state.answer is not None and state.answer < len(asked.options) else None
    page.put("option", answer)
    st.radio(
        asked.text,
        range(len(asked.options)),
        index=answer,
        format_func=lambda i: asked.options[i],
        key=page.key("option"),
        on_change=page.when("option", partial(_answered, lesson.name)),
    )
    if answer is None:
        return
    if state.hide:
        st.info("The link keeps your choice. Your teacher has the answer.", icon=":material/lock:")
    elif answer == asked.right:
        st.success(f"**Right.** {plain(asked.because)}", icon=":material/check_circle:")
    else:
        right = plain(asked.options[asked.right])
        st.warning(f"**Not quite:** {right}. {plain(asked.because)}", icon=":material/cancel:")


def _answered(name: str) -> None:
    chosen = session.reported(page.key("option"))
    if chosen is not None:
        page.change(answer=int(chosen))
        _finish_lesson(name)


def onwards(lesson: Lesson) -> None:
    """Draw the buttons to the lesson before and the lesson after."""
    names = list(LESSONS)
    place = names.index(lesson.name)
    left, right = st.columns(2)
    for column, other, icon in (
        (left, place - 1, ":material/arrow_back:"),
        (right, place + 1, ":material/arrow_forward:"),
    ):
        if 0 <= other < len(names):
            with column:
                st.button(
                    f"{other + 1} · {LESSONS[names[other]].title}", icon=icon, key=f"learn.to.{other}",
                    on_click=page.go_to, args=(names[other],), width="stretch",
                )  # fmt: skip
