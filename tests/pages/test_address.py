"""The address bar: what is taken over from it, and what is not."""

from __future__ import annotations

import time

import pytest
import streamlit as st

from pages.shared import address


class Params(dict[str, str]):
    """Query parameters as Streamlit has them."""

    def from_dict(self, link: dict[str, str]) -> None:
        self.clear()
        self.update(link)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Params:
    """An empty address bar of a new session."""
    found = Params()
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", found)
    return found


def shows(bar: Params, **link: str) -> dict[str, str] | None:
    """What the page is asked for when the browser shows a link."""
    bar.from_dict(link)
    return address.asked("page")


def test_a_link_is_taken_over_once(bar: Params) -> None:
    assert shows(bar, a="1") == {"a": "1"}
    address.take("page", {"a": "1"})
    assert shows(bar, a="1") is None
    assert shows(bar, a="2") == {"a": "2"}


def test_a_browser_that_is_late_undoes_nothing_however_much_was_done_meanwhile(bar: Params) -> None:
    address.take("page", {})
    for step in ("1", "2", "3"):
        assert shows(bar) is None  # all of it was done while the first link stood there
        address.write("page", {"a": step})
        assert bar == {"a": step}
    assert shows(bar, a="1") is None and bar == {"a": "3"}
    # What the page shows again is no longer replaced.
    address.write("page", {"a": "1"})
    assert shows(bar, a="1") is None


def test_going_back_later_is_a_choice(bar: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    address.take("page", {"a": "1"})
    address.write("page", {"a": "2"})
    now = time.monotonic() + address.SETTLING + 1
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert shows(bar, a="1") == {"a": "1"}


def test_back_from_another_page_the_link_is_as_it_was(bar: Params) -> None:
    assert shows(bar, a="1") == {"a": "1"}
    address.take("page", {"a": "1"})
    address.arrived("other")
    assert shows(bar) is None and bar == {"a": "1"}
    # But who empties the address bar on the page itself asks for what it shows at first.
    assert shows(bar) == {}
    address.arrived("other")
    assert shows(bar, a="5") == {"a": "5"}, "a link to the page from another one counts"
