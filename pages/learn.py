"""Learn: seven short lessons on the real engine, each ending in a question with an explained answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from camlab.lessons import LESSONS, Setting
from pages.parts import (
    learn_attack,
    learn_cam,
    learn_frame,
    learn_measure,
    learn_methods,
    learn_noise,
    learn_quiz,
    learn_sanity,
    learn_teacher,
    router,
)
from pages.parts import learn_link as link
from pages.parts.loading import standing_in
from pages.parts.text import plain
from pages.parts.trouble import told

#: What draws each lesson's own part, by the lesson's name. Runs are handed over as what their lesson begins.
DRAW: dict[str, Callable[[Setting, Any], None]] = {
    "cam": learn_cam.lab,
    "methods": learn_methods.lab,
    "noise": learn_noise.lab,
    "measure": learn_measure.lab,
    "attack": learn_attack.lab,
    "sanity": learn_sanity.lab,
    "quiz": learn_quiz.lab,
}


@told()
def main() -> None:
    """Take over the link, draw the lesson it names, write the link."""
    st.html('<h1 class="cl-page">What can a heat map tell you?</h1>')
    link.adopt()
    learn_frame.progress()
    lesson = LESSONS[link.state().lesson]
    learn_frame.shelf()
    for notice in link.notices():
        st.warning(plain(notice), icon=":material/info:")
    learn_frame.opening(lesson)
    link.write()
    with told(), standing_in("The engine is at work.", first=not learn_frame.is_there(lesson)) as clear:
        setting = learn_frame.setting(lesson)
        run = learn_frame.run_of(lesson, setting)
        clear()
        with st.container(key="learn_desk"):
            left, right = st.columns([7, 3], gap="large")
        with left:
            DRAW[lesson.name](setting, run)
        with right:
            learn_frame.ground(lesson)
        learn_frame.question(lesson, run)
        learn_teacher.view(lesson, setting, run)
    learn_frame.onwards(lesson)
    link.write()


router.enter()
main()
