"""A running study: progress by model and noise type, pause, stop and resume."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import duration, plural
from camlab.drawing import html
from camlab.drawing.charts.titles import level_title, model_title
from camlab.study import Status, cancel, pause, resume, start, status
from camlab.study.store import Study
from pages.shared import background_work
from pages.shared.text import plain
from pages.study import data

POLL_SECONDS = 1.5
#: Polls between two updates of the plots while a study runs: reading a large study takes a second.
REFILL = 4


def run_state(study: Study) -> None:
    """Draw the study's progress and refresh it while it runs."""
    now = status(study.folder)
    if now.alive or now.state != "finished":
        seen = data.stamp(study)
        background_work.live(
            lambda: _watched(study, seen),
            lambda: status(study.folder).alive,
            before=now.alive,
            every=POLL_SECONDS,
        )
    elif now.skipped:
        st.caption(f"{plural(now.skipped, 'picture')} could not be used; see About.")


def _watched(study: Study, seen: data.Stamp) -> None:
    if error := st.session_state.pop("study.run_error", None):
        st.error(plain(error), icon=":material/error:")
    now = status(study.folder)
    _bar(study, now)
    ticks = st.session_state["study.ticks"] = st.session_state.get("study.ticks", 0) + 1
    grown = data.stamp(study) != seen
    if grown and (not seen[0] or ticks % REFILL == 0):
        st.rerun()


def _bar(study: Study, now: Status) -> None:
    with st.container(key="study_run"):
        left, right = st.columns([4, 2], vertical_alignment="center")
        text = f"{now.done:,} of {now.total:,} pairs" if now.total else "loading the models"
        if now.alive:
            state = "Paused: " if now.state == "paused" else "" if now.total else "Starting: "
            with left:
                background_work.progress(now.share, f"{state}{text}", now.seconds_left)
        else:
            words = {
                "planned": "Not started yet",
                "cancelled": "Stopped",
                "interrupted": "Interrupted: its process ended, for example because the machine was switched off",
                "failed": "Failed",
            }
            done = f" · {text}; nothing is lost" if now.done else ""
            with left:
                background_work.progress(now.share, f"{words.get(now.state, now.state)}{done}")
        with right.container(horizontal=True, horizontal_alignment="right"):
            if now.alive and now.state == "paused":
                _button("Resume", "play_arrow", resume, study)
            elif now.alive:
                _button("Pause", "pause", pause, study)
            if now.alive:
                _button("Stop", "stop_circle", cancel, study)
            elif now.can_resume:
                _button("Start" if now.state == "planned" else "Resume", "play_arrow", start, study)
        if now.error:
            st.error(plain(now.error), icon=":material/error:")
        if now.by:
            pace = f" · {now.pairs_per_second:.0f} pairs per second" if now.pairs_per_second else ""
            spent = f" · {duration(now.seconds_spent)} so far" if now.seconds_spent else ""
            with st.expander(f"By model and noise type{spent}{pace}"):
                names = dict.fromkeys(name for each in now.by.values() for name in each)
                titles = {name: level_title("noise", name) for name in names}
                st.html(html.progress_grid({model_title(model): each for model, each in now.by.items()}, titles))


def _button(label: str, icon: str, act: Callable[[Path], object], study: Study) -> None:
    st.button(label, icon=f":material/{icon}:", key=f"study.run.{label}", on_click=_do, args=(act, study.folder))


def _do(act: Callable[[Path], object], folder: Path) -> None:
    try:
        act(folder)
    except CamLabError as error:
        st.session_state["study.run_error"] = str(error)
    st.session_state["rerun"] = True
