"""Run a CAM of pytorch-grad-cam on a module made for it, so that no hook touches the shared network."""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from camlab.cams.base import Explainable, SharedPass
from camlab.common.errors import BadSetting

Maps = NDArray[np.float32]

#: A channel whose range is at most this share of its largest absolute value does not vary: the rest is rounding.
_NOTHING = 1e-6


class _Mark(nn.Module):
    """The target layer that the library hooks: its output is the maps, at which the gradients are taken."""

    def forward(self, maps: Tensor) -> Tensor:
        # An input without a graph starts one here: no method asks for gradients of the head.
        return maps.clone() if maps.requires_grad else maps.detach().requires_grad_()


class _FromMaps(nn.Module):
    """The network from the target layer on, fed with the maps (1, K, h, w) of one input of a pass."""

    def __init__(self, shared: SharedPass) -> None:
        super().__init__()
        self.mark = _Mark()
        # The library finds the device by a parameter, and every gradient needs its own graph.
        self.one = nn.Parameter(torch.ones((), device=shared.activations.device))
        self._shared = [shared]  # in a list, so that torch registers none of it as a submodule

    def forward(self, maps: Tensor) -> Tensor:
        (shared,) = self._shared
        rows = torch.zeros(len(maps), dtype=torch.long, device=maps.device)
        return shared.tail(self.mark(maps), rows) * self.one


class _FromInput(_FromMaps):
    """The whole network, fed with normalised pictures (N, 3, H, W), whose maps at the layer are marked."""

    def forward(self, inputs: Tensor) -> Tensor:
        (shared,) = self._shared
        classifier, layer = shared.classifier, shared.layer
        with torch.set_grad_enabled(inputs.requires_grad and torch.is_grad_enabled()):
            native = classifier.head(inputs, layer)
            maps = classifier.to_maps(native, layer)
        placed = classifier.with_maps(native, self.mark(maps), layer)
        return classifier.tail(placed, layer) * self.one


def _raw(kind: Any, wrapper: _FromMaps, inputs: Tensor, target: int) -> Maps:
    """Return the map (h, w) of `get_cam_image`, before the library drops its sign and scales it."""
    with _released(kind(wrapper, [wrapper.mark])) as cam:
        base = _base(cam)
        kept: list[Any] = []
        compute = base.get_cam_image

        def keep(*args: Any, **options: Any) -> Any:
            kept.append(compute(*args, **options))
            return kept[-1]

        base.get_cam_image = keep
        _call(cam, inputs, target)
        del base.get_cam_image  # else the CAM would keep itself alive
    raw: Maps = np.asarray(kept[-1], dtype=np.float32)[0]
    return raw


def from_maps(kind: Any, shared: SharedPass) -> Maps:
    """Run a method that needs the layer's maps and the network after them; return zeros if no channel varies.

    Without variation the library would amplify rounding errors; it replaces values that are not finite.
    """
    flat = shared.activations.flatten(2)
    varies = flat.amax(dim=2) - flat.amin(dim=2) > _NOTHING * flat.abs().amax(dim=2)
    if not bool(flat.isfinite().all()) or not bool(varies.any()):
        return np.zeros(shared.activations.shape[-2:], dtype=np.float32)
    return _raw(kind, _FromMaps(shared), shared.activations.clone(), int(shared.targets[0]))


def from_input(kind: Any, shared: SharedPass) -> Maps:
    """Run a method that may read the whole picture, as any unknown method may."""
    from pytorch_grad_cam.base_cam import BaseCAM

    if not issubclass(kind, BaseCAM):
        return enhanced(kind, shared)
    return _raw(kind, _FromInput(shared), shared.inputs.clone(), int(shared.targets[0]))


def enhanced(kind: Any, shared: SharedPass) -> Maps:
    """Run a method whose map has the picture's size, and average it over each cell of the layer's map."""
    wrapper = _FromInput(shared)
    with _released(kind(wrapper, [wrapper.mark])) as cam:
        found = _call(cam, shared.inputs.clone(), int(shared.targets[0]))
    return _cells(found, shared)


def everywhere(kind: Any, shared: SharedPass) -> Maps:
    """Run a method that reads every layer on a copy of the plain network, which it may hook."""
    network = copy.deepcopy(plain_network(shared.classifier)).requires_grad_(False)
    with _released(kind(network, [])) as cam:
        found = _call(cam, shared.inputs.clone(), int(shared.targets[0]))
    return _cells(found, shared)


def _cells(found: Any, shared: SharedPass) -> Maps:
    whole = torch.as_tensor(np.asarray(found, dtype=np.float32))[None]
    height, width = shared.activations.shape[-2:]
    return F.adaptive_avg_pool2d(whole, (height, width))[0, 0].numpy()


def _call(cam: Any, inputs: Tensor, target: int) -> Any:
    """Run a CAM of the library for one input and one class."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with torch.enable_grad():
        if "target_idx" in inspect.signature(cam.forward).parameters:  # it makes its own target of the class
            return cam.forward(inputs, None, target_idx=target)
        return cam.forward(inputs, [ClassifierOutputTarget(target)])


@contextmanager
def _released(cam: Any) -> Iterator[Any]:
    """Yield the CAM and remove its hooks at the end; its own `with` would swallow an IndexError."""
    try:
        yield cam
    finally:
        if (hooks := getattr(_base(cam), "activations_and_grads", None)) is not None:
            # Drop them: the library would detach them in place, which fails for views such as rearranged maps.
            hooks.activations, hooks.gradients = [], []
            hooks.release()


def _base(cam: Any) -> Any:
    """Return the CAM that does the work: some of the library's classes only wrap another."""
    return getattr(cam, "base_cam", cam)


def plain_network(classifier: Explainable) -> nn.Module:
    """Return the network as it was built, to be read or copied. Raises BadSetting if the classifier has none."""
    module = getattr(classifier, "module", None)
    if not isinstance(module, nn.Module):
        raise BadSetting("This method needs the whole network, which this classifier does not offer; choose another.")
    return module
