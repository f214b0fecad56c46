"""What the Learn page shows, in the session and in its link: the lesson, its settings, what the learner did."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.state import ExploreState
from camlab.lessons import LESSONS, LessonState, parse_link, to_link
from camlab.lessons.settings import COMMON
from camlab.models import load_classifier
from pages.shared import address, image_sets

PREFIX = "learn."
FIRST = next(iter(LESSONS))
_FIELDS = tuple(f.name for f in dataclasses.fields(LessonState))
#: Choices without a widget of their own name: set by what is pressed, sorted or answered.
_SET = ("lesson", "off", "placed", "answers", "answer", "run", "hide", "fixed")


def key(name: str) -> str:
    """Session key of a choice's widget."""
    return PREFIX + name


def base(lesson: str) -> LessonState:
    """How a lesson starts."""
    return dataclasses.replace(LessonState(lesson=lesson), **LESSONS[lesson].defaults)


def state() -> LessonState:
    """The current state, with what the widgets hold now."""
    known: LessonState = st.session_state.setdefault("learn.state", base(FIRST))
    held = {
        name: value
        for name in _FIELDS
        if name not in _SET and (value := st.session_state.get(key(name))) is not None
    }
    found = dataclasses.replace(known, **held)
    if found != known:
        st.session_state["learn.state"] = _settled(known, found)
    current: LessonState = st.session_state["learn.state"]
    return current


def _settled(before: LessonState, after: LessonState) -> LessonState:
    """After other settings the old answer and the old measurement no longer hold."""
    lesson = LESSONS[after.lesson]
    if lesson.decides(before) != lesson.decides(after):
        cleared: dict[str, Any] = {"answer": None, "run": False, "placed": "", "answers": "", "off": ()}
        return dataclasses.replace(after, **cleared)
    return after


def put(new: LessonState) -> None:
    """Make a state current and set every widget to it. Only before these are drawn, or in a callback."""
    st.session_state["learn.state"] = new
    for name in _FIELDS:
        if name not in _SET:
            st.session_state[key(name)] = getattr(new, name)


def change(**changes: Any) -> None:
    """Set choices from a callback."""
    put(dataclasses.replace(state(), **changes))
    st.session_state["rerun"] = True


def go_to(lesson: str) -> None:
    """Callback: open a lesson as it was left, with the picture and the model of now."""
    now = state()
    kept: dict[str, LessonState] = st.session_state.setdefault("learn.states", {})
    kept[now.lesson] = now
    then = kept.get(lesson, base(lesson))
    shared = {name: getattr(now, name) for name in ("model", "image", "hide", "fixed")}
    put(_settled(then, dataclasses.replace(then, **shared)))


def adopt() -> None:
    """Take over what the address bar asks for, where it is not what this page wrote there."""
    st.session_state.pop("rerun", None)
    link = address.here()
    written: dict[str, str] | None = st.session_state.get("learn.link")
    if link == written:
        _restore()
        return
    if not link and written:  # back from another page
        _restore()
        return
    problems: list[str] = []
    lesson = link.get("lesson", FIRST)
    if lesson not in LESSONS:
        problems.append(f"There is no lesson called {lesson[:40]!r}; this is the first one.")
        lesson = FIRST
    found, more = parse_link(link, base(lesson))
    found, lost = _reachable(found)
    put(found)
    say([*problems, *more, *lost])
    st.session_state["learn.link"] = link


def _restore() -> None:
    """Fill the widgets that Streamlit forgot while another page was open."""
    known: LessonState = st.session_state.setdefault("learn.state", base(FIRST))
    for name in _FIELDS:
        if name not in _SET and st.session_state.get(key(name)) is None:
            st.session_state[key(name)] = getattr(known, name)
        elif name not in _SET:  # kept although its widget is not drawn in every lesson
            st.session_state[key(name)] = st.session_state[key(name)]


def _reachable(found: LessonState) -> tuple[LessonState, list[str]]:
    """The state with what is not at hand replaced, and a sentence for each."""
    start, problems = LessonState(), []
    try:
        load_classifier(found.model)
    except CamLabError as error:
        problems.append(f"{error} Until then the lesson uses its own model and picture.")
        found = dataclasses.replace(found, model=start.model, image=start.image)
    have, more = image_sets.reachable(ExploreState(image=found.image, noise=found.noise), start.image)
    return dataclasses.replace(found, image=have.image, noise=have.noise), [*problems, *more]


def names(lesson: str) -> tuple[str, ...]:
    """The choices that are in the link of a lesson."""
    return (*COMMON, *LESSONS[lesson].settings, *LESSONS[lesson].moves)


def link_of(current: LessonState) -> dict[str, str]:
    """The parameters of the link to a state."""
    return to_link(current, base(current.lesson), tuple(dict.fromkeys(names(current.lesson))))


def write() -> None:
    """Put what is shown into the address bar."""
    link = link_of(state())
    address.put("learn", link)


def say(problems: Sequence[str]) -> None:
    """Keep sentences for the page to show."""
    if problems:
        st.session_state["learn.notices"] = list(dict.fromkeys(problems))


def notices() -> list[str]:
    """The sentences to be shown, once."""
    found: list[str] = st.session_state.pop("learn.notices", [])
    return found
