"""The filters of a study's rows, as a value that fits into a link."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd

from camlab.cams.coincidence import JOINT
from camlab.common.grouping import numbered
from camlab.common.registry import Registry
from camlab.metrics import same_pictures
from camlab.metrics.tally import Flags
from camlab.study.analysis.summary import scored

MOST_VALUES, LONGEST = 500, 300
SAME = {
    "": "all pictures",
    "outcomes": "pictures with both outcomes",
    "severities": "pictures kept throughout",
}
"""The choices of pictures that count, by ``camlab.metrics.same_pictures`` in every cell of the grid."""

CELL = ("model", "method", "layer", "noise")
"""The columns of a cell, within which the same pictures are found."""


@dataclass(frozen=True)
class PairOutcome:
    """A kind of pair, by its prediction."""

    name: str
    title: str
    holds: Callable[[pd.DataFrame], Flags]


def _flag(rows: pd.DataFrame, column: str) -> Flags:
    return np.asarray(rows[column].to_numpy(dtype=bool, na_value=False))


OUTCOMES: Registry[PairOutcome] = Registry("outcome")
for _entry in (
    PairOutcome("all", "all pairs", lambda rows: np.ones(len(rows), bool)),
    PairOutcome("kept", "prediction kept", lambda rows: ~_flag(rows, "flipped")),
    PairOutcome("flipped", "prediction flipped", lambda rows: _flag(rows, "flipped")),
    PairOutcome("near", "flipped within the clean top 5", lambda rows: _flag(rows, "flipped") & _flag(rows, "near")),
    PairOutcome("far", "flipped out of the clean top 5", lambda rows: _flag(rows, "flipped") & ~_flag(rows, "near")),
):
    OUTCOMES.add(_entry.name, _entry)


@dataclass(frozen=True)
class Filters:
    """A selection of rows. An empty tuple does not filter its column; order and repetition do not matter.

    outcome: a name in OUTCOMES; same: a name in SAME.
    """

    models: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    noises: tuple[str, ...] = ()
    severities: tuple[float, ...] = ()
    outcome: str = "all"
    same: str = ""

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def apply(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows that pass, in their order and with their index.

        ``same`` is applied to the rows that pass the lists, before the outcome is filtered. A method also passes under
        the joined name of coinciding methods.
        """
        keep = np.ones(len(rows), bool)
        for name, entry in _LISTS.items():
            if chosen := getattr(self, name):
                keep &= _member(rows[entry.column], chosen)
        if not keep.all():
            rows = rows[keep]
        if self.same:
            pairs = rows[[*_NEEDED, "rbo" if "similarity" not in rows else "similarity"]]
            pairs = pairs if "similarity" in rows else scored(pairs)
            pairs = pairs.set_axis(range(len(pairs)), axis=0)
            rows = rows.iloc[same_pictures(pairs, self.same, CELL).index]
        if self.outcome != "all":
            rows = rows[OUTCOMES[self.outcome].holds(rows)]
        return rows

    @staticmethod
    def options(rows: pd.DataFrame) -> dict[str, list[Any]]:
        """List the values of each field that occur in the rows, in the order of the study."""
        found: dict[str, list[Any]] = {
            name: [key for (key,) in numbered(rows, [entry.column])[1] if key is not None]
            for name, entry in _LISTS.items()
        }
        return found | {"outcome": list(OUTCOMES), "same": list(SAME)}

    def checked(
        self, rows: pd.DataFrame, there: Mapping[str, Sequence[Any]] | None = None
    ) -> tuple[Filters, list[str]]:
        """Drop values that the rows lack; return the filters and one sentence per field that lost values.

        there: the rows' ``options``, if known.
        """
        there, changed, wrong = there or self.options(rows), dict[str, Any](), []
        for name, entry in _LISTS.items():
            values = there[name]
            parts = {part for value in values if name == "methods" for part in value.split(JOINT)}
            lacking = [value for value in getattr(self, name) if value not in values and value not in parts]
            if lacking:
                changed[name] = tuple(v for v in getattr(self, name) if v not in lacking)
                wrong.append(f"This study has no {entry.noun} {_shown(lacking)}; the filter ignores it.")
        return dataclasses.replace(self, **changed), wrong

    def to_query(self) -> dict[str, str]:
        """Return the filters as short texts, without fields that filter nothing."""
        texts = {
            entry.key: ",".join(quote(entry.write(value), safe="/ =+") for value in getattr(self, name))
            for name, entry in _LISTS.items()
        }
        texts |= {"outcome": "" if self.outcome == "all" else self.outcome, "same": self.same}
        return {key: text for key, text in texts.items() if text}

    @classmethod
    def parse_query(cls, texts: Mapping[str, str]) -> tuple[Filters, list[str]]:
        """Read the texts of ``to_query``; return filters, and one sentence per unusable text, which is ignored.

        Unknown keys are ignored.
        """
        fields: dict[str, Any] = {}
        wrong: list[str] = []
        for name, entry in _LISTS.items():
            if text := texts.get(entry.key, ""):
                fields[name], bad = _values(entry, str(text))
                wrong += bad
        for key, known in (("outcome", OUTCOMES), ("same", SAME)):
            text = str(texts.get(key, "")).strip()
            if text and text in known:
                fields[key] = text
            elif text:
                names = ", ".join(each for each in known if each)
                wrong.append(f"The link's {key} {text[:40]!r} is not one of {names}; it filters nothing.")
        return cls(**fields), wrong


