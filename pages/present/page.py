"""Present: a story in five steps, severity that plays by itself, and a report to leave behind."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.output.presets import stories
from camlab.study.store import list_studies
from pages.present import autoplay, link, report, story
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.navigation import STORY_OF_EXPLORE, STORY_OF_STUDY
from pages.shared.text import plain
from pages.study import data

#: What each mode draws, by its name in the link.
DRAW: dict[str, Callable[[], None]] = {
    "story": story.story,
    "autoplay": autoplay.autoplay,
    "report": report.report,
}


def _sources() -> dict[str, str]:
    """Everything that can be told, by its name in the link."""
    found = {name: each.title for name, each in stories().items()}
    found[STORY_OF_EXPLORE] = "What Explore shows"
    studies = list_studies()
    titles = data.titles(studies)
    return found | {f"{STORY_OF_STUDY}{s.folder.name}": f"Study: {titles[s.folder.name]}" for s in studies}


def _chosen() -> None:
    link.go(1)
    link.choose("severity", None)
    if link.chosen("story") == STORY_OF_EXPLORE:
        link.from_explore()


def _known(sources: dict[str, str]) -> None:
    """Tell the first story where the link's study is not here."""
    if link.chosen("story") not in sources:
        link.say([f"There is no study “{link.study()[:60]}” here; the first story is told."])
        link.choose("story", next(iter(sources)))


def _choices(sources: dict[str, str]) -> None:
    # Widgets report what they are drawn with until a browser says otherwise: their keys decide.
    for name in ("mode", "story"):
        link.choose(name, link.chosen(name))
    with st.container(horizontal=True, vertical_alignment="bottom", key="present_choices"):
        st.segmented_control(
            "Present", list(link.MODES), key=link.key("mode"), format_func=lambda name: link.MODES[name],
            required=True, label_visibility="collapsed", width="content",
        )  # fmt: skip
        st.selectbox(
            "What is told",
            list(sources),
            key=link.key("story"),
            format_func=lambda name: sources.get(name, name),
            on_change=_chosen,
            label_visibility="collapsed",
            help="Stories found by searching the built-in pictures, what Explore shows, or a study.",
        )


@told()
def main() -> None:
    """Take over the link, choose what is told, show it."""
    st.html('<h1 class="cl-page">One heat map is no proof</h1>')
    link.adopt()
    link.keep()
    sources = _sources()
    _known(sources)
    for notice in link.notices():
        st.warning(plain(notice), icon=":material/info:")
    _choices(sources)
    state = link.state()
    if state is not None and (problem := link.reachable(state)):
        link.write()
        raise CamLabError(problem)
    with told():
        DRAW[link.chosen("mode")]()
    link.write()
    session.follow_callbacks()


main()
