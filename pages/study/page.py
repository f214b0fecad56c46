"""Study: plan, run, plot and test a grid over whole image sets."""

from collections.abc import Callable

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.store import Study
from pages.shared.feedback import notices, told
from pages.study import about, data, filter, overview, plan, run, see, shelf, statistics, table
from pages.study.data import Opened
from pages.study.state import TABS, page

#: The function that draws each tab, by the tab's name in the link.
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
    """Draw the open study: its progress, the filters, the tabs."""
    run.run_state(study)
    opened = data.opened(study.folder, page.chosen("similarity"))
    if not opened.stamp[0]:
        st.info("Plots appear here with the first pairs.", icon=":material/hourglass_top:")
        return
    filter.begin(study, opened)
    filters = filter.bar(opened)
    tab = st.segmented_control(
        "View", list(TABS), default=page.chosen("tab"), key=page.key("tab"),
        format_func=lambda name: TABS[name], required=True, label_visibility="collapsed",
    )  # fmt: skip
    with told():
        DRAW[tab or "overview"](opened, filters)


@told()
def main() -> None:
    """Take over the link, draw the shelf and the open study."""
    st.html('<h1 class="cl-page">What holds over many pictures?</h1>')
    page.adopt()
    study = shelf.shelf()
    notices(page.notices())
    if study is None:
        _welcome()
    else:
        show(study)
    page.write()


def _welcome() -> None:
    with st.container(border=True, key="study_welcome"):
        st.markdown(
            "One picture is an anecdote. A study runs models × pictures × methods × noise types × severities × seeds "
            "in the background, updates its plots as it runs, and tests the differences."
        )
        st.button(
            "Run the quick look",
            icon=":material/bolt:",
            type="primary",
            on_click=plan.quick_look,
            help="Twelve photographs, seven methods, five noise types: under a minute.",
        )
        st.caption("Or plan your own with New study, or open a colleague's with Import.")


main()
