"""Blurs: each is a weighted mean of shifted or zoomed copies, and the weights move smoothly with severity.

ImageNet-C (arXiv 1903.12261) defines its kernels for whole radii. Between two of them the two kernels are
blended in proportion, so that the slider never jumps and every level is met exactly.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from camlab.noise.base import Pixels, Streams, each_picture, noise_type

Kernel = NDArray[np.float64]


def _weighted_shifts(picture: Pixels, kernel: Kernel, border: Literal["edge", "reflect"]) -> Pixels:
    """Return out[y, x] = Σ kernel[r+i, r+j] · picture[y+i, x+j], the picture continued by ``border``.

    By Fourier transform: its cost does not depend on the kernel, and in single precision it is within 1e-6.
    """
    radius = kernel.shape[0] // 2
    height, width = picture.shape[1:]
    edges = ((0, 0), (radius, radius), (radius, radius))
    padded = np.pad(picture, edges, mode=border)
    shape = [fft.next_fast_len(side, real=True) for side in padded.shape[1:]]
    product = fft.rfft2(padded, s=shape)
    product *= np.conj(fft.rfft2(kernel.astype(np.float32), s=shape))
    blurred: Pixels = fft.irfft2(product, s=shape)[:, :height, :width]
    return blurred


def _bell(offsets: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return exp(−½(d/σ)²), and at σ = 0 its limit: 1 at zero, 0 elsewhere."""
    if sigma <= 0:
        return np.where(offsets == 0, 1.0, 0.0)
    with np.errstate(over="ignore"):
        bell: NDArray[np.float64] = np.exp(-0.5 * np.square(offsets / sigma))
    return bell


