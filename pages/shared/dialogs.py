"""Dialogs that stay open while the page behind them is run again, as it is when a computation there ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

_OPEN = "dialog"


def open_dialog(name: str) -> None:
    """Open one from a button's callback; there is at most one."""
    st.session_state[_OPEN] = name


def close_dialog() -> None:
    """Close whichever is open: the next run of the page does not draw it."""
    st.session_state[_OPEN] = None


def draw_dialog(dialogs: Mapping[str, Callable[[], None]]) -> None:
    """Draw the one that is open, if it is one of these."""
    draw = dialogs.get(st.session_state.get(_OPEN) or "")
    if draw is not None:
        draw()
