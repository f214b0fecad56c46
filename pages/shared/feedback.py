"""Feedback about a page: an error, a skeleton before the first result, a notice of a long computation."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner_utils.script_run_context import get_run_yield_check

from camlab.common.errors import CamLabError
from pages.shared.text import plain

PATIENCE = 1.0  # seconds before the first notice of a long computation
EVERY = 0.5  # seconds between two notices


@contextmanager
def told() -> Iterator[None]:
    """Show an error raised inside as one sentence and end the block there.

    Wrap the page and each of its fragments: a fragment also runs alone, and Streamlit shows an error raised in it
    before the page can catch it.
    """
    try:
        yield
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:  # a bug: visitors get a sentence, the server's log gets the traceback
        logging.getLogger("camlab").exception("A page stopped unexpectedly.")
        st.error(
            f"The computation stopped unexpectedly ({type(error).__name__}); change a setting to retry.",
            icon=":material/error:",
        )


def notices(sentences: Iterable[str]) -> None:
    """Draw a page's notices."""
    for sentence in sentences:
        st.warning(plain(sentence), icon=":material/info:")


def skeleton(text: str) -> None:
    """Draw the outline of a headline, a line and a picture; screen readers get ``text``."""
    st.html(
        f'<div class="cl-skeleton" role="status"><span class="cl-hidden">{escape(text)}</span>'
        '<i class="cl-line"></i><i class="cl-line cl-short"></i><i class="cl-block"></i></div>'
    )


@contextmanager
def standing_in(text: str, first: bool) -> Iterator[Callable[[], object]]:
    """Show the skeleton if nothing has been drawn yet (``first``); otherwise keep the old content until the new one.

    Yields the function that removes the skeleton: call it before drawing the page. An error removes it too.
    """
    place = st.empty()
    if first:
        with place.container():
            skeleton(text)
    try:
        yield place.empty
    finally:
        place.empty()


def waiting(place: DeltaGenerator, what: str, about: str) -> Callable[[], None]:
    """Return a callback that reports elapsed time in ``place`` after PATIENCE seconds.

    ``what`` names the computation and ``about`` is a sentence on its cost. The computation must call the callback
    often: it ends the run, by an exception, if the visitor has chosen something else. The notice floats above the page,
    so that nothing moves.
    """
    begun = last = time.monotonic()
    give_way = get_run_yield_check() or (lambda: None)

    def check() -> None:
        nonlocal last
        give_way()
        now = time.monotonic()
        if now - begun < PATIENCE or now - last < EVERY:
            return
        last = now
        place.html(
            f'<div class="cl-waiting" role="status"><b>{escape(what)}</b> · {now - begun:.0f} s so far. '
            f"{escape(about)} Changing any setting stops it.</div>"
        )

    return check
