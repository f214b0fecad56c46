"""The sidebar of the Explore page: every choice but the severity and the look of the panels, grouped, with help."""

from __future__ import annotations

import secrets

import streamlit as st

from camlab.cams import CAMS, coinciding
from camlab.metrics import SEGMENTATIONS, SIMILARITIES
from camlab.models import MODELS, Classifier, load_classifier, short_name
from camlab.noise import NOISES
from camlab.render import COLOUR_MAPS
from camlab.state import CLASS_RULES, MAX_DRAWS, MAX_SEED, ExploreState
from pages.parts import session
from pages.parts.pictures import picture_controls
from pages.parts.text import plain


def sidebar() -> tuple[ExploreState, Classifier]:
    """Draw every control and return the state they show, with its model. Raises MissingWeights."""
    with st.sidebar:
        _heading("Picture")
        picture_controls()
        _heading("Model and explanation")
        classifier = _model()
        _method(classifier)
        _heading("Noise")
        _noise()
        with st.expander("Advanced", icon=":material/tune:"):
            parameters = _advanced(classifier)
        return session.read_widgets(parameters, classifier.default_layer), classifier


def _heading(text: str) -> None:
    st.html(f'<h2 class="cl-group">{text}</h2>')


def _model() -> Classifier:
    rows = [
        f"**{row.title}**: {row.parameters / 1e6:.1f} M parameters, {row.input_size[1]} px. {plain(row.summary)}"
        for row in MODELS.values()
    ]
    name = st.selectbox(
        "Model",
        list(MODELS),
        index=session.start_index("model", list(MODELS)),
        format_func=lambda n: MODELS[n].title,
        key=session.key("model"),
        on_change=_model_changed,
        help="The image classifier whose explanations are tested. All run without a network.\n\n"
        + "\n\n".join(rows),
    )
    return load_classifier(name)


def _model_changed() -> None:
    session.put(session.with_fields())


def _method(classifier: Classifier) -> None:
    chosen = st.session_state[session.key("method")]
    layer = st.session_state.get(session.key("layer")) or classifier.default_layer
    groups = coinciding(classifier, layer) if layer in [x.name for x in classifier.layers] else ()
    # Methods that give one map on this layer are one choice; the one in use stands for its group.
    stands_for = {min(g.methods, key=lambda m: m != chosen): g.methods for g in groups}
    hidden = {m for shown, members in stands_for.items() for m in members if m != shown}
    offered = [m for m in CAMS if m not in hidden]
    name = st.selectbox(
        "CAM method",
        offered,
        index=session.start_index("method", offered),
        format_func=lambda n: " = ".join(CAMS[m].title for m in stands_for.get(n, (n,))),
        key=session.key("method"),
        help="How the heat map is computed. Methods joined by = give one and the same map on the target layer.\n\n"
        + "\n\n".join(
            f"**{entry.title}**: {plain(entry.summary)} ({plain(entry.source)})" for entry in CAMS.values()
        ),
    )
    if CAMS[name].cost == "full":
        st.caption(
            ":material/hourglass: One network pass for every channel tried: expect seconds for each picture on a CPU."
        )


def _noise() -> None:
    families = list(dict.fromkeys(v.family for v in NOISES.values()))
    grouped = sorted(NOISES, key=lambda n: families.index(NOISES[n].family))
    name = st.selectbox(
        "Noise type",
        grouped,
        index=session.start_index("noise", grouped),
        format_func=lambda n: f"{NOISES[n].family} · {NOISES[n].title}",
        key=session.key("noise"),
        help="Grouped by family. Severity 1 to 5 equals the ImageNet-C level.\n\n"
        + "\n\n".join(f"**{entry.title}**: {plain(entry.summary)}" for entry in NOISES.values()),
    )
    noise = NOISES[name]
    still = not noise.stochastic
    reason = f"{noise.title} has nothing to draw: the same picture always gives the same result, so there is one draw."
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
        else "How many draws the scores rest on: the block of consecutive seeds that holds yours.",
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
    st.session_state[session.key("seed")] = secrets.randbelow(10_000)


def _advanced(classifier: Classifier) -> dict[str, float]:
    layers = [layer.name for layer in classifier.layers]
    if st.session_state.get(session.key("layer")) not in layers:
        st.session_state[session.key("layer")] = classifier.default_layer
    st.selectbox(
        "Target layer",
        layers[::-1],
        index=session.start_index("layer", layers[::-1]),
        format_func=lambda n: classifier.layer_info(n).title,
        key=session.key("layer"),
        help="The layer whose activations make the map. The default is the one that is pooled; the block before it "
        "keeps the methods apart.",
    )
    rule = st.selectbox(
        "Class rule",
        list(CLASS_RULES),
        index=session.start_index("rule", list(CLASS_RULES)),
        format_func=lambda n: CLASS_RULES[n],
        key=session.key("rule"),
        help="Which class the two maps explain.",
    )
    if rule == "fixed":
        if st.session_state.get(session.key("target")) is None:
            kept = session.current().target
            usable = kept is not None and kept < len(classifier.class_names)
            st.session_state[session.key("target")] = (
                kept if usable else st.session_state.get("clean_index", 0)
            )
        st.selectbox(
            "Class",
            range(len(classifier.class_names)),
            index=session.start_index("target", range(len(classifier.class_names))),
            format_func=lambda i: f"{short_name(classifier.class_names[i])} ({i})",
            key=session.key("target"),
            help="Type to search the model's classes.",
        )
    measure = st.selectbox(
        "Similarity",
        list(SIMILARITIES),
        index=session.start_index("similarity", list(SIMILARITIES)),
        format_func=lambda n: SIMILARITIES[n].title,
        key=session.key("similarity"),
        help="How the two maps are compared; C, R and RM are built on it.",
    )
    st.caption(SIMILARITIES[measure].summary)
    st.slider(
        "RBO persistence p",
        0.5,
        0.99,
        session.start("p"),
        step=0.01,
        key=session.key("p"),
        help="How deep RBO looks: at 0.9 the first ten segments carry 86 % of the weight.",
    )
    segmentation = st.selectbox(
        "Segmentation",
        list(SEGMENTATIONS),
        index=session.start_index("segmentation", list(SEGMENTATIONS)),
        format_func=lambda n: SEGMENTATIONS[n].title,
        key=session.key("segmentation"),
        help="The superpixels that are ranked by their mean map value.",
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
            st.slider(
                p.title, float(p.low), float(p.high), value, step=float(p.step), key=widget, help=p.help
            )
        )
    st.slider(
        "Overlay opacity",
        0.0,
        1.0,
        session.start("opacity"),
        step=0.05,
        key=session.key("opacity"),
        help="How strongly the map covers the picture.",
    )
    st.selectbox(
        "Colour map",
        list(COLOUR_MAPS),
        index=session.start_index("colormap", list(COLOUR_MAPS)),
        format_func=lambda n: COLOUR_MAPS[n],
        key=session.key("colormap"),
        help="All are perceptually even and readable with colour-vision deficiencies.",
    )
    return parameters
