"""“What am I looking at?”: the small button beside every chart that says so in a paragraph."""

from __future__ import annotations

import streamlit as st

from camlab.drawing.help import LOOKING


def what(name: str) -> None:
    """The paragraph about a chart, by its name in `camlab.drawing.help.LOOKING`."""
    with st.popover("What am I looking at?", icon=":material/help:", type="tertiary"):
        st.markdown(LOOKING[name])
