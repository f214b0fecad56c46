"""Study: whole image sets; the grid is planned, run, seen and tested."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.store import Study
from pages.shared.feedback import told
from pages.shared.text import plain
from pages.study import about, data, filter, link, overview, plan, run, see, shelf, statistics, table
from pages.study.data import Opened

#: What each tab draws, by its name in the link.
DRAW: dict[str, Callable[[Opened, Filters], None]] = {
    "overview": overview.overview,
    "distributions": see.distributions,
    "severity": see.severity,
    "pictures": see.pictures,
    "table": table.table,
    "statistics": statistics.statistics,
    "compare": overview.compare,
    "about": about.about,
}


def show(study: Study) -> None:
    """The open study: how far it is, the filters, the tabs."""
    run.run_state(study)
    opened = data.opened(study.folder, link.chosen("similarity"))
    if not opened.stamp[0]:
        st.info(
            "The first pairs are on their way; plots appear here with them.", icon=":material/hourglass_top:"
        )
        return
    filter.begin(study, opened)
    filters = filter.bar(opened)
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
    study = shelf.shelf()
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
            on_click=plan.quick_look,
            help="Twelve photographs, seven methods, five noise types: under a minute.",
        )
        st.caption("Or plan your own with New study, or bring in a colleague's with Import.")


main()
