"""Lesson 7 on the page: one question after the other, marked at once, and the result to share."""

from __future__ import annotations

import streamlit as st

from camlab.drawing.pictures import data_url
from camlab.lessons import LESSONS, Setting
from camlab.lessons.quiz import LETTERS, Item, Quiz
from camlab.lessons.settings import QUESTIONS
from pages.learn import frame, link, teacher
from pages.shared.text import plain


def lab(setting: Setting, run: Quiz) -> None:
    """The quiz as far as it is made and answered."""
    frame.measure(LESSONS["quiz"], run, "Make eight questions", lambda: _quiz(setting, run))


def _quiz(setting: Setting, run: Quiz) -> None:
    answers = link.state().answers
    place = len(answers)
    mark = run.mark(answers)
    hide = setting.state.hide
    if place and place <= len(run.items):
        item, given = run.items[place - 1], answers[-1]
        if hide:
            st.info(f"Answer {place} is kept.", icon=":material/lock:")
        elif given == item.right:
            st.success(f"**Right.** {plain(item.because)}", icon=":material/check_circle:")
        else:
            st.warning(f"**Not quite.** {plain(item.because)}", icon=":material/cancel:")
    if place >= QUESTIONS and run.complete:
        _result(setting, run)
    elif place < len(run.items):
        _ask(run.items[place], place)
    else:
        st.caption("The next question is on its way.")
    if place and not hide and place < QUESTIONS:
        st.caption(plain(mark.sentence))


def _ask(item: Item, place: int) -> None:
    st.markdown(f"**{place + 1} of {QUESTIONS}.** {plain(item.text)}")
    with st.container(key="learn_grid_quiz"):
        for column, pictures in zip(st.columns(3, gap="medium"), (item.clean, item.a, item.b), strict=True):
            with column:
                for title, picture in pictures:
                    st.image(
                        data_url(picture), caption=title, width="stretch", output_format="PNG",
                        alt=f"{title} of question {place + 1}",
                    )  # fmt: skip
    with st.container(key="learn_choose", horizontal=True):
        for letter in LETTERS:
            st.button(
                letter.upper(), key=f"learn.choose.{place}.{letter}", on_click=_choose, args=(place, letter), width=120,
                help=f"Map {letter.upper()}",
            )  # fmt: skip


def _choose(place: int, letter: str) -> None:
    answers = link.state().answers
    if len(answers) == place:  # a second click on the same question is not the next answer
        link.change(answers=answers + letter)


def _result(setting: Setting, run: Quiz) -> None:
    answers = link.state().answers
    if setting.state.hide:
        st.info("All answers are kept in the link; your teacher can mark them.", icon=":material/lock:")
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
        st.markdown(f"| | asked for | yours | right | |\n|---|---|---|---|---|\n{rows}")
    st.markdown("**Share the result**")
    st.code(teacher.result_address(), language=None, wrap_lines=True)
    st.caption(
        "The link holds the seed and your answers. Whoever opens it sees them marked anew, not a number typed in."
    )
    st.button("Other questions", icon=":material/casino:", on_click=_again)


def _again() -> None:
    state = link.state()
    link.change(seed=state.seed + 1, answers="", answer=None, run=False)
