"""Random fields on the unit square, the material of ShapeScenes' grounds and surfaces.

Every field is a function on the unit square, fixed by its random draws and sampled at pixel centres. A larger
picture samples the same function more densely (and adds finer detail), so the composition stays the same.

Only +, −, ×, ÷, √, rounding and comparisons are used, and of the random generator only its bit stream: the
results are the same, bit for bit, on every machine and with every NumPy that has Philox.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
T = TypeVar("T")

TWO = np.float32(2)


class Draws:
    """Uniform random numbers for one named part of one scene, from Philox-4x64 (Salmon et al. 2011).

    The key is a hash of the words; `part` returns an independent stream, whatever was drawn before.
    """

    def __init__(self, *words: int | str) -> None:
        self._words = words
        digest = hashlib.blake2b(json.dumps(words).encode(), digest_size=16).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest, "little"))

    def part(self, name: str) -> Draws:
        """Return the stream of a part of this part."""
        return Draws(*self._words, name)

    def array(self, *shape: int) -> NDArray[np.float64]:
        """Draw numbers uniform in [0, 1), 53 bits each."""
        count = int(np.prod(shape))
        raw = np.asarray(self._bits.random_raw(count), np.uint64) >> np.uint64(11)
        return raw.reshape(shape).astype(np.float64) * np.float64(2.0**-53)

    def one(self) -> float:
        """Draw one number, uniform in [0, 1)."""
        return float((self._bits.random_raw() >> 11) * 2.0**-53)

    def between(self, low: float, high: float) -> float:
        """Draw one number uniform in [low, high), rounded to a millionth."""
        return round(low + (high - low) * self.one(), 6)

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of the options, all equally likely."""
        return options[int(self.one() * len(options))]

    def order(self, count: int) -> list[int]:
        """Draw a random order of 0 … count − 1."""
        return [int(i) for i in np.argsort(self.array(count), kind="stable")]


def centres(size: int) -> Floats:
    """Return the coordinates of pixel centres along one side, (size,) in (0, 1)."""
    return ((np.arange(size) + 0.5) / size).astype(np.float32)


def wave(phase: Floats) -> Floats:
    """Return a smooth wave of period 1 in [0, 1], 1 at whole numbers, close to a cosine."""
    t = np.abs(phase - np.floor(phase) - np.float32(0.5)) * TWO
    out: Floats = t * t * (np.float32(3) - TWO * t)
    return out


def octave(draws: Draws, size: int, rows: int, columns: int) -> Floats:
    """Return value noise (size, size) in [0, 1): random numbers on a grid of rows × columns, smoothly interpolated."""
    table = draws.array(rows + 2, columns + 2).astype(np.float32)
    shift = draws.array(2)
    place = centres(size)

    def along(cells: int, offset: float) -> tuple[NDArray[np.intp], Floats]:
        at = place * np.float32(cells) + np.float32(offset)
        low = np.floor(at)
        t = at - low
        return low.astype(np.intp), t * t * (np.float32(3) - TWO * t)

    i, ty = along(rows, shift[0])
    j, tx = along(columns, shift[1])
    lines = table[i] + (table[i + 1] - table[i]) * ty[:, None]
    left = lines[:, j]
    return left + (lines[:, j + 1] - left) * tx


def fractal(
    draws: Draws, size: int, rows: int, columns: int | None = None, gain: float = 0.55, most: int = 7
) -> Floats:
    """Return 1/f-like noise (size, size), about [−1, 1], mean 0: octaves of doubling frequency and falling weight.

    Octaves finer than two pixels are left out.
    """
    columns = rows if columns is None else columns
    total = np.zeros((size, size), np.float32)
    weight, weights = 1.0, 0.0
    for _ in range(most):
        weights += weight
        if TWO * max(rows, columns) <= size:
            total += (octave(draws, size, rows, columns) - np.float32(0.5)) * np.float32(weight)
        rows, columns, weight = 2 * rows, 2 * columns, weight * gain
    return total * np.float32(3.4 / weights)


def ramp(value: Floats, palette: Sequence[Colour]) -> Floats:
    """Map values in [0, 1] (clipped) to colours along a palette: (…,) to (…, 3)."""
    at = value * np.float32(len(palette) - 1)
    shares = [np.clip(at - np.float32(k), np.float32(0), np.float32(1)) for k in range(len(palette) - 1)]
    out = np.empty((*value.shape, 3), np.float32)
    for channel in range(3):
        tones = [np.float32(colour[channel]) for colour in palette]
        out[..., channel] = tones[0]
        for share, low, high in zip(shares, tones, tones[1:], strict=False):
            out[..., channel] += share * (high - low)
    return out


def window(place: Floats, middle: float, reach: float) -> slice:
    """Return the slice of pixel centres within ``reach`` of ``middle``."""
    low, high = np.searchsorted(place, (middle - reach, middle + reach)).tolist()
    return slice(low, high)
