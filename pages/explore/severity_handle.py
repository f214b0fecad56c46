"""The severity handle above the panels, and the frames that the browser shows for it without asking the server."""

import base64
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import streamlit as st

from camlab.drawing.pictures import DIVERGING, INK, VIEWS, colour_table, data_url
from camlab.explore.output.frames import spoken
from camlab.explore.output.panels import outline_layer
from camlab.explore.output.strip import Strip
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import SEVERITY_STEP
from camlab.explore.sweep import Sweep
from pages.shared import session
from pages.shared.component import Component

TOP = 5.0
ABOUT = (
    "0 is the untouched picture; 1 to 5 are ImageNet-C's levels, with everything between them interpolated. "
    "The same seed keeps the same noise field while the severity moves."
)


handle = Component("scrubber")
_parcel = Component("frames")


def toolbar(scene: Scene, shown: Shown, strip: Strip) -> None:
    """Draw the choice of view, the severity handle, and the severity as a number."""
    with st.container(key="severity_row", horizontal=True, vertical_alignment="center", gap="medium"):
        st.segmented_control(
            "Show", list(VIEWS), default=session.start("view"), format_func=lambda n: VIEWS[n].title,
            key=session.key("view"), required=True,
            label_visibility="collapsed", width="content",
        )  # fmt: skip
        handle.draw("severity", handle_data(scene, shown, strip), severity=_dragged)
        st.number_input(
            "Severity",
            0.0,
            TOP,
            None,  # an emptied box keeps the last severity instead of falling to 0
            step=SEVERITY_STEP,
            format="%g",
            key=session.key("severity"),
            on_change=session.page.when("severity", _typed),
            help=ABOUT,
            label_visibility="collapsed",
            width=130,
        )


def handle_data(
    scene: Scene, shown: Shown, strip: Strip, number: str = "severity", autoplay: bool = False
) -> dict[str, Any]:
    """Return the data of the handle, which every change sends again; large data travels in parcels instead.

    number: the field whose widget shows the severity as a number; autoplay: whether the handle can move by itself.
    """
    state = scene.state
    return {
        "min": 0,
        "max": TOP,
        "step": SEVERITY_STEP,
        "severity": state.severity,
        "spoken": spoken(scene, shown.row),
        "about": ABOUT,
        "number": session.key(number).replace(".", "-"),  # as in the widget's CSS class
        "strip": strip.name,
        "autoplay": autoplay,
        "view": state.view,
        "opacity": state.opacity,
        "scope": state.scope,
        "table": table(state.colormap),
        "diverging": table(DIVERGING),
        "ink": INK,
        "outline": "" if (layer := outline_layer(scene)) is None else data_url(layer),
    }


@cache
def table(name: str) -> str:
    """Return a colour map's 256 colours as base64 of their RGB bytes."""
    return base64.b64encode(colour_table(name).tobytes()).decode()


def on_step(value: Any) -> float | None:
    """Return the severity step nearest to a value from the browser; None if that is no severity."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 0 <= value <= TOP
    ):
        return None
    return round(value / SEVERITY_STEP) * SEVERITY_STEP


def released(report: Any) -> float | None:
    """Return the severity at which a handle was released; None if a report holds none."""
    return on_step(report.get("value")) if isinstance(report, Mapping) else None


def _dragged(report: Any) -> bool:
    """Set the severity to what the handle reports; return whether it can be used."""
    severity = released(report)
    if severity is None:
        return False
    session.set_field("severity", severity)
    return True


def _typed() -> None:
    severity = on_step(session.reported(session.key("severity")))
    # In place: under a new key the box would lose the focus while a visitor types.
    st.session_state[session.key("severity")] = session.current().severity if severity is None else severity
    st.session_state["rerun"] = True


def strip_for(scene: Scene, sweep: Sweep) -> Strip:
    """Return the frames of the sweep and the seed on screen: those under way, or new ones."""
    strip: Strip | None = st.session_state.get("strip")
    if strip is None or strip.sweep is not sweep or strip.seed != scene.state.shown_seed:
        if strip is not None:
            strip.job.cancel()
        strip = Strip(scene, sweep, scene.state.severity)
        st.session_state["strip"] = strip
        session.worker().submit(strip.job)
    strip.focus = scene.state.severity
    return strip


def working(strip: Strip) -> bool:
    """Start work that has become possible, and return whether frames are still being made."""
    if strip.wants:
        session.worker().submit(strip.resume())
    return strip.job.running


def ship(strip: Strip) -> bool:
    """Send the finished frames to the browser; return whether some of them are new."""
    strip.job.touch()
    known = len(strip.parcels)
    with st.container(key="frames"):
        # A parcel never changes: the browser keeps it, and a later run of the page sends only its name.
        for index, parcel in enumerate(strip.pack()):
            _parcel.draw(f"parcel.{index}", parcel)
    return len(strip.parcels) > known
