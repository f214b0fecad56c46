"""Effect sizes, for the data and for many bootstrap weightings of the pictures at once; Holm's adjustment.

An effect of two sets of values is w·K·w + w·l over a product of counts, where w counts how often each picture is
drawn. Up to EXACT_UP_TO pictures it is computed exactly. Beyond that, w·K·w is expanded to first order around
w = 1: the error is of order 1/n, below the Monte Carlo error of an interval's ends with 2,000 replicates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from camlab.metrics.tally import Floats, Index, divide

EXACT_UP_TO = 256

KENDALL, DELTA = "Kendall's W", "Cliff's δ"

Replicates = Callable[[Floats], Floats]
"""Maps draw counts (r, n) to the effect in every replicate, (r,), nan where it is undefined."""

# Thresholds. δ and, by analogy, rank-biserial: Romano et al. 2006; W: Cohen's r; ε²: Rea & Parker 1992.
_SIZES = {
    "delta": (0.147, 0.33, 0.474),
    "w": (0.1, 0.3, 0.5),
    "epsilon": (0.01, 0.08, 0.26),
}
_WORDS = ("negligible", "small", "medium", "large")


@dataclass(frozen=True)
class Effect:
    """An effect's observed value, its bootstrap replicates, and its size in one word ("": not rated)."""

    value: float
    replicates: Replicates
    words: str = ""


def observed_effect(replicates: Replicates, units: int, kind: str = "") -> Effect:
    """Return an effect with its observed value; kind: delta, w or epsilon, or "" for no size in words."""
    value = float(replicates(np.ones((1, units)))[0])
    return Effect(value, replicates, magnitude(kind, value) if kind else "")


def magnitude(kind: str, value: float) -> str:
    """Describe the size of an effect in one word; kind: delta, w or epsilon."""
    return _WORDS[int(np.searchsorted(_SIZES[kind], abs(value), side="right"))]


def mean_of(column: Floats) -> Replicates:
    """Return the replicates of the mean of the blocks' values (n,)."""
    return lambda weights: weights @ column / len(column)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust a family of p-values by Holm's step-down method, in their order."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    raised = np.minimum(np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values)))), 1.0)
    adjusted = np.empty_like(values)
    adjusted[order] = raised
    return [float(each) for each in adjusted]


def rank_biserial(differences: Floats) -> Replicates:
    """Compute the matched-pairs rank-biserial correlation (W+ − W−)/(W+ + W−), without zero differences."""
    sign, size = np.sign(differences), np.abs(differences)
    real = size > 0

    def counts(weights: Floats) -> Floats:
        n = weights @ real.astype(np.float64)
        total: Floats = n * (n + 1) / 2
        return total

    if len(sign) <= EXACT_UP_TO:
        beats = (size[None, :] < size[:, None]) + 0.5 * (size[None, :] == size[:, None])
        kernel = sign[:, None] * beats * real[None, :]
        return lambda w: divide(np.sum((w @ kernel) * w, axis=1) + w @ (sign / 2), counts(w))
    ladder = np.sort(size[real])
    order = np.argsort(size[real], kind="stable")
    running = np.concatenate([[0.0], np.cumsum(sign[real][order])])
    below, upto = np.searchsorted(ladder, size, "left"), np.searchsorted(ladder, size, "right")
    rows = sign * (below + upto) / 2
    columns = real * (running[-1] - (running[below] + running[upto]) / 2)
    return _linear(float(rows.sum() + sign.sum() / 2), rows + columns + sign / 2, counts)


def cliffs_delta(a: Floats, b: Floats) -> Replicates:
    """Compute Cliff's δ = P(a > b) − P(a < b) over all pairs of values of ``a`` and ``b``.

    a, b: (n,), one value per unit and side, nan where the unit has none.
    """
    has_a, has_b = ~np.isnan(a), ~np.isnan(b)

    def counts(weights: Floats) -> Floats:
        total: Floats = (weights @ has_a.astype(np.float64)) * (weights @ has_b.astype(np.float64))
        return total

    if len(a) <= EXACT_UP_TO:
        kernel = np.nan_to_num(np.sign(a[:, None] - b[None, :]))
        return lambda w: divide(np.sum((w @ kernel) * w, axis=1), counts(w))
    rows, columns = np.zeros(len(a)), np.zeros(len(b))
    rows[has_a] = _above(a[has_a], np.sort(b[has_b]))
    columns[has_b] = -_above(b[has_b], np.sort(a[has_a]))
    return _linear(float(rows.sum()), rows + columns, counts)


def _above(values: Floats, ladder: Floats) -> Floats:
    """Count, for each value, the elements of the sorted ladder below it minus those above it."""
    less, upto = np.searchsorted(ladder, values, "left"), np.searchsorted(ladder, values, "right")
    above: Floats = (less + upto - len(ladder)).astype(np.float64)
    return above


def _linear(total: float, slope: Floats, counts: Replicates) -> Replicates:
    """Expand w·K·w + w·l to first order around w = 1, over the counts."""
    base = total - float(slope.sum())
    return lambda w: divide(base + w @ slope, counts(w))


def concordance(ranks: Floats) -> Replicates:
    """Compute Kendall's W of ranks within blocks (n, k), corrected for ties: 0 no agreement, 1 equal orders."""
    k = ranks.shape[1]
    same = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    ties = (same**2 - 1).sum(axis=1).astype(np.float64)  # Σ (t³ − t) over the block's groups of t equal ranks

    def replicates(weights: Floats) -> Floats:
        n = weights.sum(axis=1)
        sums = weights @ ranks
        spread = ((sums - sums.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        room = n * (n * (k**3 - k) - weights @ ties)
        return divide(12.0 * spread, np.where(room > 1e-9, room, 0.0))

    return replicates


def epsilon_squared(values: Floats, group: Index, unit: Index, groups: int) -> Replicates:
    """Compute ε² = H/(N − 1) from Kruskal and Wallis's H, corrected for ties.

    values, group, unit: (N,), each value with its group and the unit that the bootstrap draws.
    """
    order = np.argsort(values, kind="stable")
    ladder, member, drawn = values[order], group[order], unit[order]
    starts = np.flatnonzero(np.concatenate([[True], ladder[1:] != ladder[:-1]]))
    step = np.repeat(np.arange(len(starts)), np.diff([*starts.tolist(), len(ladder)]))
    hot, untied = np.eye(groups)[member], len(starts) == len(ladder)

    def replicates(weights: Floats) -> Floats:
        w = weights[:, drawn]
        tied = w if untied else np.add.reduceat(w, starts, axis=1)
        middle = np.cumsum(tied, axis=1) - (tied - 1) / 2
        sizes = w @ hot
        sums = (w * (middle if untied else middle[:, step])) @ hot
        n = sizes.sum(axis=1)
        full = np.all(sizes > 0, axis=1)
        h = 12 / (n * (n + 1)) * np.sum(sums**2 / np.maximum(sizes, 1), axis=1) - 3 * (n + 1)
        room = 1 - (np.einsum("rj,rj,rj->r", tied, tied, tied) - n) / (n**3 - n)
        return divide(h, np.where(full & (room > 1e-12), room * (n - 1), 0.0))

    return replicates


def block_ranks(values: Floats) -> Floats:
    """Rank the levels of every block, 1 for the largest value; ties share their mean rank."""
    ranks: Floats = rankdata(-values, axis=1)
    return ranks
