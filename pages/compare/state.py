"""The state of the Compare page in the session and in its link: methods, columns, order, tray and pair."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.compare.state import MOST_PINS, CompareState, Place, parse_link, parse_place, to_link
from camlab.explore.state import ExploreState, field_text
from pages.shared import session
from pages.shared.page_state import PageState


class ComparePage(PageState):
    """The comparison on screen; its picture and settings are those of the session."""

    def columns_key(self, axis: str) -> str:
        """Return the session key of the widget that holds the columns of an axis."""
        return self.key(f"columns.{axis}")

    def current(self) -> CompareState:
        """Return the comparison last shown."""
        state: CompareState = st.session_state.setdefault("compare.state", CompareState())
        return state

    def change(self, **fields: Any) -> None:
        """Change some choices without touching their widgets."""
        st.session_state["compare.state"] = dataclasses.replace(self.current(), **fields)

    def show(self, state: CompareState) -> None:
        """Make a comparison current and set its widgets; only in a callback or before they are drawn."""
        st.session_state["compare.state"] = state
        self.put("methods", list(state.rows))
        self.put("axis", state.axis)
        self.put("sort", state.sort)
        self.put(f"columns.{state.axis}", [field_text(value) for value in state.values])

    def take(self, link: dict[str, str]) -> list[str]:
        """Set picture and comparison from a link; problems become notices of the session."""
        if not link and "state" in st.session_state:  # opened from another page, whose picture is kept
            self.restore(returned=True)
            return []
        state, problems = parse_link(link)
        session.put(state.base, problems)
        self.show(dataclasses.replace(state, base=session.current()))
        return []

    def restore(self, returned: bool) -> None:
        """Fill the widgets that Streamlit has forgotten."""
        session.restore_lost_widgets()
        if self.key("axis") not in st.session_state:
            self.show(self.current().reached_from(session.current()))

    def link(self) -> dict[str, str]:
        """Return the parameters of the link to the comparison."""
        return to_link(self.current())

    def settled(self, base: ExploreState) -> CompareState:
        """Return the comparison that the widgets show, made current."""
        kept = dataclasses.replace(self.current(), base=base)
        axis = st.session_state.get(self.key("axis")) or kept.axis
        # Ignore an empty list: a browser whose first run was interrupted sends one, too.
        methods = tuple(st.session_state.get(self.key("methods")) or kept.rows)
        columns = tuple(st.session_state.get(self.columns_key(axis)) or (kept.columns if axis == kept.axis else ()))
        # Defaults are stored as empty tuples, so that a link without them is the same comparison.
        usual = CompareState(base=base, axis=axis)
        state = dataclasses.replace(
            kept,
            methods=() if set(methods) == set(usual.rows) else methods,
            axis=axis,
            columns=() if columns == tuple(field_text(value) for value in usual.values) else columns,
            sort=st.session_state.get(self.key("sort")) or kept.sort,
        )
        st.session_state["compare.state"] = state
        return state

    def take_choice(self, event: Any) -> bool:
        """Take over the tray and the pair that the browser reports; return whether it reports any.

        The report is checked like a link, as a browser may send anything.
        """
        if not isinstance(event, Mapping):
            return False
        pins = event.get("pins")
        reported = pins[:MOST_PINS] if isinstance(pins, list | tuple) else ()
        places = [place for text in reported if (place := _place(text)) is not None]
        self.change(pins=tuple(dict.fromkeys(places)), a=_place(event.get("a")), b=_place(event.get("b")))
        st.session_state["compare.turn"] = event.get("turn")
        return True


def _place(text: Any) -> Place | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_place(text)
    except CamLabError:
        return None


page = ComparePage("compare")