@dataclass(frozen=True)
class _List:
    """A field with several values: its column, its key in a link, its noun, and how values are read and written."""

    column: str
    key: str
    noun: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str


def _severity(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or not 0 <= value <= 5:
        raise ValueError
    return value


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


#: The fields of Filters that select values of a column.
_LISTS = {
    "models": _List("model", "models", "model"),
    "sets": _List("image_set", "sets", "image set"),
    "methods": _List("method", "methods", "method"),
    "layers": _List("layer", "layers", "layer"),
    "noises": _List("noise", "noises", "noise type"),
    "severities": _List("severity", "severities", "severity", _severity, _number),
}
_NEEDED = [*CELL, "image", "severity", "flipped", "near", "degenerate"]


def _member(column: pd.Series, chosen: Iterable[Any]) -> Flags:
    """Flag the rows that have one of the values; a joined name matches each of its parts."""
    wanted = set(chosen)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        if pd.api.types.is_numeric_dtype(column.dtype):
            return np.asarray(np.isin(column.to_numpy(), list(wanted)))
        column = column.astype("category")
    names = column.cat.categories.tolist()
    # Replace a joined name that these rows lack by its parts.
    wanted |= {part for name in wanted - set(names) for part in str(name).split(JOINT)}
    passes = [name in wanted or not wanted.isdisjoint(str(name).split(JOINT)) for name in names]
    flags = np.array([*passes, False])  # the last flag is for a missing name, code −1
    return np.asarray(flags[column.cat.codes.to_numpy()])


def _values(entry: _List, text: str) -> tuple[tuple[Any, ...], list[str]]:
    """Read the values in a text of a link, with sentences about unusable ones."""
    pieces = text.split(",")
    if len(pieces) > MOST_VALUES:
        return (), [f"The link names over {MOST_VALUES} values for {entry.noun}; choose them again."]
    found, bad = [], []
    for piece in pieces:
        value = unquote(piece)
        try:
            if not value or len(value) > LONGEST or not value.isprintable():
                raise ValueError
            found.append(entry.read(value))
        except ValueError:
            bad.append(value)
    wrong = [f"The link's {entry.noun} {_shown(bad)} cannot be used; choose it again."] if bad else []
    return tuple(found), wrong


def _shown(values: Iterable[Any]) -> str:
    listed = [repr(str(value)[:40]) for value in values]
    return ", ".join(listed[:3]) + (" and others" if len(listed) > 3 else "")
