"""Choosing methods, smoothing and noise: what cannot be used here says why, and cannot be held on to."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from camlab.cams import CAMS, PACES, unserved
from camlab.models.classifier import Classifier
from camlab.noise import NOISES
from tests.pages.conftest import alerts, open_app, said, widget_key

pytestmark = pytest.mark.usefixtures("still")


def method(at: AppTest) -> str:
    found: str = at.session_state["state"].method
    return found


def test_methods_that_cannot_serve_are_last_and_say_why(lite0: Classifier) -> None:
    reasons = unserved(lite0, "blocks.6")
    assert "refinecam" in reasons
    at = open_app(draws="1", layer="blocks.6")
    options = at.selectbox(key=widget_key(at, "method")).options
    assert options[-len(reasons) :] == [f"{CAMS[name].title} · unavailable" for name in CAMS if name in reasons]
    told = "\n".join(each.value for each in at.markdown).replace("\\", "")
    assert all(reason in told for reason in reasons.values())


def test_the_pace_and_the_price_are_said_before_and_after_choosing() -> None:
    at = open_app(draws="1", layer="blocks.6")
    box = at.selectbox(key=widget_key(at, "method"))
    assert f"Score-CAM · {PACES['full']}" in box.options and f"FEM · {PACES['tail']}" in box.options
    assert CAMS["scorecam"].price in box.help.replace("\\", "")
    assert "Extra cost" not in said(at)
    at = open_app(draws="1", layer="blocks.6", method="fem")
    assert f"Extra cost: {CAMS['fem'].price}." in said(at)


def test_a_method_that_cannot_serve_does_not_stay_chosen(lite0: Classifier) -> None:
    at = open_app(draws="1", method="layercam")
    at.selectbox(key=widget_key(at, "method")).set_value("refinecam").run()
    assert not at.exception
    assert method(at) == "layercam" and at.query_params["method"] == "layercam"
    assert unserved(lite0, "")["refinecam"] in alerts(at)
    assert len(at.image) == 3
    at.selectbox(key=widget_key(at, "method")).set_value("gradcam++").run()  # the next choice clears the sentence
    assert method(at) == "gradcam++" and alerts(at) == ""


def test_a_link_to_a_method_that_cannot_serve_is_followed_but_for_the_method(lite0: Classifier) -> None:
    at = open_app(draws="1", method="refinecam", severity="2")
    assert method(at) == "gradcam" and at.session_state["state"].severity == 2
    assert unserved(lite0, "")["refinecam"] in alerts(at)


def test_a_method_that_serves_one_layer_only_gives_way_when_the_layer_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def only_last(_: object, layer: str) -> str | None:
        return None if layer == "bn2" else "This method reads the last layer only; choose bn2."

    picky = dataclasses.replace(CAMS["layercam"], serves=only_last)
    monkeypatch.setitem(CAMS._entries, "layercam", picky)
    at = open_app(draws="1", method="layercam")
    assert method(at) == "layercam" and alerts(at) == ""
    at.selectbox(key=widget_key(at, "layer")).set_value("blocks.6").run()
    assert not at.exception
    assert method(at) == "gradcam"
    assert "reads the last layer only" in alerts(at)


def test_eigen_smoothing_is_greyed_with_its_reason_where_there_are_no_terms() -> None:
    at = open_app(draws="1", method="layercam", eigen="1")
    assert at.toggle(key=widget_key(at, "eigen")).value and at.session_state["state"].eigen
    assert "Smoothed by eigen smoothing." in said(at)
    at.selectbox(key=widget_key(at, "method")).set_value("eigencam").run()
    assert not at.exception
    toggle = at.toggle(key=widget_key(at, "eigen"))
    assert toggle.disabled and not toggle.value and not at.session_state["state"].eigen
    assert "Eigen-CAM has no weighted channels" in toggle.help and "Eigen-CAM has no weighted channels" in alerts(at)


def test_smoothing_reaches_state_link_maps_and_says_its_cost() -> None:
    at = open_app(draws="1", severity="1")
    plain = at.session_state["sweep"].scene
    at.toggle(key=widget_key(at, "augment")).set_value(True).run()
    at.number_input(key=widget_key(at, "copies")).set_value(2).run()
    at.slider(key=widget_key(at, "sigma")).set_value(0.2).run()
    assert not at.exception
    state = at.session_state["state"]
    assert (state.augment, state.copies, state.sigma) == (True, 2, 0.2)
    assert (at.query_params["augment"], at.query_params["copies"]) == ("1", "2")
    assert "Smoothed by augmentation, 2 noisy copies (σ 0.2), 12 times the work." in said(at)
    smooth = at.session_state["sweep"].scene
    assert (smooth.clean().maps["gradcam"] != plain.clean().maps["gradcam"]).any()


def test_a_noise_that_needs_what_is_missing_is_marked_and_does_not_stay() -> None:
    at = open_app(draws="1")
    title = f"{NOISES['captured'].family} · {NOISES['captured'].title}"
    assert at.selectbox(key=widget_key(at, "noise")).options[-1] == f"{title} · unavailable"
    assert any("needs a second picture of the scene" in each.value for each in at.markdown), "for whoever asks"
    at.selectbox(key=widget_key(at, "noise")).set_value("captured").run()
    assert not at.exception
    assert at.session_state["state"].noise == "gaussian_noise"
    assert "needs a second picture of the scene; upload a pair first" in alerts(at)


def test_a_noise_made_against_the_model_says_what_it_takes() -> None:
    at = open_app(draws="1", noise="fgsm", severity="1")
    assert "An attack that uses this model's own gradients" in said(at)
    assert at.session_state["state"].noise == "fgsm" and len(at.image) == 3
