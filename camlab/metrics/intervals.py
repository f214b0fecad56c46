"""Percentile bootstrap: draw pictures (or rows) again, and read the interval off the replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICATES = 2000
SEED = 0
TAIL = 2.5  # per cent cut off on either side
FEWEST_PAIRS = 5
"""A group of fewer pairs gets no interval."""

CELLS_AT_ONCE = 1 << 20
"""Replicates × units (or rows) worked on at once: bounds memory to a few times 8 MB."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval; undefined: the share of replicates in which the value could not be formed."""

    low: float
    high: float
    undefined: float


def resample(units: int, replicates: int, seed: int, block: int | None = None) -> Iterator[Floats]:
    """Yield how often each unit is drawn, (replicates, units), in blocks of at most ``block`` replicates.

    Each replicate draws ``units`` units with replacement from ``default_rng(seed)``; the draws do not
    depend on the block.
    """
    generator = np.random.default_rng(seed)
    block = block or replicates
    for begin in range(0, replicates, block):
        count = min(block, replicates - begin)
        drawn = generator.integers(0, units, size=(count, units))
        drawn += units * np.arange(count)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=count * units)
        yield counts.reshape(count, units).astype(np.float64)


def bootstrap(
    values: Callable[[Floats], dict[str, Floats]], units: int, replicates: int, seed: int, width: int = 1
) -> dict[str, Interval | None]:
    """Return the percentile interval of every value.

    values: from draw counts (r, units) to arrays (r,), nan where undefined; width: numbers it holds a
    replicate, where that is more than ``units``. Undefined replicates are dropped; where all are, the
    interval is None.
    """
    block = max(1, CELLS_AT_ONCE // max(units, width))
    parts = [values(weights) for weights in resample(units, replicates, seed, block)]
    return {name: percentile_interval(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def percentile_interval(replicates: Floats) -> Interval | None:
    """Return the central 95 % of the defined replicates (linear between order statistics), or None."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, [TAIL, 100 - TAIL])
    return Interval(float(low), float(high), 1 - len(defined) / len(replicates))
