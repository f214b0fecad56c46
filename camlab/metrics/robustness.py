"""Consistency C, responsiveness R and their product RM, pooled, stratified, and over the same pictures.

Source of C, R and RM: "Assessing the Noise Robustness of Class Activation Maps", arXiv 2508.18154. The gap,
the AUROC, the blind value, the floors and the intervals are ours; docs/metric.md says why.

A table of pairs has one row per pair (clean picture, noisy picture) with the columns ``image``, ``severity``,
``flipped``, ``near`` (the new prediction is in the clean top five), ``degenerate`` and ``similarity`` (in
[0, 1], nan where degenerate). "Not observed" is None, never 0.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.grouping import Index, numbered, within_groups
from camlab.metrics.assess import Robustness, assess
from camlab.metrics.intervals import REPLICATES, SEED
from camlab.metrics.tally import read_pairs


def robustness(pairs: pd.DataFrame, unit: str = "image", replicates: int = REPLICATES, seed: int = SEED) -> Robustness:
    """Pool all rows of a table of pairs, as the paper does.

    unit: what the bootstrap draws: "image", pictures with all their rows, or "row", the noise draws of one picture.
    replicates: 0 leaves the intervals out. Raises BadSetting for an invalid table.
    """
    return _one(pairs, unit, replicates, seed)


def stratified(pairs: pd.DataFrame, unit: str = "image", replicates: int = REPLICATES, seed: int = SEED) -> Robustness:
    """Average each value over the severities where it is observed, with equal weights.

    ``averaged`` counts these severities. RM averages the per-severity products, the gap the per-severity gaps. The
    AUROC compares pairs within a severity only, weighted by the number of comparisons. A replicate
    counts if it has a value at all of these severities.
    """
    return _one(pairs, unit, replicates, seed, "severity")


def macro(pairs: pd.DataFrame, replicates: int = REPLICATES, seed: int = SEED) -> Robustness:
    """Average each value over the pictures where it is observed, with equal weights.

    The AUROC is the average of the pictures' own. ``averaged`` counts these pictures.
    """
    return _one(pairs, "image", replicates, seed, "image")


def _one(pairs: pd.DataFrame, unit: str, replicates: int, seed: int, over: str = "") -> Robustness:
    rows, names, _ = read_pairs(pairs, unit)
    return assess(rows, names, np.zeros(len(rows), np.intp), 1, unit, replicates, seed, over)[0]


def same_pictures(pairs: pd.DataFrame, across: str = "outcomes", within: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of the pictures that occur on both sides of a comparison.

    across="outcomes" compares C with R: it keeps the rows of a picture at each severity where it has both a kept and a
    flipped pair. across="severities" compares C along the severities: it keeps all rows of the pictures with a kept
    pair at every severity. Degenerate pairs do not qualify a picture but stay with it. within: columns whose
    combinations are treated as separate tables.
    """
    if across not in ("outcomes", "severities"):
        raise BadSetting(f"The same pictures are kept across 'outcomes' or 'severities', not {str(across)[:40]!r}.")
    rows, _, _ = read_pairs(pairs)
    if not len(rows):
        return pairs
    _, level = np.unique(rows.severity, return_inverse=True)
    levels = int(level.max()) + 1
    table, tables = numbered(pairs, within)
    picture, home = within_groups(pairs, ["image"], table)
    # Which outcomes each picture has at each severity, and which severities each table has.
    at = picture * levels + level
    kept, lost = (_there(at[flags], len(home), levels) for flags in (rows.kept, rows.lost))
    if across == "outcomes":
        return pairs[np.asarray(kept & lost)[picture, level]]
    there = _there(table * levels + level, len(tables), levels)
    throughout = np.asarray(np.all(kept | ~there[home], axis=1))
    return pairs[throughout[picture]]


def _there(places: Index, height: int, width: int) -> NDArray[np.bool_]:
    counts = np.bincount(places, minlength=height * width).reshape(height, width)
    return np.asarray(counts > 0)
