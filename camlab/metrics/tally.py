"""C, R and their kin for many weightings of the same pairs at once.

Every value is a function of how often each unit (a picture with all its rows, or a single row) counts. All
weights 1 gives the observed value; the counts of a bootstrap draw give a replicate. One path serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.errors import BadSetting

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

ROWS_A_UNIT = 4
TABLE_CELLS = 1 << 22
"""Wins come from a table of units where units hold this many rows and rows × units is no larger."""

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


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs as arrays of one length; usable: it has a similarity; unit: what a bootstrap draws it with."""

    picture: Index
    severity: Floats
    flipped: Flags
    near: Flags
    usable: Flags
    similarity: Floats
    unit: Index

    def __len__(self) -> int:
        return len(self.flipped)

    def take(self, chosen: Flags) -> Rows:
        """Return the chosen rows; units keep their numbers."""
        return Rows(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @property
    def kept(self) -> Flags:
        """Pairs that count for C: same prediction, and a similarity."""
        return self.usable & ~self.flipped

    @property
    def lost(self) -> Flags:
        """Pairs that count for R: another prediction, and a similarity."""
        return self.usable & self.flipped

    @property
    def groups(self) -> dict[str, Flags]:
        """The pairs behind each mean."""
        return {
            "consistency": self.kept,
            "responsiveness": self.lost,
            "responsiveness_near": self.lost & self.near,
            "responsiveness_far": self.lost & ~self.near,
            "mean_similarity": self.usable,
        }


def read_pairs(pairs: pd.DataFrame, unit: str = "image") -> tuple[Rows, Sequence[Any], int]:
    """Check a table of pairs and return it as arrays, the pictures' names and the number of units.

    Raises BadSetting for a missing column, a similarity outside [0, 1] or an unknown unit.
    """
    missing = [column for column in COLUMNS if column not in pairs.columns]
    if missing:
        raise BadSetting(f"The table of pairs lacks the column {missing[0]!r}; give every pair one.")
    if unit not in ("image", "row"):
        raise BadSetting(f"Intervals draw by 'image' or by 'row', not by {str(unit)[:40]!r}.")
    codes, names = pd.factorize(pairs["image"], sort=True)
    if np.any(codes < 0):
        raise BadSetting("Every pair needs the name of its picture in the column 'image'.")
    similarity = pairs["similarity"].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = ~(_flags(pairs, "degenerate") | np.isnan(similarity))
    # A little room for rounding; anything further out is a raw value that was not put on the unit scale.
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
    return rows, list(names), len(names) if unit == "image" else len(pairs)


def _flags(pairs: pd.DataFrame, column: str) -> Flags:
    """A column of booleans; a missing value counts as False (``near`` says nothing without a flip)."""
    values = pairs[column]
    return np.asarray(values.where(values.notna(), False).astype(bool).to_numpy())


def weighted_values(rows: Rows, weights: Floats) -> dict[str, Floats]:
    """Return every value of VALUES for each weighting of the units, (r,), nan where it is not observed.

    weights: (r, units).
    """
    units = weights.shape[1]
    groups = rows.groups
    totals = []
    for group in groups.values():
        totals.append(np.bincount(rows.unit[group], rows.similarity[group], minlength=units))
        totals.append(np.bincount(rows.unit[group], minlength=units).astype(np.float64))
    sums = weights @ np.stack(totals, axis=1)
    means = {name: divide(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, name in enumerate(groups)}
    consistency = means["consistency"]
    responsiveness = 1.0 - means["responsiveness"]
    mean = means["mean_similarity"]
    wins, contests = auroc_counts(rows, weights)
    return {
        "consistency": consistency,
        "responsiveness": responsiveness,
        "responsiveness_near": 1.0 - means["responsiveness_near"],
        "responsiveness_far": 1.0 - means["responsiveness_far"],
        "rm": consistency * responsiveness,
        "gap": consistency + responsiveness - 1.0,
        "auroc": divide(wins, contests),
        "mean_similarity": mean,
        "blind": mean * (1.0 - mean),
    }


def auroc_counts(rows: Rows, weights: Floats) -> tuple[Floats, Floats]:
    """Return (wins, contests), each (r,): contests pit every kept pair against every flipped one.

    The kept pair wins where its similarity is the larger; a tie is half a win. wins / contests is the AUROC
    (Mann and Whitney's U divided by the product of the group sizes).
    """
    order = np.argsort(rows.similarity[rows.lost], kind="stable")
    ladder = rows.similarity[rows.lost][order]
    lost_unit, kept_unit = rows.unit[rows.lost][order], rows.unit[rows.kept]
    # A kept pair beats the flipped pairs below ``left`` and draws with those from there to ``right``.
    left = np.searchsorted(ladder, rows.similarity[rows.kept], side="left")
    right = np.searchsorted(ladder, rows.similarity[rows.kept], side="right")
    units = weights.shape[1]
    kept_total = weights @ np.bincount(kept_unit, minlength=units)
    lost_total = weights @ np.bincount(lost_unit, minlength=units)
    tabled = ROWS_A_UNIT * units <= len(rows) and len(rows) * units <= TABLE_CELLS
    count = _wins_by_unit if tabled else _wins_by_row
    return count(weights, kept_unit, lost_unit, left, right), kept_total * lost_total


def _wins_by_unit(weights: Floats, kept_unit: Index, lost_unit: Index, left: Index, right: Index) -> Floats:
    """Wins from a table (unit of the kept pair, unit of the flipped pair): no replicate touches a row."""
    units = weights.shape[1]
    below = np.zeros((len(lost_unit) + 1, units))
    below[np.arange(1, len(below)), lost_unit] = 1
    np.cumsum(below, axis=0, out=below)
    table = np.zeros((units, units))
    np.add.at(table, kept_unit, (below[left] + below[right]) / 2)
    wins: Floats = np.sum((weights @ table) * weights, axis=1)
    return wins


def _wins_by_row(weights: Floats, kept_unit: Index, lost_unit: Index, left: Index, right: Index) -> Floats:
    """The same row by row, where the table of units would not fit."""
    below = np.zeros((len(weights), len(lost_unit) + 1))
    np.cumsum(weights[:, lost_unit], axis=1, out=below[:, 1:])
    wins: Floats = np.einsum("rk,rk->r", weights[:, kept_unit], below[:, left] + below[:, right]) / 2
    return wins


def divide(total: Floats, count: Floats) -> Floats:
    """total / count, nan where there is nothing to divide by."""
    ratio: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return ratio
