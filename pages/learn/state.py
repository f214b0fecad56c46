"""The state of the Learn page in the session and in its link: the lesson, its settings, the learner's answers."""

import dataclasses
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.state import ExploreState
from camlab.lessons import LESSONS, LessonState, parse_link, to_link
from camlab.lessons.settings import COMMON
from camlab.models import load_classifier
from pages.shared import image_sets
from pages.shared.page_state import PageState

FIRST = next(iter(LESSONS))
#: Fields without a widget, which the learner sets by pressing, sorting or answering.
_SET = ("lesson", "off", "placed", "answers", "answer", "run", "hide", "fixed")
_WIDGETS = tuple(f.name for f in dataclasses.fields(LessonState) if f.name not in _SET)


def base(lesson: str) -> LessonState:
    """Return the state in which a lesson starts."""
    return dataclasses.replace(LessonState(lesson=lesson), **LESSONS[lesson].defaults)


class LearnPage(PageState):
    """The state of the current lesson; the session keeps one for every lesson that was opened."""

    def state(self) -> LessonState:
        """Return the current state with the widgets' current values."""
        known: LessonState = st.session_state.setdefault("learn.state", base(FIRST))
        held = {name: value for name in _WIDGETS if (value := st.session_state.get(self.key(name))) is not None}
        found = dataclasses.replace(known, **held)
        if found != known:
            found = st.session_state["learn.state"] = _settled(known, found)
        return found

    def show(self, new: LessonState) -> None:
        """Make a state current and set every widget to it; only in a callback or before the widgets are drawn."""
        st.session_state["learn.state"] = new
        for name in _WIDGETS:
            self.put(name, getattr(new, name))

    def change(self, **changes: Any) -> None:
        """Set choices from a callback."""
        self.show(dataclasses.replace(self.state(), **changes))
        st.session_state["rerun"] = True

    def go_to(self, lesson: str) -> None:
        """Open a lesson as it was left, with the current picture and model. For callbacks."""
        now = self.state()
        kept: dict[str, LessonState] = st.session_state.setdefault("learn.states", {})
        kept[now.lesson] = now
        then = kept.get(lesson, base(lesson))
        shared = {name: getattr(now, name) for name in ("model", "image", "hide", "fixed")}
        self.show(_settled(then, dataclasses.replace(then, **shared)))

    def take(self, link: dict[str, str]) -> list[str]:
        """Set the lesson from a link; return one sentence for each unusable part."""
        problems: list[str] = []
        lesson = link.get("lesson", FIRST)
        if lesson not in LESSONS:
            problems.append(f"There is no lesson called {lesson[:40]!r}; this is the first one.")
            lesson = FIRST
        found, more = parse_link(link, base(lesson))
        found, lost = _reachable(found)
        self.show(found)
        return [*problems, *more, *lost]

    def restore(self, returned: bool) -> None:
        """Set every widget to the current state, also those that this lesson does not draw."""
        self.show(self.state())

    def link(self) -> dict[str, str]:
        """Return the parameters of the link to the current state."""
        return link_of(self.state())


def _settled(before: LessonState, after: LessonState) -> LessonState:
    """Clear answers and measurements if the settings behind them have changed."""
    lesson = LESSONS[after.lesson]
    if lesson.decides(before) != lesson.decides(after):
        cleared: dict[str, Any] = {"answer": None, "run": False, "placed": "", "answers": "", "off": ()}
        return dataclasses.replace(after, **cleared)
    return after


def _reachable(found: LessonState) -> tuple[LessonState, list[str]]:
    """Replace a model, picture or noise type that this session does not have; return a sentence for each."""
    start, problems = LessonState(), []
    try:
        load_classifier(found.model)
    except CamLabError as error:
        problems.append(f"{error} Until then the lesson uses its own model and picture.")
        found = dataclasses.replace(found, model=start.model, image=start.image)
    have, more = image_sets.reachable(ExploreState(image=found.image, noise=found.noise), start.image)
    return dataclasses.replace(found, image=have.image, noise=have.noise), [*problems, *more]


def link_of(current: LessonState) -> dict[str, str]:
    """Return the parameters of the link to a state."""
    lesson = LESSONS[current.lesson]
    names = dict.fromkeys((*COMMON, *lesson.settings, *lesson.moves))
    return to_link(current, base(current.lesson), tuple(names))


page = LearnPage("learn")
