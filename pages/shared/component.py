"""The dashboard's own browser components: their files, and their reports, each taken once and none lost."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from camlab.common.directories import ASSETS
from pages.shared import session


class Component:
    """A component made of the files ``stem``.html, .css and .js in assets/, of those that exist.

    It reports by ``setStateValue`` or ``setTriggerValue``. A state that can hold the same value twice carries a number
    of its own (``at``): a report that equals the last one counts as known.
    """

    def __init__(self, stem: str) -> None:
        files = {kind: ASSETS / f"{stem}.{kind}" for kind in ("html", "css", "js")}
        parts: dict[str, Any] = {
            kind: path.read_text(encoding="utf-8") for kind, path in files.items() if path.is_file()
        }
        self._draw = st.components.v2.component(f"camlab_{stem}", **parts)

    def draw(self, key: str, data: Any, **takers: Callable[[Any], bool]) -> None:
        """Draw the component; pass each new report of a state to the taker of that name, once.

        A taker returns whether the page must be drawn again. It must not trust what a browser sends.
        """
        callbacks: dict[str, Any] = {
            f"on_{name}_change": partial(_called, key, name, take) for name, take in takers.items()
        }
        held = self._draw(key=key, data=data, **callbacks)
        # A run that is interrupted before it calls back still leaves the report, which comes with the next drawing.
        taken = [_take(key, name, take, held) for name, take in takers.items()]
        if any(taken):
            st.rerun()


def _called(key: str, name: str, take: Callable[[Any], bool]) -> None:
    if _take(key, name, take, session.reported(key)):
        st.session_state["rerun"] = True


def _take(key: str, name: str, take: Callable[[Any], bool], held: Any) -> bool:
    report = held.get(name) if isinstance(held, Mapping) else None
    if report is None:
        return False
    known: dict[str, Any] = st.session_state.setdefault(f"{key}.taken", {})
    if name in known and known[name] == report:
        return False
    known[name] = report
    return take(report)
