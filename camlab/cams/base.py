"""The foundations of the CAM methods: the interface of a classifier, the shared pass, the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from camlab.cams.scaling import uncancelled, weighted_sum
from camlab.common.registry import Registry
from camlab.common.torch_state import pinned_arithmetic, pinned_torch
from camlab.models.batching import group_size
from camlab.models.network.split import PLUS, PointwiseHead


class LayerLike(Protocol):
    """The properties of a target layer that CAM methods read; `camlab.models.TargetLayer` implements it."""

    @property
    def channels(self) -> int:
        """Channels of the map."""

    @property
    def height(self) -> int:
        """Rows of the map."""

    @property
    def width(self) -> int:
        """Columns of the map."""

    @property
    def nonnegative(self) -> bool:
        """Whether no activation is negative."""


class Explainable(Protocol):
    """The interface of a classifier that CAM methods use; `camlab.models.Classifier` implements it.

    Every member is a pure function: no hooks, nothing mutated, so many threads may share one classifier.
    """

    @property
    def device(self) -> torch.device:
        """The device of the network."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights and preprocessing."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the pictures."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index."""

    def resolve_layer(self, name: str | None) -> str:
        """Return the full name of a layer; None: the default layer."""
        ...

    def layer_info(self, layer: str) -> LayerLike:
        """Return size and properties of a layer's map."""
        ...

    def normalise(self, x: Tensor) -> Tensor:
        """Return pictures (N, 3, H, W) in [0, 1], normalised for the network, on its device."""
        ...

    def head(self, z: Tensor, layer: str) -> Tensor:
        """Run normalised pictures up to the layer."""
        ...

    def tail(self, activations: Tensor, layer: str) -> Tensor:
        """Run activations from the layer to the logits (N, C)."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C) of pictures in [0, 1]."""
        ...

    def to_maps(self, activations: Tensor, layer: str) -> Tensor:
        """Return the layer's output as maps (N, K, h, w)."""
        ...

    def with_maps(self, activations: Tensor, maps: Tensor, layer: str) -> Tensor:
        """Return the layer's output with its maps replaced."""
        ...

    def linear_head(self, layer: str) -> tuple[Tensor, Tensor] | None:
        """Return weight and bias if only pooling and one linear layer follow."""
        ...

    def pointwise_head(self, layer: str) -> PointwiseHead | None:
        """Return the tail's parts if it mixes no positions before pooling."""
        ...


def never(*_: object) -> None:
    """Do nothing: the check of work that is never cancelled."""


@dataclass
class SharedPass:
    """One pass of a batch through a classifier, split at the target layer: the input of every CAM method.

    inputs: (N, 3, H, W), normalised, on the device; activations, gradients: (N, K, h, w), the gradients of the target
    logits, None if no method needs them; native: the activations in the network's own layout (with class tokens, for
    example); logits: (N, C); targets: (N,) long; keys: one content key per input. `check` is called between chunks of
    extra passes and raises Cancelled; `chunk` is the largest batch of an extra pass.
    """

    classifier: Explainable
    layer: str
    inputs: Tensor
    activations: Tensor
    gradients: Tensor | None
    native: Tensor
    logits: Tensor
    targets: Tensor
    keys: Sequence[str]
    check: Callable[[], None] = never
    chunk: int = 16

    @property
    def grads(self) -> Tensor:
        """The gradients (N, K, h, w). Raises ValueError if the pass was run without them."""
        if self.gradients is None:
            raise ValueError("this pass was run without gradients; register the method with uses_gradients")
        return self.gradients

    @cached_property
    def magnitude(self) -> Tensor:
        """Absolute activations (N, K, h, w), computed once for the methods that weight them."""
        return self.activations.abs()

    @cached_property
    def product(self) -> Tensor:
        """Gradients times activations (N, K, h, w), computed once for the methods that start from it."""
        return self.grads * self.activations

    @property
    def scores(self) -> Tensor:
        """The logit of each input's target class (N,)."""
        return self.logits.gather(1, self.targets[:, None])[:, 0]

    def rows(self, part: slice, check: Callable[[], None], chunk: int) -> SharedPass:
        """Return the part of the pass for some inputs, with another ``check`` and ``chunk``."""
        names = ("inputs", "activations", "gradients", "native", "logits", "targets", "keys")
        held = ((name, getattr(self, name)) for name in names)
        chosen: dict[str, Any] = {name: None if value is None else value[part] for name, value in held}
        return replace(self, **chosen, check=check, chunk=chunk)

    def tail(self, maps: Tensor, rows: Tensor) -> Tensor:
        """Logits (M, C) for other activations (M, K, h, w) of the inputs numbered ``rows`` (M,).

        What the layer holds beside the maps (class tokens) stays as it is in those inputs.
        """
        placed = self.classifier.with_maps(self.native[rows], maps, self.layer)
        return self.classifier.tail(placed, self.layer)


