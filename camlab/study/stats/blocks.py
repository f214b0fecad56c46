"""The response that a test compares, and its complete blocks: one row per picture, without gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from camlab.common.registry import Registry
from camlab.common.wording import plural
from camlab.metrics.tally import Flags, Floats, Index, divide
from camlab.study.stats.cells import AXES, Cells, means_of

DECIMALS = 12
"""Decimals of block values, so that values which differ only by rounding errors tie."""


@dataclass(frozen=True)
class Response:
    """Selects the pairs that count and the value to compare.

    noun: what the value measures; more: how a method with a larger value behaves; trend: the expected direction
    as severity grows, +1 or −1; of: the sum of the value and the number of pairs, per cell.
    """

    name: str
    title: str
    noun: str
    more: str
    trend: int
    of: Callable[[Cells], tuple[Floats, Floats]]

    def value(self, cells: Cells) -> Floats:
        """Average the response over the seeds of each cell; nan where no pair counts."""
        return divide(*self.of(cells))


RESPONSES: Registry[Response] = Registry("response")
for _each in (
    Response(
        "kept",
        "consistency: similarity where the prediction is kept",
        "similarity of the maps where the prediction is kept",
        "keeps its map steadier",
        trend=-1,
        of=lambda cells: (cells.kept_sum, cells.kept),
    ),
    Response(
        "flipped",
        "responsiveness: 1 − similarity where the prediction flips",
        "change of the maps where the prediction flips",
        "moves its map more under a flip",
        trend=1,
        of=lambda cells: (cells.lost - cells.lost_sum, cells.lost),
    ),
    Response(
        "all",
        "similarity over all pairs, kept and flipped",
        "similarity of the maps over all pairs",
        "keeps its map steadier",
        trend=-1,
        of=lambda cells: (cells.kept_sum + cells.lost_sum, cells.kept + cells.lost),
    ),
):
    RESPONSES.add(_each.name, _each)


@dataclass(frozen=True, eq=False)
class Blocks:
    """A complete table of pictures × levels: values (n, k), rounded to DECIMALS, from n_pairs rows."""

    levels: tuple[str, ...]
    values: Floats
    pictures: tuple[str, ...]
    n_pairs: int
    left_out: tuple[str, ...]
    picture: Index

    def __len__(self) -> int:
        return len(self.values)


def blocks(cells: Cells, compares: str, response: Response) -> Blocks:
    """Arrange the levels of one column in complete blocks, one per picture.

    A case is a picture's combination of noise type, severity and every other axis that is not compared. Cases in which
    a level lacks a value are left out for all levels. A picture's value is the mean over its remaining cases. A level
    without any value is left out and named in ``left_out``.
    """
    value = response.value(cells)
    axes = [name for name in AXES if name not in (compares, "image_set")]
    shape = [max(len(cells.pictures), 1), *(max(len(cells.levels[name]), 1) for name in axes)]
    key = np.ravel_multi_index([cells.picture, *(cells.codes[name] for name in axes)], shape)
    cases, case = np.unique(key, return_inverse=True)
    there = np.unique(cells.codes[compares])
    at = np.searchsorted(there, cells.codes[compares])
    table = np.full((len(cases), len(there)), np.nan)
    table[case, at] = value
    pairs = np.zeros_like(table)
    pairs[case, at] = response.of(cells)[1]
    empty = np.isnan(table).all(axis=0)
    names = [str(cells.levels[compares][code]) for code in there]
    table, pairs = table[:, ~empty], pairs[:, ~empty]
    complete = ~np.isnan(table).any(axis=1) & bool(table.shape[1])
    some = ~np.isnan(table).all(axis=1)
    pictures = cases // int(np.prod(shape[1:], dtype=np.int64))
    which, place = np.unique(pictures[complete], return_inverse=True)
    values = np.zeros((len(which), table.shape[1]))
    np.add.at(values, place, table[complete])
    values /= np.maximum(np.bincount(place, minlength=len(which)), 1)[:, None]
    left = [f"Left out, since no pair of it counts: {name}." for name in np.array(names)[empty].tolist()]
    left += _left_out(response, complete, some, len(np.unique(pictures)), len(which), compares)
    return Blocks(
        levels=tuple(np.array(names, dtype=object)[~empty].tolist()),
        values=np.round(values, DECIMALS),
        pictures=tuple(cells.pictures[i] for i in which),
        n_pairs=int(pairs[complete].sum()),
        left_out=(*left, *pairs_left_out(cells)),
        picture=which,
    )


def _left_out(response: Response, complete: Flags, some: Flags, pictures: int, used: int, compares: str) -> list[str]:
    """Return sentences on the data that was left out of the blocks."""
    left = []
    if used < pictures:
        left.append(f"Left out without a complete block: {pictures - used} of {plural(pictures, 'picture')}.")
    if none := int((~some).sum()):
        left.append(
            f"Without any pair for the response {response.name!r}: {none} of {plural(len(some), 'cell')} "
            "(picture × noise × severity)."
        )
    if gaps := int((some & ~complete).sum()):
        left.append(f"Left out for all, since some {compares} has no value: {gaps} of {plural(len(some), 'cell')}.")
    return left


def pairs_left_out(cells: Cells) -> list[str]:
    """Return sentences on the numbers of pairs without a similarity and of predictions decided by rounding."""
    left = []
    if lost := int((cells.total - cells.kept - cells.lost).sum()):
        left.append(f"Left out for a degenerate map or no similarity: {plural(lost, 'pair')}.")
    if tied := int(cells.tied.sum()):
        left.append(
            "Counted as stored although the two most likely classes tie, so that rounding decides the flip: "
            f"{plural(tied, 'pair')}."
        )
    return left


def picture_means(picture: Index, value: Floats, n: int) -> Floats:
    """Average each picture's cells that have a value: (n,), rounded to DECIMALS; nan where none has."""
    mean: Floats = np.round(means_of(picture, value, n), DECIMALS)
    return mean
