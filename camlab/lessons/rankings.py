"""Two rankings of segments side by side, and RBO taken apart depth by depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camlab.metrics import random_ranking_floor
from camlab.metrics.ranking import average_ranks, depth_weights, tie_groups

Floats = NDArray[np.float64]


def agreements(x: NDArray[np.floating], y: NDArray[np.floating]) -> Floats:
    """The share of items that the first d of two rankings have in common, for d = 1…n: (n,) in [0, 1].

    x, y: (n,) scores, highest first; tied items share their places evenly (variant a of Corsi and Urbano 2024).
    """
    depth = np.arange(1, len(x) + 1, dtype=np.float64)[:, None]
    shares = []
    for scores in (x, y):
        above, size = tie_groups(scores[None])
        shares.append(np.clip((depth - above) / size, 0.0, 1.0))
    return np.asarray((shares[0] * shares[1]).sum(axis=1) / depth[:, 0])


@dataclass(frozen=True)
class Build:
    """RBO built up: at each depth 1…n the agreement, its weight (all add up to 1), and the sum so far.

    chance: the agreement of two random rankings at each depth; floor: the RBO that these would have.
    """

    agreement: Floats
    weight: Floats
    so_far: Floats
    chance: Floats
    floor: float

    @property
    def value(self) -> float:
        """RBO itself: the sum at the last depth."""
        return float(self.so_far[-1])

    def weighed(self, depth: int) -> float:
        """The share of the weight that the first so many ranks carry, with what is extrapolated from the last."""
        return float(self.weight[:depth].sum())


def build(x: NDArray[np.floating], y: NDArray[np.floating], p: float) -> Build:
    """RBO of two rankings (n,) at persistence p, depth by depth. Raises BadSetting for a p outside (0, 1)."""
    n = len(x)
    floor = random_ranking_floor(n, p)
    agreement, weight = agreements(x, y), depth_weights(n, p)
    return Build(agreement, weight, np.cumsum(agreement * weight), np.arange(1, n + 1) / n, floor)


def ranks(values: NDArray[np.floating]) -> Floats:
    """Ranks from 1 (highest), tied items at the mean of theirs: (n,)."""
    found: Floats = average_ranks(values[None])[0]
    return found