CamFn = Callable[[SharedPass], Tensor]
Cost = Literal["shared", "tail", "full"]
Gives = Literal["map", "weights", "terms"]
Serves = Callable[[Explainable, str], str | None]
"""Returns one sentence on why a method cannot be used with a classifier at a layer and what to do; None: it can."""


def anywhere(classifier: Explainable, layer: str) -> None:
    """Return None, the default of `CamMethod.serves`: the method works for every network and layer."""


@dataclass(frozen=True)
class CamMethod:
    """One CAM method: its names and texts, what it needs, and the function (SharedPass -> raw (N, h, w)).

    `uses_gradients`: it reads the gradients of the pass. `cost`: "shared" reads the pass only; "tail" also runs the
    layers after the target layer, "full" the whole model, once per channel or as `price` says (the cost beyond the
    shared pass in words, for the user who chooses a method). `version` is part of the cache key: raise it when the
    method's values change. `order` is its place in lists. `serves` says why the method cannot be used at a layer.
    `terms` (SharedPass -> raw (N, K, h, w)): the terms of a map that is a sum over the channels; None for other maps.
    """

    name: str
    title: str
    summary: str
    source: str
    uses_gradients: bool
    class_specific: bool
    cost: Cost
    apply: CamFn
    version: int = 1
    order: int = 100
    serves: Serves = anywhere
    price: str = ""
    terms: CamFn | None = None


