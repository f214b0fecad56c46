"""The teacher's view: goals, a link for the class, and the one-page handout."""

import dataclasses
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from camlab.lessons import Lesson, LessonRun, Setting, finish
from camlab.lessons.handout import handout
from pages.learn.state import link_of, page
from pages.shared import session
from pages.shared.text import plain


def view(lesson: Lesson, setting: Setting, run: LessonRun) -> None:
    """Draw goals, link and handout, unless the page was opened by a teacher's link."""
    state = page.state()
    if state.fixed or state.hide:
        return
    with st.expander("Teacher's view", icon=":material/school:", key="teachers_view"):
        st.markdown("**Afterwards, learners can**\n\n" + "\n".join(f"- {plain(g)}" for g in lesson.goals))
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**A link for your class**")
            fixed = st.checkbox("Fix this picture and these settings", True, key="learn.teacher.fixed")
            hide = st.checkbox("Hide the answers", key="learn.teacher.hide")
            st.code(address(setting, fixed=fixed, hide=hide), language=None, wrap_lines=True)
            st.caption("Learners can still switch, drag and answer. The link sets the page up; it is not a lock.")
        with right:
            st.markdown("**A handout: one A4 page**")
            answers = st.checkbox("With measurements and the answer", True, key="learn.teacher.answers")
            st.download_button(
                "Handout (HTML, prints on one page)",
                lambda: sheet(lesson, setting, run, answers),
                f"camlab_lesson_{lesson.number}_{lesson.name}.html",
                "text/html",
                icon=":material/print:",
                on_click="ignore",
            )
            wait = "" if run.complete else " CAM Lab measures first, which can take a minute."
            st.caption(f"Open the file and print it, or save it as PDF from the print dialog.{wait}")


def address(setting: Setting, **changes: bool) -> str:
    """Return the link to this lesson with its picture and settings, without any answers."""
    bare: dict[str, Any] = {"answer": None, "answers": "", "placed": "", "off": (), "run": False}
    state = dataclasses.replace(setting.state, **{**bare, **changes})
    return _whole(link_of(state))


def result_address() -> str:
    """Return the link to this page with all answers."""
    return _whole(link_of(page.state()))


def _whole(parameters: dict[str, str]) -> str:
    url = str(st.context.url or "").split("?")[0] or "/learn"
    return f"{url}?{urlencode(parameters, safe='/,')}"


def sheet(lesson: Lesson, setting: Setting, run: LessonRun, answers: bool) -> bytes:
    """Return the handout's file, after completing the measurement independently of the job on the page."""
    if not run.complete:
        with session.worker().foreground():
            run = finish(lesson.begin(setting))
    return handout(lesson, setting, run.sheet(), address(setting, fixed=True, hide=not answers), answers).encode()
