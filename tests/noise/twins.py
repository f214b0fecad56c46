"""The noise table again, slower and simpler: one obvious NumPy function a type, written from the table.

Each takes a picture (H,W,3) float64, the level's parameters as ImageNet-C writes them and the type's random
stream, from which it draws the same numbers as the library; it returns the picture before clipping.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage import color, filters

Array = NDArray[np.float64]
DIGESTS = ("astronaut", "coffee", "chelsea")

# The table of the noise types, levels 1..5, as published.
TABLE: dict[str, tuple[Any, ...]] = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": (60, 25, 12, 5, 3),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "salt_and_pepper": (0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
    "uniform_noise": (0.14, 0.21, 0.31, 0.45, 0.66),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": (25, 18, 15, 10, 7),
    "occlusion": (0.05, 0.1, 0.2, 0.3, 0.4),
}


def _planes_last(field: NDArray[np.floating]) -> Array:
    return field.transpose(1, 2, 0).astype(np.float64)


def gaussian_noise(x: Array, c: float, rng: np.random.Generator) -> Array:
    return x + c * _planes_last(rng.standard_normal((3, *x.shape[:2]), dtype=np.float32))


def shot_noise(x: Array, c: float, rng: np.random.Generator) -> Array:
    counts: Array = stats.poisson.ppf(_planes_last(rng.random((3, *x.shape[:2]))), x * c)
    return counts / c


def _coins(x: Array, c: float, rng: np.random.Generator, channels: int) -> Array:
    hit = _planes_last(rng.random((channels, *x.shape[:2]), dtype=np.float32)) < np.float32(c)
    coin = _planes_last(rng.random((channels, *x.shape[:2]), dtype=np.float32))
    out = x.copy()
    out[np.broadcast_to(hit & (coin < 0.5), x.shape)] = 1.0
    out[np.broadcast_to(hit & (coin >= 0.5), x.shape)] = 0.0
    return out


def impulse_noise(x: Array, c: float, rng: np.random.Generator) -> Array:
    return _coins(x, c, rng, 3)


def salt_and_pepper(x: Array, c: float, rng: np.random.Generator) -> Array:
    return _coins(x, c, rng, 1)


def speckle_noise(x: Array, c: float, rng: np.random.Generator) -> Array:
    return x + x * c * _planes_last(rng.standard_normal((3, *x.shape[:2]), dtype=np.float32))


def uniform_noise(x: Array, c: float, rng: np.random.Generator) -> Array:
    return x + c * (2 * _planes_last(rng.random((3, *x.shape[:2]), dtype=np.float32)) - 1)


def gaussian_blur(x: Array, c: float, _: np.random.Generator) -> Array:
    return np.asarray(filters.gaussian(x, sigma=c, mode="nearest", truncate=4.0, channel_axis=-1))


def defocus_blur(x: Array, c: tuple[int, float], _: np.random.Generator) -> Array:
    radius, alias = c
    own = max(8, radius)
    kernel = np.zeros((2 * own + 1, 2 * own + 1))
    for i in range(-own, own + 1):
        for j in range(-own, own + 1):
            kernel[own + i, own + j] = float(i * i + j * j <= radius * radius)
    reach = 1 if radius <= 8 else 2
    taps = np.array([math.exp(-(d * d) / (2 * alias * alias)) for d in range(-reach, reach + 1)])
    for axis in (0, 1):
        kernel = ndimage.correlate1d(kernel, taps / taps.sum(), axis=axis, mode="mirror")
    kernel /= np.sum([i * i + j * j <= radius * radius for i in range(-own, own + 1) for j in range(-own, own + 1)])
    return np.stack([ndimage.correlate(x[..., k], kernel, mode="mirror") for k in range(3)], axis=-1)


def motion_blur(x: Array, c: tuple[int, float], rng: np.random.Generator) -> Array:
    radius, sigma = c
    angle = np.deg2rad(rng.uniform(-45, 45))
    height, width = x.shape[:2]
    out, total = np.zeros_like(x), 0.0
    for i in range(2 * radius + 1):
        weight = math.exp(-(i * i) / (2 * sigma * sigma))
        down, right = math.ceil(i * math.sin(angle) - 0.5), math.ceil(i * math.cos(angle) - 0.5)
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + right, 0, width - 1)
        out += weight * x[rows][:, columns]
        total += weight
    return out / total


def zoom_blur(x: Array, c: tuple[float, float], _: np.random.Generator) -> Array:
    height, width = x.shape[:2]
    zooms = np.arange(1, *c)
    out = x.copy()
    for zoom in zooms:
        high, wide = math.ceil(height / zoom), math.ceil(width / zoom)
        top, left = (height - high) // 2, (width - wide) // 2
        crop = x[top : top + high, left : left + wide]
        out += ndimage.zoom(crop, (zoom, zoom, 1), order=1)[:height, :width]
    return out / (len(zooms) + 1)


def plasma(side: int, decay: float, rng: np.random.Generator) -> Array:
    """Diamond-square, cell by cell on a torus."""
    z = np.zeros((side, side))
    step, wibble = side, 100.0
    while step >= 2:
        half, cells = step // 2, side // step
        for centre, ring in (
            ((half, half), ((-half, -half), (-half, half), (half, -half), (half, half))),
            ((0, half), ((0, -half), (0, half), (-half, 0), (half, 0))),
            ((half, 0), ((0, -half), (0, half), (-half, 0), (half, 0))),
        ):
            draws = wibble * wibble * rng.uniform(-1, 1, (cells, cells))
            for i in range(cells):
                for j in range(cells):
                    y, x = i * step + centre[0], j * step + centre[1]
                    mean = sum(z[(y + dy) % side, (x + dx) % side] for dy, dx in ring) / 4
                    z[y, x] = mean + draws[i, j]
        step, wibble = half, wibble / decay
    spread: Array = (z - z.min()) / (z.max() - z.min())
    return spread


def fog(x: Array, c: tuple[float, float], rng: np.random.Generator) -> Array:
    side = 1
    while side < max(x.shape[:2]):
        side *= 2
    brightest = x.max()
    haze = plasma(side, c[1], rng)[: x.shape[0], : x.shape[1], None]
    hazy: Array = (x + c[0] * haze) * brightest / (brightest + c[0])
    return hazy


def brightness(x: Array, c: float, _: np.random.Generator) -> Array:
    hsv = color.rgb2hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
    return np.asarray(color.hsv2rgb(hsv))


def contrast(x: Array, c: float, _: np.random.Generator) -> Array:
    mean = np.array([x[..., k].mean() for k in range(3)])
    flatter: Array = (x - mean) * c + mean
    return flatter


def saturate(x: Array, c: tuple[float, float], _: np.random.Generator) -> Array:
    hsv = color.rgb2hsv(x)
    hsv[..., 1] = np.clip(hsv[..., 1] * c[0] + c[1], 0, 1)
    return np.asarray(color.hsv2rgb(hsv))


def pixelate(x: Array, c: float, _: np.random.Generator) -> Array:
    """A block is the mean of the pixels whose middle lies within half a block of its own middle."""

    def blocks(side: int) -> tuple[list[list[int]], list[int]]:
        count = int(side * c)
        size = side / count
        members = [[p for p in range(side) if -0.5 < (p + 0.5 - (b + 0.5) * size) / size <= 0.5] for b in range(count)]
        return members, [min(int((p + 0.5) / size), count - 1) for p in range(side)]

    (rows, row_of), (columns, column_of) = blocks(x.shape[0]), blocks(x.shape[1])
    small = np.array([[x[np.ix_(r, k)].mean(axis=(0, 1)) for k in columns] for r in rows])
    return small[np.ix_(row_of, column_of)]


def jpeg_compression(x: Array, c: int, rng: np.random.Generator) -> Array:
    """OpenCV's codec instead of Pillow's."""
    pixels = cv2.cvtColor(np.rint(x * 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, c])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.float64) / 255


def occlusion(x: Array, c: float, rng: np.random.Generator) -> Array:
    height, width = x.shape[:2]
    left = round(c * height * width)
    out = x.copy()
    for patch in rng.permutation(64):
        row, column = divmod(int(patch), 8)
        for y in range(math.ceil(row * height / 8), math.ceil((row + 1) * height / 8)):
            for z in range(math.ceil(column * width / 8), math.ceil((column + 1) * width / 8)):
                if left:
                    out[y, z] = 0.5
                    left -= 1
    return out


TWINS: dict[str, Callable[[Array, object, np.random.Generator], Array]] = {name: globals()[name] for name in TABLE}
