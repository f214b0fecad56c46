"""Compare: one picture, many explanations side by side."""

import streamlit as st

from pages.choose import model_download, uploads
from pages.compare import grid, sidebar
from pages.compare.state import page
from pages.shared import session
from pages.shared.feedback import notices, standing_in, told


@told()
def main() -> None:
    """Take over the link, draw the controls and the grid."""
    st.html('<h1 class="cl-page">One picture, many explanations</h1>')
    page.adopt()
    model_download.arrive()
    uploads.settle()
    with standing_in("Loading the model …", first="compare.now" not in st.session_state) as clear:
        base, classifier = sidebar.sidebar()
        notices(session.page.notices())
        model_download.offer()
        clear()
        state = sidebar.bar(base, classifier)
        page.write()
        grid.show(state)


# Outside `told`, which would catch the exception that switches to another page.
grid.leave()
main()
