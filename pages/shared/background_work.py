"""Work that runs while the page is used: parts that refresh by themselves, progress bars, runs kept for the session."""

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


def live(
    draw: Callable[[], bool | None],
    running: Callable[[], bool],
    *jobs: Job,
    before: bool | None = None,
    every: float = POLL_SECONDS,
) -> None:
    """Draw a part of the page, again after ``every`` seconds while work is ``running``.

    Once the work has ended, and ``draw`` does not return False, the whole page runs once more. ``before``: whether the
    work was running when the page above was drawn, if that depends on it; the work may have ended since. ``jobs`` are
    not abandoned while the page is open.
    """
    if before is None:
        before = running()

    @told()
    def part() -> None:
        session.follow_callbacks()
        for job in jobs:
            job.touch()
        now = running()
        if draw() is not False and before and not now:
            st.rerun()

    st.fragment(part, run_every=every if before else None)()


def progress(
    share: float,
    text: str,
    seconds_left: float | None = None,
    cancel: Callable[[], object] | None = None,
    key: str = "",
    label: str = "Cancel",
) -> None:
    """Draw a progress bar for ``share`` in [0, 1] with text and time left, and a button that calls ``cancel``.

    A press of the button reruns the whole page.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(share, 1.0), text=text + time_left(seconds_left))
        if cancel is not None:
            st.button(label, icon=":material/stop_circle:", key=key, on_click=then_rerun, args=(cancel,))


def job_progress(
    job: Job, noun: str, cancel: Callable[[], object] | None = None, key: str = "", label: str = "Cancel"
) -> None:
    """Draw the progress of a job that counts ``noun`` (plural), with a button that calls ``cancel``."""
    share = job.done / max(job.total, 1)
    progress(share, f"{job.done} of {job.total} {noun}", job.seconds_left, cancel, key, label)


def then_rerun(act: Callable[[], object]) -> None:
    """Call ``act`` and rerun the whole page; a button's callback inside a fragment."""
    act()
    st.session_state["rerun"] = True


def resume(make: Callable[[], Job]) -> None:
    """Submit a new job for the missing results; a button's callback."""
    session.worker().submit(make())
    st.session_state["rerun"] = True


def _runs(kind: str) -> dict[Hashable, Any]:
    found: dict[Hashable, Any] = st.session_state.setdefault(f"work.{kind}", {})
    return found


def latest(kind: str, key: Hashable) -> Any:
    """Return the session's run of a kind for a key; None where there is none."""
    return _runs(kind).get(key)


def start(kind: str, key: Hashable, make: Callable[[], Run]) -> None:
    """Make a run and submit its job, replacing the running one of its kind; a button's callback."""
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
    """Remember a run as the latest of its kind for a key, and forget the oldest of more than KEPT."""
    runs = _runs(kind)
    runs.pop(key, None)
    runs[key] = run
    while len(runs) > KEPT:
        runs.pop(next(iter(runs))).job.cancel()


def is_running(run: Run | None) -> bool:
    """Return whether there is a run with steps still to come."""
    return run is not None and run.job.running


def watch(kind: str, run: Run | None, running: bool, noun: str, draw: Callable[[], None]) -> None:
    """Draw a run's progress with Cancel, its error, and its results with ``draw``; nothing where there is no run.

    running: whether it was running when the page above was drawn. ``noun`` is what the job counts, in the plural.
    """
    if error := st.session_state.get(f"work.{kind}.error"):
        st.error(plain(error), icon=":material/error:")
    if run is None:
        return
    job = run.job

    def part() -> None:
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        elif job.running:
            job_progress(job, noun, job.cancel, f"work.{kind}.cancel")
        elif job.cancelled:
            st.caption(f"Cancelled after {job.done} of {job.total} {noun}; the results so far are kept.")
        draw()

    live(part, lambda: job.running, job, before=running)


def offer(
    kind: str,
    key: Hashable,
    noun: str,
    make: Callable[[], Run],
    draw: Callable[[Any], None],
    label: str,
    icon: str,
    again: str = "",
    **button: Any,
) -> None:
    """Draw the button that starts a run, then the run's progress and its results with ``draw``.

    After a finished run the button stays only with a label for another run (``again``).
    """
    run = latest(kind, key)
    running = is_running(run)
    failed = run is not None and (run.job.cancelled or run.job.error)
    if run is None or (not running and (again or failed)):
        st.button(
            again if run and again else label,
            icon=f":material/{icon}:",
            key=f"{kind}.start",
            on_click=start,
            args=(kind, key, make),
            **button,
        )
    watch(kind, run, running, noun, lambda: draw(run))
