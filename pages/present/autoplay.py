"""Autoplay: the severity rises and falls in the browser, with its panels and gauges; also as a GIF and an MP4."""

import dataclasses
from typing import Any

import streamlit as st

from camlab.common.wording import megabytes
from camlab.explore.output import pair_html
from camlab.explore.output.film import FORMS, Animation
from camlab.explore.output.strip import Strip
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from pages.explore import panels, severity_handle
from pages.present.state import page
from pages.shared import background_work, image_sets, session
from pages.shared.feedback import told
from pages.shared.text import explanation_popover, file_stem, plain


def autoplay() -> None:
    """Draw the panels with the handle that plays, the gauges, and the films to download."""
    state = page.state()
    if state is None:
        st.info(
            "Autoplay needs one picture; choose a story, or “What Explore shows”, instead of a study.",
            icon=":material/info:",
        )
        return
    scene = Scene(session.engine(state.model), image_sets.picture(state.image), state)
    with session.worker().foreground():
        shown = scene.shown(state.severity, state.shown_seed)
    sweep, strip = _running(scene)
    sweep.add(shown.row)
    panels.headline(scene, shown)
    with st.container(key="severity_row", horizontal=True, vertical_alignment="center"):
        data = severity_handle.handle_data(scene, shown, strip, number="none", autoplay=True)
        severity_handle.handle.draw("present_severity", data, severity=_moved)
    panels.panels(scene, shown, scene.picture)
    background_work.live(
        lambda: _meters(scene, sweep, strip),
        lambda: severity_handle.working(strip) or sweep.job.running,
        sweep.job,
    )
    explanation_popover("autoplay")
    _films(scene, sweep)


def _running(scene: Scene) -> tuple[Sweep, Strip]:
    """Return the draws and frames of the scene at any severity: those under way, or new ones."""
    about = dataclasses.replace(scene.state, severity=0.0)
    known: tuple[ExploreState, Sweep, Strip] | None = st.session_state.get("present.running")
    if known is not None and known[0] == about:
        return known[1], known[2]
    if known is not None:
        known[1].job.cancel()
        known[2].job.cancel()
    sweep = Sweep(scene, scene.state.severity, patient=scene.cost != "full")
    strip = Strip(scene, sweep, scene.state.severity)
    st.session_state["present.running"] = (about, sweep, strip)
    for job in (strip.job, sweep.job):
        session.worker().submit(job)
    return sweep, strip


def _meters(scene: Scene, sweep: Sweep, strip: Strip) -> bool:
    """Draw progress and gauges and send new frames; return whether there were none."""
    job = strip.job if strip.job.running else sweep.job
    # The style sheet gives this container a fixed height, so that nothing below jumps.
    with st.container(key="sweep_progress"):
        if error := sweep.job.error or strip.job.error:
            st.error(plain(error), icon=":material/error:")
        elif job.running:
            noun = "frames" if job is strip.job else "draws, for the gauges"
            background_work.job_progress(job, noun)
        else:
            st.caption("Picture, map and gauges follow the severity; the pause button stops them.")
    scores = sweep.scores(scene.state.severity)
    gauges = pair_html.gauges(sweep, scores, "severity").values()
    with st.container(key="gauges"):
        for column, gauge in zip(st.columns(3, gap="large"), gauges, strict=True):
            column.html(gauge)
    return not severity_handle.ship(strip)


def _moved(report: Any) -> bool:
    """Set the severity to what the handle reports; return whether it can be used."""
    severity = severity_handle.released(report)
    if severity is None:
        return False
    page.set_severity(severity)
    return True


def _films(scene: Scene, sweep: Sweep) -> None:
    """Draw the buttons that make and download one rise and fall of the severity as a file."""
    st.subheader("Export", anchor=False)
    columns = st.columns(2, gap="medium")
    for column, (name, form) in zip(columns, FORMS.items(), strict=True):
        with column, told():
            _film(scene, sweep, name, form.title)


def _film(scene: Scene, sweep: Sweep, name: str, title: str) -> None:
    kind, key = f"film.{name}", dataclasses.replace(scene.state, severity=0.0)
    background_work.offer(
        kind,
        key,
        "frames",
        lambda: Animation(scene, sweep, name),
        lambda run: _finished(scene, run, name),
        f"Make a {title}" if name == "gif" else f"Make an {title}",
        "movie",
        width="stretch",
        help="The severity rises and falls once, with its gauges. Rendered in the background.",
    )


def _finished(scene: Scene, run: Animation, name: str) -> None:
    if run.data is None:
        return
    form = FORMS[name]
    stem = file_stem("camlab", scene.picture.title, scene.state.method, scene.state.noise)
    st.download_button(
        f"Download the {form.title} ({megabytes(len(run.data)) if len(run.data) > 1e6 else 'under 1 MB'})",
        run.data,
        f"{stem}{form.suffix}",
        form.mime,
        key=f"film.{name}.file",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
