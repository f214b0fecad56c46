"""The bounds hold whatever the order, and are not so wide that they would hold for anything."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.rounding import apart, chain_bound, mean_bound, scaled_bound, sum_bound

VALUES = hnp.arrays(np.float32, st.integers(2, 200), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False))
SEEDS = st.integers(0, 2**32 - 1)


def running_sum(values: np.ndarray) -> np.float32:
    """The worst of all orders: one after the other."""
    total = np.float32(0)
    for value in values:
        total = np.float32(total + value)
    return total


@settings(max_examples=60, deadline=None)
@given(VALUES, SEEDS)
def test_a_sum_in_any_order_stays_within_its_bound(values: np.ndarray, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(values)
    exact, bound = math.fsum(values.tolist()), sum_bound(values)
    sums = [running_sum(values), running_sum(shuffled), values.sum(), shuffled.sum()]
    assert all(abs(float(found) - exact) <= bound / 2 for found in sums)
    assert apart(min(sums), max(sums)) <= bound
    assert apart(running_sum(values) / np.float32(len(values)), exact / len(values)) <= mean_bound(values) / 2


@settings(max_examples=60, deadline=None)
@given(VALUES, SEEDS)
def test_a_scaled_value_stays_within_its_bound(values: np.ndarray, seed: int) -> None:
    error = 1e-3
    moved = values + np.random.default_rng(seed).uniform(-error, error, values.shape)
    exact = values.astype(np.float64)
    if np.ptp(exact) <= 1:
        return
    one, other = ((x - x.min()) / np.ptp(x) for x in (exact, moved))
    assert apart(one, other).max() <= scaled_bound(error, exact.min(), exact.max())


def test_a_chain_stays_within_its_bound_and_one_bit_of_float32_is_seen_in_float64() -> None:
    values = np.random.default_rng(0).uniform(1, 2, 1000)
    narrow = values.astype(np.float32) * np.float32(1.1) / np.float32(1.1)
    assert 0 < apart(narrow, values).max() <= chain_bound(4, 2.2)
    assert chain_bound(4, 1.0, np.float64) < 1e-15


def test_no_bound_holds_for_what_is_no_number() -> None:
    assert not (apart([np.nan, 1], [np.nan, 1]) <= 1e300).all()


def test_axes_count_only_their_own_terms() -> None:
    values = np.ones((3, 4, 5))
    assert np.allclose(sum_bound(values, axis=(1, 2)), sum_bound(np.ones(20)))
    assert np.allclose(sum_bound(values, axis=0), sum_bound(np.ones(3)))
    assert sum_bound(values, axis=0).shape == (4, 5)
