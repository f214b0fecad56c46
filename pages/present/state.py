"""The state of the Present page in the session and in its link: the mode, the story and its step."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.drawing.slides import STEPS
from camlab.explore.output.presets import stories
from camlab.explore.state import ExploreState, parse_query, to_query
from camlab.models import find_model
from pages.shared import image_sets, session
from pages.shared.navigation import STORY_OF_EXPLORE, STORY_OF_STUDY
from pages.shared.page_state import PageState

MODES = {"story": "Story", "autoplay": "Autoplay", "report": "Report"}
OWN = ("mode", "story", "step")  # this page's own parameters; the others are Explore's state


class PresentPage(PageState):
    """The choices of the Present page; ``state`` is Explore's last state, ``severity`` that of Autoplay."""

    def state(self) -> ExploreState | None:
        """Return the Explore state of the story; None for a study."""
        source = self.chosen("story")
        if source.startswith(STORY_OF_STUDY):
            return None
        if source == STORY_OF_EXPLORE:
            found: ExploreState = self.chosen("state")
            return found
        preset = stories()[source].state
        held = self.chosen("severity")
        # Autoplay moves the severity of a preset; the preset's story does not change with it.
        if held is None or self.chosen("mode") != "autoplay":
            return preset
        return dataclasses.replace(preset, severity=held)

    def study(self) -> str:
        """Return the folder of the story's study; empty for a picture."""
        source = str(self.chosen("story"))
        return source.removeprefix(STORY_OF_STUDY) if source.startswith(STORY_OF_STUDY) else ""

    def take(self, link: dict[str, str]) -> list[str]:
        """Set the choices from a link; return one sentence for each unusable part."""
        problems: list[str] = []
        rest = {name: text for name, text in link.items() if name not in OWN}
        mode, source, step = (link.get(name, "") for name in OWN)
        if mode and mode not in MODES:
            problems.append(f"The link's mode {mode[:40]!r} is unknown; the story is shown.")
            mode = ""
        if rest:
            source = source or STORY_OF_EXPLORE
        known = not source or source == STORY_OF_EXPLORE or source.startswith(STORY_OF_STUDY) or source in stories()
        if not known:
            problems.append(f"There is no story called {source[:60]!r}; the first story is shown.")
            source = ""
        if source == STORY_OF_EXPLORE:
            found, more = parse_query(rest, None if rest else session.current())
            problems += more
            self.choose("state", found)
        held = None
        if source in stories() and "severity" in rest:
            found, more = parse_query({"severity": rest["severity"]})
            held = None if more else found.severity
            problems += more
        number = int(step) if step.isdecimal() and len(step) < 3 else 1 if not step else 0
        if not 1 <= number <= len(STEPS):
            problems.append(f"The story has {len(STEPS)} steps, and none called {step[:20]!r}; it starts at the first.")
            number = 1
        self.choose("mode", mode or self.defaults["mode"])
        self.choose("story", source or self.defaults["story"])
        self.choose("step", number)
        self.choose("severity", held)
        return problems

    def link(self) -> dict[str, str]:
        """Return the mode and the story, with the step, the state or the severity if they matter."""
        source = str(self.chosen("story"))
        link = {"mode": str(self.chosen("mode")), "story": source}
        if link["mode"] == "story":
            link["step"] = str(self.chosen("step"))
        if source == STORY_OF_EXPLORE:
            link |= to_query(self.chosen("state"))
        elif link["mode"] == "autoplay" and source in stories() and (found := self.state()) is not None:
            link["severity"] = f"{found.severity:g}"
        return link

    def set_severity(self, severity: float) -> None:
        """Move Autoplay to a severity."""
        if self.chosen("story") == STORY_OF_EXPLORE:
            self.choose("state", dataclasses.replace(self.chosen("state"), severity=severity))
        self.choose("severity", severity)

    def from_explore(self) -> None:
        """Choose the story of Explore's current state; only in a callback or before the widgets are drawn."""
        self.choose("state", session.current())

    def go(self, by: int) -> None:
        """Go some steps on, or back if negative. For callbacks.

        Relative: a second press that arrives before the page is drawn again goes on from the first.
        """
        self.choose("step", min(max(int(self.chosen("step")) + by, 1), len(STEPS)))

    def take_moves(self, event: Any) -> bool:
        """Make the moves that the keys report, each once; return whether there were new ones.

        The report is checked like a link, as a browser may send anything.
        """
        if not isinstance(event, Mapping):
            return False
        source, count, last = (event.get(name) for name in ("source", "count", "last"))
        if not isinstance(source, str) or not isinstance(count, int) or not isinstance(last, list | tuple):
            return False
        before, made = st.session_state.get(self.key("moves"), ("", 0))
        new = count - (made if before == source else 0)
        if new <= 0:
            return False
        st.session_state[self.key("moves")] = (source, count)
        for move in last[-new:]:
            if move in (-1, 1):
                self.go(move)
        return True


def unreachable(found: ExploreState) -> str:
    """Return why this session cannot show a state, in one sentence; empty if it can."""
    try:
        find_model(found.model)
        image_sets.picture(found.image)
    except CamLabError as error:
        return str(error)
    return ""


page = PresentPage(
    "present",
    {
        "mode": "story",
        "story": next(iter(stories())),
        "step": 1,
        "state": ExploreState(),
        "severity": None,
    },
)
