"""What stands in for a page until it is there."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import feedback
from tests.pages.conftest import html, open_app


def page(first: bool, fails: bool) -> None:
    import contextlib

    import streamlit as st

    from pages.shared.feedback import standing_in

    with contextlib.suppress(ValueError), standing_in("Loading …", first) as clear:
        if fails:
            raise ValueError
        clear()
        st.html("<p>there</p>")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_skeleton_is_shown_only_at_first_and_goes_with_an_error_too(
    monkeypatch: pytest.MonkeyPatch, first: bool, fails: bool
) -> None:
    shown: list[str] = []
    real = feedback.skeleton

    def noting(text: str) -> Any:
        shown.append(text)
        return real(text)

    monkeypatch.setattr(feedback, "skeleton", noting)
    at = AppTest.from_function(page, kwargs={"first": first, "fails": fails}).run()
    assert shown == (["Loading …"] if first else [])
    assert "cl-skeleton" not in html(at) and ("there" in html(at)) != fails


@pytest.mark.parametrize("name", ["explore", "compare", "learn"])
def test_each_page_that_computes_first_has_one_at_its_first_view(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shown: list[str] = []
    monkeypatch.setattr(feedback, "skeleton", shown.append)
    at = open_app(model="shapes_vgg", image="shapes/0-0", draws="1")
    if name != "explore":
        shown.clear()
        at.query_params.clear()
        at.switch_page(f"pages/{name}/page.py").run()
    assert not at.exception and len(shown) == 1
    at.run()
    assert not at.exception and len(shown) == 1, "later what was there stays"
