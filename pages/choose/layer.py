"""Choosing the target layer, or several layers whose maps are averaged."""

import streamlit as st

from camlab.models import Classifier
from pages.shared import session
from pages.shared.text import plain

MOST_BESIDE = 4  # layers averaged with the first
_INDENT = "\u2003"  # a space that the browser does not collapse


def layer_controls(classifier: Classifier) -> None:
    """Draw the choice of the target layer, a tree from the network's output to its input, and of further layers."""
    layers = [layer.name for layer in classifier.layers][::-1]
    if st.session_state.get(session.key("layer")) not in layers:
        session.page.put("layer", classifier.default_layer)
    beside = st.session_state.get(session.key("more_layers")) or []
    session.page.put("more_layers", [name for name in beside if name in layers][:MOST_BESIDE])
    first = st.selectbox(
        "Target layer",
        layers,
        index=layers.index(st.session_state[session.key("layer")]),
        format_func=lambda name: _branch(classifier, name),
        key=session.key("layer"),
        help=f"The layer whose activations form the map, with their size: channels × height × width. The last layers "
        f"come first; type to search. {_why_default(classifier)} Earlier layers have finer maps of simpler patterns.",
    )
    st.caption(plain(classifier.layer_info(first).title))
    st.multiselect(
        "Average with",
        layers,
        default=st.session_state[session.key("more_layers")],
        format_func=lambda name: _title(classifier, name),
        key=session.key("more_layers"),
        max_selections=MOST_BESIDE,
        placeholder="no other layer",
        help="Each layer that you add contributes its map; CAM Lab shows and measures the mean, at the largest map's "
        f"size. Empty: the map of {first} alone.",
    )


def _title(classifier: Classifier, name: str) -> str:
    """Return a layer's name and size; the narrow sidebar has no room for more."""
    info = classifier.layer_info(name)
    default = " · default" if name == classifier.default_layer else ""
    return f"{name} · {info.channels}×{info.height}×{info.width}{default}"


def _branch(classifier: Classifier, name: str) -> str:
    """Indent a layer's title by its depth in the network's modules."""
    shallowest = min(layer.name.count(".") for layer in classifier.layers)
    return _INDENT * (name.count(".") - shallowest) + _title(classifier, name)


def _why_default(classifier: Classifier) -> str:
    name = classifier.default_layer
    if classifier.layer_info(name).pooled:
        return f"The default, {name}, is the pooled layer; on the layer before it, more methods differ."
    return f"The default, {name}, is the last layer that affects the prediction at every place."
