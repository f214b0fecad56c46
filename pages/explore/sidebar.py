"""The sidebar of the Explore page: every choice except severity and view, in groups."""

import secrets

import streamlit as st

from camlab.drawing.pictures import COLOUR_MAPS
from camlab.explore.state import CLASS_RULES, MAX_DRAWS, MAX_SEED, ExploreState
from camlab.metrics import SEGMENTATIONS, SIMILARITIES
from camlab.models import Classifier, short_name
from camlab.noise import NOISES
from pages.choose import method_and_noise
from pages.choose.layer import layer_controls
from pages.choose.model import model_controls
from pages.choose.picture import picture_controls
from pages.shared import session


def sidebar() -> tuple[ExploreState, Classifier]:
    """Draw every control and return the state they show, with its model. Raises MissingWeights."""
    with st.sidebar:
        with st.container(key="sidebar_picture"):
            heading("Picture")
            picture_controls()
        with st.container(key="sidebar_model"):
            heading("Model and explanation")
            classifier = model_controls()
        with st.container(key="sidebar_method"):
            method_and_noise.method_controls(classifier)
        with st.container(key="sidebar_noise"):
            heading("Noise")
            _noise()
        with st.expander("Advanced", icon=":material/tune:", key="sidebar_advanced"):
            parameters = advanced(classifier)
        return session.read_widgets(parameters, classifier), classifier


def heading(text: str) -> None:
    """Draw the heading of a group of controls."""
    st.html(f'<h2 class="cl-group">{text}</h2>')


def _noise() -> None:
    name = method_and_noise.noise_control()
    noise = NOISES[name]
    still = not noise.stochastic
    reason = f"{noise.title} is deterministic: the same picture always gives the same result, so there is one draw."
    left, right = st.columns(2, gap="small")
    left.number_input(
        "Seed",
        0,
        MAX_SEED,
        session.start("seed"),
        step=1,
        key=session.key("seed"),
        disabled=still,
        help=reason if still else "Which noise draw is shown.",
    )
    right.number_input(
        "Noise draws",
        1,
        MAX_DRAWS,
        session.start("draws"),
        step=1,
        key=session.key("draws"),
        disabled=still,
        help=reason
        if still
        else "How many draws the scores rest on: a block of consecutive seeds that includes yours.",
    )
    st.button(
        "Reshuffle the noise",
        icon=":material/shuffle:",
        on_click=_reshuffle,
        disabled=still,
        width="stretch",
        help=reason if still else "Show another noise draw: a new random seed.",
    )
    if still:
        st.caption(f":material/info: {reason}")


def _reshuffle() -> None:
    session.page.put("seed", secrets.randbelow(10_000))


def advanced(classifier: Classifier) -> dict[str, float]:
    """Draw layer, class rule, measure, segments and look; return the parameters of the segmentation."""
    layer_controls(classifier)
    rule = session.select(
        "Class rule",
        "rule",
        list(CLASS_RULES),
        lambda n: CLASS_RULES[n],
        help="Which class the two maps explain.",
    )
    if rule == "fixed":
        if st.session_state.get(session.key("target")) is None:
            kept = session.current().target
            usable = kept is not None and kept < len(classifier.class_names)
            session.page.put("target", kept if usable else st.session_state.get("clean_index", 0))
        session.select(
            "Class",
            "target",
            range(len(classifier.class_names)),
            lambda i: f"{short_name(classifier.class_names[i])} ({i})",
            help="Type to search the model's classes.",
        )
    measure = session.select(
        "Similarity",
        "similarity",
        list(SIMILARITIES),
        lambda n: SIMILARITIES[n].title,
        help="How the two maps are compared; C, R and RM are built on it.",
    )
    st.caption(SIMILARITIES[measure].summary)
    session.slide(
        "RBO persistence p",
        "p",
        0.5,
        0.99,
        0.01,
        help="How deep RBO looks: at 0.9 the first ten segments carry 86 % of the weight.",
    )
    segmentation = session.select(
        "Segmentation",
        "segmentation",
        list(SEGMENTATIONS),
        lambda n: SEGMENTATIONS[n].title,
        help="The superpixels, ranked by their mean map value.",
    )
    st.caption(SEGMENTATIONS[segmentation].summary)
    now = session.current()
    chosen = now.segment_parameters if now.segmentation == segmentation else {}
    parameters = {}
    for p in SEGMENTATIONS[segmentation].parameters:
        widget = session.segment_key(segmentation, p.name)
        value = float(chosen.get(p.name, p.default))
        st.session_state.setdefault(widget, value)
        parameters[p.name] = float(
            st.slider(p.title, float(p.low), float(p.high), value, step=float(p.step), key=widget, help=p.help)
        )
    session.slide(
        "Overlay opacity",
        "opacity",
        0.0,
        1.0,
        0.05,
        help="How strongly the map covers the picture.",
    )
    session.select(
        "Colour map",
        "colormap",
        list(COLOUR_MAPS),
        lambda n: COLOUR_MAPS[n],
        help="All are perceptually uniform and readable with colour-vision deficiencies.",
    )
    return parameters
