"""Errors on the page: a sentence for the visitor, whatever went wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from camlab.common.errors import CamLabError
from pages.shared.markdown import plain


@contextmanager
def told() -> Iterator[None]:
    """End what is drawn inside at an error, with a sentence; around a page and around each of its fragments.

    A fragment needs its own: it is also run alone, and Streamlit shows an error inside one before the page gets it.
    """
    try:
        yield
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:  # a bug: the rest is for who runs the server
        logging.getLogger("camlab").exception("A page stopped unexpectedly.")
        st.error(
            f"The computation stopped unexpectedly ({type(error).__name__}); change a setting to retry.",
            icon=":material/error:",
        )
