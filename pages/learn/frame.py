"""What every lesson has around its own part: the shelf of lessons, its words, its run, its question, the way on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.lessons import LESSONS, Lesson, LessonRun, Setting, finish
from pages.explore.severity_handle import asset
from pages.learn import link
from pages.learn.settings import settings
from pages.shared import background_work, session
from pages.shared.text import plain

KIND = "lesson"
_DONE, _RESTORED = "learn.done", "learn.restored"

_keeper = st.components.v2.component("camlab_progress", js=asset("progress.js"))


# --- progress


def done() -> list[str]:
    """The lessons whose question was answered in this browser session."""
    found: list[str] = st.session_state.setdefault(_DONE, [])
    return found


def _finish_lesson(name: str) -> None:
    if name not in done():
        st.session_state[_DONE] = [*done(), name]


def _reset() -> None:
    st.session_state[_DONE] = []
    st.session_state["learn.states"] = {}
    st.session_state["learn.resets"] = st.session_state.get("learn.resets", 0) + 1
    link.change(answer=None, answers="", placed="", off=())


def progress() -> None:
    """Keep the progress in the browser's session, which outlives a reload of the page."""
    with st.container(key="learn_keeper"):
        held = _keeper(
            key="learn.keeper",
            data={"done": done(), "resets": st.session_state.get("learn.resets", 0)},
            on_kept_change=_restore,
        )
    _take(held)


def _restore() -> None:
    _take(session.reported("learn.keeper"))


def _take(held: Any) -> None:
    """Add what the browser remembers from before this page was loaded; once."""
    kept = held.get("kept") if isinstance(held, Mapping) else None
    if not isinstance(kept, str) or st.session_state.get(_RESTORED) == kept:
        return
    st.session_state[_RESTORED] = kept
    try:
        names = json.loads(kept)
    except ValueError:
        return
    for name in names if isinstance(names, list) else ():
        if name in LESSONS:
            _finish_lesson(name)


def shelf() -> None:
    """The seven lessons to choose from, with what is done, and the way to start over."""
    current = link.state().lesson
    titles = {
        name: f"{each.number} · {each.title}{' ✓' if name in done() else ''}"
        for name, each in LESSONS.items()
    }
    st.session_state["learn.shelf"] = current
    st.pills(
        "Lessons", list(titles), default=current, format_func=lambda name: titles[name], key="learn.shelf",
        on_change=_chosen, label_visibility="collapsed",
    )  # fmt: skip
    with st.container(key="learn_progress", horizontal=True, vertical_alignment="center"):
        count = len(done())
        st.progress(count / len(LESSONS), text=f"{count} of {len(LESSONS)} lessons done")
        st.button(
            "Start over",
            icon=":material/restart_alt:",
            on_click=_reset,
            disabled=not count,
            help="Forgets which lessons are done, and all answers.",
            type="tertiary",
        )


def _chosen() -> None:
    name = session.reported("learn.shelf")
    if name in LESSONS and name != link.state().lesson:
        link.go_to(name)


# --- the lesson


def opening(lesson: Lesson) -> None:
    """Title, what it is about, and what to do."""
    st.subheader(f"{lesson.number} · {lesson.title}", anchor=False)
    st.caption(f"{lesson.minutes} minutes")
    with st.container(key="learn_words"):
        st.markdown(plain(lesson.intro))
        st.markdown("\n".join(f"{i}. {plain(step)}" for i, step in enumerate(lesson.steps, 1)))
    settings(lesson, link.state())


def setting(lesson: Lesson) -> Setting:
    """Engine and picture of the current state. Raises CamLabError where they are not to be had."""
    state = link.state()
    return Setting(session.engine(state.model), session.picture(state.image), state)


def is_there(lesson: Lesson) -> bool:
    """Whether this lesson has been begun with these settings."""
    return background_work.latest(KIND, lesson.decides(link.state())) is not None


def run_of(lesson: Lesson, given: Setting) -> LessonRun:
    """The lesson's run for these settings: the one there is, or a new one with all that is quick done."""
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


def measure(lesson: Lesson, run: LessonRun, label: str, draw: Any) -> None:
    """The button that starts the lesson's measurement, its progress with Cancel, and what it has found so far."""
    if not run.started or run.job.cancelled or run.job.error:
        st.button(label, icon=":material/play_arrow:", type="primary", key="learn.start",
                  on_click=_start, args=(lesson,))  # fmt: skip
    if run.started:
        background_work.watch(KIND, run, lesson.counts, draw)


def _start(lesson: Lesson) -> None:
    """Callback: measure, anew where the last try was cancelled or failed."""
    link.change(run=True)
    state = link.state()
    key = lesson.decides(state)
    run: LessonRun | None = background_work.latest(KIND, key)
    if run is None or run.started:
        try:
            with session.worker().foreground():
                run = lesson.begin(setting(lesson))
        except CamLabError as error:
            link.say([str(error)])
            return
        background_work.hold(KIND, key, run)
    _submit(run)


def ground(lesson: Lesson) -> None:
    """The formulas with their words, and where all this comes from."""
    with st.container(key="learn_ground", border=True):
        for formula in lesson.formulas:
            for line in formula.latex.split("\\qquad"):
                st.latex(line)
            st.caption(plain(formula.words))
        sources = "\n".join(f"- [{plain(s.who)}, *{plain(s.title)}*]({s.address})" for s in lesson.sources)
        st.caption(f"Sources\n{sources}")


def question(lesson: Lesson, run: LessonRun) -> None:
    """The question, once everything is measured; the answer with its reason unless the teacher keeps it back."""
    st.subheader("Question", anchor=False)
    if not run.complete:
        under_way = run.started and run.job.running
        st.info(
            "The question is about what you measure: "
            + ("it appears here when all is measured." if under_way else
               "start the measurement above, and it appears here."),
            icon=":material/hourglass_empty:",
        )  # fmt: skip
        return
    asked, state = run.sheet().question, link.state()
    answer = state.answer if state.answer is not None and state.answer < len(asked.options) else None
    st.session_state["learn.option"] = answer
    st.radio(
        asked.text,
        range(len(asked.options)),
        index=answer,
        format_func=lambda i: asked.options[i],
        key="learn.option",
        on_change=_answered,
        args=(lesson.name,),
    )
    if answer is None:
        return
    if state.hide:
        st.info("Your choice is kept in the link. Your teacher has the answer.", icon=":material/lock:")
    elif answer == asked.right:
        st.success(f"**Right.** {plain(asked.because)}", icon=":material/check_circle:")
    else:
        right = plain(asked.options[asked.right])
        st.warning(f"**Not quite:** {right}. {plain(asked.because)}", icon=":material/cancel:")


def _answered(name: str) -> None:
    chosen = session.reported("learn.option")
    if chosen is not None:
        link.change(answer=int(chosen))
        _finish_lesson(name)


def onwards(lesson: Lesson) -> None:
    """To the lesson before and the one after."""
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
                    on_click=link.go_to, args=(names[other],), width="stretch",
                )  # fmt: skip
