"""Methods that combine activations A and gradients G of the target logit; all read one pass."""

import torch
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method


@cam_method(
    "gradcam",
    title="Grad-CAM",
    summary="Weights each channel by its average gradient: how much the class score rises with the channel.",
    source="Selvaraju et al. 2017, arXiv 1610.02391, eq. 1–2",
    uses_gradients=True,
    order=10,
    gives="weights",
)
def gradcam(shared: SharedPass) -> Tensor:
    """Compute the weights of Σ_k mean(G_k) · A_k."""
    return shared.grads.mean(dim=(2, 3))


@cam_method(
    "gradcam++",
    title="Grad-CAM++",
    summary="Like Grad-CAM, but only positive gradients count, each position with its own share.",
    source="Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19",
    uses_gradients=True,
    order=20,
    gives="weights",
)
def gradcam_plus_plus(shared: SharedPass) -> Tensor:
    """Compute w_k of Σ_k w_k · A_k: w_k = Σ_ij α_ij · ReLU(G_ij) and α = G² / (2G² + ΣA_k · G³), 0 where that is 0/0.

    G² cancels: α = 1 / (2 + ΣA_k · G). This form does not underflow (gradients near 1e-3 have squares near 1e-6) and
    needs no ε, which would be as large as the denominator. Where G is 0, the product with ReLU(G) is 0 for any α.
    """
    grads = shared.grads
    denominator = 2 + shared.activations.sum(dim=(2, 3), keepdim=True) * grads
    # Divide by 1 instead of 0, because an unused quotient would still make the derivative NaN.
    shares = torch.where(denominator == 0, 0.0, grads.clamp(min=0) / denominator.where(denominator != 0, 1.0))
    return shares.sum(dim=(2, 3))


@cam_method(
    "xgradcam",
    title="XGrad-CAM",
    summary="Weights each channel by its gradients, averaged where the channel itself is active.",
    source="Fu et al. 2020, arXiv 2008.02312",
    uses_gradients=True,
    order=30,
    gives="weights",
)
def xgradcam(shared: SharedPass) -> Tensor:
    """Compute w_k of Σ_k w_k · A_k: w_k = Σ_ij A_ij · G_ij / ΣA_k, 0 if the channel sums to 0."""
    total = shared.activations.sum(dim=(2, 3))
    return torch.where(total == 0, 0.0, shared.product.sum(dim=(2, 3)) / total.where(total != 0, 1.0))


@cam_method(
    "hirescam",
    title="HiResCAM",
    summary="Multiplies gradient and activation at each position: only places the score used can light up.",
    source="Draelos & Carin 2020, arXiv 2011.08891",
    uses_gradients=True,
    order=50,
    gives="terms",
)
def hirescam(shared: SharedPass) -> Tensor:
    """Compute the terms of Σ_k G_k · A_k, position by position."""
    return shared.product


@cam_method(
    "layercam",
    title="LayerCAM",
    summary="Multiplies activation and positive gradient at each position, which also suits early layers.",
    source="Jiang et al. 2021, IEEE TIP 30, doi 10.1109/TIP.2021.3089943",
    uses_gradients=True,
    order=70,
    gives="terms",
)
def layercam(shared: SharedPass) -> Tensor:
    """Compute the terms of Σ_k ReLU(G_k) · A_k, position by position."""
    return shared.grads.clamp(min=0) * shared.activations


@cam_method(
    "gradcam_elementwise",
    title="Grad-CAM element-wise",
    summary="Adds up gradient times activation over the channels, keeping only the positive products.",
    source="pytorch-grad-cam (Gildenblat et al. 2021), GradCAMElementWise",
    uses_gradients=True,
    order=80,
    gives="terms",
)
def gradcam_elementwise(shared: SharedPass) -> Tensor:
    """Compute the terms of Σ_k ReLU(G_k · A_k), position by position."""
    return shared.product.clamp(min=0)
