"""What stands where something is still being computed: at about its size, so that nothing jumps when it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

import streamlit as st


def skeleton(text: str) -> None:
    """A headline, a line and a picture in outline; ``text`` is for screen readers."""
    st.html(
        f'<div class="cl-skeleton" role="status"><span class="cl-hidden">{escape(text)}</span>'
        '<i class="cl-line"></i><i class="cl-line cl-short"></i><i class="cl-block"></i></div>'
    )


@contextmanager
def standing_in(text: str, first: bool) -> Iterator[Callable[[], object]]:
    """Show the skeleton where nothing is there yet (``first``): later, what was there stays until the new is.

    Yields what takes it away, to be called before the page itself is drawn; it goes with an error, too.
    """
    place = st.empty()
    if first:
        with place.container():
            skeleton(text)
    try:
        yield place.empty
    finally:
        place.empty()
