"""Learn: seven short lessons on the real engine, each ending in a question with an explained answer."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from camlab.lessons import LESSONS, Setting
from pages.choose import model_download
from pages.learn import cam, frame, measure, methods, quiz, stress, teacher
from pages.learn.settings import change_model
from pages.learn.state import page
from pages.shared.feedback import notices, standing_in, told

#: The function that draws each lesson's own part, by name; it takes the lesson's own type of run.
DRAW: dict[str, Callable[[Setting, Any], None]] = {
    "cam": cam.lab,
    "methods": methods.lab,
    "noise": stress.noise_lab,
    "measure": measure.lab,
    "attack": stress.attack_lab,
    "sanity": stress.sanity_lab,
    "quiz": quiz.lab,
}


@told()
def main() -> None:
    """Take over the link, draw the lesson it names, write the link."""
    st.html('<h1 class="cl-page">What can a heat map tell you?</h1>')
    page.adopt()
    if (arrived := model_download.arrive()) is not None:
        change_model(arrived)
    frame.progress()
    lesson = LESSONS[page.state().lesson]
    frame.shelf()
    notices(page.notices())
    frame.opening(lesson)
    model_download.offer()
    page.write()
    with told(), standing_in("Computing the lesson …", first=not frame.is_there(lesson)) as clear:
        setting = frame.setting(lesson)
        run = frame.run_of(lesson, setting)
        clear()
        with st.container(key="learn_desk"):
            left, right = st.columns([7, 3], gap="large")
        with left:
            DRAW[lesson.name](setting, run)
        with right:
            frame.ground(lesson)
        frame.question(lesson, run)
        teacher.view(lesson, setting, run)
    frame.onwards(lesson)
    page.write()


main()
