"""What the Present page shows, in the session and in its link: the mode, what is told, and how far."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.drawing.slides import STEPS
from camlab.explore.output.presets import stories
from camlab.explore.state import ExploreState, parse_query, to_query
from pages.shared import address, session
from pages.shared.navigation import STORY_OF_EXPLORE, STORY_OF_STUDY

PREFIX = "present."
MODES = {"story": "Story", "autoplay": "Autoplay", "report": "Report"}
OWN = ("mode", "story", "step")  # what of a link is this page's; the rest is the state of what Explore showed


def key(name: str) -> str:
    """Session key of a choice, which is also that of its widget."""
    return PREFIX + name


def chosen(name: str) -> Any:
    """What is chosen; the default where its widget is gone or was never drawn."""
    value = st.session_state.get(key(name))
    return _default(name) if value is None else value


def _default(name: str) -> Any:
    return {"mode": "story", "step": 1, "story": next(iter(stories())), "state": ExploreState()}[name]


def choose(name: str, value: Any) -> None:
    """Choose something, from a callback or before its widget is drawn."""
    st.session_state[key(name)] = value


def state() -> ExploreState | None:
    """The Explore state that is told; None where it is a study."""
    source = chosen("story")
    if source.startswith(STORY_OF_STUDY):
        return None
    if source == STORY_OF_EXPLORE:
        found: ExploreState = chosen("state")
        return found
    preset = stories()[source].state
    held = st.session_state.get(key("severity"))
    # Autoplay moves the severity of a preset; its story stays what it is.
    return (
        dataclasses.replace(preset, severity=held)
        if held is not None and chosen("mode") == "autoplay"
        else preset
    )


def study() -> str:
    """The folder of the study that is told; empty where it is a picture."""
    source = str(chosen("story"))
    return source.removeprefix(STORY_OF_STUDY) if source.startswith(STORY_OF_STUDY) else ""


def keep() -> None:
    """Hold on to choices whose widgets are not drawn in this run, which Streamlit would forget."""
    for name in ("mode", "story", "step", "state", "severity"):
        if key(name) in st.session_state:
            st.session_state[key(name)] = st.session_state[key(name)]


def adopt() -> None:
    """Take over what the address bar asks for, where it is not what this page wrote there."""
    link = address.here()
    kept: dict[str, str] | None = st.session_state.get("present.link")
    if link == kept:
        return
    if not link and kept is not None:  # back from another page
        return
    problems: list[str] = []
    rest = {name: text for name, text in link.items() if name not in OWN}
    mode, source, step = (link.get(name, "") for name in OWN)
    if mode and mode not in MODES:
        problems.append(f"The link's mode {mode[:40]!r} is not known; the story is shown.")
        mode = ""
    if rest:
        source = source or STORY_OF_EXPLORE
    if (
        source
        and source != STORY_OF_EXPLORE
        and not source.startswith(STORY_OF_STUDY)
        and source not in stories()
    ):
        problems.append(f"There is no story called {source[:60]!r} here; the first one is told.")
        source = ""
    if source == STORY_OF_EXPLORE:
        found, more = parse_query(rest, None if rest else session.current())
        problems += more
        choose("state", found)
    held = None
    if source in stories() and "severity" in rest:
        found, more = parse_query({"severity": rest["severity"]})
        held = None if more else found.severity
        problems += more
    number = int(step) if step.isdecimal() and len(step) < 3 else 1 if not step else 0
    if not 1 <= number <= len(STEPS):
        problems.append(
            f"The story has {len(STEPS)} steps, and none called {step[:20]!r}; it starts at the first."
        )
        number = 1
    choose("mode", mode or _default("mode"))
    choose("story", source or _default("story"))
    choose("step", number)
    choose("severity", held)
    say(problems)
    st.session_state["present.link"] = link


def write() -> None:
    """Put what is shown into the address bar."""
    source = str(chosen("story"))
    link = {"mode": str(chosen("mode")), "story": source}
    if link["mode"] == "story":
        link["step"] = str(chosen("step"))
    if source == STORY_OF_EXPLORE:
        link |= to_query(chosen("state"))
    elif link["mode"] == "autoplay" and (found := state()) is not None:
        link["severity"] = f"{found.severity:g}"
    address.put("present", link)


def set_severity(severity: float) -> None:
    """Move the severity that autoplay stands at."""
    if chosen("story") == STORY_OF_EXPLORE:
        choose("state", dataclasses.replace(chosen("state"), severity=severity))
    choose("severity", severity)


def from_explore() -> None:
    """Tell what Explore shows now; before the widgets are drawn, or in a callback."""
    choose("state", session.current())


def go(step: int) -> None:
    """Callback: go to a step of the story."""
    choose("step", min(max(step, 1), len(STEPS)))
    say([])


def say(problems: list[str]) -> None:
    """Keep sentences for the page to show."""
    st.session_state["present.notices"] = problems


def notices() -> list[str]:
    """The sentences that belong to the link."""
    found: list[str] = st.session_state.get("present.notices", [])
    return found


def reachable(found: ExploreState) -> str:
    """Why this session cannot show a state, in one sentence; empty where it can."""
    try:
        session.picture(found.image)
    except CamLabError as error:
        return str(error)
    return ""
