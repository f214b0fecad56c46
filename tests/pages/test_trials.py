"""The map put to the test on the page: outline, faithfulness, averaging and the attack, failures among them."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from camlab.common.errors import BadImage
from camlab.explore.attack.search import ExplanationAttack
from camlab.explore.trials.averaging import COPIES, Remedy
from camlab.explore.trials.faithfulness import FaithfulnessRun
from camlab.images import IMAGE_SETS
from tests.pages.conftest import PATIENCE, alerts, downloads, open_app, said, wait_for, widget_key

LABELS = ["Object", "Faithfulness", "Averaging", "Attack"]


def open_light(**link: str) -> AppTest:
    """The page with a small network on a scene of its own: every method takes milliseconds."""
    return open_app(model="shapes_vgg", image="shapes/0-0", draws="1", **link)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def works(at: AppTest, kind: str) -> list[object]:
    return list(at.session_state[f"work.{kind}"].values())


def finished(at: AppTest, kind: str) -> object:
    """Wait for the last run of a kind, not by drawing the page, which holds work back; then draw it."""
    job = works(at, kind)[-1].job  # type: ignore[attr-defined]
    deadline = time.monotonic() + PATIENCE
    while job.running:
        assert time.monotonic() < deadline, "the work did not end in time"
        time.sleep(0.05)
    at.run()
    assert not at.exception and job.error is None and not job.cancelled
    return works(at, kind)[-1]


def table(at: AppTest, column: str) -> list[list[str]]:
    """The rows of the table of both maps that has a column of this name."""
    frame = next(t.value for t in at.table if {"Clean", column} <= set(t.value.columns))
    return [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.values, strict=True)]


def test_the_first_view_has_all_four_tests_and_has_started_none() -> None:
    at = open_light()
    assert [tab.label for tab in at.tabs] == LABELS
    assert not any(works(at, kind) for kind in ("faithfulness", "remedy", "attack"))
    assert alerts(at) == ""


def test_localisation_stands_beside_chance_and_the_outline_reaches_state_link_and_panels() -> None:
    at = open_app(draws="1", severity="3")
    rows = table(at, "By chance")
    assert [row[0] for row in rows] == ["Pointing game", "Energy inside", "Best IoU"]
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[1:4])
    before = at.image[0].proto.imgs[0].url
    at.toggle(key=widget_key(at, "outline")).set_value(True).run()
    assert not at.exception
    assert at.session_state["state"].outline and at.query_params["outline"] == "1"
    assert at.image[0].proto.imgs[0].url != before
    again = open_app(draws="1", outline="1")
    assert again.session_state["state"].outline and again.toggle(key=widget_key(again, "outline")).value


def test_a_picture_without_an_outline_says_so_and_offers_no_toggle() -> None:
    at = open_app(draws="1", image="places/taj_mahal")
    assert "comes without an outline of the object" in said(at)
    assert "explore.outline" not in [toggle.key for toggle in at.toggle]
    assert not [t for t in at.table if "By chance" in t.value.columns]


def test_an_outline_that_cannot_be_read_is_one_sentence_and_the_rest_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise BadImage("The outline of this picture is damaged; choose another picture.")

    with monkeypatch.context() as patch:
        patch.setattr("camlab.explore.trials.localisation.model_mask", broken)
        at = open_app(draws="1", outline="1")
        assert not at.exception
        assert "outline of this picture is damaged" in alerts(at)
        assert len(at.image) == 3 and "Find cases" in [each.value for each in at.subheader]


def test_faithfulness_is_measured_on_demand_and_kept_for_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "camlab.explore.trials.faithfulness.PERCENTILES", (90,)
    )  # filling in nine times takes half a minute
    at = press(open_light(severity="2"), "faithfulness.start")
    run = finished(at, "faithfulness")
    assert isinstance(run, FaithfulnessRun)
    found = run.found
    rows = {row[0]: row[1:3] for row in table(at, "Range")}
    assert rows["Deletion"] == [f"{found.values['deletion', side]:.2f}" for side in ("clean", "perturbed")]
    assert rows["ROAD"] == [f"{found.values['road', side]:.2f}" for side in ("clean", "perturbed")]
    at.number_input(key=widget_key(at, "severity")).set_value(1.0).run()
    assert not [t for t in at.table if {"Clean", "Range"} <= set(t.value.columns)]  # another pair
    at.number_input(key=widget_key(at, "severity")).set_value(2.0).run()
    assert {row[0]: row[1:3] for row in table(at, "Range")} == rows


def test_averaging_is_compared_and_can_be_used_on_the_whole_page() -> None:
    at = press(open_light(severity="2"), "remedy.start")
    run = finished(at, "remedy")
    assert isinstance(run, Remedy) and [each.copies for each in run.found] == list(COPIES)
    assert "Averaging 16 noisy copies" in said(at)
    press(at, "remedy.use")
    state = at.session_state["state"]
    assert (state.copies, state.sigma) == (16, run.sigma)
    assert "Smoothed by 16 noisy copies (σ 0.15), 16 times the work." in said(at)
    shown = at.session_state["sweep"].scene.rows([(2.0, 0)])[0]["similarity"]
    assert shown == pytest.approx(run.found[-1].similarity, abs=1e-6)


@pytest.mark.parametrize(("goal", "method"), [("away", "gradcam"), ("picture", "eigencam")])
def test_an_attack_runs_and_shows_what_it_found(goal: str, method: str) -> None:
    at = open_light(method=method)
    at.number_input(key="attack.steps").set_value(5).run()
    at.selectbox(key="attack.goal").set_value(goal).run()
    run = finished(press(at, "attack.start"), "attack")
    assert isinstance(run, ExplanationAttack) and run.result is not None
    assert run.result.largest <= 4 / 255 + 1e-6
    told = said(at)
    assert "Prediction kept: " in told and "ε = 4/255, 5 steps." in told
    assert ("Correlation with the goal" in told) is (goal != "away")
    assert len(at.image) == 9
    labels = downloads(at)
    assert "Attack (PNG)" in labels and "Attack (NPZ)" in labels


def test_a_cancelled_attack_keeps_what_it_has() -> None:
    at = open_light()
    at.number_input(key="attack.steps").set_value(200).run()
    press(at, "attack.start")
    wait_for(at, lambda page: works(page, "attack")[-1].result is not None)  # type: ignore[attr-defined]
    press(at, "work.attack.cancel")
    run = works(at, "attack")[-1]
    wait_for(at, lambda _: not run.job.running)  # type: ignore[attr-defined]
    at.run()
    assert "Cancelled after" in said(at) and "the results so far are kept" in said(at)
    assert len(at.image) == 9
    assert at.button(key="attack.start").label == "Attack again"


def test_a_method_that_cannot_be_attacked_says_why() -> None:
    at = open_light(method="randomcam")
    assert "drawn at random, so there is nothing to attack" in said(at)
    assert "attack.start" not in [button.key for button in at.button]


GOOD = tuple(p.id for p in IMAGE_SETS["photos"].pictures)


def test_an_attack_that_cannot_begin_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_light()
    monkeypatch.setattr(
        "camlab.explore.attack.prepare.unattackable", lambda _: "This map cannot be moved; choose another."
    )
    press(at, "attack.start")
    assert "This map cannot be moved; choose another." in alerts(at)
    assert len(at.image) == 3


def test_the_attacks_settings_are_in_the_link_and_come_back() -> None:
    at = open_light()
    assert not [name for name in at.query_params if name.startswith("attack.")]
    at.number_input(key="attack.epsilon").set_value(8.5).run()
    at.number_input(key="attack.steps").set_value(25).run()
    at.selectbox(key="attack.goal").set_value("picture").run()
    other = at.selectbox(key="attack.other").options and at.session_state["attack.other"]
    at.run()
    link = {name: value[0] if isinstance(value, list) else value for name, value in at.query_params.items()}
    assert {name: value for name, value in link.items() if name.startswith("attack.")} == {
        "attack.epsilon": "8.5", "attack.steps": "25", "attack.goal": "picture", "attack.other": other,
    }  # fmt: skip
    # A method that cannot be attacked draws no settings, and loses none.
    at.selectbox(key=widget_key(at, "method")).set_value("randomcam").run()
    at.run()
    assert at.query_params["attack.steps"] in ("25", ["25"])
    again = open_app(**link)
    assert alerts(again) == "" and again.number_input(key="attack.epsilon").value == 8.5
    assert again.number_input(key="attack.steps").value == 25
    assert again.selectbox(key="attack.goal").value == "picture" and again.session_state["attack.other"] == other


def test_what_a_link_says_wrong_about_the_attack_is_told_and_harms_nothing() -> None:
    link = {"attack.epsilon": "900", "attack.goal": "up", "attack.other": "photos/none", "attack.x": "1"}
    at = open_light(**link)
    assert "epsilon cannot be '900'; CAM Lab uses 4.0" in alerts(at) and "'attack.x', which is not a setting" in alerts(
        at
    )
    assert "goal cannot be 'up'" in alerts(at)
    assert at.number_input(key="attack.epsilon").value == 4.0
    at.selectbox(key="attack.goal").set_value("picture").run()
    assert not at.exception and at.session_state["attack.other"] in GOOD
