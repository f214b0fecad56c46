"""Navigation: the pages of the app, and the open dialog."""

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from camlab.common.directories import ASSETS

EXPLORE, COMPARE, STUDY, LEARN, PRESENT = (
    f"pages/{name}/page.py" for name in ("explore", "compare", "study", "learn", "present")
)
#: The values of ``story`` in a link to Present: what Explore shows, or the prefix of a study's folder.
STORY_OF_EXPLORE, STORY_OF_STUDY = "explore", "study:"
_DIALOG = "dialog"


def configure() -> None:
    """Set the tab's title and icon. Without an icon, the page would load one from a Google server."""
    st.set_page_config(page_title="CAM Lab", page_icon=str(ASSETS / "icon.png"), layout="wide")


def navigation() -> None:
    """Draw the navigation and run the chosen page; only ``app.py`` calls this."""
    _chosen_page().run()


def enter() -> None:
    """Start over with ``app.py``; the files ``pages/_NAME.py`` call this.

    Until an app has called `st.navigation` once, Streamlit treats each file in a folder named ``pages`` as a page and
    reports any other page as missing. So if a link to a page is the first request to a new server, it needs a file of
    the page's name there.
    """
    configure()
    _chosen_page()
    st.rerun()


def _chosen_page() -> StreamlitPage:
    return st.navigation(
        [
            st.Page(EXPLORE, title="Explore", url_path="explore", icon=":material/travel_explore:", default=True),
            st.Page(COMPARE, title="Compare", url_path="compare", icon=":material/grid_view:"),
            st.Page(STUDY, title="Study", url_path="study", icon=":material/analytics:"),
            st.Page(LEARN, title="Learn", url_path="learn", icon=":material/school:"),
            st.Page(PRESENT, title="Present", url_path="present", icon=":material/slideshow:"),
        ],
        position="top",
    )


def open_dialog(name: str) -> None:
    """Open a dialog, from a button's callback; at most one is open.

    The session remembers the dialog, so that it stays open when the page behind it reruns, for example because a
    computation has ended.
    """
    st.session_state[_DIALOG] = name


def close_dialog() -> None:
    """Close the open dialog: the next run of the page does not draw it."""
    st.session_state[_DIALOG] = None


def draw_dialog(dialogs: Mapping[str, Callable[[], None]]) -> None:
    """Draw the open dialog if it is one of ``dialogs``."""
    draw = dialogs.get(st.session_state.get(_DIALOG) or "")
    if draw is not None:
        draw()
