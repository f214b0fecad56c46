"""The pages of the app, and what a page does that was called up before the app's own script has ever run."""

from __future__ import annotations

import streamlit as st

from camlab.common.directories import ASSETS

#: What says, in a visitor's session, that the app's script leads here.
_ROUTED = "routed"
#: What a link to Present names as its story: what Explore shows, or a study by its folder.
STORY_OF_EXPLORE, STORY_OF_STUDY = "explore", "study:"


def configure() -> None:
    """Title and icon of the browser's tab. Without them Streamlit asks a server of Google's for the page's symbol."""
    st.set_page_config(page_title="CAM Lab", page_icon=str(ASSETS / "icon.png"), layout="wide")


def navigation() -> None:
    """Draw the navigation and run the page that is chosen. Of the app's script alone."""
    st.session_state[_ROUTED] = True
    _pages().run()


def _pages() -> st.Page:
    return st.navigation(
        [
            st.Page(
                "pages/explore/page.py",
                title="Explore",
                url_path="explore",
                icon=":material/travel_explore:",
                default=True,
            ),
            st.Page(
                "pages/compare/page.py", title="Compare", url_path="compare", icon=":material/grid_view:"
            ),
            st.Page("pages/study/page.py", title="Study", url_path="study", icon=":material/analytics:"),
            st.Page("pages/learn/page.py", title="Learn", url_path="learn", icon=":material/school:"),
            st.Page(
                "pages/present/page.py", title="Present", url_path="present", icon=":material/slideshow:"
            ),
        ],
        position="top",
    )


def enter() -> None:
    """Begin a page. Where a link to it is the first thing that a new server is asked for, start over with the app.

    Until an app has called `st.navigation` once, Streamlit takes every file in a folder called ``pages`` for a page
    of its own and runs it without the app around it.
    """
    if not st.session_state.get(_ROUTED):
        configure()
        _pages()
        st.rerun()
