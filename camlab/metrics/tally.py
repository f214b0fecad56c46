"""Compute C, R and related values for many weightings of the same pairs at once.

Every value is a function of the weights of the units (a picture with all its rows, or a single row). Weights of 1
give the observed value; the counts of a bootstrap draw give a replicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.metrics.wins import JoinedWins, Wins, stratum_wins

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

COLUMNS = ("image", "severity", "flipped", "near", "degenerate", "similarity")
VALUES = (
    "consistency",
    "responsiveness",
    "responsiveness_near",
    "responsiveness_far",
    "rm",
    "gap",
    "auroc",
    "mean_similarity",
    "blind",
)
MEANS = ("consistency", "responsiveness", "responsiveness_near", "responsiveness_far", "mean_similarity")
"""The values that are means of a group of pairs (or 1 minus such a mean)."""
_KEPT, _LOST = (2 * MEANS.index(name) + 1 for name in ("consistency", "responsiveness"))
"""Positions of their pair counts among the sums, which alternate sum and count."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs as arrays of equal length; usable: the pair has a similarity; unit: the pair's bootstrap unit."""

    picture: Index
    severity: Floats
    flipped: Flags
    near: Flags
    usable: Flags
    similarity: Floats
    unit: Index

    def __len__(self) -> int:
        return len(self.flipped)

    def take(self, chosen: Flags | Index | slice) -> Rows:
        """Return the chosen rows, by flag, position or slice; units keep their numbers."""
        return Rows(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @cached_property
    def ladder(self) -> Index:
        """The positions that sort the rows by similarity."""
        return np.argsort(self.similarity)

    @cached_property
    def kept(self) -> Flags:
        """Pairs that count for C: same prediction, and a similarity."""
        return self.usable & ~self.flipped

    @cached_property
    def lost(self) -> Flags:
        """Pairs that count for R: another prediction, and a similarity."""
        return self.usable & self.flipped

    @cached_property
    def groups(self) -> dict[str, Flags]:
        """The pairs behind each mean."""
        lost = self.lost
        flags = (self.kept, lost, lost & self.near, lost & ~self.near, self.usable)
        return dict(zip(MEANS, flags, strict=True))


def read_pairs(pairs: pd.DataFrame, unit: str = "image") -> tuple[Rows, Sequence[Any], int]:
    """Check a table of pairs and return it as arrays, the pictures' names and the number of units.

    Raises BadSetting for a missing column, a similarity outside [0, 1] or an unknown unit.
    """
    missing = [column for column in COLUMNS if column not in pairs.columns]
    if missing:
        raise BadSetting(f"The table of pairs lacks the column {missing[0]!r}; give every pair one.")
    if unit not in ("image", "row"):
        raise BadSetting(f"Intervals draw by 'image' or by 'row', not by {str(unit)[:40]!r}.")
    codes, names = _pictures(pairs["image"])
    if np.any(codes < 0):
        raise BadSetting("Every pair needs the name of its picture in the column 'image'.")
    similarity = pairs["similarity"].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = ~(_flags(pairs, "degenerate") | np.isnan(similarity))
    # Tolerate rounding; a value further outside is a raw one that was not converted to the unit scale.
    if np.any((similarity[usable] < -1e-9) | (similarity[usable] > 1 + 1e-9)):
        raise BadSetting("C, R and RM need similarities in [0, 1]; put raw values through unit_scale first.")
    flipped = _flags(pairs, "flipped")
    units = codes if unit == "image" else np.arange(len(pairs))
    rows = Rows(
        picture=codes,
        severity=pairs["severity"].to_numpy(dtype=np.float64),
        flipped=flipped,
        near=_flags(pairs, "near") & flipped,
        usable=usable,
        similarity=similarity,
        unit=units,
    )
    return rows, names, len(names) if unit == "image" else len(pairs)


def _pictures(column: pd.Series) -> tuple[Index, Sequence[Any]]:
    """Return the pictures' numbers and names, ordered by name, not by category."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        codes, names = pd.factorize(column, sort=True)
        return codes, list(names)
    numbers = column.cat.codes.to_numpy().astype(np.intp)
    there = np.bincount(numbers[numbers >= 0], minlength=len(column.cat.categories)) > 0
    order = np.argsort(column.cat.categories.to_numpy(dtype=object), kind="stable")
    order = order[there[order]]
    number = np.full(len(there) + 1, -1, np.intp)  # the last entry serves a missing name, −1
    number[order] = np.arange(len(order))
    return number[numbers], list(column.cat.categories[order])


def _flags(pairs: pd.DataFrame, column: str) -> Flags:
    """Read a column of booleans; a missing value counts as False (``near`` is undefined without a flip)."""
    values = pairs[column]
    if values.dtype == bool:
        return np.asarray(values.to_numpy())
    return np.asarray(values.where(values.notna(), False).astype(bool).to_numpy())


class Tally:
    """The values of one table of pairs for any number of weightings of its units, 0 … units − 1.

    stratum: (n,) in 0 … strata − 1; each stratum gets its own values.
    """

    def __init__(self, rows: Rows, units: int, stratum: Index, strata: int = 1) -> None:
        self._strata = strata
        self._totals = stratum_sums(rows, rows.unit * strata + stratum, units * strata).reshape(units, -1)
        self._wins = JoinedWins(
            Wins(
                rows.similarity[kept], rows.unit[kept], rows.similarity[lost], rows.unit[lost], units
            )
            for kept, lost in (
                (rows.kept & (stratum == s), rows.lost & (stratum == s)) for s in range(strata)
            )
        )  # fmt: skip

    def values(self, weights: Floats) -> tuple[list[dict[str, Floats]], Floats]:
        """Return each stratum's values of VALUES except the AUROC, and the AUROC within strata.

        weights: (r, units); all values are (r,), nan where not observed.
        """
        sums = (weights @ self._totals).reshape(len(weights), self._strata, -1)
        contests = (sums[:, :, _KEPT] * sums[:, :, _LOST]).sum(axis=1)
        auroc = divide(self._wins(weights), contests)
        return [means_from(sums[:, s]) for s in range(self._strata)], auroc


def stratum_counts(rows: Rows, stratum: Index, count: int) -> tuple[Floats, Floats, Floats]:
    """Return the arguments of ``values_from`` for each stratum; stratum: (n,) in 0 … count − 1."""
    wins = stratum_wins(rows.similarity, rows.ladder, rows.kept, rows.lost, stratum, count)
    return stratum_sums(rows, stratum, count), *wins


def stratum_sums(rows: Rows, stratum: Index, count: int) -> Floats:
    """Return the sum and the number of similarities in every group of pairs, (count, 2 · groups)."""
    columns = []
    for group in rows.groups.values():
        columns.append(np.bincount(stratum[group], rows.similarity[group], minlength=count))
        columns.append(np.bincount(stratum[group], minlength=count).astype(np.float64))
    return np.stack(columns, axis=1)


def values_from(sums: Floats, wins: Floats, contests: Floats) -> dict[str, Floats]:
    """Return every value of VALUES, (r,), from sums (r, 2 · groups) and the AUROC's counts (r,)."""
    return means_from(sums) | {"auroc": divide(wins, contests)}


def means_from(sums: Floats) -> dict[str, Floats]:
    """Return every value except the AUROC, (r,), from sums (r, 2 · groups)."""
    means = {name: divide(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, name in enumerate(MEANS)}
    consistency = means["consistency"]
    responsiveness = 1.0 - means["responsiveness"]
    mean = means["mean_similarity"]
    return {
        "consistency": consistency,
        "responsiveness": responsiveness,
        "responsiveness_near": 1.0 - means["responsiveness_near"],
        "responsiveness_far": 1.0 - means["responsiveness_far"],
        "rm": consistency * responsiveness,
        "gap": consistency + responsiveness - 1.0,
        "mean_similarity": mean,
        "blind": mean * (1.0 - mean),
    }


def divide(total: Floats, count: Floats) -> Floats:
    """Divide total by count; nan where the count is 0."""
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
