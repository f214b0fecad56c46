"""Count the wins of kept over flipped pairs for the AUROC, by stratum and for many weightings."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from camlab.common.grouping import Index, in_order

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHUNK_CELLS = 1 << 20
"""Numbers processed at once: bounds memory to a few times 8 MB."""

TABLE_CELLS = 1 << 23
"""The largest table of units: 64 MB."""

SHORTEST_BLOCK = 16
"""Flipped pairs per block; within a block, contests are counted one by one."""


def stratum_wins(
    similarity: Floats, ladder: Index, kept: Flags, lost: Flags, stratum: Index, count: int
) -> tuple[Floats, Floats]:
    """Return (wins, contests), each (count,), of every kept pair against every flipped pair of the same stratum.

    The kept pair wins if its similarity is larger; a tie is half a win. ladder: the positions that sort the
    similarities. kept and lost exclude each other; pairs in neither are left out.
    """
    order = ladder[(kept | lost)[ladder]]
    contests = np.bincount(stratum[kept], minlength=count) * np.bincount(stratum[lost], minlength=count)
    if not contests.any():
        return np.zeros(count), contests.astype(np.float64)
    order = order[in_order(stratum[order], count)]
    level, place, fell = similarity[order], stratum[order], lost[order]
    # Find runs of equal similarity within a stratum: a run's kept pairs beat all flipped pairs before it.
    begin = np.flatnonzero(np.r_[True, (level[1:] != level[:-1]) | (place[1:] != place[:-1])])
    lost_in = np.add.reduceat(fell.astype(np.int64), begin)
    kept_in = np.diff(np.r_[begin, len(order)]) - lost_in
    before = np.cumsum(lost_in) - lost_in
    where = place[begin]
    first = np.flatnonzero(np.r_[True, where[1:] != where[:-1]])
    before -= np.repeat(before[first], np.diff(np.r_[first, len(where)]))
    wins = np.bincount(where, kept_in * (before + lost_in / 2), minlength=count).astype(np.float64)
    return wins, contests.astype(np.float64)


class Wins:
    """The wins of the kept pairs in the contests of one stratum, for any number of weightings of its units.

    similarity, unit: (n,) of the kept and of the flipped pairs; units are 0 … units − 1. table: twice the wins of each
    unit over each other one; None if counting row by row is faster.
    """

    def __init__(self, kept: Floats, kept_unit: Index, lost: Floats, lost_unit: Index, units: int) -> None:
        self._units = units
        self.table: Floats | None = None
        order = np.argsort(lost)
        ladder, self._lost_unit = lost[order], lost_unit[order]
        order = np.argsort(kept)  # searching in order is several times faster
        self._kept_unit = kept_unit[order]
        # A kept pair beats the flipped pairs below ``left`` and ties with those between ``left`` and ``right``.
        self._left, self._right = (np.searchsorted(ladder, kept[order], side) for side in ("left", "right"))
        # Measured: a product of matrices does twenty multiplications in the time of one pass over memory.
        if units * units <= min(TABLE_CELLS, 80 * (len(kept) + len(lost))):
            self.table = self._beaten(self._left)
            self.table += self.table if np.array_equal(self._left, self._right) else self._beaten(self._right)

    def _beaten(self, places: Index) -> Floats:
        """Count the flipped pairs of each unit below the places of each unit's kept pairs, (units, units)."""
        units, steps = self._units, len(self._lost_unit)
        # Count whole blocks of the ladder by units, and the rest of a block pair by pair.
        width = max(SHORTEST_BLOCK, -(-steps * units // CHUNK_CELLS))
        block, rest = np.divmod(places, width)
        shape = (steps // width + 1, units)
        at = np.bincount(block * units + self._kept_unit, minlength=shape[0] * units).reshape(shape)
        fallen = np.arange(steps) // width * units + self._lost_unit
        lost = np.bincount(fallen, minlength=shape[0] * units).reshape(shape)
        table: Floats = at.T.astype(np.float64) @ (np.cumsum(lost, axis=0) - lost)
        few = max(1, max(CHUNK_CELLS, units * units) // width)
        for begin in range(0, len(places), few):
            part = slice(begin, begin + few)
            size = rest[part]
            first = np.cumsum(size) - size
            each = np.arange(size.sum()) + np.repeat(block[part] * width - first, size)
            pair = np.repeat(self._kept_unit[part] * units, size) + self._lost_unit[each]
            table += np.bincount(pair, minlength=units * units).reshape(units, units)
        return table

    def by_row(self, weights: Floats) -> Floats:
        """Compute twice the wins row by row: faster than a table if there are many units."""
        across = np.ascontiguousarray(weights.T)
        places = np.concatenate([self._left, self._right])
        order = in_order(places, len(self._lost_unit) + 1)
        places, unit = places[order], np.tile(self._kept_unit, 2)[order]
        steps = len(self._lost_unit) + 1
        width = max(1, CHUNK_CELLS // max(1, across.shape[1]))
        below, wins = np.zeros(across.shape[1]), np.zeros(across.shape[1])
        for begin in range(0, steps, width):
            end = min(begin + width, steps)
            # beaten: the weight below each place from ``begin`` on, (places, r).
            beaten = np.concatenate([below[None], across[self._lost_unit[begin:end]]])
            np.cumsum(beaten, axis=0, out=beaten)
            below, beaten = beaten[-1], beaten[: end - begin]
            low, high = np.searchsorted(places, [begin, end])
            at = (places[low:high] - begin, unit[low:high])
            count = sparse.csr_array((np.ones(high - low), at), shape=(end - begin, self._units))
            wins += np.einsum("pr,pr->r", count @ across, beaten)
        return wins


class JoinedWins:
    """The summed wins of several strata with the same units; their tables are added to one."""

    def __init__(self, each: Iterable[Wins]) -> None:
        self._table: Floats | None = None
        self._rest: list[Wins] = []
        for wins in each:  # one at a time, because tables are large
            if wins.table is None:
                self._rest.append(wins)
            else:
                self._table = wins.table if self._table is None else self._table + wins.table

    def __call__(self, weights: Floats) -> Floats:
        """Return the wins, (r,), for weights (r, units)."""
        twice = np.zeros(len(weights))
        if self._table is not None:
            # Whole numbers below 2²⁴ are exact in float32, whose products take half the time.
            largest = self._table.sum(axis=0).max(initial=0) * weights.max(initial=0)
            short = np.float32 if largest < 1 << 24 else np.float64
            met = weights.astype(short) @ self._table.astype(short)
            twice += np.einsum("ru,ru->r", met.astype(np.float64), weights)
        for wins in self._rest:
            twice += wins.by_row(weights)
        return twice / 2
