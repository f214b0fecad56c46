"""Choosing the target layer, or several whose maps are averaged."""

from __future__ import annotations

import streamlit as st

from camlab.models import Classifier
from pages.shared import session
from pages.shared.text import plain

MOST_BESIDE = 4  # layers that are averaged with the first
_INDENT = "\u2003"  # a space that the browser keeps


def layer_controls(classifier: Classifier) -> None:
    """The layers as a tree, from the output of the network to its input, and more of them to average with."""
    layers = [layer.name for layer in classifier.layers][::-1]
    if st.session_state.get(session.key("layer")) not in layers:
        st.session_state[session.key("layer")] = classifier.default_layer
    beside = st.session_state.get(session.key("more_layers")) or []
    st.session_state[session.key("more_layers")] = [name for name in beside if name in layers][:MOST_BESIDE]
    first = st.selectbox(
        "Target layer",
        layers,
        index=layers.index(st.session_state[session.key("layer")]),
        format_func=lambda name: _branch(classifier, name),
        key=session.key("layer"),
        help=f"The layer whose activations make the map, with their size: channels × height × width. The last layers "
        f"come first; type to search. {_why_default(classifier)} An earlier layer has finer maps of simpler things.",
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
        help="Further layers: each gives a map of its own, and their mean is shown and measured, at the size of the "
        f"largest. Nothing chosen: the map of {first} alone.",
    )


def _title(classifier: Classifier, name: str) -> str:
    """Name and size, the size of the maps first of all that is known of a layer: the sidebar is narrow."""
    info = classifier.layer_info(name)
    default = " · default" if name == classifier.default_layer else ""
    return f"{name} · {info.channels}×{info.height}×{info.width}{default}"


def _branch(classifier: Classifier, name: str) -> str:
    """The same, indented by how deep the layer lies in others."""
    shallowest = min(layer.name.count(".") for layer in classifier.layers)
    return _INDENT * (name.count(".") - shallowest) + _title(classifier, name)


def _why_default(classifier: Classifier) -> str:
    name = classifier.default_layer
    if classifier.layer_info(name).pooled:
        return f"The default, {name}, is the one that is pooled; the layer before it keeps the methods apart."
    return f"The default, {name}, is the last layer on which the prediction depends at every place."
