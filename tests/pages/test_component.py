"""Reports of the dashboard's own browser components: each is taken once, also if a run was interrupted before."""

import pytest
import streamlit as st

from pages.shared import component


class Reruns(Exception):
    """The page is drawn again."""


class Taker:
    """Takes every report and wants the page drawn again."""

    def __init__(self) -> None:
        self.taken: list[object] = []

    def __call__(self, report: object) -> bool:
        self.taken.append(report)
        return True


class Browser:
    """A component in a browser that holds some states; ``callbacks`` are those that Streamlit would call."""

    def __init__(self, **states: object) -> None:
        self.states = states
        self.callbacks: dict[str, object] = {}

    def __call__(self, key: str, data: object, **callbacks: object) -> dict[str, object]:
        self.callbacks = callbacks
        return self.states


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> component.Component:
    """A component without a browser, in a session of its own."""
    monkeypatch.setattr(st, "session_state", {})

    def rerun() -> None:
        raise Reruns

    monkeypatch.setattr(st, "rerun", rerun)
    made = component.Component("frames")
    return made


def call_back(made: component.Component, name: str, report: object) -> None:
    """What Streamlit does when a browser reports a state."""
    st.session_state["it"] = {name: report}
    made._draw.callbacks[f"on_{name}_change"]()  # type: ignore[attr-defined]


def test_a_report_is_taken_in_its_callback_and_not_again(drawn: component.Component) -> None:
    take = Taker()
    drawn._draw = Browser()  # type: ignore[assignment]
    drawn.draw("it", {}, move=take)
    call_back(drawn, "move", {"at": 1})
    assert take.taken == [{"at": 1}] and st.session_state["rerun"]
    drawn._draw.states["move"] = {"at": 1}  # type: ignore[attr-defined]
    drawn.draw("it", {}, move=take)
    assert take.taken == [{"at": 1}]


def test_a_report_whose_callback_was_dropped_is_taken_at_the_next_drawing(drawn: component.Component) -> None:
    take = Taker()
    drawn._draw = Browser(move={"at": 2}, have=None)  # type: ignore[assignment]
    with pytest.raises(Reruns):
        drawn.draw("it", {}, move=take, have=take)
    drawn.draw("it", {}, move=take, have=take)
    assert take.taken == [{"at": 2}]


def test_reports_of_several_states_are_all_taken(drawn: component.Component) -> None:
    take = Taker()
    drawn._draw = Browser(one={"at": 1}, two={"at": 1})  # type: ignore[assignment]
    with pytest.raises(Reruns):
        drawn.draw("it", {}, one=take, two=take)
    assert len(take.taken) == 2


def test_a_taker_that_refuses_draws_nothing_again(drawn: component.Component) -> None:
    drawn._draw = Browser(move=7)  # type: ignore[assignment]
    drawn.draw("it", {}, move=lambda report: False)
    assert "rerun" not in st.session_state
