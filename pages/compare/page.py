"""Compare: one picture, many explanations side by side."""

from __future__ import annotations

import streamlit as st

from pages.choose import model_download, uploads
from pages.compare import grid, link, sidebar
from pages.shared import session
from pages.shared.feedback import standing_in, told
from pages.shared.text import plain


@told()
def main() -> None:
    """Take over the link, draw the controls, show the grid."""
    st.html('<h1 class="cl-page">One picture, many explanations</h1>')
    link.adopt()
    model_download.arrive()
    uploads.settle()
    with standing_in("Loading the model …", first="compare.now" not in st.session_state) as clear:
        base, classifier = sidebar.sidebar()
        for notice in session.notices():
            st.warning(plain(notice), icon=":material/info:")
        model_download.offer()
        clear()
        state = sidebar.bar(base, classifier)
        link.write()
        grid.show(state)


# Outside what tells errors: going to another page is none.
grid.leave()
main()
