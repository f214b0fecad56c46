"""Study: whole image sets; the grid is planned, run, seen and tested."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from camlab.filters import Filters
from camlab.store import Study
from pages.parts import (
    router,
    study_about,
    study_data,
    study_filter,
    study_overview,
    study_plan,
    study_run,
    study_see,
    study_shelf,
    study_statistics,
    study_table,
)
from pages.parts import study_link as link
from pages.parts.study_data import Opened
from pages.parts.text import plain
from pages.parts.trouble import told

#: What each tab draws, by its name in the link.
DRAW: dict[str, Callable[[Opened, Filters], None]] = {
    "overview": study_overview.overview,
    "distributions": study_see.distributions,
    "severity": study_see.severity,
    "pictures": study_see.pictures,
    "table": study_table.table,
    "statistics": study_statistics.statistics,
    "compare": study_overview.compare,
    "about": study_about.about,
}


def show(study: Study) -> None:
    """The open study: how far it is, the filters, the tabs."""
    study_run.run_state(study)
    opened = study_data.opened(study.folder, link.chosen("similarity"))
    if not opened.stamp[0]:
        st.info(
            "The first pairs are on their way; plots appear here with them.", icon=":material/hourglass_top:"
        )
        return
    study_filter.begin(study, opened)
    filters = study_filter.bar(opened)
    tab = st.segmented_control(
        "View", list(link.TABS), key=link.key("tab"), format_func=lambda name: link.TABS[name], required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    with told():
        DRAW[tab or "overview"](opened, filters)


@told()
def main() -> None:
    """Take over the link, choose a study, show it."""
    st.html('<h1 class="cl-page">What holds over many pictures?</h1>')
    link.adopt()
    link.keep()
    study = study_shelf.shelf()
    for notice in link.notices():
        st.warning(plain(notice), icon=":material/info:")
    if study is None:
        _welcome()
    else:
        show(study)
    link.write()


def _welcome() -> None:
    with st.container(border=True, key="study_welcome"):
        st.markdown(
            "One picture is an anecdote. A study runs models × pictures × methods × noise types × severities × seeds "
            "in the background, fills its plots as it goes, and tests what they mean."
        )
        st.button(
            "Run the quick look",
            icon=":material/bolt:",
            type="primary",
            on_click=study_plan.quick_look,
            help="Twelve photographs, seven methods, five noise types: under a minute.",
        )
        st.caption("Or plan your own with New study, or bring in a colleague's with Import.")


router.enter()
main()
