"""Long work on demand about what is on screen: started by a button, kept for the session, drawn while it runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.jobs import Job
from camlab.common.wording import time_left
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.text import plain

POLL_SECONDS = 0.8
KEPT = 8  # results of a kind that a session remembers


class Run(Protocol):
    """Work with its job; its results grow while the job runs."""

    job: Job


def _runs(kind: str) -> dict[Hashable, Any]:
    found: dict[Hashable, Any] = st.session_state.setdefault(f"work.{kind}", {})
    return found


def latest(kind: str, key: Hashable) -> Any:
    """The session's run of a kind for a key, None where there is none."""
    return _runs(kind).get(key)


def start(kind: str, key: Hashable, make: Callable[[], Run]) -> None:
    """Make a run and submit its job, as a button's callback; of a kind only one runs at a time."""
    st.session_state[f"work.{kind}.error"] = None
    runs = _runs(kind)
    for other in runs.values():
        other.job.cancel()
    try:
        with session.worker().foreground():
            run = make()
    except CamLabError as error:
        st.session_state[f"work.{kind}.error"] = str(error)
        return
    hold(kind, key, run)
    session.worker().submit(run.job)
    st.session_state["rerun"] = True


def hold(kind: str, key: Hashable, run: Run) -> None:
    """Remember a run as the latest of its kind for a key; the oldest of more than KEPT are forgotten."""
    runs = _runs(kind)
    runs.pop(key, None)
    runs[key] = run
    while len(runs) > KEPT:
        runs.pop(next(iter(runs))).job.cancel()


def _cancel(run: Run) -> None:
    run.job.cancel()
    st.session_state["rerun"] = True


def watch(kind: str, run: Run | None, noun: str, draw: Callable[[], None]) -> None:
    """Progress with Cancel while a run works, what became of it, and whatever ``draw`` makes of its results.

    ``noun`` is what the job counts, in the plural. Nothing is drawn where there is no run.
    """
    if error := st.session_state.get(f"work.{kind}.error"):
        st.error(plain(error), icon=":material/error:")
    if run is not None:
        running = run.job.running
        st.fragment(_watched, run_every=POLL_SECONDS if running else None)(kind, run, noun, draw, running)


@told()
def _watched(kind: str, run: Run, noun: str, draw: Callable[[], None], was_running: bool) -> None:
    session.follow_callbacks()
    job = run.job
    job.touch()
    if was_running and not job.running:
        st.rerun()
    if job.error:
        st.error(plain(job.error), icon=":material/error:")
    elif job.running:
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.progress(
            min(job.done / max(job.total, 1), 1.0),
            text=f"{job.done} of {job.total} {noun}{time_left(job.seconds_left)}",
        )
        right.button(
            "Cancel",
            icon=":material/stop_circle:",
            key=f"work.{kind}.cancel",
            on_click=_cancel,
            args=(run,),
            width="stretch",
        )
    elif job.cancelled:
        st.caption(f"Cancelled after {job.done} of {job.total} {noun}; what is there stays.")
    draw()