class _CamRegistry(Registry[CamMethod]):
    """The registry of CAM methods, iterated by `order`, then by registration."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__(), key=lambda name: self[name].order))


CAMS: Registry[CamMethod] = _CamRegistry("CAM method")


#: A word or two for the speed of each cost; empty if only the shared pass runs.
PACES: dict[Cost, str] = {"shared": "", "tail": "extra passes", "full": "slow"}


def unserved(classifier: Explainable, layer: str) -> dict[str, str]:
    """Return the unusable methods at a layer (or at any of several, "a+b"), by name, each with the reason."""
    found = {}
    for name, entry in CAMS.items():
        reasons = (entry.serves(classifier, one) for one in layer.split(PLUS))
        if reason := next(filter(None, reasons), None):
            found[name] = reason
    return found


def cam_method(
    name: str,
    *,
    title: str,
    summary: str,
    source: str,
    uses_gradients: bool,
    class_specific: bool = True,
    cost: Cost = "shared",
    version: int = 1,
    order: int = 100,
    serves: Serves = anywhere,
    price: str = "",
    gives: Gives = "map",
) -> Callable[[CamFn], CamFn]:
    """Register the decorated function as a CAM method. Raises ValueError if the name is taken.

    `gives`: what the function returns: the "map" (N, h, w), the channels' "weights" (N, K), or the "terms"
    (N, K, h, w) that are summed over the channels.
    """

    def register(compute: CamFn) -> CamFn:
        apply, terms = _FORMS[gives](compute)
        apply, terms = pinned_arithmetic()(apply), terms and pinned_arithmetic()(terms)
        words = (name, title, summary, source, uses_gradients, class_specific, cost)
        CAMS.add(name, CamMethod(*words, apply, version, order, serves, price, terms))
        return compute

    return register


def _from_weights(compute: CamFn) -> tuple[CamFn, CamFn]:
    def apply(shared: SharedPass) -> Tensor:
        weights, activations = compute(shared), shared.activations
        return uncancelled(weighted_sum(weights, activations), weighted_sum(weights.abs(), shared.magnitude))

    return apply, lambda shared: compute(shared)[..., None, None] * shared.activations


def _from_terms(compute: CamFn) -> tuple[CamFn, CamFn]:
    def apply(shared: SharedPass) -> Tensor:
        terms = compute(shared)
        return uncancelled(terms.sum(dim=1), terms.abs().sum(dim=1))

    return apply, compute


# How map and terms follow from what a method's function returns.
_FORMS: dict[Gives, Callable[[CamFn], tuple[CamFn, CamFn | None]]] = {
    "map": lambda compute: (compute, None),
    "weights": _from_weights,
    "terms": _from_terms,
}


def probabilities(logits: Tensor) -> np.ndarray:
    """Compute the softmax of logits (N, C) in float64 on the CPU; return it as read-only float32 (N, C)."""
    values: np.ndarray = torch.softmax(logits.detach().cpu().double(), dim=1).float().numpy()
    values.setflags(write=False)
    return values


@pinned_torch()
def shared_pass(
    classifier: Explainable,
    layer: str,
    pictures: Tensor,
    targets: Sequence[int | None],
    keys: Sequence[str],
    *,
    gradients: bool = True,
    check: Callable[[], None] = never,
    chunk: int = 16,
) -> SharedPass:
    """Run a batch once: up to the layer without a graph, then through the tail, with a graph if gradients are wanted.

    pictures: (N, 3, H, W) in [0, 1]. A target of None is the class that the model predicts on that picture. The
    gradients are those of the sum of the target logits; as no layer mixes inputs, each input gets its own. There are
    no hooks, and the classifier does not change.
    """
    with torch.no_grad():
        inputs = classifier.normalise(pictures)
        native = classifier.head(inputs, layer).detach()
    size = group_size(native.device, len(native))
    # Run group by group, so that memory holds the graph of only one group.
    done = [
        _tail_pass(classifier, layer, part, targets[i * size : (i + 1) * size], gradients)
        for i, part in enumerate(torch.split(native, size))
    ]
    logits, index = torch.cat([part[0] for part in done]), torch.cat([part[1] for part in done])
    found = [part[2] for part in done if part[2] is not None]
    whole = found[0] if len(found) == 1 else torch.cat(found) if found else None
    grads = None if whole is None else classifier.to_maps(whole, layer)
    maps = classifier.to_maps(native, layer)
    return SharedPass(classifier, layer, inputs, maps, grads, native, logits, index, tuple(keys), check, chunk)


def _tail_pass(
    classifier: Explainable, layer: str, native: Tensor, targets: Sequence[int | None], gradients: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return logits, targets and, on request, the gradients of the target logits in the network's own layout."""
    with torch.set_grad_enabled(gradients):
        leaf = native.detach().requires_grad_(gradients)
        # A clone, because the tail may begin with an in-place ReLU.
        logits = classifier.tail(leaf.clone(), layer)
        predicted = probabilities(logits).argmax(axis=1)
        chosen = [int(own) if target is None else target for target, own in zip(targets, predicted, strict=True)]
        index = torch.tensor(chosen, dtype=torch.long, device=logits.device)
        grads: Tensor | None = None
        if gradients:
            (grads,) = torch.autograd.grad(logits.gather(1, index[:, None]).sum(), leaf)
    return logits.detach(), index, grads
