"""What is compared, and the blocks it is compared in: pictures without a gap, and what was left out for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from camlab.common.registry import Registry
from camlab.common.wording import plural
from camlab.metrics.tally import Flags, Floats, Index, divide
from camlab.study.stats.cells import AXES, Cells

DECIMALS = 12
"""Block values are rounded to this many decimals: values closer than that tie, whatever the order of adding."""


@dataclass(frozen=True)
class Response:
    """What is compared: which pairs count, and what of them.

    noun: what a larger value is; trend: what it is expected to do as severity grows, +1 or −1.
    """

    name: str
    title: str
    noun: str
    more: str
    trend: int
    of: Callable[[Cells], tuple[Floats, Floats]]


RESPONSES: Registry[Response] = Registry("response")


def _response(name: str, title: str, noun: str, more: str, trend: int) -> Callable[[Any], Any]:
    """Register a function from cells to (sums, counts) of the response."""

    def register(of: Callable[[Cells], tuple[Floats, Floats]]) -> Callable[[Cells], tuple[Floats, Floats]]:
        RESPONSES.add(name, Response(name, title, noun, more, trend, of))
        return of

    return register


@_response(
    "kept",
    "consistency: similarity where the prediction is kept",
    "similarity of the maps where the prediction is kept",
    "keeps its map steadier",
    trend=-1,
)
def _kept(cells: Cells) -> tuple[Floats, Floats]:
    return cells.kept_sum, cells.kept


@_response(
    "flipped",
    "responsiveness: 1 − similarity where the prediction flips",
    "change of the maps where the prediction flips",
    "moves its map more under a flip",
    trend=1,
)
def _flipped(cells: Cells) -> tuple[Floats, Floats]:
    return cells.lost - cells.lost_sum, cells.lost


@_response(
    "all",
    "similarity over all pairs, kept and flipped",
    "similarity of the maps over all pairs",
    "keeps its map steadier",
    trend=-1,
)
def _all(cells: Cells) -> tuple[Floats, Floats]:
    return cells.kept_sum + cells.lost_sum, cells.kept + cells.lost


@dataclass(frozen=True, eq=False)
class Blocks:
    """Pictures × levels without a gap; values (n, k) rounded to DECIMALS; n_pairs: rows behind them."""

    levels: tuple[str, ...]
    values: Floats
    pictures: tuple[str, ...]
    n_pairs: int
    left_out: tuple[str, ...]
    picture: Index

    def __len__(self) -> int:
        return len(self.values)


def blocks(cells: Cells, compares: str, response: Response) -> Blocks:
    """Compare the levels of one column within pictures.

    Only what every level has counts: a picture's noise types and severities (and what else is not compared) in
    which one level lacks a value are left out for all of them. A picture's value is the mean over the rest. A
    level that has no value at all is left out, and said.
    """
    value = cells.value(response)
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
    left = [f"Left out, having no pair that counts: {name}." for name in np.array(names)[empty].tolist()]
    left += _said(response, complete, some, len(np.unique(pictures)), len(which), compares)
    return Blocks(
        levels=tuple(np.array(names, dtype=object)[~empty].tolist()),
        values=np.round(values, DECIMALS),
        pictures=tuple(cells.pictures[i] for i in which),
        n_pairs=int(pairs[complete].sum()),
        left_out=(*left, *pairs_left_out(cells)),
        picture=which,
    )


def _said(
    response: Response, complete: Flags, some: Flags, pictures: int, used: int, compares: str
) -> list[str]:
    """What incomplete blocks cost, in sentences."""
    said = []
    if used < pictures:
        said.append(
            f"Left out for want of a complete block: {pictures - used} of {plural(pictures, 'picture')}."
        )
    if none := int((~some).sum()):
        said.append(
            f"Without any pair for the response {response.name!r}: {none} of {plural(len(some), 'cell')} "
            "(picture × noise × severity)."
        )
    if gaps := int((some & ~complete).sum()):
        said.append(
            f"Left out for all, for want of a value at some {compares}: {gaps} of {plural(len(some), 'cell')}."
        )
    return said


def pairs_left_out(cells: Cells) -> list[str]:
    """Sentences about pairs that have no similarity, and about those whose prediction hangs on rounding."""
    said = []
    if lost := int((cells.total - cells.kept - cells.lost).sum()):
        said.append(f"Left out for a degenerate map or no similarity: {plural(lost, 'pair')}.")
    if tied := int(cells.tied.sum()):
        said.append(
            "Counted as stored although the two likeliest classes tie, so that rounding decides the flip: "
            f"{plural(tied, 'pair')}."
        )
    return said


def picture_means(picture: Index, value: Floats, n: int) -> Floats:
    """The mean of each picture's cells that have a value, (n,), rounded to DECIMALS; nan where there is none."""
    seen = ~np.isnan(value)
    total = np.bincount(picture[seen], value[seen], minlength=n).astype(np.float64)
    count = np.bincount(picture[seen], minlength=n).astype(np.float64)
    mean: Floats = np.round(divide(total, count), DECIMALS).astype(np.float64)
    return mean
