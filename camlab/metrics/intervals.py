"""Percentile bootstrap intervals, which resample pictures or rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICATES = 2000
SEED = 0
TAIL = 2.5  # per cent cut off on either side
FEWEST_PAIRS = 5
"""A group of fewer pairs gets no interval."""

CELLS_AT_ONCE = 1 << 20
"""Replicates × units (or rows) processed at once: bounds memory to a few times 8 MB."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval; undefined: the share of replicates in which the value is undefined."""

    low: float
    high: float
    undefined: float


def resample(units: int, replicates: int, seed: int, block: int | None = None) -> Iterator[Floats]:
    """Yield how often each unit is drawn, (replicates, units), in read-only blocks of at most ``block`` replicates.

    Each replicate draws ``units`` units with replacement from ``default_rng(seed)``; the draws do not depend on the
    block.
    """
    block = block or replicates
    if units * replicates <= CELLS_AT_ONCE:
        whole = _few(units, replicates, seed)
        yield from (whole[begin : begin + block] for begin in range(0, replicates, block))
    else:
        yield from _blocks(units, replicates, seed, block)


@lru_cache(maxsize=8)
def _few(units: int, replicates: int, seed: int) -> Floats:
    """Return all draws at once, cached: a study has thousands of groups with the same number of pictures."""
    (whole,) = _blocks(units, replicates, seed, replicates)
    whole.flags.writeable = False
    return whole


def _blocks(units: int, replicates: int, seed: int, block: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
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

    values: from draw counts (r, units) to arrays (r,), nan where undefined; width: the numbers it holds per replicate,
    if more than ``units``. Undefined replicates are dropped; if all are, the interval is None.
    """
    block = max(1, CELLS_AT_ONCE // max(units, width))
    parts = [values(weights) for weights in resample(units, replicates, seed, block)]
    table = np.stack([np.concatenate([part[name] for part in parts]) for name in parts[0]])
    return dict(zip(parts[0], percentile_intervals(table), strict=True))


def percentile_intervals(replicates: Floats) -> list[Interval | None]:
    """Return the central 95 % of the defined replicates in each row of (values, r), or None.

    Interpolates linearly between order statistics, as numpy.percentile does.
    """
    ordered = np.sort(replicates, axis=1)  # nan goes last
    defined = replicates.shape[1] - np.isnan(replicates).sum(axis=1)
    found: list[Interval | None] = []
    for row, count in zip(ordered, defined.tolist(), strict=True):
        if not count:
            found.append(None)
            continue
        ends = []
        for share in (TAIL / 100, 1 - TAIL / 100):
            below, between = divmod(share * (count - 1), 1.0)
            left = row[int(below)]
            right = row[min(int(below) + 1, count - 1)]
            ends.append(float(left + (right - left) * between))
        found.append(Interval(ends[0], ends[1], 1 - count / replicates.shape[1]))
    return found
