"""The Learn page without a browser: every lesson, its question, links, the teacher's view, and what goes wrong."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from camlab.common.errors import BadSetting
from camlab.lessons import LESSONS
from camlab.lessons.quiz import Quiz
from camlab.lessons.settings import QUESTIONS
from pages.learn.state import page
from pages.shared.navigation import LEARN
from tests.pages.conftest import alerts, open_at, said, wait_for

LIGHT = {"model": "shapes_vgg", "image": "shapes/0-0"}


def open_learn(**parameters: str) -> AppTest:
    return open_at(LEARN, {**LIGHT, **parameters})


def asked(at: AppTest) -> AppTest:
    return wait_for(at, lambda page: bool(page.radio))


def test_it_opens_with_the_first_lesson_and_a_question_that_is_explained() -> None:
    at = open_learn()
    assert at.query_params["lesson"] == "cam" or at.query_params["lesson"] == ["cam"]
    assert len(at.radio) == 1 and at.radio[0].value is None
    run = at.session_state["work.lesson"][LESSONS["cam"].decides(at.session_state["learn.state"])]
    right = run.sheet().question.right
    at.radio[0].set_value((right + 1) % 4).run()
    assert "Not quite" in alerts(at)
    at.radio[0].set_value(right).run()
    assert at.success and "Right." in at.success[0].value
    assert at.session_state["learn.done"] == ["cam"]
    next(b for b in at.button if b.label == "Start over").click().run()
    assert at.session_state["learn.done"] == [] and at.radio[0].value is None


def test_switching_channels_changes_map_and_link_and_a_link_restores_them() -> None:
    at = open_learn()
    before = at.markdown
    all_on = next(m.value for m in before if m.value.startswith("Correlation"))
    next(b for b in at.checkbox if b.key == "learn.channel.12").uncheck().run()
    some = next(m.value for m in at.markdown if m.value.startswith("Correlation"))
    assert "1.00" in all_on and some != all_on
    assert "12" in str(at.query_params["off"])
    again = open_learn(off="12")
    assert some in [m.value for m in again.markdown]
    assert not next(b for b in again.checkbox if b.key == "learn.channel.12").value
    empty = open_learn(off=",".join(map(str, range(13))))
    assert "No positive value is left" in alerts(empty)


@pytest.mark.parametrize("lesson", ["methods", "noise", "measure", "sanity"])
def test_a_started_lesson_is_restored_by_its_link_and_asks(lesson: str) -> None:
    at = asked(open_learn(lesson=lesson, run="1"))
    assert not at.error
    at.radio[0].set_value(0).run()
    assert at.success or "Not quite" in alerts(at)
    assert str(at.query_params["answer"]).strip("[]'") == "0"


def test_a_measurement_waits_for_its_button_and_can_be_cancelled() -> None:
    at = open_learn(lesson="attack", steps="200")
    assert not at.radio and "start the measurement" in said(at)
    next(b for b in at.button if b.label == "Start the attack").click().run()
    next(b for b in at.button if b.label == "Cancel").click().run()
    wait_for(at, lambda page: "Cancelled after" in said(page))
    assert [b for b in at.button if b.label == "Start the attack"]


def test_the_attack_runs_live_and_asks() -> None:
    at = asked(open_learn(lesson="attack", steps="5", run="1"))
    assert "Prediction kept" in said(at) and len(at.image) == 6


def test_the_quiz_is_marked_and_its_result_link_is_marked_anew() -> None:
    at = wait_for(open_learn(lesson="quiz", run="1"), lambda page: bool(page.radio))
    run = next(iter(at.session_state["work.lesson"].values()))
    assert isinstance(run, Quiz)
    for item in run.items:
        letter = item.right.upper()
        next(b for b in at.button if b.label == letter).click().run()
        assert "Right." in at.success[0].value
    assert at.metric[0].value == f"{QUESTIONS} of {QUESTIONS}"
    shared = at.code[0].value
    answers = re.search(r"answers=([ab]+)", shared)
    assert answers and answers[1] == "".join(item.right for item in run.items)
    wrong = answers[1].translate(str.maketrans("ab", "ba"))
    other = wait_for(open_learn(lesson="quiz", run="1", answers=wrong), lambda page: bool(page.metric))
    assert other.metric[0].value == f"0 of {QUESTIONS}"


def test_sorted_pairs_come_back_from_the_link() -> None:
    at = open_learn(lesson="measure", placed="k" * 12)
    page = "\n".join(element.value for element in at.html)
    assert "Responsiveness not observed" in page.replace("aria-label=", "")
    next(b for b in at.button if b.label == "Reset to measured").click().run()
    assert "placed" not in at.query_params


def test_a_teachers_link_fixes_settings_and_hides_answers() -> None:
    at = open_learn()
    assert at.selectbox and at.expander
    address = at.code[0].value
    assert "fixed=1" in address and "hide" not in address and "answer" not in address
    next(b for b in at.checkbox if b.key == "learn.teacher.hide").check().run()
    assert "hide=1" in at.code[0].value
    pupil = open_learn(fixed="1", hide="1")
    assert not pupil.selectbox and not pupil.expander and "Set by your teacher" in said(pupil)
    pupil.radio[0].set_value(1).run()
    assert not pupil.success and "Not quite" not in alerts(pupil) and "Your teacher has the answer" in said(pupil)


def test_a_link_that_is_wrong_is_told_and_shows_a_lesson_all_the_same() -> None:
    at = open_learn(lesson="nonsense", p="7", image="photos/nobody")
    told = alerts(at)
    assert "no lesson called" in told and "link's p" in told and "link's image" in told
    assert at.session_state["learn.state"].lesson == "cam"


def test_another_model_brings_a_picture_that_it_knows() -> None:
    at = open_learn()
    at.selectbox(key=page.key("image")).set_value("shapes/0-3").run()
    at.radio[0].set_value(0).run()
    at.selectbox(key=page.key("model")).set_value("shapes_resnet").run()
    assert at.session_state["learn.state"].image == "shapes/0-3"
    assert at.radio[0].value is None  # the answer was about another measurement


def test_what_cannot_be_computed_is_a_sentence_and_the_way_on_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise BadSetting("This cannot be done; choose another picture.")

    monkeypatch.setattr("pages.learn.frame.setting", refuse)
    at = open_learn(lesson="methods", image="shapes/0-5")
    assert "choose another picture" in alerts(at)
    assert [b for b in at.button if b.label.startswith("3 ·")]
