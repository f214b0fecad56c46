"""A page's link and notices: what is taken over from the address bar, and what is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import streamlit as st

from pages.shared import page_state
from pages.shared.page_state import Choices, PageState

PAGES = Path(page_state.__file__).parents[1]


class Params(dict[str, str]):
    """Query parameters as Streamlit has them."""

    def from_dict(self, link: dict[str, str]) -> None:
        self.clear()
        self.update(link)


class Page(PageState):
    """A page with one choice."""

    taken: dict[str, str] | None = None

    def link(self) -> dict[str, str]:
        return {"a": self.chosen("a")} if self.chosen("a") else {}

    def take(self, link: dict[str, str]) -> list[str]:
        self.taken = link
        self.choose("a", link.get("a", ""))
        return [f"{name} is no setting." for name in link if name != "a"]


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Params:
    """An empty address bar of a new session."""
    found = Params()
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", found)
    return found


@pytest.fixture
def page() -> Page:
    return Page("page", {"a": ""})


def shows(page: Page, bar: Params, **link: str) -> dict[str, str] | None:
    """What the page takes over when the browser shows a link."""
    bar.from_dict(link)
    page.taken = None
    page.adopt()
    return page.taken


def write(page: Page, a: str) -> None:
    page.choose("a", a)
    page.write()


def test_a_link_is_taken_over_once(page: Page, bar: Params) -> None:
    assert shows(page, bar, a="1") == {"a": "1"}
    assert shows(page, bar, a="1") is None


def test_a_browser_that_is_late_undoes_nothing_however_much_was_done_meanwhile(page: Page, bar: Params) -> None:
    assert shows(page, bar) == {}
    for step in ("1", "2", "3"):
        assert shows(page, bar) is None  # all of it was done while the first link stood there
        write(page, step)
        assert bar == {"a": step}
    assert shows(page, bar, a="1") is None and bar == {"a": "3"}
    # What the page shows again is no longer replaced.
    write(page, "1")
    assert shows(page, bar, a="1") is None


def test_going_back_is_a_choice_however_soon(page: Page, bar: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    shows(page, bar, a="1")
    write(page, "2")
    monkeypatch.setattr(page_state, "went_back_or_forward", lambda: True)
    assert shows(page, bar, a="1") == {"a": "1"}
    # Back to the start, whose link is empty.
    assert shows(page, bar) == {}


def test_back_from_another_page_the_link_is_as_it_was(page: Page, bar: Params) -> None:
    other = Page("other", {"a": ""})
    assert shows(page, bar, a="1") == {"a": "1"}
    assert shows(other, bar) == {}
    del st.session_state["page.a"]  # Streamlit forgets a widget that another page does not draw
    assert shows(page, bar) is None and bar == {"a": "1"}
    assert page.chosen("a") == "1" == st.session_state["page.a"]
    shows(other, bar)
    assert shows(page, bar, a="5") == {"a": "5"}, "a link to the page from another one counts"


def test_a_notice_stays_until_the_next_choice(page: Page, bar: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    shows(page, bar, a="1", b="2")
    page.say(["Another.", "b is no setting."])
    for _ in range(2):
        assert page.notices() == ["b is no setting.", "Another."]
    page.choose("a", "2")
    assert page.notices() == []
    page.say(["Once more."])
    assert page.notices() == ["Once more."]
    page.say([])
    assert page.notices() == ["Once more."]
    page.say(["Instead."])
    assert page.notices() == ["Instead."]
    monkeypatch.setattr(page_state, "went_back_or_forward", lambda: True)
    assert shows(page, bar, a="3") and page.notices() == []


def test_a_value_that_the_server_sets_moves_the_widget_to_another_key(bar: Params) -> None:
    choices = Choices("form", {"size": 4})
    assert choices.key("size") == "form.size"
    st.session_state["form.size"] = 4  # the browser's
    called: list[int] = []
    callback = choices.when("size", lambda: called.append(1))
    choices.put("size", 4)
    assert choices.key("size") == "form.size", "nothing to set"
    callback()
    assert called == [1]
    choices.put("size", 9)
    # A request that was sent before the browser saw the 9 reports the 4 once more.
    st.session_state["form.size"] = 4
    callback()
    assert choices.chosen("size") == 9 and called == [1]
    # What the visitor then chooses counts, also the old value.
    st.session_state[choices.key("size")] = 4
    choices.when("size", lambda: called.append(2))()
    assert choices.chosen("size") == 4 and called == [1, 2]


def test_a_choice_outlives_its_widget(bar: Params) -> None:
    choices = Choices("form", {"size": 4, "name": None})
    assert choices.chosen("size") == 4 and choices.chosen("name") is None
    st.session_state["form.size"] = 7
    assert choices.chosen("size") == 7
    st.session_state["form.size"] = None  # a browser that answers before it has drawn the widget
    assert choices.chosen("size") == 7
    del st.session_state["form.size"]
    assert choices.chosen("size") == 7
    choices.choose("size", 0)
    assert choices.chosen("size") == 0
    st.session_state["form.more"] = "x"
    choices.hold(["more"])
    del st.session_state["form.more"], st.session_state["form.size"]
    choices.hold(["more"])
    assert st.session_state["form.more"] == "x" and st.session_state["form.size"] == 0


#: The argument that holds a widget's value, and its place among those without a name.
VALUES = {
    "selectbox": ("index", 2),
    "multiselect": ("default", 2),
    "segmented_control": ("default", 2),
    "pills": ("default", 2),
}


def test_a_widget_that_chooses_among_options_is_drawn_with_its_value() -> None:
    """A browser that mounts it late shows, and reports, what it was drawn with."""
    bare = [
        f"{path.relative_to(PAGES)}:{call.lineno}"
        for path in sorted(PAGES.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and (value := VALUES.get(call.func.attr))
        and any(each.arg == "key" for each in call.keywords)
        and not any(each.arg == value[0] for each in call.keywords)
        and len(call.args) <= value[1]
    ]
    # The search for models starts empty: nothing is set there.
    assert [place.split(":")[0] for place in bare] == ["choose/model.py"] * 3
