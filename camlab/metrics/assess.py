"""Compute values, counts, intervals and warnings for many groups of pairs at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from camlab.common.grouping import in_order, members_of
from camlab.common.threads import one_blas_thread, processors
from camlab.metrics.intervals import FEWEST_PAIRS, Interval, bootstrap
from camlab.metrics.tally import (
    MEANS,
    VALUES,
    Floats,
    Index,
    Rows,
    Tally,
    divide,
    stratum_counts,
    values_from,
)

DOMINANT_SHARE = 0.25
THREADS = min(4, processors())
"""Groups whose intervals are drawn at once; each holds a few times 8 MB."""


@dataclass(frozen=True)
class Robustness:
    """Values, counts, intervals and warnings of one group of pairs; None is "not observed".

    n: pairs; n_flipped, n_near: pairs with a flip, and with a near flip; n_degenerate: pairs without a similarity,
    left out of every value; n_consistency, n_responsiveness: pairs behind C and R. auroc: the probability that a kept
    pair is more similar than a flipped one, ties counting half. blind: s̄(1 − s̄), the RM of a map whose similarity
    ignores flips. consistency_bounds: C if the unflipped degenerate pairs had similarity 0, or 1. unit: what the
    bootstrap draws, "image" or "row". averaged_over: "" if rows are pooled, else "severity" or "image"; averaged:
    the number of severities (or pictures) that each value averages.
    """

    n: int
    n_pictures: int
    n_flipped: int
    n_near: int
    n_degenerate: int
    n_consistency: int
    n_responsiveness: int
    consistency: float | None
    responsiveness: float | None
    responsiveness_near: float | None
    responsiveness_far: float | None
    rm: float | None
    gap: float | None
    auroc: float | None
    mean_similarity: float | None
    blind: float | None
    intervals: dict[str, Interval | None]
    consistency_bounds: tuple[float, float] | None
    warnings: tuple[str, ...]
    unit: str = "image"
    averaged_over: str = ""
    averaged: dict[str, int] = field(default_factory=dict)

    @property
    def flip_rate(self) -> float | None:
        """Share of pairs with a flip, degenerate ones included."""
        return self.n_flipped / self.n if self.n else None


def assess(
    rows: Rows,
    names: Sequence[object],
    group: Index,
    count: int,
    unit: str,
    replicates: int,
    seed: int,
    over: str = "",
) -> list[Robustness]:
    """Assess each group of pairs, in the order of the groups' numbers.

    rows, names: from ``read_pairs``; group: (n,) in 0 … count − 1; unit: what the bootstrap draws, "image" or "row";
    replicates: 0 leaves intervals out; over: what the values are averaged over, "severity" or "image", or "" to pool
    the rows. Each group has its own generator, seeded by ``seed``.
    """
    picture, pictures, number = _within(group, rows.picture, count)
    part, parts = group, np.arange(count)
    if over:
        _, level = np.unique(rows.severity, return_inverse=True)
        # Each row's stratum, and each stratum's group.
        part, parts, _ = _strata(group, level if over == "severity" else rows.picture, count)
    strata = _Strata(rows, part, parts, count)
    observed = strata.observed(over)
    counts = {name: np.bincount(group[flags], minlength=count) for name, flags in rows.groups.items()}
    total, flipped, near, lacking = (
        np.bincount(group[flags], minlength=count) for flags in (slice(None), rows.flipped, rows.near, ~rows.usable)
    )
    units = pictures if unit == "image" else total
    low, high = strata.bounds()
    drawn = picture if unit == "image" else number
    found = _intervals(replace(rows, unit=drawn), group, part, units, _REPLICATES[over], replicates, seed)
    warnings = _warnings(rows, names, group, pictures, counts, count)
    results = []
    for g in range(count):
        sizes = {name: int(each[g]) for name, each in counts.items()}
        # A value made of C and R has the smaller one's number of pairs.
        both = min(sizes["consistency"], sizes["responsiveness"])
        sizes |= {"rm": both, "gap": both, "auroc": both, "blind": sizes["mean_similarity"]}
        value = {name: None if np.isnan(x := float(observed[name][g])) else x for name in VALUES}
        results.append(
            Robustness(
                n=int(total[g]),
                n_pictures=int(pictures[g]),
                n_flipped=int(flipped[g]),
                n_near=int(near[g]),
                n_degenerate=int(lacking[g]),
                n_consistency=sizes["consistency"],
                n_responsiveness=sizes["responsiveness"],
                **value,
                intervals={
                    name: found[g][name] if sizes[name] >= FEWEST_PAIRS and value[name] is not None else None
                    for name in VALUES
                },
                consistency_bounds=None if np.isnan(low[g]) else (float(low[g]), float(high[g])),
                warnings=tuple(warnings.get(g, ())),
                unit=unit,
                averaged_over=over,
                averaged={name: int(strata.averaged[name][g]) for name in VALUES} if over else {},
            )
        )
    return results


def auroc_of(rows: Rows, stratum: Index, home: Index, count: int) -> list[float | None]:
    """Compute the AUROC of each group from comparisons within strata, pooled; None without any.

    stratum: (n,) in 0 … strata − 1; home: the group of each stratum, in 0 … count − 1.
    """
    _, won, met = stratum_counts(rows, stratum, len(home))
    wins, contests = np.bincount(home, won, count), np.bincount(home, met, count)
    return [w / c if c else None for w, c in zip(wins.tolist(), contests.tolist(), strict=True)]


class _Strata:
    """The values of every stratum, and their averages over the strata of a group."""

    def __init__(self, rows: Rows, part: Index, parts: Index, count: int) -> None:
        self._rows, self._part, self._parts, self._count = rows, part, parts, count
        self._sums, self._wins, self._contests = stratum_counts(rows, part, len(parts))
        self._values = values_from(self._sums, self._wins, self._contests)
        self.averaged = {
            name: np.bincount(parts[~np.isnan(value)], minlength=count) for name, value in self._values.items()
        }

    def observed(self, over: str) -> dict[str, Floats]:
        """Average each value over the strata of each group that have it, (count,).

        Over severities, the AUROC is weighted by the number of comparisons instead.
        """
        found = {name: self._mean(value) for name, value in self._values.items()}
        if over == "severity":
            found["auroc"] = divide(self._total(self._wins), self._total(self._contests))
        return found

    def bounds(self) -> tuple[Floats, Floats]:
        """Compute the worst and best C per group: unflipped pairs without a similarity count as 0, and as 1."""
        unflipped = np.bincount(self._part[~self._rows.flipped], minlength=len(self._parts)).astype(float)
        at = 2 * MEANS.index("consistency")
        total, known = self._sums[:, at], self._sums[:, at + 1]
        worst, best = divide(total, unflipped), divide(total + (unflipped - known), unflipped)
        return self._mean(worst), self._mean(best)

    def _total(self, values: Floats) -> Floats:
        return np.bincount(self._parts, values, minlength=self._count).astype(np.float64)

    def _mean(self, values: Floats) -> Floats:
        seen = ~np.isnan(values)
        total = np.bincount(self._parts[seen], values[seen], minlength=self._count).astype(np.float64)
        return divide(total, np.bincount(self._parts[seen], minlength=self._count).astype(float))


Replicate = Callable[[Floats], dict[str, Floats]]


def _pooled(rows: Rows, part: Index, units: int) -> Replicate:
    tally = Tally(rows, units, np.zeros(len(rows), np.intp))

    def values(weights: Floats) -> dict[str, Floats]:
        (each,), auroc = tally.values(weights)
        return each | {"auroc": auroc}

    return values


def _by_severity(rows: Rows, part: Index, units: int) -> Replicate:
    """Average over severities; a replicate counts if it has a value at every severity where one is observed."""
    levels, level = np.unique(part, return_inverse=True)
    tally = Tally(rows, units, level, len(levels))
    once, _ = tally.values(np.ones((1, units)))

    def values(weights: Floats) -> dict[str, Floats]:
        each, auroc = tally.values(weights)
        result = {"auroc": auroc}
        for name in once[0]:
            seen = [v[name] for v, first in zip(each, once, strict=True) if not np.isnan(first[name][0])]
            result[name] = np.mean(seen, axis=0) if seen else np.full(len(weights), np.nan)
        return result

    return values


def _by_picture(rows: Rows, part: Index, units: int) -> Replicate:
    each = values_from(*stratum_counts(rows, rows.unit, units))
    seen = {name: ~np.isnan(value) for name, value in each.items()}

    def values(weights: Floats) -> dict[str, Floats]:
        return {
            name: divide(weights[:, seen[name]] @ value[seen[name]], weights[:, seen[name]].sum(axis=1))
            for name, value in each.items()
        }

    return values


Prepare = Callable[[Rows, Index, int], Replicate]
_REPLICATES: dict[str, Prepare] = {"": _pooled, "severity": _by_severity, "image": _by_picture}


def _intervals(
    rows: Rows, group: Index, part: Index, units: Index, prepare: Prepare, replicates: int, seed: int
) -> list[dict[str, Interval | None]]:
    """Compute the intervals of every group, a few groups at a time; units: the number of units in each group."""
    found: list[dict[str, Interval | None]] = [dict.fromkeys(VALUES) for _ in units]

    def fill(of: tuple[int, Index | slice]) -> None:
        g, members = of
        # A single unit always gives the same replicate: give no interval, not one of width 0.
        if units[g] > 1:
            values = prepare(rows.take(members), part[members], int(units[g]))
            found[g] = bootstrap(values, int(units[g]), replicates, seed)

    if replicates > 0:
        # NumPy releases the GIL. Each group has its own draws, so the order of the groups does not matter.
        with one_blas_thread():
            if (workers := min(THREADS, len(units))) <= 1:
                for members in members_of(group, len(units)):
                    fill(members)
            else:
                with ThreadPoolExecutor(workers) as pool:
                    for _ in pool.map(fill, members_of(group, len(units))):
                        pass
    return found


def _strata(group: Index, key: Index, count: int) -> tuple[Index, Index, Index]:
    """Return each row's stratum, a combination of group and key, (n,), and each stratum's group and key."""
    width = int(key.max()) + 1 if len(key) else 1
    joint = group * width + key
    if count * width <= 4 * len(joint):  # sorting takes longer than counting
        there = np.flatnonzero(np.bincount(joint, minlength=count * width))
        number = np.zeros(count * width, np.intp)
        number[there] = np.arange(len(there))
        part = number[joint]
    else:
        there, part = np.unique(joint, return_inverse=True)
    return part, there // width, there % width


def _within(group: Index, picture: Index, count: int) -> tuple[Index, Index, Index]:
    """Return each row's picture number within its group, the pictures per group, and row numbers within groups."""
    part, parts, _ = _strata(group, picture, count)
    pictures = np.bincount(parts, minlength=count)
    first = np.cumsum(pictures) - pictures
    order = in_order(group, count)
    sizes = np.bincount(group, minlength=count)
    number = np.empty(len(group), np.intp)
    number[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return part - first[group], pictures, number


def _warnings(
    rows: Rows, names: Sequence[object], group: Index, pictures: Index, counts: dict[str, Index], count: int
) -> dict[int, list[str]]:
    """Return warnings, in sentences, for groups that depend on one picture or on few pairs."""
    found: dict[int, list[str]] = {}
    lost = rows.lost
    part, parts, picture = _strata(group[lost], rows.picture[lost], count)
    each, flips = np.bincount(part, minlength=len(parts)), counts["responsiveness"]
    for s in np.flatnonzero((each > DOMINANT_SHARE * flips[parts]) & (pictures[parts] > 1)).tolist():
        found.setdefault(int(parts[s]), []).append(
            f"Picture {names[picture[s]]} supplies {each[s]} of the {flips[parts[s]]} flips, over a quarter: "
            "R leans heavily on it."
        )
    for letter, name, what in (("C", "consistency", "without"), ("R", "responsiveness", "with")):
        size = counts[name]
        for g in np.flatnonzero((size > 0) & (size < FEWEST_PAIRS)).tolist():
            found.setdefault(g, []).append(
                f"{letter} rests on {size[g]} {'pair' if size[g] == 1 else 'pairs'} {what} a flip: "
                "too few for an interval."
            )
    return found
