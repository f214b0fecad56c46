from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.common.grouping import counted, in_order, members_of, numbered, within_groups


def frame(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(rng.integers(0, 3, n), ["z", "unused", "a"]),
            "level": rng.choice([0.5, 3.0, 1.0], n),
            "name": rng.choice(["q", "b"], n),
        }
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 40))
def test_numbers_are_those_of_pandas(seed: int, n: int) -> None:
    rows = frame(seed, n)
    for by in (["kind"], ["level", "name"], ["kind", "level", "name"]):
        number, keys = numbered(rows, by)
        theirs = rows.groupby(by, observed=True, sort=True)
        assert number.tolist() == theirs.ngroup().tolist()
        count = counted(rows, by)
        assert (count[0].tolist(), count[1]) == (number.tolist(), len(keys))
        assert keys == rows.iloc[theirs.head(1).index].sort_values(by)[by].to_records(index=False).tolist()


def test_missing_values_are_a_key_of_their_own() -> None:
    rows = pd.DataFrame({"a": pd.Categorical(["y", None, "x"], ["y", "x"]), "b": [1.0, np.nan, 1.0]})
    number, keys = numbered(rows, ["a", "b"])
    assert (number.tolist(), keys) == ([0, 2, 1], [("y", 1.0), ("x", 1.0), (None, None)])


def test_no_columns_are_one_group() -> None:
    rows = frame(0, 3)
    assert numbered(rows, [])[1] == [()]
    assert numbered(rows.iloc[:0], [])[1] == []
    assert numbered(rows.iloc[:0], ["kind", "level"])[1] == []
    assert counted(rows, [])[1] == 1
    assert counted(rows.iloc[:0], [])[1] == counted(rows.iloc[:0], ["kind", "level"])[1] == 0


def test_many_values_in_two_columns_are_sorted_instead_of_counted() -> None:
    values = np.arange(3000.0)
    number, keys = numbered(pd.DataFrame({"a": values[::-1], "b": values}), ["a", "b"])
    assert number.tolist() == list(range(2999, -1, -1))
    assert keys[0] == (0.0, 2999.0)


def test_rows_that_agree_within_their_group() -> None:
    rows = pd.DataFrame({"a": ["x", "x", "y", "x"]})
    number, home = within_groups(rows, ["a"], np.array([1, 0, 1, 1]))
    assert number.tolist() == [1, 0, 2, 1]
    assert home.tolist() == [0, 1, 1]


@pytest.mark.parametrize("count", [1, 5, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_order_is_that_of_a_stable_sort(count: int) -> None:
    number = np.random.default_rng(count).integers(0, count, 2000)
    assert in_order(number, count).tolist() == np.argsort(number, kind="stable").tolist()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_members_are_the_rows_of_each_group_that_has_any(count: int) -> None:
    group = np.random.default_rng(count).integers(0, count, 20)
    group[group == 1] = 0  # the second group is empty
    rows = np.arange(20)
    found = {number: rows[members].tolist() for number, members in members_of(group, count)}
    assert found == {g: np.flatnonzero(group == g).tolist() for g in range(count) if (group == g).any()}
