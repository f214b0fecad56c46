"""Rows that agree in some columns, numbered: what pandas' groupby does, fast for columns of few values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Index = NDArray[np.intp]


def numbered(rows: pd.DataFrame, by: Sequence[str]) -> tuple[Index, list[tuple[Any, ...]]]:
    """Number the groups of rows that agree in the columns ``by``: (n,) numbers, and the groups' keys.

    Groups come in the order of their keys, first column first: categoricals in the order of their
    categories, all else by value. A missing value is a key of its own, None, and comes last. Without columns
    all rows are one group.
    """
    if not by:
        return np.zeros(len(rows), np.intp), [()] if len(rows) else []
    found = [_values(rows[column]) for column in by]
    number, count = _joint(found, len(rows))
    first = np.zeros(count, np.intp)
    first[number[::-1]] = np.arange(len(number))[::-1]
    keys = [[values[code] for code in codes[first].tolist()] for codes, values in found]
    return number, list(zip(*keys, strict=True))


def counted(rows: pd.DataFrame, by: Sequence[str]) -> tuple[Index, int]:
    """The numbers that ``numbered`` gives, and how many groups there are: where there are as many as rows."""
    return _joint([_values(rows[column]) for column in by], len(rows))


def _joint(found: Sequence[tuple[Index, list[Any]]], rows: int) -> tuple[Index, int]:
    """Number the combinations of several columns' values: (n,) numbers without gaps, and how many there are."""
    number, width = np.zeros(rows, np.intp), min(rows, 1)
    for codes, values in found:
        # Only the combinations that there are get numbers, so that these stay small.
        number, width = _dense(number * len(values) + codes, width * len(values))
    return number, width


def _values(column: pd.Series) -> tuple[Index, list[Any]]:
    """The number of each row's value, and the values, as plain Python ones."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy().astype(np.intp), column.cat.categories.tolist()
    else:
        codes, unique = pd.factorize(column, sort=True)
        values = unique.tolist()
    return np.where(codes < 0, len(values), codes), [*values, None]


def _dense(number: Index, width: int) -> tuple[Index, int]:
    """Numbers without gaps, in the same order, and how many there are."""
    if width > 4 * len(number) + 1000:  # sorting is dear, but less so than so large a table
        there, dense = np.unique(number, return_inverse=True)
        return dense.astype(np.intp), len(there)
    seen = np.bincount(number, minlength=width) > 0
    dense = np.cumsum(seen) - 1
    return dense[number], int(seen.sum())


def within_groups(rows: pd.DataFrame, by: Sequence[str], group: Index) -> tuple[Index, Index]:
    """Number the rows that agree in group and columns: (n,) numbers, and the group of each of these."""
    inner, many = counted(rows, by)
    number, width = _dense(group * max(many, 1) + inner, (int(group.max(initial=0)) + 1) * many)
    home = np.zeros(width, np.intp)
    home[number] = group
    return number, home


def in_order(number: Index, count: int) -> Index:
    """Positions that put numbers in 0 … count − 1 in order, equal ones as they come.

    Numbers of 16 bits are sorted by their digits, several times faster than by comparing; so larger ones are
    sorted by one half after the other.
    """
    order = np.argsort((number & 0xFFFF).astype(np.uint16), kind="stable")
    if count > 1 << 16:
        order = order[in_order(number[order] >> 16, count >> 16)]
    return order


def members_of(group: Index, count: int) -> Iterator[tuple[int, Index | slice]]:
    """The rows of every group that has any, with its number; group: (n,) in 0 … count − 1."""
    if count == 1:
        yield 0, slice(None)
        return
    order = in_order(group, count)
    ends = np.r_[0, np.cumsum(np.bincount(group, minlength=count))]
    for g, (begin, end) in enumerate(pairwise(ends)):
        if end > begin:
            yield g, order[begin:end]
