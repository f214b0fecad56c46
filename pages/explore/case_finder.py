"""Find me a case: start the search, watch it, jump to what it found."""

from __future__ import annotations

import dataclasses

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.common.wording import plural, time_left
from camlab.drawing.pictures import data_url
from camlab.explore.cases import KINDS, Case, CaseSearch
from camlab.explore.output.panels import (draw_panel)
from camlab.explore.output.words import (shown_verdict)
from camlab.explore.scene import Scene
from camlab.explore.state import LOOKS
from camlab.images import Picture
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES
from pages.shared import image_sets, session
from pages.shared.feedback import told
from pages.shared.text import plain

POLL_SECONDS = 1.0
MOST = 100  # pictures of one search


def _pictures(scene: Scene, whole_set: bool) -> list[Picture]:
    if not whole_set:
        return [scene.picture]
    return image_sets.image_set(scene.picture.image_set).sample(MOST)


def _start(scene: Scene) -> None:
    whole_set = bool(st.session_state.get("finder.whole_set"))
    search = CaseSearch(scene.engine, _pictures(scene, whole_set), scene.state)
    st.session_state["finder"] = search
    st.session_state["finder.drawn"] = {}
    session.worker().submit(search.job)
    st.session_state["rerun"] = True


def _stop() -> None:
    if search := session.reported("finder"):
        search.job.cancel()
    st.session_state["rerun"] = True


def finder(scene: Scene) -> None:
    """The search's controls and, while it runs, a part of the page that refreshes by itself."""
    st.subheader("Find me a case", anchor=False)
    st.caption(
        "Searches all noise types at severities 1–5 for pairs in which the prediction and the map disagree: "
        "the prediction was kept but the map broke, or the prediction flipped but the map stayed."
    )
    search: CaseSearch | None = st.session_state.get("finder")
    running = search is not None and search.job.running
    left, right = st.columns([1, 2], vertical_alignment="center")
    if running:
        left.button("Stop the search", icon=":material/stop_circle:", on_click=_stop, width="stretch")
    else:
        left.button(
            "Find cases",
            icon=":material/search:",
            type="primary",
            on_click=_start,
            args=(scene,),
            width="stretch",
        )
    right.checkbox(
        "Search the whole image set",
        key="finder.whole_set",
        disabled=running,
        help=f"All pictures of this set instead of this picture alone, of a set of over {MOST} that many, evenly "
        "picked; takes minutes on a small computer.",
    )
    if search is not None:
        st.fragment(_results, run_every=POLL_SECONDS if running else None)(search, running)


@told()
def _results(search: CaseSearch, was_running: bool) -> None:
    session.follow_callbacks()
    job = search.job
    job.touch()
    if was_running and not job.running:
        st.rerun()
    if job.running:
        st.progress(
            min(job.done / max(job.total, 1), 1.0),
            text=f"{plural(search.pairs, 'pair')} compared{time_left(job.seconds_left)}",
        )
    elif job.error:
        st.error(plain(job.error), icon=":material/error:")
    else:
        ended = "Stopped" if job.cancelled else "Done"
        skipped = (
            f"; {plural(search.skipped, 'picture')} skipped for a degenerate clean map"
            if search.skipped
            else ""
        )
        if search.unreadable:
            skipped += f"; {plural(search.unreadable, 'picture')} skipped because the file cannot be read"
        st.caption(f"{ended}: {plural(search.pairs, 'pair')} compared{skipped}.")
    asked, now = search.state, session.current()
    model, scored = session.model_title(asked.model), SIMILARITIES[asked.similarity].scored_title
    settings = f"{model}, {CAMS[asked.method].title}, {scored}"
    same = all(
        getattr(asked, f) == getattr(now, f) for f in ("model", "method", "layer", "rule", "similarity")
    )
    st.caption(
        f"Searched with {settings}."
        if same
        else f"Searched with {settings}: not the settings on screen now. “Go there” brings them back."
    )
    for name, kind in KINDS.items():
        cases = search.best(name)
        st.markdown(f"**{kind.title}** · {kind.meaning}")
        if not cases:
            st.caption(
                "Nothing yet."
                if job.running
                else "None found here; search the whole image set or another method."
                if search.pairs
                else "Nothing was compared yet; press “Find cases” to search again."
            )
            continue
        for column, (place, case) in zip(st.columns(6), enumerate(cases), strict=False):
            with column:
                _card(search, name, place, case)


def _card(search: CaseSearch, kind: str, place: int, case: Case) -> None:
    noise = NOISES[case.state.noise].title
    scene = Scene(search.engine, session.picture(case.state.image), case.state)
    sentence = shown_verdict(scene, case.row)
    st.image(
        data_url(_pair(scene, case)), width="stretch", alt=f"Clean and perturbed overlay, {noise}: {sentence}"
    )
    st.caption(
        plain(
            f"{scene.picture.title} · {noise} {case.state.severity:g} · similarity {case.similarity:.2f} · {sentence}"
        )
    )
    st.button("Go there", key=f"case.{kind}.{place}", on_click=_go, args=(case,), width="stretch")


def _pair(scene: Scene, case: Case) -> NDArray[np.uint8]:
    """Clean and perturbed overlay side by side, drawn once for each case of the session."""
    drawn: dict[object, NDArray[np.uint8]] = st.session_state.setdefault("finder.drawn", {})
    if case.state not in drawn:
        # Both maps are in the cache from the search: nothing else is computed for a thumbnail.
        clean, noisy, pixels = scene.versions(case.state.severity, case.state.shown_seed)
        sides = [
            draw_panel(scene, clean, scene.input.numpy(), "overlay"),
            draw_panel(scene, noisy, pixels, "overlay"),
        ]
        drawn[case.state] = np.concatenate(sides, axis=1)[::2, ::2]
    return drawn[case.state]


def _go(case: Case) -> None:
    looks = {name: getattr(session.current(), name) for name in LOOKS}
    session.put(dataclasses.replace(case.state, **looks))
    st.session_state["rerun"] = True
