"""Text on every page: Markdown-safe strings, and the help button that explains a chart."""

from __future__ import annotations

import streamlit as st

from camlab.drawing.help import LOOKING

_SPECIAL = frozenset("\\`*_{}[]<>()#+-.!|~$:&")


def plain(text: str) -> str:
    """Escape every character that Markdown would interpret."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)


def what(name: str) -> None:
    """Draw the button “What am I looking at?”, which opens the paragraph ``LOOKING[name]`` about a chart."""
    with st.popover("What am I looking at?", icon=":material/help:", type="tertiary"):
        st.markdown(LOOKING[name])
