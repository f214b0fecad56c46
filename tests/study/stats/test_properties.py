"""What must hold whatever the rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camlab.study.stats import TestResult, Value, record, run_tests, verdict
from camlab.study.stats.effects import EXACT_UP_TO, cliffs_delta, concordance, holm, rank_biserial
from camlab.study.stats.run import across
from tests.material import known
from tests.study.stats.frames import study

seeds = st.integers(0, 10**6)
tenths = st.integers(-5, 5).map(lambda i: i / 10)


def run(rows: pd.DataFrame) -> list[TestResult]:
    return run_tests(rows, replicates=10)


def close(a: object, b: object) -> None:
    """Equal but for the last bits of sums that were added in another order."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert list(a) == list(b)
        for key in a:
            close(a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            close(x, y)
    elif isinstance(a, float):
        assert a == pytest.approx(b, abs=1e-9)
    else:
        assert a == b


@settings(max_examples=8, deadline=None)
@given(seed=seeds, decimals=st.sampled_from([1, 9]))
def test_the_order_of_rows_does_not_matter(seed: int, decimals: int) -> None:
    rows = study(seed % 7, pictures=7, noises=("fog", "pgd"), decimals=decimals, seeds=1)
    shuffled = rows.sample(frac=1, random_state=seed)
    found = record(run(rows))
    close(found, record(run(shuffled)))
    plain = shuffled.astype(dict.fromkeys(("model", "image_set", "image", "method", "layer", "noise"), str))
    close(found, record(run(plain)))
    close(record(verdict(rows, replicates=10)), record(verdict(plain, replicates=10)))


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_more_seeds_that_say_the_same_change_nothing(seed: int) -> None:
    """Draws are no new pictures: ten that agree weigh what one weighs."""
    rows = study(seed, pictures=7, seeds=1)
    many = pd.concat([rows.assign(seed=k) for k in range(3)])
    for one, three in zip(run(rows), run(many), strict=True):
        assert (one.n, 3 * one.n_pairs) == (three.n, three.n_pairs)
        assert (one.statistic, one.p) == pytest.approx((three.statistic, three.p), abs=1e-9)
        close(record(one.pairs), record(three.pairs))


@given(a=arrays(float, st.integers(1, 30), elements=tenths), seed=seeds)
def test_swapping_the_groups_turns_delta_around(a: np.ndarray, seed: int) -> None:
    b = np.random.default_rng(seed).integers(-5, 5, len(a)) / 10
    ones = np.ones((1, len(a)))
    assert cliffs_delta(a, b)(ones)[0] == pytest.approx(-cliffs_delta(b, a)(ones)[0])
    assert -1 <= cliffs_delta(a, b)(ones)[0] <= 1
    assert cliffs_delta(a, a)(ones)[0] == 0


@given(d=arrays(float, st.integers(1, 30), elements=tenths))
def test_turning_the_differences_around_turns_rank_biserial_around(d: np.ndarray) -> None:
    ones = np.ones((1, len(d)))
    if not d.any():
        assert np.isnan(rank_biserial(d)(ones)[0])
        return
    assert rank_biserial(d)(ones)[0] == pytest.approx(-rank_biserial(-d)(ones)[0])
    assert rank_biserial(np.abs(d))(ones)[0] == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_a_monotone_change_of_scale_leaves_rank_tests_alone(seed: int) -> None:
    """Of one pair a cell, so that no mean is taken before ranking."""
    rows = study(seed, pictures=7, seeds=1, severities=(3.0,), degenerate=0, decimals=2).assign(flipped=False)
    (a,) = run_tests(rows, tests=["methods_friedman"], replicates=0)
    (b,) = run_tests(rows.assign(similarity=rows["similarity"] ** 3), tests=["methods_friedman"], replicates=0)
    assert (a.statistic, a.p, a.ranks) == (b.statistic, b.p, b.ranks)


@given(p=st.lists(st.floats(0, 1), max_size=12))
def test_holm_only_raises_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(x <= y <= 1 for x, y in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


@given(ranks=arrays(float, st.tuples(st.integers(2, 9), st.integers(2, 5)), elements=st.integers(1, 4)))
def test_concordance_lies_between_0_and_1(ranks: np.ndarray) -> None:
    from scipy.stats import rankdata

    w = concordance(rankdata(ranks, axis=1))(np.ones((1, len(ranks))))[0]
    assert np.isnan(w) or -1e-9 <= w <= 1 + 1e-9


def test_intervals_hold_the_value_and_shrink_with_pictures() -> None:
    wide, narrow = (
        known(run_tests(study(pictures=n, step=0.01), tests=["methods_friedman"])[0].effect) for n in (10, 80)
    )
    low, high = known(narrow.low), known(narrow.high)
    assert low <= narrow.value <= high
    assert high - low < known(wide.high) - known(wide.low)


def test_one_row_more_across_groups_does_not_move_the_untested() -> None:
    (tested,) = run_tests(study(pictures=6), tests=["methods_friedman"], replicates=0)
    untested = dataclasses.replace(tested, p=None, p_across=None)
    first, second = across([tested, untested])
    assert (first.p_across, second.p_across) == (tested.p, None)


def test_an_interval_is_said_only_where_there_is_one() -> None:
    assert Value("W", 0.5).text == "W 0.50"
    assert Value("W", 0.5, 0.25, 0.75, words="large").text == "W 0.50 [0.25, 0.75], large"
    assert EXACT_UP_TO >= 100  # most studies are computed as they stand
