"""Methods that take the first principal component over the channels, with its sign made definite."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method

#: A component this small beside the uncentred values is rounding error: the map is set to zero.
_NOTHING = 1e-6


def first_component(values: Tensor, reference: Tensor) -> Tensor:
    """Project each position's channel vector on the first principal component.

    values: (N, K, h, w), centred here over the positions of each channel; reference: (N, h, w). The sign of
    a principal component is arbitrary; it is chosen so that the projection correlates positively with the
    reference. Returns (N, h, w) in float64, zeros where an input's values do not vary or are not finite.

    For centred X (positions × channels) the projection is √λ·u, with (λ, u) the leading eigenpair of the
    Gram matrix XXᵀ: a 49 × 49 problem instead of the singular value decomposition of 49 × 1280. Squaring
    costs half the digits, hence float64. Where there are fewer channels than positions, XᵀX is the smaller.
    """
    count, _, height, width = values.shape
    # MPS has no float64; the decomposition of these small matrices is no work for a GPU anyway.
    device = torch.device("cpu") if values.device.type == "mps" else values.device
    wide = values.detach().to(device).double().flatten(2)
    finite = wide.sum(dim=(1, 2)).isfinite()  # anything that is not finite makes the sum so
    if not bool(finite.all()):
        wide = torch.where(finite[:, None, None], wide, 0.0)
    means = wide.mean(dim=2, keepdim=True)
    centred = wide - means
    if centred.shape[1] >= centred.shape[2]:
        gram = centred.mT @ centred
        spread, vectors = _leading(gram)
        projection = vectors * spread[:, None].clamp(min=0).sqrt()
    else:
        gram = centred @ centred.mT
        _, vectors = _leading(gram)
        projection = (vectors[..., None] * centred).sum(dim=1)
    guide = reference.detach().to(device).double().flatten(1)
    agreement = (projection * (guide - guide.mean(dim=1, keepdim=True))).sum(dim=1)
    # A reference that does not vary decides nothing: then the side with the larger peak is up.
    agreement = torch.where(agreement == 0, projection.pow(3).sum(dim=1), agreement)
    projection = torch.where(agreement[:, None] < 0, -projection, projection)
    # The norm of the uncentred values, without going through them again.
    square = gram.diagonal(dim1=1, dim2=2).sum(dim=1) + centred.shape[2] * means.square().sum(dim=(1, 2))
    size = square.sqrt()
    projection = torch.where((projection.norm(dim=1) > _NOTHING * size)[:, None], projection, 0.0)
    return projection.reshape(count, height, width)


def _leading(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue (N,) and its eigenvector (N, m) of symmetric matrices (N, m, m), in float64.

    On a CPU LAPACK is asked for this one pair, which takes less than half the time of all of them.
    """
    if symmetric.device.type != "cpu":
        values, vectors = torch.linalg.eigh(symmetric)
        return values[:, -1], vectors[..., -1]
    last = symmetric.shape[1] - 1
    found = [eigh(each, subset_by_index=(last, last), check_finite=False) for each in symmetric.numpy()]
    values = np.array([value[0] for value, _ in found]).reshape(-1)
    vectors = np.array([vector[:, 0] for _, vector in found]).reshape(-1, last + 1)
    return torch.from_numpy(values), torch.from_numpy(vectors)


@cam_method(
    "eigencam",
    title="Eigen-CAM",
    summary="Shows the strongest common pattern of the channels, whatever class is asked about.",
    source="Muhammad & Yeasin 2020, arXiv 2008.00299; sign fixed by the mean activation",
    uses_gradients=False,
    class_specific=False,
    version=2,
    order=60,
)
def eigencam(shared: SharedPass) -> Tensor:
    """First principal component of A, positive where the mean activation is high."""
    return first_component(shared.activations, shared.activations.mean(dim=1))


@cam_method(
    "eigengradcam",
    title="Eigen-Grad-CAM",
    summary="Shows the strongest common pattern of gradient times activation, so it depends on the class.",
    source="pytorch-grad-cam (Gildenblat et al. 2021), EigenGradCAM; sign fixed by the mean activation",
    uses_gradients=True,
    version=2,
    order=90,
)
def eigengradcam(shared: SharedPass) -> Tensor:
    """First principal component of G · A, positive where the mean activation is high."""
    return first_component(shared.product, shared.activations.mean(dim=1))
