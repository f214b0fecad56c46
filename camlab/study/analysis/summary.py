"""C, R, RM and related values of a study, one record per group of its pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from camlab.cams.coincidence import JOINT, linked_sets
from camlab.common.errors import BadSetting
from camlab.common.grouping import counted, numbered, within_groups
from camlab.metrics import SIMILARITIES, Robustness, unit_scale
from camlab.metrics.assess import assess, auroc_of
from camlab.metrics.intervals import REPLICATES, SEED
from camlab.metrics.tally import VALUES, Flags, Floats, Index, Rows, read_pairs

DEFAULT_BY = ("model", "image_set", "method", "layer", "noise", "severity")
"""One record per cell of the grid, which pools only pictures and seeds."""

GROUPING = ("model", "image_set", "image", "method", "layer", "noise", "severity", "seed")
"""The columns by which rows can be grouped."""

RBO_KIN = ("rbo_cells", "rbo_slic50", "rbo_class_only", "rbo_noise_only")
"""Stored similarities beside the measures of SIMILARITIES; all are RBO, from 0 to 1."""

SCORES = (*SIMILARITIES, *RBO_KIN)
"""Every similarity from which C, R and RM can be computed."""

FLOORS = {"random_floor": "random ranking", "other_floor": "another picture"}
"""Stored floors and their names; both are RBO's on the study's segments and do not apply to other measures."""

PLACE = ("model", "layer")


def columns(similarity: str = "rbo", by: Sequence[str] = GROUPING) -> list[str]:
    """Return the names of the columns of a study's rows that ``records`` reads.

    Raises BadSetting for an unknown similarity, or a column that cannot group rows.
    """
    if similarity not in SCORES:
        raise BadSetting(
            f"There is no similarity {str(similarity)[:40]!r} in a study; choose one of: {', '.join(SCORES)}."
        )
    _check_by(by, GROUPING)
    return [*GROUPING, "flipped", "near", "tied", "degenerate", similarity, *FLOORS]


def _check_by(by: Sequence[str], there: Sequence[str]) -> None:
    if unknown := [column for column in by if column not in there]:
        raise BadSetting(f"Rows cannot be grouped by {str(unknown[0])[:40]!r}; choose from: {', '.join(there)}.")


def scored(rows: pd.DataFrame, similarity: str = "rbo") -> pd.DataFrame:
    """Add the column ``similarity`` in [0, 1], from which C, R and RM are computed, to a study's rows.

    similarity: one of SCORES, the name of its column. The index stays. Raises BadSetting if the rows lack it.
    """
    known = [name for name in SCORES if name in rows.columns]
    if similarity not in known:
        raise BadSetting(f"This study has no similarity {str(similarity)[:40]!r}; choose one of: {', '.join(known)}.")
    raw = rows[similarity].to_numpy(dtype=np.float64, na_value=np.nan)
    return rows.assign(similarity=raw if similarity in RBO_KIN else unit_scale(similarity, raw))


def merge_methods(
    rows: pd.DataFrame, coincide: Iterable[Mapping[str, Any]], within: Sequence[str] = PLACE
) -> pd.DataFrame:
    """Merge the rows of methods that coincide, with their names joined by " = ".

    coincide: records with ``model``, ``layer`` and ``methods``, from a study's manifest. within: which of the columns
    model and layer are not pooled; methods merge if they coincide on every model and layer that is pooled. Joined
    names leave out methods without rows, and only one row per pair remains.
    """
    linked: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for each in coincide:
        linked.setdefault((str(each["model"]), str(each["layer"])), []).append(tuple(each["methods"]))
    if not linked or not len(rows):
        return rows
    place, places = numbered(rows, PLACE)
    code, methods = numbered(rows, ["method"])
    names = [str(name) for (name,) in methods]
    there = np.zeros((len(places), len(names)), bool)
    there[place, code] = True
    scopes: dict[tuple[str, ...], list[int]] = {}
    for p, key in enumerate(places):
        scopes.setdefault(tuple(k for k, column in zip(key, PLACE, strict=True) if column in within), []).append(p)
    # The merged method of each method, and its rank in the set: the first one's rows are kept.
    goal = np.tile(np.arange(len(names)), (len(places), 1))
    rank = np.zeros_like(goal)
    joined = list(names)
    for members in scopes.values():
        present = [name for m, name in enumerate(names) if there[members, m].any()]
        for together in linked_sets(present, [linked.get(places[p], []) for p in members]):
            title = JOINT.join(together)
            if title not in joined:
                joined.append(title)
            for r, name in enumerate(together):
                goal[members, names.index(name)] = joined.index(title)
                rank[members, names.index(name)] = r
    order = sorted(range(len(joined)), key=lambda j: (names.index(joined[j].split(JOINT)[0]), j))
    merged = pd.Categorical.from_codes(np.argsort(order)[goal[place, code]], [joined[j] for j in order])
    merged_rows = rows.assign(method=merged)
    chosen = np.flatnonzero(goal[place, code] >= len(names))
    pair, pairs = counted(merged_rows.iloc[chosen], GROUPING)
    best = np.full(pairs, len(names))
    mine = rank[place[chosen], code[chosen]]
    np.minimum.at(best, pair, mine)
    keep = np.ones(len(rows), bool)
    keep[chosen] = mine == best[pair]
    return merged_rows[keep]


@dataclass(frozen=True)
class Ready:
    """Rows that are scored and read once for several summaries; see ``ready``."""

    pairs: pd.DataFrame
    read: Rows
    names: Sequence[Any]
    similarity: str


def ready(rows: pd.DataFrame, similarity: str = "rbo") -> Ready:
    """Score and read rows whose coinciding methods are already merged. Raises BadSetting as ``scored`` does."""
    pairs = scored(rows, similarity)
    read, names, _ = read_pairs(pairs)
    return Ready(pairs, read, names, similarity)


def records(
    rows: pd.DataFrame | Ready,
    by: Sequence[str] = DEFAULT_BY,
    similarity: str = "rbo",
    coincide: Iterable[Mapping[str, Any]] = (),
    replicates: int = REPLICATES,
    with_macro: bool = False,
) -> list[dict[str, Any]]:
    """Return one JSON-able record per group of rows with equal columns ``by``, sorted by these columns.

    Rows are pooled; cells are never averaged. A record has

    - the keys, the numbers of pairs ``n``, pictures, flips, …, and warnings;
    - every value of VALUES by name, None if not observed, each with ``_low``, ``_high`` and ``_undefined`` of its
      interval (None without one);
    - ``auroc_in_picture``, which compares only pairs of one picture at one severity;
    - worst and best C, and, for RBO only, the floors;
    - for a group of several severities, the values averaged over severities, ``stratified_…``;
    - with_macro: the values averaged over pictures, ``macro_…``; ``…_averaged`` counts the averaged values.

    coincide: see ``merge_methods``. replicates: 0 omits intervals, which takes a fraction of the time. Rows that are
    ``ready`` keep their similarity and their merged methods. Raises BadSetting for an unknown column or similarity.
    """
    by = list(dict.fromkeys(by))
    there = rows.pairs if isinstance(rows, Ready) else rows
    _check_by(by, [column for column in GROUPING if column in there.columns])
    if not isinstance(rows, Ready):
        # Merge also if methods are pooled, so that no map counts twice.
        scope = [column for column in by if column in PLACE] if "method" in by else PLACE
        rows = ready(merge_methods(rows, coincide, scope), similarity)
    pairs, read, names, similarity = rows.pairs, rows.read, rows.names, rows.similarity
    group, keys = numbered(pairs, by)
    say = partial(assess, read, names, group, len(keys), "image", replicates, SEED)
    pooled = say()
    beside = _beside(pairs, read, group, len(keys), similarity)
    found = [
        dict(zip(by, key, strict=True)) | _counts(each) | _values(each) | more
        for key, each, more in zip(keys, pooled, beside, strict=True)
    ]
    several = _severities(pairs, group, len(keys)) > 1
    for over, prefix, wanted in (
        ("severity", "stratified_", several),
        ("image", "macro_", np.full(len(keys), with_macro)),
    ):
        if wanted.any():
            averaged = say(over)
            for g in np.flatnonzero(wanted).tolist():
                found[g] |= _values(averaged[g], prefix)
    return found


def _counts(found: Robustness) -> dict[str, Any]:
    worst, best = found.consistency_bounds or (None, None)
    return {
        "n": found.n,
        "n_pictures": found.n_pictures,
        "n_flipped": found.n_flipped,
        "n_near": found.n_near,
        "n_degenerate": found.n_degenerate,
        "n_consistency": found.n_consistency,
        "n_responsiveness": found.n_responsiveness,
        "consistency_worst": worst,
        "consistency_best": best,
        "warnings": list(found.warnings),
    }


def _values(found: Robustness, prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in VALUES:
        interval = found.intervals[name]
        values[prefix + name] = getattr(found, name)
        values[f"{prefix}{name}_low"] = interval and interval.low
        values[f"{prefix}{name}_high"] = interval and interval.high
        values[f"{prefix}{name}_undefined"] = interval and interval.undefined
        if found.averaged_over:
            values[f"{prefix}{name}_averaged"] = found.averaged[name]
    return values


def _beside(pairs: pd.DataFrame, read: Rows, group: Index, count: int, similarity: str) -> list[dict[str, Any]]:
    """Compute the values beyond the table of pairs: tied predictions, floors, the AUROC within pictures."""
    stratum, home = within_groups(pairs, ["image", "severity"], group)
    columns: dict[str, list[Any]] = {"auroc_in_picture": auroc_of(read, stratum, home, count)}
    tied = pairs["tied"].to_numpy(dtype=bool, na_value=False) if "tied" in pairs else None
    columns["n_tied"] = [None] * count if tied is None else np.bincount(group[tied], minlength=count).tolist()
    for floor in FLOORS:
        columns[floor] = [None] * count
        if similarity == "rbo" and floor in pairs:
            value = pairs[floor].to_numpy(dtype=np.float64, na_value=np.nan)
            seen = ~np.isnan(value)
            total, size = (np.bincount(group[seen], w, count) for w in (value[seen], None))
            columns[floor] = [s / n if n else None for s, n in zip(total.tolist(), size.tolist(), strict=True)]
    return [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]


def _severities(pairs: pd.DataFrame, group: Index, count: int) -> Index:
    """Count the severities of each group."""
    _, level = np.unique(pairs["severity"].to_numpy(dtype=np.float64), return_inverse=True)
    width = int(level.max(initial=0)) + 1
    seen = np.bincount(group * width + level, minlength=count * width).reshape(count, width) > 0
    number: Index = seen.sum(axis=1)
    return number


def usable(rows: pd.DataFrame) -> Flags:
    """Flag the rows that have a similarity."""
    found: Flags = ~rows["degenerate"].to_numpy(dtype=bool) & ~np.isnan(similarities(rows))
    return found


def similarities(rows: pd.DataFrame) -> Floats:
    """Return the rows' similarities, nan where there is none."""
    values: Floats = rows["similarity"].to_numpy(dtype=np.float64, na_value=np.nan)
    return values
