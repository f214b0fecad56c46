"""Lesson 7 on the page: one question at a time, explained at once, and a result to share."""

import streamlit as st

from camlab.lessons import LESSONS, Setting
from camlab.lessons.quiz import LETTERS, Quiz, QuizQuestion
from camlab.lessons.settings import QUESTIONS
from pages.learn import frame, teacher
from pages.learn.state import page
from pages.shared.text import plain


def lab(setting: Setting, run: Quiz) -> None:
    """Draw the quiz as far as it has been made and answered."""
    frame.measure(LESSONS["quiz"], run, "Make eight questions", lambda: _quiz(setting, run))


def _quiz(setting: Setting, run: Quiz) -> None:
    answers = page.state().answers
    place = len(answers)
    mark = run.mark(answers)
    hide = setting.state.hide
    if place and place <= len(run.items):
        item, given = run.items[place - 1], answers[-1]
        if hide:
            st.info(f"Answer {place} is saved.", icon=":material/lock:")
        elif given == item.right:
            st.success(f"**Right.** {plain(item.because)}", icon=":material/check_circle:")
        else:
            st.warning(f"**Not quite.** {plain(item.because)}", icon=":material/cancel:")
    if place >= QUESTIONS and run.complete:
        _result(setting, run)
    elif place < len(run.items):
        _ask(run.items[place], place)
    else:
        st.caption("Preparing the next question …")
    if place and not hide and place < QUESTIONS:
        st.caption(plain(mark.sentence))


def _ask(item: QuizQuestion, place: int) -> None:
    st.markdown(f"**{place + 1} of {QUESTIONS}.** {plain(item.text)}")
    with st.container(key="learn_grid_quiz"):
        shown = (item.clean, item.a, item.b)
        for column, (title, picture) in zip(st.columns(3, gap="medium"), shown, strict=True):
            with column:
                frame.image(picture, f"{title} of question {place + 1}", title)
    with st.container(key="learn_choose", horizontal=True):
        for letter in LETTERS:
            st.button(
                letter.upper(), key=f"learn.choose.{letter}", on_click=_choose, args=(place, letter), width=120,
                help=f"Map {letter.upper()}",
            )  # fmt: skip


def _choose(place: int, letter: str) -> None:
    answers = page.state().answers
    if len(answers) == place:  # ignore a second click on the same question
        page.change(answers=answers + letter)


def _result(setting: Setting, run: Quiz) -> None:
    answers = page.state().answers
    if setting.state.hide:
        st.info("The link keeps all answers; your teacher can score them.", icon=":material/lock:")
    else:
        mark = run.mark(answers)
        left, right = st.columns([1, 3], vertical_alignment="center")
        left.metric("Your score", f"{mark.right} of {mark.answered}")
        right.markdown(plain(mark.sentence))
        rows = "\n".join(
            f"| {i} | {'noisy map' if item.kind == 'noisy' else 'flip'} | {given.upper()} | {item.right.upper()} | "
            f"{'✓ right' if given == item.right else '✗ wrong'} |"
            for i, (given, item) in enumerate(zip(answers, run.items, strict=False), 1)
        )
        st.markdown(f"| | question | your answer | right answer | |\n|---|---|---|---|---|\n{rows}")
    st.markdown("**Share the result**")
    st.code(teacher.result_address(), language=None, wrap_lines=True)
    st.caption(
        "The link holds the seed and your answers. CAM Lab scores the answers again whenever the link is opened."
    )
    st.button("Other questions", icon=":material/casino:", on_click=_again)


def _again() -> None:
    state = page.state()
    page.change(seed=state.seed + 1, answers="", answer=None, run=False)
