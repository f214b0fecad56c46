"""Present: a story in five steps, a severity that plays by itself, and a report."""

from collections.abc import Callable

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.explore.output.presets import stories
from camlab.study.store import list_studies
from pages.present import autoplay, report, story
from pages.present.state import MODES, page, unreachable
from pages.shared import session
from pages.shared.feedback import notices, told
from pages.shared.navigation import STORY_OF_EXPLORE, STORY_OF_STUDY
from pages.shared.page_state import index_in
from pages.study import data

#: The function that draws each mode, by the mode's name in the link.
DRAW: dict[str, Callable[[], None]] = {
    "story": story.story,
    "autoplay": autoplay.autoplay,
    "report": report.report,
}


def _sources() -> dict[str, str]:
    """Return the titles of all stories by their names in the link."""
    found = {name: each.title for name, each in stories().items()}
    found[STORY_OF_EXPLORE] = "What Explore shows"
    studies = list_studies()
    titles = data.titles(studies)
    return found | {f"{STORY_OF_STUDY}{s.folder.name}": f"Study: {titles[s.folder.name]}" for s in studies}


def _chosen() -> None:
    page.choose("step", 1)
    page.choose("severity", None)
    if page.chosen("story") == STORY_OF_EXPLORE:
        page.from_explore()


def _known(sources: dict[str, str]) -> None:
    """Fall back to the first story if the link's study is missing."""
    if page.chosen("story") not in sources:
        page.say([f"There is no study “{page.study()[:60]}” on this machine; the first story is shown."])
        page.choose("story", next(iter(sources)))


def _choices(sources: dict[str, str]) -> None:
    # Until the browser answers, a widget reports the value it was drawn with, so set its key first.
    for name in ("mode", "story"):
        page.choose(name, page.chosen(name))
    with st.container(horizontal=True, vertical_alignment="bottom", key="present_choices"):
        st.segmented_control(
            "Present", list(MODES), default=page.chosen("mode"), key=page.key("mode"),
            format_func=lambda name: MODES[name], required=True, label_visibility="collapsed", width="content",
        )  # fmt: skip
        st.selectbox(
            "Story",
            list(sources),
            index=index_in(list(sources), page.key("story")),
            key=page.key("story"),
            format_func=lambda name: sources.get(name, name),
            on_change=page.when("story", _chosen),
            label_visibility="collapsed",
            help="A story found by searching the built-in pictures, what Explore shows, or a study.",
        )


@told()
def main() -> None:
    """Take over the link, draw the choices and the chosen mode."""
    st.html('<h1 class="cl-page">One heat map is no proof</h1>')
    page.adopt()
    sources = _sources()
    _known(sources)
    notices(page.notices())
    _choices(sources)
    state = page.state()
    if state is not None and (problem := unreachable(state)):
        page.write()
        raise CamLabError(problem)
    with told():
        DRAW[page.chosen("mode")]()
    page.write()
    session.follow_callbacks()


main()
