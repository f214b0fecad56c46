"""A study's rows as cells: averaged over seeds, with pictures as blocks, and the number of rows left out.

A **cell** is one picture under one model, method, layer, noise type and severity: the mean over the seeds. Noise
draws of one picture are not independent pictures, so no test takes pairs as its unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.metrics.tally import Flags, Floats, Index, Rows, divide, read_pairs

AXES = ("model", "image_set", "method", "layer", "noise", "severity")
"""The columns, besides the picture, that a test can compare or hold fixed."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells as arrays of one length: codes into ``levels``, sums of similarity, and numbers of pairs.

    picture: code of (image set, image); total: pairs, including those without a similarity; tied: pairs whose two most
    likely classes tie; floor: the other-picture floor, nan where it is unknown or the similarity is not RBO. rows, of:
    the pairs themselves and the cell of each.
    """

    levels: Mapping[str, NDArray[Any]]
    codes: Mapping[str, Index]
    pictures: Sequence[str]
    picture: Index
    kept_sum: Floats
    kept: Floats
    lost_sum: Floats
    lost: Floats
    total: Floats
    tied: Floats
    floor: Floats
    rows: Rows
    of: Index
    chosen: Flags

    def __len__(self) -> int:
        return len(self.picture)

    def take(self, mask: Flags) -> Cells:
        """Return the chosen cells with the same codes; ``chosen`` marks them for the pairs."""
        chosen = self.chosen.copy()
        chosen[self.chosen] = mask
        arrays = ("picture", "kept_sum", "kept", "lost_sum", "lost", "total", "tied", "floor")
        return replace(
            self,
            codes={name: code[mask] for name, code in self.codes.items()},
            chosen=chosen,
            **{name: getattr(self, name)[mask] for name in arrays},
        )

    def where(self, name: str, level: object) -> Cells:
        """Return the cells of one level. Raises BadSetting for a level without rows."""
        (found,) = np.nonzero(self.levels[name] == level)
        if not len(found):
            raise BadSetting(f"The study has no {name} {str(level)[:60]!r}; choose one that it has.")
        return self.take(self.codes[name] == found[0])

    def split(self, names: Sequence[str]) -> Iterator[tuple[dict[str, Any], Cells]]:
        """Yield one group per combination of levels in the columns ``names``, in the order of the levels."""
        if not names:
            yield {}, self
            return
        shape = [len(self.levels[name]) for name in names]
        key = np.ravel_multi_index([self.codes[name] for name in names], shape)
        for code in np.unique(key).tolist():
            at = np.unravel_index(code, shape)
            group = {name: _plain(self.levels[name][int(i)]) for name, i in zip(names, at, strict=True)}
            yield group, self.take(key == code)

    @property
    def pair_mask(self) -> Flags:
        """A flag per row of ``rows``: whether it belongs to these cells."""
        return np.asarray(self.chosen[self.of])


def read_cells(rows: pd.DataFrame) -> Cells:
    """Read a study's scored rows (column ``similarity`` in [0, 1]); a missing id column has the one level "".

    Raises BadSetting for a missing column, a similarity outside [0, 1], or a repeated pair.
    """
    for column in ("method", "image"):
        if column not in rows.columns:
            raise BadSetting(f"The rows lack the column {column!r}; add it to every pair.")
    pairs, _, _ = read_pairs(rows)
    levels, codes = {}, {}
    for name in AXES:
        levels[name], codes[name] = _levels(rows, name)
    names, image = _levels(rows, "image")
    # Two image sets may use the same name, so a picture is identified by both.
    both = codes["image_set"] * max(len(names), 1) + image
    found, picture = _present(both, len(levels["image_set"]) * max(len(names), 1))
    pictures = [str(names[i % len(names)]) for i in found.tolist()]
    if "seed" in rows.columns:
        _refuse_repeats(rows, [picture, *codes.values()], [len(pictures), *map(len, levels.values())])
    shape = [max(len(pictures), 1), *(max(len(levels[name]), 1) for name in AXES)]
    if int(np.prod([float(n) for n in shape])) >= 2**62:
        raise BadSetting("The study has too many levels for one test; test a part of it.")
    parts = [picture, *(codes[name] for name in AXES)]
    key, of = _present(np.ravel_multi_index(parts, shape), int(np.prod(shape, dtype=np.int64)))
    decoded = np.unravel_index(key, shape)
    n = len(key)
    tied = rows["tied"].to_numpy(dtype=bool) if "tied" in rows.columns else np.zeros(len(rows), dtype=bool)

    def count(chosen: Flags) -> Floats:
        return np.bincount(of[chosen], minlength=n).astype(np.float64)

    def total(chosen: Flags) -> Floats:
        return np.bincount(of[chosen], pairs.similarity[chosen], minlength=n).astype(np.float64)

    return Cells(
        levels=levels,
        codes=dict(zip(AXES, decoded[1:], strict=True)),
        pictures=pictures,
        picture=decoded[0],
        kept_sum=total(pairs.kept),
        kept=count(pairs.kept),
        lost_sum=total(pairs.lost),
        lost=count(pairs.lost),
        total=np.bincount(of, minlength=n).astype(np.float64),
        tied=count(tied),
        floor=_floors(rows, pairs.similarity, of, n),
        rows=replace(pairs, picture=picture, unit=picture),
        of=of,
        chosen=np.ones(n, dtype=bool),
    )


def _refuse_repeats(rows: pd.DataFrame, codes: Sequence[Index], sizes: Sequence[int]) -> None:
    """Raise BadSetting for a repeated pair, which would count twice."""
    levels, seed = _levels(rows, "seed")
    shape = [max(size, 1) for size in (*sizes, len(levels))]
    if len(rows) and np.prod([float(n) for n in shape]) < 2**62:
        key = np.ravel_multi_index([*codes, seed], shape)
        if len(_present(key, int(np.prod(shape, dtype=np.int64)))[0]) < len(rows):
            raise BadSetting("Some pairs occur in the rows more than once; drop the repeated ones.")


def _floors(rows: pd.DataFrame, similarity: Floats, of: Index, n: int) -> Floats:
    """Average the other-picture floor per cell; nan if the scores are not plain RBO."""
    if not {"rbo", "other_floor"} <= set(rows.columns):
        return np.full(n, np.nan)
    if not np.array_equal(rows["rbo"].to_numpy(dtype=np.float64), similarity, equal_nan=True):
        return np.full(n, np.nan)
    return means_of(of, rows["other_floor"].to_numpy(dtype=np.float64, na_value=np.nan), n)


def means_of(group: Index, value: Floats, n: int) -> Floats:
    """Average the values of each group 0 … n − 1, without nan: (n,); nan for a group without a value."""
    seen = ~np.isnan(value)
    total = np.bincount(group[seen], value[seen], minlength=n).astype(np.float64)
    return divide(total, np.bincount(group[seen], minlength=n).astype(np.float64))


def _levels(rows: pd.DataFrame, name: str) -> tuple[NDArray[Any], Index]:
    """Return the sorted levels that occur in a column, and the code of every row."""
    if name not in rows.columns:
        return np.array([""], dtype=object), np.zeros(len(rows), dtype=np.intp)
    column = rows[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        raw = column.cat.codes.to_numpy().astype(np.intp)
        labels = np.asarray(column.cat.categories, dtype=object)
    else:
        raw, labels = pd.factorize(column)
        labels = np.asarray(labels, dtype=object)
    if np.any(raw < 0):
        raise BadSetting(f"Every pair needs a value in the column {name!r}; fill the empty ones.")
    used = np.flatnonzero(np.bincount(raw, minlength=len(labels)))
    order = used[np.argsort(labels[used], kind="stable")]
    place = np.zeros(max(len(labels), 1), dtype=np.intp)
    place[order] = np.arange(len(order))
    return labels[order], place[raw]


def _present(key: Index, size: int) -> tuple[Index, Index]:
    """Return the sorted keys that occur, and the place of each element of ``key`` among them."""
    if size > 8 * len(key) + 1024:
        found, place = np.unique(key, return_inverse=True)
        return found, place
    there = np.bincount(key, minlength=size) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[key]


def _plain(level: Any) -> Any:
    return level.item() if hasattr(level, "item") else level
