"""What a page says while it computes something itself that takes more than a moment, and how that can be left."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PATIENCE = 1.0  # seconds without a word
EVERY = 0.5  # seconds between two


def waiting(place: DeltaGenerator, what: str, about: str) -> Callable[[], None]:
    """A check to hand to what computes; from PATIENCE on it says in ``place`` for how long ``what`` has taken.

    ``about``: what it takes, a sentence. Like every word to the browser, the notice also ends the run where the
    visitor has chosen something else meanwhile. It floats above the page, so that nothing moves.
    Raises what Streamlit ends a run with.
    """
    begun = last = time.monotonic()

    def check() -> None:
        nonlocal last
        now = time.monotonic()
        if now - begun < PATIENCE or now - last < EVERY:
            return
        last = now
        place.html(
            f'<div class="cl-waiting" role="status"><b>{escape(what)}</b> · {now - begun:.0f} s so far. '
            f"{escape(about)} Choosing anything else ends it.</div>"
        )

    return check
