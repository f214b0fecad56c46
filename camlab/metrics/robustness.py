"""Consistency C, responsiveness R, their product RM, and what keeps them honest.

Source of C, R and RM: "Assessing the Noise Robustness of Class Activation Maps", arXiv 2508.18154. The gap,
the AUROC, the blind value, the floors and the intervals are ours; docs/metric.md says why.

A table of pairs has one row a pair (clean picture, noisy picture) with the columns ``image``, ``severity``,
``flipped``, ``near`` (the new prediction is in the clean top five), ``degenerate`` and ``similarity`` (in
[0, 1], nan where degenerate). "Not observed" is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from camlab.errors import BadSetting
from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES, SEED, Interval, bootstrap
from camlab.metrics.landmarks import breaks_at as breaks_at
from camlab.metrics.landmarks import flips_at as flips_at
from camlab.metrics.landmarks import other_picture_floor as other_picture_floor
from camlab.metrics.tally import VALUES, Floats, Rows, auroc_counts, divide, read_pairs, weighted_values

DOMINANT_SHARE = 0.25


@dataclass(frozen=True)
class Robustness:
    """Everything that is said about one group of pairs; None is "not observed".

    n: pairs; n_flipped, n_near: pairs with a flip, and those of them near; n_degenerate: pairs without a
    similarity, left out of every value; n_consistency, n_responsiveness: pairs that C and R rest on. auroc:
    chance that a kept pair is more similar than a flipped one, ties half. blind: s̄(1 − s̄), the RM of a
    map whose similarity ignores flips. consistency_bounds: C if the unflipped degenerate pairs had
    similarity 0, or 1. unit: what intervals draw, "image" or "row". averaged_over: "" where rows are
    pooled, else "severity" or "image"; averaged: how many severities (or pictures) each value averages.
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


def robustness(
    pairs: pd.DataFrame, unit: str = "image", replicates: int = REPLICATES, seed: int = SEED
) -> Robustness:
    """Pool all rows of a table of pairs, as the paper does.

    unit: what the bootstrap draws: "image", pictures with all their rows, or "row", for the noise draws of
    one picture. replicates: 0 leaves the intervals out. Raises BadSetting for a table that cannot be read.
    """
    rows, names, units = read_pairs(pairs, unit)
    return _assemble(
        rows,
        names,
        unit,
        units,
        replicates,
        seed,
        lambda weights: weighted_values(rows, weights),
        _bounds(rows),
    )


def stratified(
    pairs: pd.DataFrame, unit: str = "image", replicates: int = REPLICATES, seed: int = SEED
) -> Robustness:
    """Average the per-severity values, each severity where the value is observed counting once.

    ``averaged`` says how many severities each value rests on. RM is the average of the per-severity
    products, and the gap of the per-severity gaps. The AUROC compares pairs within a severity only,
    weighted by the number of comparisons (``auroc_within``). A replicate counts where every severity behind
    the observed value has one too.
    """
    rows, names, units = read_pairs(pairs, unit)
    strata = [rows.take(rows.severity == severity) for severity in np.unique(rows.severity)]
    seen = _stack(strata, np.ones((1, units)))
    observed = {name: ~np.isnan(seen[name][:, 0]) for name in VALUES}

    def values(weights: Floats) -> dict[str, Floats]:
        table = _stack(strata, weights)
        result = {name: _mean_rows(table[name][observed[name]]) for name in VALUES}
        result["auroc"] = divide(*_pooled_counts(strata, weights))
        return result

    bounds = [bound for bound in map(_bounds, strata) if bound is not None]
    return _assemble(
        rows, names, unit, units, replicates, seed, values,
        (float(np.mean([b[0] for b in bounds])), float(np.mean([b[1] for b in bounds]))) if bounds else None,
        averaged_over="severity",
        averaged={name: int(observed[name].sum()) for name in VALUES},
    )  # fmt: skip


def macro(pairs: pd.DataFrame, replicates: int = REPLICATES, seed: int = SEED) -> Robustness:
    """Average the per-picture values, each picture where the value is observed counting once.

    The AUROC is the average of the pictures' own. ``averaged`` says how many pictures each value rests on.
    """
    rows, names, units = read_pairs(pairs, "image")
    strata = [rows.take(rows.picture == picture) for picture in range(units)]
    each = _stack(strata, np.ones((1, units)))

    def values(weights: Floats) -> dict[str, Floats]:
        result = {}
        for name in VALUES:
            value = each[name][:, 0]
            seen = ~np.isnan(value)
            result[name] = divide(weights[:, seen] @ value[seen], weights[:, seen].sum(axis=1))
        return result

    bounds = [bound for bound in map(_bounds, strata) if bound is not None]
    return _assemble(
        rows, names, "image", units, replicates, seed, values,
        (float(np.mean([b[0] for b in bounds])), float(np.mean([b[1] for b in bounds]))) if bounds else None,
        averaged_over="image",
        averaged={name: int((~np.isnan(each[name])).sum()) for name in VALUES},
    )  # fmt: skip


def by_severity(
    pairs: pd.DataFrame, unit: str = "image", replicates: int = REPLICATES, seed: int = SEED
) -> dict[float, Robustness]:
    """Return the pooled values of each severity, ascending."""
    severity = pairs["severity"].to_numpy(dtype=np.float64)
    return {
        float(level): robustness(pairs[severity == level], unit, replicates, seed)
        for level in np.unique(severity)
    }


