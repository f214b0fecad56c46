"""pytorch-grad-cam as the oracle, and the places where it leaves the papers, corrected.

The library runs on a network of its own, never on the shared one: it hooks and rewires what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from pytorch_grad_cam import (
    AblationCAM,
    EigenCAM,
    EigenGradCAM,
    GradCAM,
    GradCAMElementWise,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    XGradCAM,
)
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils import svd_on_activations
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F


class PaperGradCAMPlusPlus(GradCAMPlusPlus):  # type: ignore[misc]  # the library has no types
    """Grad-CAM++ without the ε of 1e-6, which is as large as the squared gradients that it is added to."""

    def get_cam_weights(self, input_tensor: Any, target_layers: Any, targets: Any, a: Any, g: Any) -> Any:
        a, g = np.float64(a), np.float64(g)
        below = 2 * g**2 + a.sum(axis=(2, 3), keepdims=True) * g**3
        alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
        return np.float32((alpha * np.maximum(g, 0)).sum(axis=(2, 3)))


class _ThinNumpy:
    """NumPy, but the singular value decomposition leaves out the vectors that nobody reads (1,231 of 1,280)."""

    linalg = SimpleNamespace(svd=lambda x, full_matrices: np.linalg.svd(x, full_matrices=False))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class _Signed:
    """The library's principal component, turned to correlate positively with the mean activation."""

    def get_cam_image(self, x: Any, layer: Any, targets: Any, a: Any, g: Any, smooth: Any = False) -> Any:
        with patch.object(svd_on_activations, "np", _ThinNumpy()):
            maps = super().get_cam_image(x, layer, targets, a, g, smooth)  # type: ignore[misc]
        return np.stack(
            [m * np.sign(np.corrcoef(m.ravel(), b.ravel())[0, 1]) for m, b in zip(maps, a.mean(1), strict=True)]
        )


class SignedEigenCAM(_Signed, EigenCAM):  # type: ignore[misc]  # the library has no types
    pass


class SignedEigenGradCAM(_Signed, EigenGradCAM):  # type: ignore[misc]  # the library has no types
    pass


class ZeroingLayer(AblationLayer):  # type: ignore[misc]  # the library has no types
    """Sets an ablated channel to zero, as the paper says; the library writes the minimum − 1e7."""

    def __call__(self, x: Any) -> Any:
        output = self.activations
        for row in range(output.size(0)):
            output[row, self.indices[row], :] = 0
        return output


#: What the library calls our methods, corrected where it leaves the paper.
CORRECTED: dict[str, Any] = {
    "gradcam": GradCAM,
    "gradcam++": PaperGradCAMPlusPlus,
    "xgradcam": XGradCAM,
    "hirescam": HiResCAM,
    "eigencam": SignedEigenCAM,
    "layercam": LayerCAM,
    "gradcam_elementwise": GradCAMElementWise,
    "eigengradcam": SignedEigenGradCAM,
}
#: The same as it is shipped, where that differs.
SHIPPED: dict[str, Any] = {"gradcam++": GradCAMPlusPlus, "eigencam": EigenCAM, "eigengradcam": EigenGradCAM}


def target_layer(network: nn.Module, layer: str) -> nn.Module:
    """The library's target layer for one of our layer names."""
    return network.get_submodule(layer)


def library_maps(
    kind: Any, network: nn.Module, layer: str, inputs: Tensor, targets: list[int] | None = None
) -> np.ndarray:
    """The library's maps (N, H, W) in [0, 1] for normalised inputs."""
    goals = None if targets is None else [ClassifierOutputTarget(t) for t in targets]
    with kind(model=network, target_layers=[target_layer(network, layer)]) as cam:
        found: np.ndarray = cam(input_tensor=inputs.clone(), targets=goals)
    return found


def light_maps(network: nn.Module, layer: str, inputs: Tensor, kinds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The library's maps for every one of its classes in `kinds`, from one forward and backward pass of its own.

    Called one by one, its methods would each repeat the same pass; everything after it is the library's code.
    Two pictures at a time: a batch's gradients are large.
    """
    parts = [_light_maps(network, layer, part, kinds) for part in torch.split(inputs, 2)]
    return {name: np.concatenate([part[name] for part in parts]) for name in kinds}


def _light_maps(network: nn.Module, layer: str, inputs: Tensor, kinds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    layers = [target_layer(network, layer)]
    found: dict[str, np.ndarray] = {}
    with GradCAM(model=network, target_layers=layers) as first:
        first(input_tensor=inputs.clone(), targets=None)
        for name, kind in kinds.items():
            with kind(model=network, target_layers=layers) as cam:
                own, cam.activations_and_grads = cam.activations_and_grads, first.activations_and_grads
                found[name] = cam.aggregate_multi_layers(cam.compute_cam_per_layer(inputs, [], False))
                cam.activations_and_grads = own
    return found


def ablation_maps(network: nn.Module, layer: str, inputs: Tensor, *, zeroing: bool) -> np.ndarray:
    """The library's Ablation-CAM maps, as shipped or zeroing; the network is spoilt afterwards if it fails."""
    ablation = ZeroingLayer() if zeroing else AblationLayer()
    layers = [target_layer(network, layer)]
    with AblationCAM(model=network, target_layers=layers, ablation_layer=ablation, batch_size=4) as cam:
        found: np.ndarray = cam(input_tensor=inputs.clone(), targets=None)
    return found


def score_maps(network: nn.Module, layer: str, inputs: Tensor) -> np.ndarray:
    """The library's Score-CAM maps."""
    with ScoreCAM(model=network, target_layers=[target_layer(network, layer)]) as cam:
        cam.batch_size = 4
        found: np.ndarray = cam(input_tensor=inputs.clone(), targets=None)
    return found


def at_input_size(maps: np.ndarray | Tensor, size: tuple[int, int]) -> np.ndarray:
    """Our maps (N, h, w), shown as the library shows its own: bilinear, then min-max scaled once more."""
    shown = F.interpolate(torch.as_tensor(maps)[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    low, high = shown.amin(dim=(1, 2), keepdim=True), shown.amax(dim=(1, 2), keepdim=True)
    return ((shown - low) / (high - low + 1e-7)).numpy()
