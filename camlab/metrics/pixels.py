"""Computations on maps at the model's input size, done at the maps' own resolution where algebra allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DECIMALS = 6
"""Map values are compared after rounding to this many decimals; equal values are ties."""

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # int(3.5 σ + 0.5): an 11-pixel window

SAMPLE_STEP, SAMPLE_SLACK = 37, 40  # one sample per 37 pixels; a margin of 40 samples to either side


@lru_cache(maxsize=64)
def bilinear_weights(size_out: int, size_in: int) -> Floats:
    """Return the matrix (size_out, size_in) of bilinear resizing along one axis, align_corners=False.

    Rows sum to 1. Equal to ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``. The
    array is shared and read-only.
    """
    source = np.maximum((np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5, 0.0)
    low = np.minimum(np.floor(source).astype(np.int64), size_in - 1)
    high = np.minimum(low + 1, size_in - 1)
    share = np.where(high > low, source - low, 0.0)
    weights = np.zeros((size_out, size_in))
    rows = np.arange(size_out)
    weights[rows, high] = share
    weights[rows, low] = 1.0 - share
    weights.flags.writeable = False
    return weights


def upsample(maps: NDArray[np.floating], size: tuple[int, int]) -> Floats:
    """Resize maps (N, h, w) to (N, H, W) bilinearly, align_corners=False; values are not rescaled."""
    height, width = size
    down = bilinear_weights(height, maps.shape[1])
    across = bilinear_weights(width, maps.shape[2])
    resized: Floats = np.matmul(np.matmul(down, maps.astype(np.float64, copy=False)), across.T)
    return resized


def is_constant(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Flag the constant ones of maps (N, ...): max − min ≤ 1e-6 · max|map|."""
    flat = maps.reshape(len(maps), math.prod(maps.shape[1:])).astype(np.float64, copy=False)
    high, low = flat.max(axis=1), flat.min(axis=1)
    return np.asarray(high - low <= 1e-6 * np.maximum(np.abs(high), np.abs(low)))


def inner(a: Floats, b: Floats, size: tuple[int, int]) -> Floats:
    """Compute inner products (N,) of the upsampled maps from the small ones: ⟨Ua, Ub⟩ = ⟨a, UᵀU b⟩, axis by axis."""
    down, across = bilinear_weights(size[0], a.shape[1]), bilinear_weights(size[1], a.shape[2])
    transformed = np.matmul(np.matmul(down.T @ down, b), across.T @ across)
    total: Floats = np.sum(a * transformed, axis=(1, 2))
    return total


def mean_weights(size: tuple[int, int], shape: tuple[int, ...]) -> Floats:
    """Compute the weight (h, w) of each cell in the mean of the upsampled map."""
    down, across = bilinear_weights(size[0], shape[0]), bilinear_weights(size[1], shape[1])
    return np.outer(down.mean(axis=0), across.mean(axis=0))


@dataclass(frozen=True)
class TopPart:
    """The hottest part of N maps: pixels above the boundary value, pixels at it, and the share of these that counts."""

    above: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    share: Floats

    def shared(self, other: TopPart) -> Floats:
        """Count the pixels (N,) that two parts share: the sum of the pixelwise minimum of their memberships."""

        def both(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.intp]:
            counts: NDArray[np.intp] = np.count_nonzero(a & b, axis=1)
            return counts

        return (
            both(self.above, other.above)
            + other.share * both(self.above, other.tied)
            + self.share * both(self.tied, other.above)
            + np.minimum(self.share, other.share) * both(self.tied, other.tied)
        )


def top_places(size: tuple[int, int], part: int) -> int:
    """Return the number of pixels of the hottest ``1/part``: ⌈H·W/part⌉."""
    return -(-size[0] * size[1] // part)  # rounded up, in whole numbers


def top_part(maps: Floats, size: tuple[int, int], part: int) -> TopPart:
    """Find the hottest ``1/part`` of maps (N, h, w) in [0, 1], comparing values rounded to 1e-6."""
    # Integers (millionths) take half the memory of floats, and selection among them half the time.
    values = np.rint(upsample(maps, size).reshape(len(maps), -1) * 10**DECIMALS).astype(np.int32)
    places = top_places(size, part)
    cut = values.shape[1] - places
    boundary = np.array([[selected(row, cut)] for row in values], dtype=np.int32).reshape(-1, 1)
    above, tied = values > boundary, values == boundary
    share = (places - np.count_nonzero(above, axis=1)) / np.count_nonzero(tied, axis=1)
    return TopPart(above, tied, share)


def selected(values: NDArray[np.int32], place: int) -> int:
    """Return the value at a place of the sorted (P,) values, about 5 × faster than ``np.partition``.

    A sample bounds the value with high probability; only the values between the bounds are sorted.
    """
    sample = np.sort(values[::SAMPLE_STEP])
    near = place * len(sample) // len(values)
    low, high = sample[max(near - SAMPLE_SLACK, 0)], sample[min(near + SAMPLE_SLACK, len(sample) - 1)]
    below = int(np.count_nonzero(values < low))
    between = values[(values >= low) & (values <= high)]
    if not below <= place < below + len(between):  # the sample's bounds were wrong
        below, between = 0, values
    elif low == high:
        return int(low)
    return int(np.partition(between, place - below)[place - below])


@lru_cache(maxsize=32)
def smoothers(size_out: int, size_in: int) -> tuple[Floats, Floats]:
    """Return the matrices that upsample and smooth with the Gaussian window along one axis, where the window fits.

    The first acts on map cells (size_in), the second on products of neighbouring cells (see ``products``).
    """
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    window = np.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    window /= window.sum()
    weights = bilinear_weights(size_out, size_in)
    squares = np.zeros((size_out, 2 * size_in - 1))
    squares[:, 0::2] = weights * weights
    squares[:, 1::2] = weights[:, :-1] * weights[:, 1:]
    both = np.concatenate([weights, squares], axis=1)
    inside = size_out - 2 * SSIM_RADIUS
    smoothed = np.zeros((inside, both.shape[1]))
    for k, share in enumerate(window):
        smoothed += share * both[k : k + inside]
    return smoothed[:, :size_in].copy(), smoothed[:, size_in:].copy()


def products(a: Floats, b: Floats) -> Floats:
    """Compute products a·b of equal cells (even places) and neighbouring ones (odd places), (N, 2h−1, 2w−1).

    With weights u_p, u_{p+1} at a pixel, (u_p a_p + u_{p+1} a_{p+1})·(u_p b_p + u_{p+1} b_{p+1}) is
    u_p²·a_p b_p + u_p u_{p+1}·(a_p b_{p+1} + a_{p+1} b_p) + u_{p+1}²·a_{p+1} b_{p+1}; the same along the
    other axis.
    """
    count = max(len(a), len(b))
    result = np.empty((count, 2 * a.shape[1] - 1, 2 * a.shape[2] - 1))
    result[:, 0::2, 0::2] = a * b
    result[:, 0::2, 1::2] = a[:, :, :-1] * b[:, :, 1:] + a[:, :, 1:] * b[:, :, :-1]
    result[:, 1::2, 0::2] = a[:, :-1] * b[:, 1:] + a[:, 1:] * b[:, :-1]
    result[:, 1::2, 1::2] = (
        a[:, :-1, :-1] * b[:, 1:, 1:]
        + a[:, 1:, 1:] * b[:, :-1, :-1]
        + a[:, :-1, 1:] * b[:, 1:, :-1]
        + a[:, 1:, :-1] * b[:, :-1, 1:]
    )
    return result