def auroc_within(pairs: pd.DataFrame, by: Sequence[str]) -> float | None:
    """AUROC of similarity for kept against flipped, comparing only pairs that agree in the columns ``by``.

    Strata are pooled with their number of comparisons (kept × flipped) as weight. None where no stratum has
    both.
    """
    rows, _, units = read_pairs(pairs)
    unknown = [column for column in by if column not in pairs.columns]
    if unknown or not by:
        raise BadSetting(
            f"The table of pairs has no column {unknown[0] if unknown else ''!r} to compare within."
        )
    if not len(rows):
        return None
    stratum = pairs.groupby(list(by), sort=False, dropna=False).ngroup().to_numpy()
    strata = [rows.take(stratum == s) for s in range(int(stratum.max()) + 1)]
    wins, contests = _pooled_counts(strata, np.ones((1, units)))
    return float(wins[0] / contests[0]) if contests[0] else None


def same_pictures(pairs: pd.DataFrame, across: str = "outcomes") -> pd.DataFrame:
    """Keep the rows that let the same pictures speak on both sides of a comparison.

    across="outcomes": for C against R, the rows of each picture at each severity where it has both a kept
    and a flipped pair. across="severities": for C along the severities, all rows of the pictures with a
    kept pair at every severity of the table. Degenerate pairs do not qualify a picture but stay with it.
    """
    rows, _, _ = read_pairs(pairs)
    _, level = np.unique(rows.severity, return_inverse=True)
    if not len(rows):
        return pairs
    # How many kept and how many flipped pairs each picture has at each severity.
    kept, lost = (np.zeros((rows.picture.max() + 1, level.max() + 1)) for _ in range(2))
    np.add.at(kept, (rows.picture[rows.kept], level[rows.kept]), 1)
    np.add.at(lost, (rows.picture[rows.lost], level[rows.lost]), 1)
    if across == "outcomes":
        return pairs[(np.minimum(kept, lost) > 0)[rows.picture, level]]
    if across == "severities":
        return pairs[(kept.min(axis=1) > 0)[rows.picture]]
    raise BadSetting(
        f"The same pictures are kept across 'outcomes' or 'severities', not {str(across)[:40]!r}."
    )


def _stack(strata: Sequence[Rows], weights: Floats) -> dict[str, Floats]:
    """Values of every stratum, (strata, r)."""
    each = [weighted_values(stratum, weights) for stratum in strata]
    return {
        name: np.stack([values[name] for values in each]) if each else np.empty((0, 1)) for name in VALUES
    }


def _pooled_counts(strata: Sequence[Rows], weights: Floats) -> tuple[Floats, Floats]:
    """Wins and contests (r,) of the AUROC, added up over strata."""
    wins, contests = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in strata:
        won, contested = auroc_counts(stratum, weights)
        wins, contests = wins + won, contests + contested
    return wins, contests


def _mean_rows(table: Floats) -> Floats:
    """Mean over strata; nan where there is none, or where one of them is nan."""
    if not len(table):
        return np.full(table.shape[1], np.nan)
    mean: Floats = table.mean(axis=0)
    return mean


def _bounds(rows: Rows) -> tuple[float, float] | None:
    """Worst and best C: unflipped pairs without a similarity taken as 0, and as 1."""
    unflipped = int((~rows.flipped).sum())
    if not unflipped:
        return None
    total = float(rows.similarity[rows.kept].sum())
    lost = unflipped - int(rows.kept.sum())
    return total / unflipped, (total + lost) / unflipped


def _warnings(rows: Rows, names: Sequence[object]) -> tuple[str, ...]:
    found = []
    flips = int(rows.lost.sum())
    if flips and len(names) > 1:
        each = np.bincount(rows.picture[rows.lost], minlength=len(names))
        for picture in np.flatnonzero(each > DOMINANT_SHARE * flips).tolist():
            found.append(
                f"Picture {names[picture]} supplies {each[picture]} of the {flips} flips, over a quarter: "
                "R speaks mostly of it."
            )
    for letter, group, what in (("C", rows.kept, "without"), ("R", rows.lost, "with")):
        count = int(group.sum())
        if 0 < count < FEWEST_PAIRS:
            found.append(
                f"{letter} rests on {count} {'pair' if count == 1 else 'pairs'} {what} a flip: "
                "too few for an interval."
            )
    return tuple(found)


def _assemble(
    rows: Rows,
    names: Sequence[object],
    unit: str,
    units: int,
    replicates: int,
    seed: int,
    values: Callable[[Floats], dict[str, Floats]],
    bounds: tuple[float, float] | None,
    averaged_over: str = "",
    averaged: dict[str, int] | None = None,
) -> Robustness:
    observed = {name: float(value[0]) for name, value in values(np.ones((1, units))).items()}
    sizes = {name: int(group.sum()) for name, group in rows.groups.items()}
    # Values of both sides rest on the smaller one.
    both = min(sizes["consistency"], sizes["responsiveness"])
    sizes |= {"rm": both, "gap": both, "auroc": both, "blind": sizes["mean_similarity"]}
    intervals: dict[str, Interval | None] = dict.fromkeys(VALUES)
    # A single unit gives the same replicate again and again: no interval rather than one of width 0.
    if replicates > 0 and units > 1:
        found = bootstrap(values, units, replicates, seed, width=len(rows))
        intervals = {
            name: found[name] if sizes[name] >= FEWEST_PAIRS and not np.isnan(observed[name]) else None
            for name in VALUES
        }
    return Robustness(
        n=len(rows),
        n_pictures=len(names),
        n_flipped=int(rows.flipped.sum()),
        n_near=int(rows.near.sum()),
        n_degenerate=int((~rows.usable).sum()),
        n_consistency=sizes["consistency"],
        n_responsiveness=sizes["responsiveness"],
        **{name: None if np.isnan(observed[name]) else observed[name] for name in VALUES},
        intervals=intervals,
        consistency_bounds=bounds,
        warnings=_warnings(rows, names),
        unit=unit,
        averaged_over=averaged_over,
        averaged=averaged or {},
    )
