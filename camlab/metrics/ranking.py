"""Rank-biased overlap (RBO) of rankings with ties, for whole batches of pairs.

Sources: Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010, eq.
23 and 32; Corsi and Urbano, "The treatment of ties in rank-biased overlap", SIGIR 2024, for the variants w,
a and b.

Algorithm. With one-based depth d, an item whose tie group fills the ranks a+1 … a+g belongs to the first d ranks
with the share clip((d − a) / g, 0, 1). RBO is the sum over items and depths of W_d · share in x · share in y, and
that product is a polynomial of degree 2 at most in d between the ends of the two groups. So suffix sums of W_d,
d·W_d and d²·W_d give an item's whole sum at once: O(n) per pair instead of O(n²). Suffix sums are more precise than
prefix sums, because deep ranks weigh little.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Ranks = tuple[Whole, Whole]
"""(above, size): the numbers of items ranked above an item's tie group and in the group; both (N, n)."""
SizeFn = Callable[[Ranks, Ranks], Floats]

BLOCK = 1 << 19
"""Largest number of pairs × items processed at once: bounds memory to about 100 MB."""


@dataclass(frozen=True)
class TieVariant:
    """One treatment of ties.

    whole: whether a tie group enters as a whole at its first rank instead of gradually; size_at: returns the
    denominators of the agreement at depths 1..n from the two rankings' (above, size): (N, n), or (1, n) if all
    pairs share them.
    """

    name: str
    summary: str
    whole: bool
    size_at: SizeFn


TIE_VARIANTS: Registry[TieVariant] = Registry("treatment of ties")


def _variant(name: str, summary: str, whole: bool = False) -> Callable[[SizeFn], SizeFn]:
    return TIE_VARIANTS.adding(name, lambda size_at: TieVariant(name, summary, whole, size_at))


def _by_depth(ranks: Ranks) -> tuple[Floats, Floats]:
    """Reorder (above, size) from items to depths 1..n: those of the group that fills each rank."""
    above, size = ranks
    order = np.argsort(above, axis=1, kind="stable")
    return (
        np.take_along_axis(above, order, axis=1).astype(np.float64),
        np.take_along_axis(size, order, axis=1).astype(np.float64),
    )


def _depths(n: int) -> Floats:
    return np.arange(1, n + 1, dtype=np.float64)


@_variant("a", "Tied items share their ranks evenly: the mean over all random tie-breaks.")
def _size_a(x: Ranks, y: Ranks) -> Floats:
    return _depths(x[0].shape[1])[None, :]


@_variant("w", "Tied items all hold the first of their ranks: ties mean equal.", whole=True)
def _size_w(x: Ranks, y: Ranks) -> Floats:
    (above_x, size_x), (above_y, size_y) = _by_depth(x), _by_depth(y)
    return (above_x + size_x + above_y + size_y) / 2


@_variant("b", "As a, divided by the information lost to ties: identical rankings give 1.")
def _size_b(x: Ranks, y: Ranks) -> Floats:
    depth = _depths(x[0].shape[1])
    norm = np.ones_like(depth)
    for above, size in (_by_depth(x), _by_depth(y)):
        # Whole items count 1 each, the items of the cut group the square of their share.
        norm = norm * np.sqrt(above + (depth - above) ** 2 / size)
    return norm


