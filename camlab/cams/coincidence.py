"""Find the CAM methods that give the same map on a layer, by algebra, not by measurement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from camlab.cams.base import Explainable
from camlab.cams.score import TOP_CHANNELS


@dataclass(frozen=True)
class Coincidence:
    """Methods that give the same map on a layer, and the reason in one sentence."""

    methods: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class _Rule:
    """A property of a layer, and the methods that coincide where it holds."""

    holds: Callable[[Explainable, str], bool]
    then: Coincidence


def _linear_head(classifier: Explainable, layer: str) -> bool:
    return classifier.linear_head(layer) is not None


def _nonnegative(classifier: Explainable, layer: str) -> bool:
    return classifier.layer_info(layer).nonnegative


def _straight_pieces(classifier: Explainable, layer: str) -> bool:
    head = classifier.pointwise_head(layer)
    return head is not None and isinstance(head.act, (nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU))


def _few_channels(classifier: Explainable, layer: str) -> bool:
    return classifier.layer_info(layer).channels <= TOP_CHANNELS


# Linear head: G_k is the same number g_k = w_k/hw at every position, so mean(G_k), ΣA·G/ΣA and G itself all
# equal g_k; no gradient depends on an activation, so ShapleyCAM's correction is zero.
# Non-negative A: ReLU(G·A) = ReLU(G)·A.
_RULES = (
    _Rule(
        _linear_head,
        Coincidence(
            ("gradcam", "xgradcam", "hirescam", "shapleycam"),
            "This layer is averaged and then goes through a single linear layer, so a channel's gradient is "
            "the same at every position and for every picture, and methods that differ only in how they use it agree.",
        ),
    ),
    _Rule(
        _nonnegative,
        Coincidence(
            ("layercam", "gradcam_elementwise"),
            "The activations of this layer are never negative, so dropping negative gradients before or "
            "after the multiplication makes no difference.",
        ),
    ),
    _Rule(
        _straight_pieces,
        Coincidence(
            ("gradcam", "shapleycam"),
            "Everything after this layer is piecewise linear, so a channel's gradient does not change with the "
            "channels and there is nothing to correct.",
        ),
    ),
    _Rule(
        _few_channels,
        Coincidence(
            ("scorecam", "scorecam_top"),
            f"This layer has no more than the {TOP_CHANNELS} channels that the approximation uses, so nothing is "
            "left out.",
        ),
    ),
)


def coinciding(classifier: Explainable, layer: str) -> tuple[Coincidence, ...]:
    """Group the methods that give the same map on this layer; a method without a twin is in no group.

    Raises UnknownName if the classifier has no such layer.
    """
    layer = classifier.resolve_layer(layer)
    return tuple(rule.then for rule in _RULES if rule.holds(classifier, layer))


JOINT = " = "
"""Joins the names of methods that coincide."""


BASELINE = "randomcam"
"""The random map that every other method is compared with."""


def is_baseline(method: str) -> bool:
    """Return whether a method, or one of several joined names, is the baseline."""
    return BASELINE in str(method).split(JOINT)


def linked_sets(names: Sequence[str], places: Sequence[Sequence[tuple[str, ...]]]) -> list[list[str]]:
    """Return the sets of two or more names that the groups, joined if they overlap, connect in every place."""
    label: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for groups in places:
        leader = {name: name for name in names}
        for group in groups:
            linked = {leader[name] for name in group if name in leader}
            if linked:
                first = min(linked, key=list(names).index)
                leader = {name: first if to in linked else to for name, to in leader.items()}
        label = {name: (*label[name], leader[name]) for name in names}
    found: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        found.setdefault(label[name], []).append(name)
    return [each for each in found.values() if len(each) > 1]