@noise_type(
    "gaussian_blur",
    title="Gaussian blur",
    family="Blur",
    summary="Softens the picture evenly, as if seen through frosted glass.",
    parameters=("sigma (pixels)",),
    levels=((0.0,), (1.0,), (2.0,), (3.0,), (4.0,), (6.0,)),
    stochastic=False,
)
def gaussian_blur(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Blur with a Gaussian of standard deviation σ, cut at 4σ, borders repeated (ImageNet-C's call of scikit-image).

    The cut is rounded up to whole pixels; a tap that enters as σ grows weighs under 2e-5, so nothing jumps.
    """
    return each_picture(x, parameters, streams, lambda picture, _, sigma: _gaussian(picture, sigma))


def _gaussian(picture: Pixels, sigma: float) -> Pixels:
    radius = math.ceil(4.0 * sigma)
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = _bell(offsets, sigma)
    weights /= weights.sum()
    return _weighted_shifts(picture, np.outer(weights, weights), "edge")


@noise_type(
    "defocus_blur",
    title="Defocus blur",
    family="Blur",
    summary="Spreads every point into a disk, as a lens out of focus does.",
    parameters=("disk radius (pixels)", "alias sigma (pixels)"),
    levels=((0.0, 0.0), (3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    stochastic=False,
)
def defocus_blur(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Average over a disk whose rim is softened by a small Gaussian; borders mirrored, as in ImageNet-C.

    ImageNet-C softens the disk inside its own array with mirrored edges, which from radius 8 adds up to about
    1 % of weight: kept, because the levels are defined by it. Between whole radii two disks are blended.
    """
    return each_picture(x, parameters, streams, lambda picture, _, *row: _defocus(picture, *row))


def _defocus(picture: Pixels, radius: float, alias: float) -> Pixels:
    low, high = math.floor(radius), math.ceil(radius)
    share = radius - low
    half = max(8, high)
    kernel = (1.0 - share) * _disk(low, alias, half) + share * _disk(high, alias, half)
    return _weighted_shifts(picture, kernel, "reflect")


def _disk(radius: int, alias: float, half: int) -> Kernel:
    """Return ImageNet-C's disk of a whole radius in the middle of a (2·half+1)² array."""
    own = max(8, radius)
    squares = np.square(np.arange(-own, own + 1))
    disk = (squares[:, None] + squares[None, :] <= radius * radius).astype(np.float64)
    disk /= disk.sum()
    reach = 1 if radius <= 8 else 2
    weights = _bell(np.arange(-reach, reach + 1, dtype=np.float64), alias)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(disk, [(reach, reach) if axis == side else (0, 0) for side in (0, 1)], mode="reflect")
        length = disk.shape[axis]
        disk = sum(
            (weight * np.take(padded, np.arange(start, start + length), axis) for start, weight in enumerate(weights)),
            start=np.zeros_like(disk),
        )
    return np.pad(disk, half - own)


@noise_type(
    "motion_blur",
    title="Motion blur",
    family="Blur",
    summary="Smears the picture along one direction, as a moving camera does.",
    parameters=("radius (pixels)", "sigma (pixels)"),
    levels=((0.0, 0.0), (10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
    stochastic=True,
)
def motion_blur(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Average 2r + 1 copies, copy i moved i pixels along an angle within ±45°, weighted by exp(−½(i/σ)²).

    The smear is one-sided and rounds to whole pixels, as in ImageNet-C; borders are repeated. The seed draws
    the angle. Between whole radii the two kernels are blended.
    """
    return each_picture(x, parameters, streams, _motion)


def _motion(picture: Pixels, stream: np.random.Generator, radius: float, sigma: float) -> Pixels:
    angle = math.radians(stream.uniform(-45.0, 45.0))
    low, high = math.floor(radius), math.ceil(radius)
    steps = np.arange(2 * high + 1, dtype=np.float64)
    bell = _bell(steps, sigma)
    short = np.where(steps <= 2 * low, bell, 0.0)
    share = radius - low
    weights = (1.0 - share) * short / short.sum() + share * bell / bell.sum()
    down = np.ceil(steps * math.sin(angle) - 0.5).astype(np.intp)
    right = np.ceil(steps * math.cos(angle) - 0.5).astype(np.intp)
    half = 2 * high
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    np.add.at(kernel, (half + down, half + right), weights)
    return _weighted_shifts(picture, kernel, "edge")


@noise_type(
    "zoom_blur",
    title="Zoom blur",
    family="Blur",
    summary="Averages the picture with slightly enlarged copies, as when zooming during the exposure.",
    parameters=("largest zoom", "zoom step"),
    levels=((1.0, 0.01), (1.11, 0.01), (1.15, 0.01), (1.20, 0.02), (1.24, 0.02), (1.30, 0.03)),
    stochastic=False,
)
def zoom_blur(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Average the picture and its centre crops zoomed by 1, 1 + step, … up to the largest zoom.

    The levels state the largest factor that ImageNet-C averages: its ranges 1→1.11/.01, 1.16/.01, 1.21/.02,
    1.26/.02, 1.31/.03 exclude their end, except the first, where rounding includes 1.11.

    A zoomed copy is defined for hundredths (crop of ⌈side/zoom⌉ pixels, bilinear back), because the crop
    jumps by whole pixels. A factor between two hundredths is their blend, and the outermost factor enters by
    the fraction of a step that the range has reached towards it, so nothing jumps along the slider.
    """
    return each_picture(x, parameters, streams, lambda picture, _, *row: _zoom(picture, *row))


def _zoom(picture: Pixels, largest: float, step: float) -> Pixels:
    reached = (largest - 1.0) / step + 1.0  # the number of factors, 1 included
    weights = np.zeros(math.ceil(100.0 * (largest - 1.0 + step)) + 2)  # indexed by hundredths above 1
    for index in range(math.ceil(reached - 1e-9)):
        share = min(1.0, reached - index)
        place = round(index * step * 100.0, 9)  # undoes rounding errors of whole hundredths
        low = math.floor(place)
        weights[low] += share * (1.0 - (place - low))
        weights[low + 1] += share * (place - low)
    shares = (weights / (1.0 + weights.sum())).astype(np.float32)
    out = picture * np.float32((1.0 + weights[0]) / (1.0 + weights.sum()))
    height, width = picture.shape[1:]
    for hundredths in np.flatnonzero(weights[1:]) + 1:
        top, below, down = _zoom_taps(height, int(hundredths))
        left, beyond, right = _zoom_taps(width, int(hundredths))
        rows = _between(picture.take(top, axis=1), picture.take(below, axis=1), down[:, None])
        zoomed = _between(rows.take(left, axis=2), rows.take(beyond, axis=2), right)
        zoomed *= shares[hundredths]
        out += zoomed
    return out


def _between(start: Pixels, end: Pixels, share: NDArray[np.float32]) -> Pixels:
    """Return start + (end − start)·share, in the memory of ``end``."""
    end -= start
    end *= share
    end += start
    return end


@lru_cache(maxsize=256)
def _zoom_taps(side: int, hundredths: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return, for each position along one side, its two source positions and the weight of the second."""
    # ImageNet-C's np.arange yields 1.3000000000000003, not 1.3, which decides the size of the zoomed crop.
    zoom = 1.0 + hundredths * (1.01 - 1.0)
    crop = math.ceil(side / zoom)
    size = max(round(crop * zoom), 2)
    places = np.minimum(np.arange(side) * ((crop - 1) / (size - 1)), crop - 1)
    low = np.floor(places).astype(np.intp)
    start = (side - crop) // 2
    return start + low, start + np.minimum(low + 1, crop - 1), (places - low).astype(np.float32)
