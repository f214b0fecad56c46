"""What stands where something is still being computed: at about its size, so that nothing jumps when it comes."""

from __future__ import annotations

from html import escape

import streamlit as st


def skeleton(text: str) -> None:
    """A headline, a line and a picture in outline; ``text`` is for screen readers."""
    st.html(
        f'<div class="cl-skeleton" role="status"><span class="cl-hidden">{escape(text)}</span>'
        '<i class="cl-line"></i><i class="cl-line cl-short"></i><i class="cl-block"></i></div>'
    )