def tie_groups(scores: NDArray[np.floating]) -> Ranks:
    """Rank items by descending score, with ties.

    scores: (N, n). Returns (above, size), both (N, n) int64: the number of items with a higher score, and of items
    with the same score (the item itself included).
    """
    count, n = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    position = np.arange(n)
    starts = np.ones((count, n), dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    if starts.all():  # without ties, an item's place is the number of items above it
        above = np.empty((count, n), dtype=np.int64)
        np.put_along_axis(above, order, np.broadcast_to(position, (count, n)), axis=1)
        return above, np.ones((count, n), dtype=np.int64)
    first = np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    ends = np.ones((count, n), dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    last = np.minimum.accumulate(np.where(ends, position, n - 1)[:, ::-1], axis=1)[:, ::-1]
    above = np.empty((count, n), dtype=np.int64)
    size = np.empty((count, n), dtype=np.int64)
    np.put_along_axis(above, order, first, axis=1)
    np.put_along_axis(size, order, last - first + 1, axis=1)
    return above, size


def average_ranks(scores: NDArray[np.floating]) -> Floats:
    """Return one-based ranks by descending score (N, n); tied items share the mean of their ranks."""
    above, size = tie_groups(scores)
    return above + (size + 1) / 2


def _check_p(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise BadSetting(f"RBO's persistence p must lie strictly between 0 and 1, not {p:g}.")


def depth_weights(n: int, p: float) -> Floats:
    """Compute the weights of the agreement at depths 1..n, summing to 1: (1−p)·p^(d−1), plus p^n at the last."""
    weights = (1.0 - p) * p ** np.arange(n, dtype=np.float64)
    weights[-1] += p**n
    return weights


def _suffix_sums(weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Compute Σ_{j≥d} j^r·W_j for r = 0, 1, 2; column d holds depth d, the last column is 0. weights: (N, n)."""
    count, n = weights.shape
    depth = np.arange(1, n + 1, dtype=np.float64)
    sums = []
    for power in range(3):
        total = np.zeros((count, n + 2))
        total[:, 1 : n + 1] = np.cumsum((weights * depth**power)[:, ::-1], axis=1)[:, ::-1]
        sums.append(total)
    return sums[0], sums[1], sums[2]


def _sum_of_shares(x: Ranks, y: Ranks, weights: Floats) -> Floats:
    """Compute Σ over items and depths of W_d · share in x · share in y, (N,). Ranks (N, m), weights (N, n)."""
    (above_x, size_x), (above_y, size_y) = x, y
    s0, s1, s2 = _suffix_sums(weights)
    bottom_x, bottom_y = above_x + size_x, above_y + size_y
    start = np.maximum(above_x, above_y) + 1
    # Depths start … inner-1 cut both groups, inner … outer only one; beyond outer the item is whole in both.
    inner = np.maximum(np.minimum(bottom_x, bottom_y) + 1, start)
    outer = np.maximum(bottom_x, bottom_y)
    x_is_longer = bottom_x > bottom_y
    long_above = np.where(x_is_longer, above_x, above_y)
    long_size = np.where(x_is_longer, size_x, size_y)

    def at(sums: Floats, depth: Whole) -> Floats:
        if len(sums) == 1:  # all pairs have the same weights: one look-up table
            looked_up: Floats = sums[0].take(depth)
            return looked_up
        return np.take_along_axis(np.broadcast_to(sums, (len(depth), sums.shape[1])), depth, axis=1)

    at_start, at_inner, beyond = at(s0, start), at(s0, inner), at(s0, outer + 1)
    first_at_inner = at(s1, inner)
    both_cut = (at(s2, start) - at(s2, inner)) - (above_x + above_y) * (at(s1, start) - first_at_inner)
    both_cut = (both_cut + above_x * above_y * (at_start - at_inner)) / (size_x * size_y)
    one_cut = ((first_at_inner - at(s1, outer + 1)) - long_above * (at_inner - beyond)) / long_size
    total: Floats = np.sum(both_cut + one_cut + beyond, axis=1)
    return total


def _overlap(x: Ranks, y: Ranks, common: tuple[Whole, Whole] | None, p: float, ties: str) -> Floats:
    """Compute the RBO of N pairs; common: the columns in x and y of the shared items (None: the same columns)."""
    variant = TIE_VARIANTS[ties]
    weights = depth_weights(x[0].shape[1], p) / variant.size_at(x, y)
    if common is not None:
        x, y = (x[0][:, common[0]], x[1][:, common[0]]), (y[0][:, common[1]], y[1][:, common[1]])
    if variant.whole:
        x, y = (x[0], np.ones_like(x[1])), (y[0], np.ones_like(y[1]))
    # Rounding may leave 1 + 2e-16 for identical rankings; RBO never exceeds 1.
    return np.clip(_sum_of_shares(x, y, weights), 0.0, 1.0)


def rbo(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    p: float = 0.9,
    ties: str = "a",
    chunk: int | None = None,
) -> Floats:
    """Compute the extrapolated rank-biased overlap of N pairs of rankings of the same n items.

    x, y: (N, n) scores (or (1, n), compared with every row of the other); items are ranked by descending
    score and equal scores are ties. p: persistence in (0, 1). ties: "a" shares a cut group's places evenly, which is
    the mean over all random tie-breaks; "w" admits a whole group at its first rank (ties mean equality); "b" divides
    "a" by the information lost to ties (identical rankings give 1). chunk: pairs processed at once; it does not change
    the value. Returns (N,) in [0, 1], nan where a score is nan. Identical rankings give 1 under w and b; under a they
    do without ties, and less with ties. Raises BadSetting, UnknownName. Source: Webber et al. 2010, eq. 32; Corsi and
    Urbano 2024.
    """
    _check_p(p)
    TIE_VARIANTS[ties]
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or x.shape[1] == 0:
        raise BadSetting(f"RBO compares scores of the same items, not tables of {x.shape} and {y.shape}.")
    if len(x) != len(y) and 1 not in (len(x), len(y)):
        raise BadSetting(f"RBO needs equally many rankings on both sides, not {len(x)} and {len(y)}.")
    count, n = np.broadcast_shapes(x.shape, y.shape)
    rows = max(1, chunk or BLOCK // n)
    result = np.empty(count)
    for begin in range(0, count, rows):
        block = slice(begin, begin + rows)
        result[block] = _rbo_block(x if len(x) == 1 else x[block], y if len(y) == 1 else y[block], p, ties)
    return result


def _rbo_block(x: NDArray[np.floating], y: NDArray[np.floating], p: float, ties: str) -> Floats:
    above_x, size_x, above_y, size_y = np.broadcast_arrays(*tie_groups(x), *tie_groups(y))
    total = _overlap((above_x, size_x), (above_y, size_y), None, p, ties)
    return np.where(np.isnan(x).any(axis=1) | np.isnan(y).any(axis=1), np.nan, total)


def _flatten(ranking: Sequence[Hashable]) -> tuple[dict[Hashable, int], Ranks]:
    """Return the column of each item, and the ranks (1, n), of a list of items and tie groups (tuples)."""
    column: dict[Hashable, int] = {}
    above: list[int] = []
    size: list[int] = []
    for entry in ranking:
        group = entry if isinstance(entry, tuple) else (entry,)
        seen = len(column)
        for item in group:
            if item in column:
                raise BadSetting(f"A ranking names each item once, but {item!r} comes twice.")
            column[item] = len(column)
            above.append(seen)
            size.append(len(group))
    return column, (np.array([above], dtype=np.int64), np.array([size], dtype=np.int64))


def rbo_lists(a: Sequence[Hashable], b: Sequence[Hashable], p: float = 0.9, ties: str = "a") -> float:
    """Compute the extrapolated RBO of two ranked lists that may hold different items.

    a, b: best first, of equal length; a tuple is a group of tied items, as in ["a", ("b", "c"), "d"], and a string is
    a list of its letters. p, ties: as in ``rbo``. Returns a value in [0, 1]; lists without a common item give 0.
    Raises BadSetting for an empty list, lists of different length or a repeated item.
    """
    _check_p(p)
    TIE_VARIANTS[ties]
    column_a, ranks_a = _flatten(a)
    column_b, ranks_b = _flatten(b)
    if not column_a or len(column_a) != len(column_b):
        raise BadSetting(
            f"RBO compares lists of equal length with at least one item, "
            f"not of {len(column_a)} and {len(column_b)} items."
        )
    items = [item for item in column_a if item in column_b]
    in_a = np.array([column_a[item] for item in items], dtype=np.int64)
    in_b = np.array([column_b[item] for item in items], dtype=np.int64)
    return float(_overlap(ranks_a, ranks_b, (in_a, in_b), p, ties)[0])


def random_ranking_floor(n: int, p: float = 0.9) -> float:
    """Compute the expected RBO of a ranking of n items with a random one: (1−p)·Σ_{d≤n} p^(d−1)·d/n + p^n.

    Under tie variant a this also holds for any fixed tie groups. In (0, 1]; 0.199 at n = 50, p = 0.9. Raises
    BadSetting. The expected agreement at depth d of two random rankings of the same n items is d/n.
    """
    _check_p(p)
    if n < 1:
        raise BadSetting(f"A ranking has at least one item, not {n}.")
    return float(math.fsum(depth_weights(n, p) * np.arange(1, n + 1) / n))


@overload
def floor_corrected(value: float, floor: float) -> float: ...
@overload
def floor_corrected(value: Floats, floor: float | Floats) -> Floats: ...
def floor_corrected(value: Any, floor: Any) -> Any:
    """Return (value − floor) / (1 − floor): 1 stays 1, the floor becomes 0, values below it become negative.

    nan where the floor is 1 (a single item). Takes numbers or arrays.
    """
    room = np.where(np.asarray(floor) < 1.0, 1.0 - np.asarray(floor, dtype=np.float64), np.nan)
    corrected = (np.asarray(value, dtype=np.float64) - floor) / room
    return float(corrected) if corrected.ndim == 0 else corrected
