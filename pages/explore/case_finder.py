"""Find cases: start the search, watch its progress, and open what it found."""

import dataclasses

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.common.wording import plural
from camlab.drawing.charts.titles import model_title
from camlab.drawing.pictures import data_url
from camlab.explore.cases import DISAGREEMENTS, CaseSearch, FoundCase
from camlab.explore.output.panels import draw_panel, shown_verdict
from camlab.explore.scene import Scene
from camlab.explore.state import VIEW_FIELDS
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES
from pages.shared import background_work, image_sets, session
from pages.shared.text import plain

MOST = 100  # pictures per search


def _start(scene: Scene) -> None:
    pictures = [scene.picture]
    if st.session_state.get("finder.whole_set"):
        pictures = image_sets.image_set(scene.picture.image_set).sample(MOST)
    search = CaseSearch(scene.engine, pictures, scene.state)
    st.session_state["finder"] = search
    st.session_state["finder.drawn"] = {}
    session.worker().submit(search.job)
    st.session_state["rerun"] = True


def finder(scene: Scene) -> None:
    """Draw the search's controls and its results, in a fragment that refreshes while the search runs."""
    st.subheader("Find cases", anchor=False)
    st.caption(
        "Searches all noise types at severities 1–5 for pairs in which the prediction and the map disagree: "
        "the prediction was kept but the map broke, or the prediction flipped but the map stayed."
    )
    search: CaseSearch | None = st.session_state.get("finder")
    running = search is not None and search.job.running
    left, right = st.columns([1, 2], vertical_alignment="center")
    if search is not None and running:
        left.button(
            "Stop the search",
            icon=":material/stop_circle:",
            on_click=background_work.then_rerun,
            args=(search.job.cancel,),
            width="stretch",
        )
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
        help=f"Searches all pictures of this set, or {MOST} spread evenly over a larger one. Takes minutes on a small "
        "computer.",
    )
    if search is not None:
        background_work.live(lambda: _results(search), lambda: search.job.running, search.job, before=running)


def _results(search: CaseSearch) -> None:
    job = search.job
    if job.running:
        text = f"{plural(search.pairs, 'pair')} compared"
        background_work.progress(job.done / max(job.total, 1), text, job.seconds_left)
    elif job.error:
        st.error(plain(job.error), icon=":material/error:")
    else:
        parts = [f"{'Stopped' if job.cancelled else 'Done'}: {plural(search.pairs, 'pair')} compared"]
        for count, reason in (
            (search.skipped, "for a degenerate clean map"),
            (search.unreadable, "because the file cannot be read"),
        ):
            parts += [f"{plural(count, 'picture')} skipped {reason}"] if count else []
        st.caption(f"{'; '.join(parts)}.")
    asked, now = search.state, session.current()
    model, scored = model_title(asked.model), SIMILARITIES[asked.similarity].scored_title
    settings = f"{model}, {CAMS[asked.method].title}, {scored}"
    same = all(getattr(asked, f) == getattr(now, f) for f in ("model", "method", "layer", "rule", "similarity"))
    st.caption(
        f"Searched with {settings}."
        if same
        else f"Searched with {settings}, which differ from the settings on screen. “Go there” restores them."
    )
    for name, kind in DISAGREEMENTS.items():
        cases = search.best(name)
        st.markdown(f"**{kind.title}** · {kind.meaning}")
        if not cases:
            st.caption(
                "Nothing yet."
                if job.running
                else "None found; search the whole image set or try another method."
                if search.pairs
                else "No pair was compared; press “Find cases” to search again."
            )
            continue
        for column, (place, case) in zip(st.columns(6), enumerate(cases), strict=False):
            with column:
                _card(search, name, place, case)


def _card(search: CaseSearch, kind: str, place: int, case: FoundCase) -> None:
    noise = NOISES[case.state.noise].title
    scene = Scene(search.engine, image_sets.picture(case.state.image), case.state)
    sentence = shown_verdict(scene, case.row)
    st.image(data_url(_pair(scene, case)), width="stretch", alt=f"Clean and perturbed overlay, {noise}: {sentence}")
    st.caption(
        plain(
            f"{scene.picture.title} · {noise} {case.state.severity:g} · similarity {case.similarity:.2f} · {sentence}"
        )
    )
    st.button("Go there", key=f"case.{kind}.{place}", on_click=_go, args=(case,), width="stretch")


def _pair(scene: Scene, case: FoundCase) -> NDArray[np.uint8]:
    """Draw the clean and the perturbed overlay side by side, once for each case of the session."""
    drawn: dict[object, NDArray[np.uint8]] = st.session_state.setdefault("finder.drawn", {})
    if case.state not in drawn:
        # The search left both maps in the cache, so a thumbnail computes nothing else.
        clean, noisy = scene.pair(case.state.severity, case.state.shown_seed)
        sides = [
            draw_panel(scene, clean, "overlay"),
            draw_panel(scene, noisy, "overlay"),
        ]
        drawn[case.state] = np.concatenate(sides, axis=1)[::2, ::2]
    return drawn[case.state]


def _go(case: FoundCase) -> None:
    view = {name: getattr(session.current(), name) for name in VIEW_FIELDS}
    session.put(dataclasses.replace(case.state, **view))
    st.session_state["rerun"] = True
