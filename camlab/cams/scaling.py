"""Scale raw CAMs to maps in [0, 1] and flag degenerate ones."""

import torch
from torch import Tensor

#: Part of every map's cache key: raise it when `scale_maps` or `uncancelled` changes what it returns.
SCALE_VERSION = 2
#: A map is degenerate if its range is at most this share of its largest absolute value.
DEGENERATE = 1e-6
#: A sum is rounding error if its largest absolute value is at most this share of the sum of absolute terms.
#: In float32, sums that are zero by algebra reach 1e-7; the smallest of the others, in six networks, 5e-3.
CANCELLED = 1e-5


def weighted_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """Sum channel weights (N, K) times activations (N, K, h, w) over the channels: (N, h, w)."""
    return torch.einsum("nk,nkhw->nhw", weights, activations)


def uncancelled(raw: Tensor, magnitude: Tensor) -> Tensor:
    """Set raw maps (N, h, w) that are sums over channels to zero if only rounding is left of the sum.

    magnitude: (N, h, w), the sums of the terms' absolute values. A layer norm ignores the length of a token, so
    the gradient in front of it is orthogonal to the activation: HiResCAM, their product, is zero everywhere by
    algebra. Without this step its rounding errors would be scaled up to a map.
    """
    rounding = raw.abs().amax(dim=(1, 2)) <= CANCELLED * magnitude.amax(dim=(1, 2))
    return torch.where(rounding[:, None, None], 0.0, raw)


def scale_maps(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Apply ReLU and min-max scaling to raw CAMs (N, h, w): return maps in [0, 1] and flags of degenerate ones.

    Returns float32 maps and bool flags (N,), both on the CPU, as low-resolution maps are all that leaves the
    device. Degenerate: max − min of the ReLU'd map is at most 1e-6 of the raw map's largest absolute value
    (so also if nothing is positive), or a value is not finite; the map is then all zeros. Every other
    map reaches exactly 0 and exactly 1.
    """
    wide = raw.detach().cpu().double().flatten(1)
    positive = wide.clamp(min=0)
    low = positive.amin(dim=1, keepdim=True)
    span = positive.amax(dim=1, keepdim=True) - low
    # Written as "not greater" so that NaN and infinity count as degenerate.
    degenerate = ~(span > DEGENERATE * wide.abs().amax(dim=1, keepdim=True))
    scaled = torch.where(degenerate, 0.0, (positive - low) / span)
    return scaled.float().reshape(raw.shape), degenerate[:, 0]
