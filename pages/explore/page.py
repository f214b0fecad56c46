"""Explore: one picture, one model, one method and one noise type, at a severity to drag."""

from collections.abc import Callable

import streamlit as st

from camlab.cams import CamMethod
from camlab.drawing import html
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import SCOPES, ExploreState
from camlab.explore.sweep import Sweep
from pages.choose import model_download, uploads
from pages.explore import case_finder, downloads, panels, scores, severity_handle, sidebar, tour, trials
from pages.shared import image_sets, session
from pages.shared.feedback import notices, standing_in, told, waiting


def sweep_for(scene: Scene) -> Sweep:
    """Return the background draws of the scene: the running ones, or new ones if a choice changed their values."""
    severity = scene.state.severity
    sweep: Sweep | None = st.session_state.get("sweep")
    if sweep is None or not sweep.fits(scene.state):
        if sweep is not None:
            sweep.job.cancel()
        sweep = st.session_state["sweep"] = Sweep(scene, severity)
        session.worker().submit(sweep.job)
    elif sweep.wants(severity):
        sweep.focus = severity
        session.worker().submit(sweep.resume())
    return sweep


def show(state: ExploreState, clear: Callable[[], object]) -> None:
    """Draw the page for one state; ``clear`` removes its skeleton."""
    notice = st.empty()
    engine = session.engine(state.model)
    picture = image_sets.picture(state.image)
    with session.worker().foreground():
        scene = Scene(engine, picture, state)
        check = waiting(notice, f"Computing {scene.method.title}", _price(scene.method))
        shown: Shown = scene.shown(state.severity, state.shown_seed, check)
    st.session_state["clean_index"] = shown.clean.index  # the first value of a fixed class
    sweep = sweep_for(scene)
    sweep.add(shown.row)
    sweep.focus = state.severity
    strip = severity_handle.strip_for(scene, sweep)
    clear()
    notice.empty()
    panels.headline(scene, shown)
    severity_handle.toolbar(scene, shown, strip)
    panels.panels(scene, shown, picture)
    panels.coinciding(scene)
    panels.what_moved(scene, shown, sweep.floors)
    st.subheader("How robust is this map?", anchor=False)
    st.segmented_control(
        "Scope", list(SCOPES), default=session.start("scope"), format_func=lambda n: SCOPES[n],
        key=session.key("scope"), required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    scores.measures(scene, sweep, strip)
    trials.trials(scene, shown)
    case_finder.finder(scene)
    downloads.similarity_table(shown)
    downloads.downloads(scene, shown, sweep)
    origin = "from cache" if shown.cached else "computed"
    device = f"{scene.classifier.device}".upper()
    parts = [device, scene.classifier.title, f"layer {scene.layer}", origin, f"{shown.milliseconds:.0f} ms"]
    st.html(html.status(parts))


def _price(method: CamMethod) -> str:
    return f"It takes {method.price}." if method.price else "CAM Lab keeps the result for next time."


@told()
def main() -> None:
    """Take over the link, draw the controls and the page; errors leave the last good state in place."""
    st.html('<h1 class="cl-page">Does the explanation survive the noise?</h1>')
    tour.tour()
    session.page.adopt()
    model_download.arrive()
    uploads.settle()
    with standing_in("Loading the model …", first="sweep" not in st.session_state) as clear:
        state, _ = sidebar.sidebar()
        notices(session.page.notices())
        model_download.offer()
        show(state, clear)


main()
