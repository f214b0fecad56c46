"""What the Compare page shows, in the session and in its link: methods, columns, order, tray and pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.compare.state import MOST_PINS, CompareState, Place, parse_link, parse_place, to_link
from camlab.explore.state import ExploreState, field_text
from pages.shared import address, session

PAGE = "compare"


def key(name: str) -> str:
    """Session key of a choice's widget."""
    return f"{PAGE}.{name}"


def current() -> CompareState:
    """The comparison last shown, with the picture and settings of the session."""
    state: CompareState = st.session_state.setdefault("compare.state", CompareState())
    return state


def change(**fields: Any) -> None:
    """Change some of the choices; their widgets are left alone."""
    st.session_state["compare.state"] = dataclasses.replace(current(), **fields)


def put(state: CompareState) -> None:
    """Make a comparison current and set its widgets to it. Only before they are drawn, or in a callback."""
    st.session_state["compare.state"] = state
    st.session_state[key("methods")] = list(state.rows)
    st.session_state[key("axis")] = state.axis
    st.session_state[key("sort")] = state.sort
    st.session_state[columns_key(state.axis)] = [field_text(value) for value in state.values]


def columns_key(axis: str) -> str:
    """Session key of the widget that holds an axis's columns."""
    return key(f"columns.{axis}")


def adopt() -> None:
    """Take over the comparison that the address bar asks for, where it is not the one this session wrote there."""
    link = address.asked(PAGE)
    if link is None or (not link and "state" in st.session_state):
        # Known already, or come from another page: the picture there is the picture here.
        session.restore_lost_widgets()
        if key("axis") not in st.session_state:
            put(current().reached_from(session.current()))
        return
    state, problems = parse_link(link)
    session.put(state.base, problems)
    put(dataclasses.replace(state, base=session.current()))
    address.take(PAGE, link)


def write() -> None:
    """Put what is shown into the address bar."""
    address.write(PAGE, to_link(current()))


def settled(base: ExploreState) -> CompareState:
    """The comparison that the widgets show, made current."""
    kept = dataclasses.replace(current(), base=base)
    axis = st.session_state.get(key("axis")) or kept.axis
    # A list that is empty changes nothing: a browser whose first run was interrupted sends it so, too.
    methods = tuple(st.session_state.get(key("methods")) or kept.rows)
    columns = tuple(st.session_state.get(columns_key(axis)) or (kept.columns if axis == kept.axis else ()))
    # The usual is said by saying nothing, so that a link without it is the same comparison.
    usual = CompareState(base=base, axis=axis)
    state = dataclasses.replace(
        kept,
        methods=() if set(methods) == set(usual.rows) else methods,
        axis=axis,
        columns=() if columns == tuple(field_text(value) for value in usual.values) else columns,
        sort=st.session_state.get(key("sort")) or kept.sort,
    )
    st.session_state["compare.state"] = state
    return state


def take_choice(event: Any) -> bool:
    """Take over the tray and the pair that the browser reports, once; whether there was news.

    What it reports is checked like a link: nobody knows what a browser sends.
    """
    if not isinstance(event, Mapping) or dict(event) == st.session_state.get("compare.taken"):
        return False
    st.session_state["compare.taken"] = dict(event)
    pins = [place for text in _listed(event.get("pins"))[:MOST_PINS] if (place := _place(text)) is not None]
    change(pins=tuple(dict.fromkeys(pins)), a=_place(event.get("a")), b=_place(event.get("b")))
    st.session_state["compare.turn"] = event.get("turn")
    return True


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _place(text: Any) -> Place | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_place(text)
    except CamLabError:
        return None
