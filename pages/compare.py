"""Compare: one picture, many explanations side by side."""

from __future__ import annotations

import streamlit as st

from pages.parts import (
    compare_controls,
    compare_view,
    intake,
    router,
    session,
    transfer,
)
from pages.parts import compare_link as link
from pages.parts.loading import standing_in
from pages.parts.text import plain
from pages.parts.trouble import told


@told()
def main() -> None:
    """Take over the link, draw the controls, show the grid."""
    st.html('<h1 class="cl-page">One picture, many explanations</h1>')
    link.adopt()
    transfer.arrive()
    intake.settle()
    with standing_in("Loading the model …", first="compare.now" not in st.session_state) as clear:
        base, classifier = compare_controls.sidebar()
        for notice in session.notices():
            st.warning(plain(notice), icon=":material/info:")
        transfer.offer()
        clear()
        state = compare_controls.bar(base, classifier)
        link.write()
        compare_view.show(state)


router.enter()
# Outside what tells errors: going to another page is none.
compare_view.leave()
main()
