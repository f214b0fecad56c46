"""Methods that combine activations A and gradients G of the target logit: one pass serves them all."""

from __future__ import annotations

import torch
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method, weighted_sum


@cam_method(
    "gradcam",
    title="Grad-CAM",
    summary="Weights each channel by its average gradient: how much the class score rises with the channel.",
    source="Selvaraju et al. 2017, arXiv 1610.02391, eq. 1–2",
    uses_gradients=True,
    order=10,
)
def gradcam(shared: SharedPass) -> Tensor:
    """Σ_k mean(G_k) · A_k."""
    return weighted_sum(shared.grads.mean(dim=(2, 3)), shared.activations)


@cam_method(
    "gradcam++",
    title="Grad-CAM++",
    summary="Like Grad-CAM, but only positive gradients count, each position with its own share.",
    source="Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19",
    uses_gradients=True,
    order=20,
)
def gradcam_plus_plus(shared: SharedPass) -> Tensor:
    """Σ_k w_k · A_k with w_k = Σ_ij α_ij · ReLU(G_ij) and α = G² / (2G² + ΣA_k · G³), 0 where that is 0/0.

    G² cancels: α = 1 / (2 + ΣA_k · G). In this form nothing underflows (gradients near 1e-3 have squares
    near 1e-6), and no ε is needed that would be as large as what it guards. Where G is 0 the product with
    ReLU(G) is 0 whatever α is.
    """
    grads = shared.grads
    denominator = 2 + shared.activations.sum(dim=(2, 3), keepdim=True) * grads
    shares = torch.where(denominator == 0, 0.0, grads.clamp(min=0) / denominator)
    return weighted_sum(shares.sum(dim=(2, 3)), shared.activations)


@cam_method(
    "xgradcam",
    title="XGrad-CAM",
    summary="Weights each channel by its gradients, averaged where the channel itself is active.",
    source="Fu et al. 2020, arXiv 2008.02312",
    uses_gradients=True,
    order=30,
)
def xgradcam(shared: SharedPass) -> Tensor:
    """Σ_k w_k · A_k with w_k = Σ_ij A_ij · G_ij / ΣA_k, 0 where the channel sums to 0."""
    total = shared.activations.sum(dim=(2, 3))
    weights = torch.where(total == 0, 0.0, shared.product.sum(dim=(2, 3)) / total)
    return weighted_sum(weights, shared.activations)


@cam_method(
    "hirescam",
    title="HiResCAM",
    summary="Multiplies gradient and activation at each position: only places the score used can light up.",
    source="Draelos & Carin 2020, arXiv 2011.08891",
    uses_gradients=True,
    order=50,
)
def hirescam(shared: SharedPass) -> Tensor:
    """Σ_k G_k · A_k, position by position."""
    return shared.product.sum(dim=1)


@cam_method(
    "layercam",
    title="LayerCAM",
    summary="Multiplies activation and positive gradient at each position, which also suits early layers.",
    source="Jiang et al. 2021, IEEE TIP 30, doi 10.1109/TIP.2021.3089943",
    uses_gradients=True,
    order=70,
)
def layercam(shared: SharedPass) -> Tensor:
    """Σ_k ReLU(G_k) · A_k, position by position."""
    return (shared.grads.clamp(min=0) * shared.activations).sum(dim=1)


@cam_method(
    "gradcam_elementwise",
    title="Grad-CAM element-wise",
    summary="Adds up gradient times activation over the channels, keeping only the positive products.",
    source="pytorch-grad-cam (Gildenblat et al. 2021), GradCAMElementWise",
    uses_gradients=True,
    order=80,
)
def gradcam_elementwise(shared: SharedPass) -> Tensor:
    """Σ_k ReLU(G_k · A_k), position by position."""
    return shared.product.clamp(min=0).sum(dim=1)
