from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from camlab.metrics import Robustness, macro, robustness, stratified, tally
from camlab.metrics.intervals import bootstrap, percentile_intervals, resample
from tests.metrics import twins
from tests.metrics.test_robustness import random_pairs, table
from tests.rounding import near


def percentiles(replicates: list[float]) -> tuple[float, float, float] | None:
    defined = [value for value in replicates if not math.isnan(value)]
    if not defined:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return low, high, 1 - len(defined) / len(replicates)


def assert_equal(result: Robustness, replicates: dict[str, list[float]]) -> None:
    seen = 0
    for name, interval in result.intervals.items():
        if interval is not None:
            assert (interval.low, interval.high, interval.undefined) == near(percentiles(replicates[name]))
            seen += 1
    assert seen >= 5  # the comparison is not empty


@pytest.mark.parametrize("unit", ["image", "row"])
@pytest.mark.parametrize("seed", [0, 1])
def test_pooled_intervals_equal_the_slow_loop(unit: str, seed: int) -> None:
    pairs = random_pairs(seed, 36)
    slow = twins.replicates_of(pairs, unit, 60, seed, twins.values_of)
    assert_equal(robustness(pairs, unit, replicates=60, seed=seed), slow)


def test_stratified_intervals_equal_the_slow_loop() -> None:
    pairs = random_pairs(3, 45, pictures=4)
    by_level = {s: twins.values_of(pairs[pairs.severity == s]) for s in sorted(set(pairs.severity))}
    names = next(iter(by_level.values()))
    observed = {name: [s for s, v in by_level.items() if not math.isnan(v[name])] for name in names}
    slow = twins.replicates_of(pairs, "image", 60, 0, lambda part: twins.stratified_values_of(part, observed))
    result = stratified(pairs, replicates=60)
    assert_equal(result, slow)
    shares = [interval.undefined for interval in result.intervals.values() if interval]
    assert any(0 < share < 1 for share in shares)  # dropping replicates is exercised


def test_macro_intervals_equal_the_slow_loop() -> None:
    pairs = random_pairs(4, 60)
    names = sorted(set(pairs.image))
    each = [twins.values_of(pairs[pairs.image == name]) for name in names]
    generator = np.random.default_rng(0)
    slow: dict[str, list[float]] = {}
    for _ in range(60):
        drawn = [each[i] for i in generator.integers(0, len(each), size=len(each))]
        for name in each[0]:
            found = [v[name] for v in drawn if not math.isnan(v[name])]
            slow.setdefault(name, []).append(sum(found) / len(found) if found else math.nan)
    assert_equal(macro(pairs, replicates=60), slow)


def test_agrees_with_scipy_where_rows_are_independent() -> None:
    rng = np.random.default_rng(0)
    values = rng.beta(2, 1, 60)
    pairs = table(*[(f"p{i}", 1, "kept", v) for i, v in enumerate(values)])
    for unit in ("image", "row"):
        found = robustness(pairs, unit, replicates=4000).intervals["consistency"]
        theirs = stats.bootstrap(
            (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
        ).confidence_interval
        assert found is not None
        # Monte Carlo error of a 2.5 % quantile of 4,000 replicates: about 0.04 standard errors; allow five
        # times that.
        room = 0.2 * values.std() / np.sqrt(len(values))
        assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=room)


def test_pictures_are_drawn_with_all_their_rows() -> None:
    # Eight equal rows of each of five pictures say no more than one row each.
    values = [0.1, 0.3, 0.5, 0.7, 0.9]
    once = table(*[(f"p{i}", 1, "kept", v) for i, v in enumerate(values)])
    often = pd.concat([once] * 8)
    of_many, of_one = (robustness(pairs).intervals["consistency"] for pairs in (often, once))
    assert of_many and of_one
    assert (of_many.low, of_many.high) == near((of_one.low, of_one.high))
    by_row = robustness(often, unit="row").intervals["consistency"]
    assert by_row and by_row.high - by_row.low < (of_many.high - of_many.low) / 2


def test_defaults_are_two_thousand_replicates_of_seed_zero() -> None:
    pairs = random_pairs(5, 60)
    assert robustness(pairs) == robustness(pairs, unit="image", replicates=2000, seed=0)
    assert robustness(pairs).intervals != robustness(pairs, seed=1).intervals
    assert robustness(pairs).intervals != robustness(pairs, replicates=1999).intervals


def test_under_five_pairs_there_is_no_interval() -> None:
    kept = [(f"p{i}", 1, "kept", 0.1 * i) for i in range(5)]
    lost = [(f"p{i}", 1, "far", 0.1 * i) for i in range(4)]
    found = robustness(table(*kept, *lost)).intervals
    assert {name for name, interval in found.items() if interval} == {
        "consistency",
        "mean_similarity",
        "blind",
    }
    more = robustness(table(*kept, *lost, ("p4", 1, "far", 0.9))).intervals
    assert {name for name, interval in more.items() if interval is None} == {"responsiveness_near"}


def test_one_picture_has_intervals_over_its_rows_only() -> None:
    pairs = table(*[("a", 1, "kept", 0.1 * i) for i in range(9)])
    assert robustness(pairs).intervals["consistency"] is None
    by_row = robustness(pairs, unit="row")
    assert by_row.intervals["consistency"] is not None
    assert by_row.unit == "row"


def test_no_replicates_no_intervals() -> None:
    assert set(robustness(random_pairs(6), replicates=0).intervals.values()) == {None}


def test_undefined_replicates_are_dropped_and_their_share_shown() -> None:
    # All flips come from one of two pictures: a quarter of the draws take only the other one.
    rows = [("a", 1, "kept", 0.8)] * 5 + [("b", 1, "far", 0.3)] * 5
    interval = robustness(table(*rows)).intervals["responsiveness"]
    assert interval is not None
    assert (interval.low, interval.high) == near((0.7, 0.7))
    assert interval.undefined == pytest.approx(0.25, abs=0.04)


def test_percentile_intervals() -> None:
    values = np.append(np.arange(101.0), [np.nan] * 99)
    none, some = percentile_intervals(np.stack([np.full(200, np.nan), values[::-1]]))
    assert none is None
    assert some is not None
    assert dataclasses.astuple(some) == near((2.5, 97.5, 99 / 200))


@pytest.mark.parametrize("count", [1, 2, 3, 40, 41, 1999, 2000])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = np.full(2000, np.nan)
    values[:count] = np.random.default_rng(count).random(count)
    (found,) = percentile_intervals(values[None])
    assert found is not None
    assert (found.low, found.high) == near(tuple(np.percentile(values[:count], [2.5, 97.5])))


@pytest.mark.parametrize("block", [1, 7, 64, 200])
def test_draws_do_not_depend_on_the_block(block: int) -> None:
    full = np.concatenate(list(resample(13, 150, 3)))
    assert full.shape == (150, 13)
    assert (full.sum(axis=1) == 13).all()
    assert np.array_equal(np.concatenate(list(resample(13, 150, 3, block))), full)


def test_intervals_do_not_depend_on_the_block() -> None:
    rows, _, units = tally.read_pairs(random_pairs(8, 50))

    one = tally.Tally(rows, units, np.zeros(len(rows), np.intp))

    def values(weights: np.ndarray) -> dict[str, np.ndarray]:
        (each,), auroc = one.values(weights)
        return each | {"auroc": auroc}

    full = bootstrap(values, units, 40, 0)
    chunked = bootstrap(values, units, 40, 0, width=1 << 18)  # four replicates a block
    for name, interval in full.items():
        other = chunked[name]
        assert interval is not None and other is not None
        assert (interval.low, interval.high) == near((other.low, other.high))
