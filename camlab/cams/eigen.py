"""Methods that take the first principal component over the channels and fix its sign."""

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from camlab.cams.base import SharedPass, cam_method

#: A component this small beside the uncentred values is rounding error: the map is set to zero.
_NOTHING = 1e-6
#: Components whose strengths differ by less than this share of the first count as equally strong.
_EQUAL = 1e-12


def first_component(values: Tensor, reference: Tensor) -> Tensor:
    """Project each position's channel vector on the first principal component.

    values: (N, K, h, w), centred here over the positions of each channel; reference: (N, h, w). The sign of
    a principal component is arbitrary; it is chosen so that the projection correlates positively with the
    reference. Returns (N, h, w) in float64, zeros where an input's values do not vary or are not finite.

    For centred X (positions × channels) the projection is √λ·u, with (λ, u) the leading eigenpair of the
    Gram matrix XXᵀ: a 49 × 49 problem instead of the singular value decomposition of 49 × 1280. Squaring
    costs half the digits, hence float64. If there are fewer channels than positions, XᵀX is the smaller.
    """
    count, _, height, width = values.shape
    # MPS has no float64, and a GPU gains nothing on matrices this small.
    device = torch.device("cpu") if values.device.type == "mps" else values.device
    wide = values.detach().to(device).double().flatten(2)
    finite = wide.sum(dim=(1, 2)).isfinite()  # one value that is not finite makes the sum not finite
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
    # A constant reference decides nothing: the side with the larger peak becomes positive.
    agreement = torch.where(agreement == 0, projection.pow(3).sum(dim=1), agreement)
    projection = torch.where(agreement[:, None] < 0, -projection, projection)
    # The norm of the uncentred values, without a second pass over them.
    square = gram.diagonal(dim1=1, dim2=2).sum(dim=1) + centred.shape[2] * means.square().sum(dim=(1, 2))
    size = square.sqrt()
    projection = torch.where((projection.norm(dim=1) > _NOTHING * size)[:, None], projection, 0.0)
    if torch.is_grad_enabled() and values.requires_grad:
        projection = _followed(projection, values.to(device).double().flatten(2), gram)
    return projection.reshape(count, height, width)


def _followed(projection: Tensor, values: Tensor, gram: Tensor) -> Tensor:
    """Return the same projections (N, m), made differentiable with respect to the values (N, K, m).

    First-order perturbation of the leading eigenpair (λ, u) of M: dλ = uᵀ dM u and du = R dM u, where R has
    the eigenvalues 1/(λ − λ_i), and 0 for u itself (Magnus 1985, Econometric Theory 1, theorem 1). For
    p = √λ·u that is dp = (R + uuᵀ/2λ) dM p. If M is XXᵀ the projection is p = Xᵀu, with u found alike.
    If a component is as strong as the leading one, or the map is zero, there is no derivative: it is set to zero.
    """
    centred = values - values.mean(dim=2, keepdim=True)
    spread, vectors = torch.linalg.eigh(gram)
    largest = spread[:, -1:].clamp(min=torch.finfo(spread.dtype).tiny)
    gap = spread[:, -1:] - spread
    inverse = torch.where(gap > _EQUAL * largest, 1 / gap.where(gap > 0, 1.0), 0.0)
    kept = projection.detach()

    def solve(moved: Tensor, weights: Tensor) -> Tensor:
        solved: Tensor = vectors @ (weights[..., None] * (vectors.mT @ moved))
        return solved

    if centred.shape[1] >= centred.shape[2]:
        weights = torch.cat([inverse[:, :-1], 1 / (2 * largest)], dim=1)
        followed = solve(centred.mT @ (centred @ kept[..., None]), weights)[..., 0]
    else:
        # The unit vector over the channels whose projection this is, sign included: Xp = λu up to its length.
        fixed = torch.nn.functional.normalize(centred.detach() @ kept[..., None], dim=1)
        turned = solve(centred @ (centred.mT @ fixed), inverse)
        followed = (centred.mT @ (fixed + turned - turned.detach()))[..., 0]
    return kept + torch.where(kept.any(dim=1)[:, None], followed - followed.detach(), 0.0)


def _leading(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the largest eigenvalue (N,) and its eigenvector (N, m) of symmetric matrices (N, m, m), in float64.

    On a CPU, LAPACK computes only this pair, in less than half the time of all pairs.
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
    summary="Shows the strongest common pattern of the channels; the class plays no role.",
    source="Muhammad & Yeasin 2020, arXiv 2008.00299; sign fixed by the mean activation",
    uses_gradients=False,
    class_specific=False,
    version=2,
    order=60,
)
def eigencam(shared: SharedPass) -> Tensor:
    """Compute the first principal component of A, positive where the mean activation is high."""
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
    """Compute the first principal component of G · A, positive where the mean activation is high."""
    return first_component(shared.product, shared.activations.mean(dim=1))
