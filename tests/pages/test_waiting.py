"""The notice of something that takes long."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import feedback
from tests.pages.conftest import html, open_app


def page(seconds: float) -> None:
    import time

    import streamlit as st

    from pages.shared.feedback import waiting

    check = waiting(st.empty(), "Computing Score-CAM", "It takes 1 pass.")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(0.05)


def said(seconds: float) -> list[str]:
    at = AppTest.from_function(page, kwargs={"seconds": seconds}).run(timeout=30)
    assert not at.exception
    return [each.value for each in at.html]


def test_what_takes_long_is_said_with_its_time() -> None:
    assert said(0.3) == []
    (notice,) = said(1.4)
    assert "Computing Score-CAM" in notice and "· 1 s so far" in notice and "It takes 1 pass." in notice


def test_a_slow_map_says_what_it_takes_and_the_notice_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = feedback.waiting

    def spied(place: object, what: str, about: str) -> object:
        asked.append(f"{what}: {about}")
        check = real(place, what, about)  # type: ignore[arg-type]

        def checked() -> None:
            asked.append("checked")
            check()

        return checked

    monkeypatch.setattr("pages.explore.page.waiting", spied, raising=False)
    monkeypatch.setattr(feedback, "waiting", spied)
    monkeypatch.setattr(feedback, "PATIENCE", 0.0)
    monkeypatch.setattr(feedback, "EVERY", 0.0)
    at = open_app(model="shapes_vgg", image="shapes/0-3", method="scorecam", draws="1")
    assert asked[0].startswith("Computing Score-CAM: It takes one pass of the whole network per channel")
    assert asked.count("checked") > 10, "each chunk of passes can be left"
    assert "so far" not in html(at)
