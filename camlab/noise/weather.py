"""Weather and light: fog, and global changes of brightness, contrast and colour.

Levels and rules are ImageNet-C's (arXiv 1903.12261).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.noise.base import Pixels, Streams, column, each_picture, noise_type


@noise_type(
    "fog",
    title="Fog",
    family="Weather and light",
    summary="Lays a drifting, uneven haze over the picture.",
    parameters=("density", "roughness decay"),
    levels=((0.0, 2.0), (1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    stochastic=True,
)
def fog(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Return (x + c·plasma)·m/(m + c), m the picture's largest value, with one plasma fractal per picture.

    The plasma's side is the next power of two that holds the picture (256 up to 256 pixels, 512 above), and
    its top left corner is used, as in ImageNet-C.
    """
    return each_picture(x, parameters, streams, _fog)


def _fog(picture: Pixels, stream: np.random.Generator, density: float, decay: float) -> NDArray[np.float64]:
    height, width = picture.shape[1:]
    haze = plasma(1 << (max(height, width, 2) - 1).bit_length(), decay, stream)[:height, :width]
    brightest = float(picture.max())
    if density <= 0.0:
        return picture.astype(np.float64)
    return (picture + density * haze) * (brightest / (brightest + density))


def plasma(side: int, decay: float, stream: np.random.Generator) -> NDArray[np.float64]:
    """Return a (side, side) cloud in [0, 1] by the diamond-square algorithm on a torus; side is a power of 2.

    Every halving of the step divides the random offsets by decay². The draws do not depend on the decay, so
    one stream gives one cloud that only grows rougher.
    """
    field = np.zeros((side, side))
    step, offset = side, 1.0
    while step >= 2:
        half = step // 2
        corners = field[::step, ::step]
        middles = field[half::step, half::step]
        shape = corners.shape
        across = corners + np.roll(corners, -1, axis=0)
        middles[...] = (across + np.roll(across, -1, axis=1)) / 4 + offset * stream.uniform(-1, 1, shape)
        for axis, edges in ((1, field[::step, half::step]), (0, field[half::step, ::step])):
            # An edge's neighbours: two corners along it, and the middles on either side of it.
            ends = corners + np.roll(corners, -1, axis=axis)
            sides = middles + np.roll(middles, 1, axis=1 - axis)
            edges[...] = (ends + sides) / 4 + offset * stream.uniform(-1, 1, shape)
        step, offset = half, offset / decay**2
    field -= field.min()
    cloud: NDArray[np.float64] = field / field.max()
    return cloud


@noise_type(
    "brightness",
    title="Brightness",
    family="Weather and light",
    summary="Makes the picture lighter, keeping hue and saturation.",
    parameters=("added value",),
    levels=((0.0,), (0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    stochastic=False,
)
def brightness(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Raise the HSV value V to min(V + c, 1); hue and saturation stay, so channels scale with V; black turns grey."""
    value = x.amax(dim=1, keepdim=True)
    lit = (value + column(parameters, 0)).clamp(max=1.0)
    return torch.where(value > 0, x / value, torch.ones_like(x)) * lit


@noise_type(
    "contrast",
    title="Contrast",
    family="Weather and light",
    summary="Pulls every colour value towards the picture's mean colour: a flat, washed-out picture.",
    parameters=("remaining contrast",),
    levels=((1.0,), (0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    stochastic=False,
)
def contrast(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Return (x − mean)·c + mean, the mean per colour channel over the picture, as in ImageNet-C."""
    return each_picture(x, parameters, streams, _contrast)


def _contrast(picture: Pixels, _: np.random.Generator, share: float) -> Pixels:
    mean = picture.mean(axis=(1, 2), dtype=np.float64, keepdims=True).astype(np.float32)
    flat: Pixels = (picture - mean) * np.float32(share) + mean
    return flat


@noise_type(
    "saturate",
    title="Saturation",
    family="Weather and light",
    summary="Drains the colours at levels 1 and 2, and exaggerates them from level 3 on.",
    parameters=("factor", "added saturation"),
    levels=((1.0, 0.0), (0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
    stochastic=False,
    monotone=False,
)
def saturate(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Change the HSV saturation S to S·c₀ + c₁, clipped to [0, 1].

    With hue and value V fixed, a channel is V·(1 − S·k), k its distance from V as a share of the largest one.
    A grey pixel has no hue; the HSV convention, and with it ImageNet-C, calls it red, so at levels 4 and 5
    greys turn reddish.
    """
    value = x.amax(dim=1, keepdim=True)
    spread = value - x.amin(dim=1, keepdim=True)
    red = torch.tensor([0.0, 1.0, 1.0]).reshape(1, 3, 1, 1)
    distance = torch.where(spread > 0, (value - x) / spread, red)
    saturation = torch.where(value > 0, spread / value, torch.zeros_like(value))
    changed = (saturation * column(parameters, 0) + column(parameters, 1)).clamp(0.0, 1.0)
    return value * (1.0 - changed * distance)
