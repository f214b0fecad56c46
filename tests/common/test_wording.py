"""Numbers and results in words: exact sentences."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from camlab.common.wording import (
    decimal,
    duration,
    json_number,
    listed,
    megabytes,
    millions,
    percent,
    plural,
    sides,
    table,
    time_left,
    verdict,
)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0\u202f%"),
        (0.0004, "< 0.1\u202f%"),
        (0.004, "0.4\u202f%"),
        (0.01, "1\u202f%"),
        (0.071, "7\u202f%"),
        (0.5, "50\u202f%"),
        (0.714, "71\u202f%"),
        (0.99, "99\u202f%"),
        (0.9942, "99.4\u202f%"),
        (1.0, "100\u202f%"),
    ],
)
def test_percent(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (None, 2, "not observed"),
        (math.nan, 2, "not observed"),
        (np.float64("nan"), 3, "not observed"),
        (0.0, 2, "0.00"),
        (0.5339, 2, "0.53"),
        (0.5339, 3, "0.534"),
        (-0.25, 2, "-0.25"),
        (1.0, 0, "1"),
    ],
)
def test_decimal(value: float | None, digits: int, said: str) -> None:
    assert decimal(value, digits) == said


def test_decimal_has_two_digits_by_default() -> None:
    assert decimal(0.123456) == "0.12"


def test_verdict_of_a_kept_prediction() -> None:
    assert verdict("tabby", 0.71, "tabby", 0.64, False, False) == "kept: tabby 71\u202f% → 64\u202f%"


@pytest.mark.parametrize(
    ("near", "where"),
    [(True, "to another of the clean top 5"), (False, "to a class outside the clean top 5")],
)
def test_verdict_of_a_flipped_prediction(near: bool, where: str) -> None:
    said = verdict("espresso", 0.71, "cup", 0.402, True, near)
    assert said == f"flipped: espresso 71\u202f% → cup 40\u202f% ({where})"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "under a second"),
        (0.99, "under a second"),
        (1.0, "1 s"),
        (89.0, "89 s"),
        (90.0, "2 min"),
        (600.0, "10 min"),
        (5399.0, "90 min"),
        (5400.0, "1.5 h"),
        (36000.0, "10.0 h"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0 draws"), (1, "1 draw"), (16, "16 draws")])
def test_plural(count: int, said: str) -> None:
    assert plural(count, "draw") == said


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (np.float32("nan"), None),
        (np.float32(0.5), 0.5),
        (3, 3.0),
        (0.0, 0.0),
    ],
)
def test_json_number(value: Any, number: float | None) -> None:
    found = json_number(value)
    assert found == number
    assert found is None or type(found) is float
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, ""),
        (0.4, " · under a second left"),
        (12.2, " · about 12 s left"),
        (120.0, " · about 2 min left"),
    ],
)
def test_what_is_left_is_said_only_where_it_is_known(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


@pytest.mark.parametrize(
    ("count", "said"),
    [(4_652_008, "4.65 M"), (11_000, "0.011 M"), (999_000_000, "999 M"), (1_234_567_890, "1,235 M")],
)
def test_millions(count: int, said: str) -> None:
    assert millions(count) == said


def test_sizes() -> None:
    assert (megabytes(170_498_071), megabytes(1e10), megabytes(0)) == ("170 MB", "10,000 MB", "0 MB")
    assert (sides((224, 224)), sides((192, 256))) == ("224 px", "192 × 256 px")


@pytest.mark.parametrize(
    ("names", "said"), [([], "none"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed(names: list[str], said: str) -> None:
    assert listed(names) == said
    assert listed(names, "or") == said.replace(" and ", " or ")


def test_a_table_aligns_its_columns() -> None:
    assert table([("name", "n"), ("grad-cam", "10")]) == ["name      n", "grad-cam  10"]
    assert table([]) == []
