"""The attack's settings in the session and in the page's link, also while its widgets are not drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from camlab.explore.attack.settings import DEFAULTS, OTHER, PREFIX, from_link, to_link


def chosen() -> dict[str, Any]:
    """Every setting by name: what its widget holds, else what it held last."""
    kept: dict[str, Any] = st.session_state.setdefault("attack.chosen", {**DEFAULTS, OTHER: ""})
    for name in kept:
        if (value := st.session_state.get(PREFIX + name)) is not None:
            kept[name] = value
    return kept


def adopt(link: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Take the settings that a link names; what is left of it, and a sentence for each that cannot be used.

    Only before the widgets are drawn.
    """
    settings, problems = from_link(link)
    st.session_state["attack.chosen"] = settings
    for name, value in settings.items():
        st.session_state[PREFIX + name] = value or None if name == OTHER else value
    return {name: text for name, text in link.items() if not name.startswith(PREFIX)}, problems


def parameters() -> dict[str, str]:
    """What the link says about them."""
    return to_link(chosen())
