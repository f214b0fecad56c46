"""The controls of the Compare page: shared settings in the sidebar, rows and columns above the grid."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from camlab.cams import CAMS, PACES, unserved
from camlab.common.errors import CamLabError
from camlab.explore.compare.state import AXES, MOST_COLUMNS, SCALES, SORTS, CompareState
from camlab.explore.state import MAX_SEED, SEVERITY_STEP, ExploreState, field_text
from camlab.models import Classifier
from camlab.noise import NOISES
from pages.choose import method_and_noise
from pages.choose.model import at_hand, model_controls
from pages.choose.picture import picture_controls
from pages.compare.state import page
from pages.explore import sidebar as controls
from pages.shared import session
from pages.shared.page_state import among, index_in

SEEDS_LISTED = 64


def sidebar() -> tuple[ExploreState, Classifier]:
    """Draw the controls of Explore except those that the columns vary; return the state and its model."""
    axis = st.session_state.get(page.key("axis")) or "severity"
    with st.sidebar:
        with st.container(key="sidebar_picture"):
            controls.heading("Picture")
            picture_controls()
        with st.container(key="sidebar_model"):
            controls.heading("Model")
            classifier = model_controls()
            method_and_noise.smoothing_controls(session.current().method)
        with st.container(key="sidebar_noise"):
            controls.heading("Noise")
            _noise(axis)
        with st.expander("Advanced", icon=":material/tune:", key="sidebar_advanced"):
            parameters = controls.advanced(classifier)
        return session.read_state(parameters, classifier), classifier


def _noise(axis: str) -> None:
    """Draw the noise type, the severity and the seed, except the one that the columns vary."""
    if axis != "noise":
        method_and_noise.noise_control()
    if axis != "severity":
        about = "0 is the untouched picture; 1 to 5 equal ImageNet-C's levels."
        session.slide("Severity", "severity", 0.0, 5.0, SEVERITY_STEP, about)
    if axis != "seed":
        still = not NOISES[session.current().noise].stochastic and axis != "noise"
        st.number_input(
            "Seed", 0, MAX_SEED, session.start("seed"), step=1, key=session.key("seed"), disabled=still,
            help="This noise type is deterministic." if still else "Which noise draw is shown.",
        )  # fmt: skip


def bar(base: ExploreState, classifier: Classifier) -> CompareState:
    """Draw the choice of rows and columns; return the comparison that they show."""
    with st.container(key="compare_bar"):
        left, middle, right = st.columns([1, 2, 2], gap="small")
        with left:
            axis = st.selectbox(
                "Columns", list(AXES), index=index_in(list(AXES), page.key("axis")),
                format_func=lambda name: AXES[name].title, key=page.key("axis"),
                help="What varies from column to column; everything else is the same in all cells.",
            )  # fmt: skip
        axis = axis or "severity"
        with middle:
            _columns(axis, base)
        with right:
            _methods(base, classifier)
    return page.settled(base)


def _reordered() -> None:
    st.session_state["rerun"] = True  # updates the link


def order() -> None:
    """Draw the choice of the order of rows."""
    st.segmented_control(
        "Order", list(SORTS), default=page.current().sort, format_func=lambda name: SORTS[name], key=page.key("sort"),
        required=True,
        label_visibility="collapsed", on_change=_reordered,
        help="Robustness of a row: the mean similarity of its maps to their clean ones.",
    )  # fmt: skip


def _columns(axis: str, base: ExploreState) -> None:
    entry, name = AXES[axis], page.columns_key(axis)
    now = page.current()
    last = now.values if now.axis == axis else CompareState(base=base, axis=axis).values
    held: list[str] | None = st.session_state.get(name)
    # A list that the visitor emptied stays empty and does not change the columns; a new axis gets its defaults.
    if held is None or (not held and now.axis != axis):
        held = [field_text(value) for value in last]
    chosen = list(held)
    options = list(dict.fromkeys([*_options(axis), *chosen]))
    # Sort the columns of an axis of numbers.
    st.session_state[name] = sorted(chosen, key=float) if axis in SCALES else chosen
    st.multiselect(
        entry.plural.capitalize(), options, default=among(options, name),
        format_func=lambda text: _column_label(axis, text), key=name,
        max_selections=MOST_COLUMNS, placeholder="previous choice",
        help=f"The {entry.plural} to show, one per column.",
    )  # fmt: skip


def _options(axis: str) -> Sequence[str]:
    every: dict[str, Sequence[Any]] = {
        "severity": [SEVERITY_STEP * i for i in range(1, round(5 / SEVERITY_STEP) + 1)],
        "noise": list(NOISES),
        "model": at_hand(),
        "seed": range(SEEDS_LISTED),
    }
    return [field_text(value) for value in every[axis]]


def _column_label(axis: str, text: str) -> str:
    if axis in SCALES:
        return text
    try:
        return AXES[axis].label(text)
    except CamLabError:  # other visitors' checkpoints have evicted this one from memory
        return text


def _methods(base: ExploreState, classifier: Classifier) -> None:
    try:
        reasons = unserved(classifier, classifier.resolve_layer(base.layer))
    except CamLabError:
        reasons = {}

    def title(name: str) -> str:
        pace = PACES[CAMS[name].cost]
        return CAMS[name].title + (method_and_noise.UNAVAILABLE if name in reasons else f" · {pace}" if pace else "")

    st.multiselect(
        "CAM methods", list(CAMS), default=among(list(CAMS), page.key("methods")), format_func=title,
        key=page.key("methods"), placeholder="previous choice",
        help="The rows. Methods that give the same map on this layer share a row. Slow ones are computed last. "
        "Default: the paper's six, LayerCAM, Eigen-Grad-CAM and the random baseline.",
    )  # fmt: skip
