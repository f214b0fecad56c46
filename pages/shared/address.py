"""What the address bar asks for, and writing what is shown there: the same on every page that has a link."""

from __future__ import annotations

import time
from collections.abc import Mapping

import streamlit as st

SETTLING = 1.5  # seconds that a browser may take to show a link that the page wrote


def arrived(page: str) -> bool:
    """Whether this run is the visitor's first on the page after another one."""
    before = st.session_state.get("address.page")
    st.session_state["address.page"] = page
    return before not in (None, page)


def here() -> dict[str, str]:
    """The parameters in the address bar."""
    return {name: str(value) for name, value in st.query_params.items()}


def asked(page: str) -> dict[str, str] | None:
    """The link that the page is to take over; None where it is what this session wrote there.

    Back from another page, where the navigation has emptied the link, the page stays as it was left.
    """
    link = here()
    kept: dict[str, str] | None = st.session_state.get(f"{page}.link")
    returned = arrived(page)
    if kept is None:
        return link
    replaced = _replaced(page)
    late = frozenset(link.items()) in replaced
    if late or (returned and not link):
        # The browser still shows a link that this session has just replaced, or none: nobody asked for that.
        if late:  # what was done in one go arrives in one go, all of it with that link
            replaced[frozenset(link.items())] = time.monotonic()
        st.query_params.from_dict(kept)
        return None
    return None if link == kept else link


def _replaced(page: str) -> dict[frozenset[tuple[str, str]], float]:
    """The links that this session has replaced of late, and when."""
    now = time.monotonic()
    known: dict[frozenset[tuple[str, str]], float] = st.session_state.get(f"{page}.replaced", {})
    recent = {link: since for link, since in known.items() if now - since < SETTLING}
    st.session_state[f"{page}.replaced"] = recent
    return recent


def take(page: str, link: Mapping[str, str]) -> None:
    """Remember a link that was taken over."""
    st.session_state[f"{page}.link"] = dict(link)


def write(page: str, link: Mapping[str, str]) -> None:
    """Put what is shown into the address bar."""
    kept: dict[str, str] = st.session_state.get(f"{page}.link", {})
    if link == kept:
        return
    st.query_params.from_dict(link)
    _replaced(page)[frozenset(kept.items())] = time.monotonic()
    _replaced(page).pop(frozenset(link.items()), None)
    st.session_state[f"{page}.link"] = dict(link)


def put(page: str, link: dict[str, str]) -> None:
    """The same on a page that takes over whatever differs from what it wrote."""
    if link != here():
        st.query_params.from_dict(link)
    st.session_state[f"{page}.link"] = link
