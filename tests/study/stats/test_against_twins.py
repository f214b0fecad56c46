"""Every statistic, p-value, effect and interval against the plain loops over the same rows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scikit_posthocs import posthoc_wilcoxon
from scipy import stats

from camlab.metrics import robustness, stratified
from camlab.study.stats import TESTS, TestResult, critical_difference, run_tests, verdict
from camlab.study.stats.blocks import RESPONSES
from camlab.study.stats.effects import cliffs_delta, rank_biserial
from tests.material import known
from tests.metrics.test_robustness import auroc_within
from tests.study.stats import twins
from tests.study.stats.frames import study

REPLICATES = 40

# Without ties; with ties; few pictures with ties (all signs are gone through); more than an exact table holds.
STUDIES: dict[str, dict[str, Any]] = {
    "plain": {"pictures": 12, "noises": ("fog", "pgd"), "step": 0.02},
    "ties": {"pictures": 20, "noises": ("fog", "pgd"), "decimals": 1, "seeds": 1, "step": 0.02},
    "few": {"pictures": 8, "decimals": 1, "seeds": 1, "severities": (1.0, 2.0, 3.0)},
    "many": {"pictures": 60, "severities": (1.0, 3.0, 5.0), "seeds": 1, "step": 0.01},
}


@pytest.fixture(params=[(name, response) for name in STUDIES for response in RESPONSES], ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, str]:
    name, response = request.param
    return study(**STUDIES[name]), response


def results(rows: pd.DataFrame, response: str, test: str) -> list[TestResult]:
    return run_tests(rows, response=response, tests=[test], replicates=REPLICATES)


def only(rows: pd.DataFrame, result: TestResult) -> pd.DataFrame:
    for name, level in result.group.items():
        rows = rows[rows[name] == level]
    return rows


def exact(expected: Any) -> Any:
    """The expected numbers within 1e-9, whatever their size."""
    return pytest.approx(expected, rel=0, abs=1e-9)


def same_interval(value: Any, replicates: list[float]) -> None:
    low, high = twins.interval(replicates)
    assert (value.low, value.high) == exact((low, high))


@pytest.mark.parametrize("test", ["methods_friedman", "noises_friedman"])
def test_friedman_with_nemenyi(case: tuple[pd.DataFrame, str], test: str) -> None:
    rows, response = case
    for result in results(rows, response, test):
        levels, table = twins.block_table(only(rows, result), result.compares, response)
        values = list(table.values())
        assert result.n == len(values)
        if len(levels) < 3 or len(values) < 5:
            assert result.reason
            continue
        chi, p, w = twins.friedman(values)
        assert (result.statistic, result.p, known(result.effect).value) == exact((chi, p, w))
        ranks = [twins.mean_ranks(row) for row in values]
        n, k = len(ranks), len(levels)
        mean = {level: sum(row[i] for row in ranks) / n for i, level in enumerate(levels)}
        assert {value.name: value.value for value in result.ranks} == exact(mean)
        assert [value.value for value in result.ranks] == sorted(mean.values())
        q = stats.studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
        assert result.critical == exact(q * math.sqrt(k * (k + 1) / (6 * n)))
        assert len(result.pairs) == k * (k - 1) // 2
        for pair in result.pairs:
            gap = mean[pair.b] - mean[pair.a]
            z = abs(gap) / math.sqrt(k * (k + 1) / (6 * n))
            expected = stats.studentized_range.sf(z * math.sqrt(2), k, np.inf)
            assert (pair.statistic, pair.p_adjusted) == exact((gap, expected))
            assert pair.differ == (abs(gap) >= known(result.critical))
        drawn = twins.draws(n, REPLICATES)
        same_interval(result.effect, [twins.friedman([values[i] for i in each])[2] for each in drawn])
        first = levels.index(result.ranks[0].name)
        same_interval(result.ranks[0], [sum(ranks[i][first] for i in each) / n for each in drawn])
        statistic = (n - 1) * w / (1 - w)
        assert result.number("Iman and Davenport's F").value == exact(statistic)
        f = stats.f.sf(statistic, k - 1, (k - 1) * (n - 1))
        assert result.number("p of F").value == exact(f)


def test_wilcoxon_with_holm(case: tuple[pd.DataFrame, str]) -> None:
    rows, response = case
    (result,) = results(rows, response, "methods_wilcoxon")
    levels, table = twins.block_table(rows, "method", response)
    values = list(table.values())
    if len(values) < 5:
        assert result.reason and not result.pairs
        return
    differences = {
        (levels[i], levels[j]): [round(row[i] - row[j], 12) for row in values]
        for i, j in itertools.combinations(range(len(levels)), 2)
    }
    assert [(pair.a, pair.b) for pair in result.pairs] == list(differences)
    raw = [twins.wilcoxon_p(d) for d in differences.values()]
    for pair, d, p, adjusted in zip(result.pairs, differences.values(), raw, twins.holm(raw), strict=True):
        effect, statistic = twins.rank_biserial(d)
        got = (pair.n, pair.statistic, pair.p, pair.p_adjusted, known(pair.effect).value, pair.difference)
        expected = (len(d), statistic, p, adjusted, effect, sum(d) / len(d))
        assert got == exact(expected)
        assert pair.differ == (adjusted <= 0.05)
        drawn = twins.draws(len(d), REPLICATES)
        same_interval(pair.effect, [twins.rank_biserial([d[i] for i in each])[0] for each in drawn])
    assert result.p == exact(min(twins.holm(raw)))


def test_wilcoxon_agrees_with_the_library() -> None:
    """Twenty pictures without ties, for which both take the exact distribution."""
    rows = study(pictures=20, step=0.005)
    (result,) = results(rows, "kept", "methods_wilcoxon")
    levels, table = twins.block_table(rows, "method", "kept")
    columns = np.array(list(table.values())).T
    library = posthoc_wilcoxon(columns.tolist(), p_adjust="holm").to_numpy()
    for pair, (i, j) in zip(result.pairs, itertools.combinations(range(len(levels)), 2), strict=True):
        assert pair.p_adjusted == exact(library[i, j])


@pytest.mark.parametrize("name", STUDIES)
def test_kept_against_flipped(name: str) -> None:
    rows = study(**STUDIES[name])
    for result in results(rows, "kept", "kept_flipped"):
        mine = only(rows, result)
        kept: dict[Any, float] = {}
        flipped: dict[Any, float] = {}
        for response, group in (("kept", kept), ("flipped", flipped)):
            found = twins.group_values(mine, "method", response)
            for picture, value in next(iter(found.values()), {}).items():
                group[picture] = value if response == "kept" else round(1 - value, 12)
        if min(len(kept), len(flipped)) < 5:
            assert result.reason
            continue
        a, b = list(kept.values()), list(flipped.values())
        u, p = twins.mann_whitney(a, b)
        d = twins.delta(a, b)
        assert (result.statistic, result.p, known(result.effect).value) == exact((u, p, d))
        assert result.number("AUROC").value == exact(u / len(a) / len(b))
        distance = result.number("Kolmogorov–Smirnov D").value
        assert distance == exact(twins.ks_distance(a, b))
        assert result.number("p of D").value == exact(stats.ks_2samp(a, b, method="exact").pvalue)
        pooled = robustness(mine, replicates=0).auroc
        assert result.number("AUROC of single pairs").value == exact(pooled)
        within = auroc_within(mine, ("noise", "severity"))
        number = result.number("AUROC of single pairs within a severity")
        assert number.value == exact(within)
        everyone = sorted({*kept, *flipped})
        replicates = []
        for each in twins.draws(len(everyone), REPLICATES):
            again = [everyone[i] for i in each]
            left = [kept[picture] for picture in again if picture in kept]
            right = [flipped[picture] for picture in again if picture in flipped]
            replicates.append(twins.delta(left, right) if left and right else math.nan)
        same_interval(result.effect, replicates)
        both = [round(kept[picture] - flipped[picture], 12) for picture in sorted(kept) if picture in flipped]
        if len(both) >= 5:
            (pair,) = result.pairs
            expected = (*twins.rank_biserial(both), twins.wilcoxon_p(both))
            assert (known(pair.effect).value, pair.statistic, pair.p) == exact(expected)


@pytest.mark.parametrize("test", ["noises_kruskal", "sets_kruskal"])
@pytest.mark.parametrize("decimals", [9, 1])
def test_kruskal_with_dunn(test: str, decimals: int) -> None:
    rows = study(pictures=9, noises=("fog", "jpeg", "pgd"), sets=("art", "photos"), decimals=decimals, seeds=1)
    for result in results(rows, "kept", test):
        found = twins.group_values(only(rows, result), result.compares, "kept")
        assert set(result.levels) == set(found)
        groups = [list(found[level].values()) for level in result.levels]
        h, p, size = twins.kruskal(groups)
        assert (result.statistic, result.p, known(result.effect).value) == exact((h, p, size))
        raw = twins.dunn(groups)
        pairs = zip(result.pairs, raw.items(), twins.holm(list(raw.values())), strict=True)
        pictures = sorted({picture for each in found.values() for picture in each})
        drawn = twins.draws(len(pictures), REPLICATES)
        for pair, ((i, j), each), adjusted in pairs:
            assert (pair.a, pair.b) == (result.levels[i], result.levels[j])
            expected = (each, adjusted, twins.delta(groups[i], groups[j]))
            assert (pair.p, pair.p_adjusted, known(pair.effect).value) == exact(expected)
        sizes = []
        for draw in drawn:
            again = [[f[pictures[i]] for i in draw if pictures[i] in f] for f in map(found.__getitem__, result.levels)]
            sizes.append(twins.kruskal(again)[2] if all(again) else math.nan)
        same_interval(result.effect, sizes)


def test_page(case: tuple[pd.DataFrame, str]) -> None:
    rows, response = case
    trend = RESPONSES[response].trend
    for result in results(rows, response, "severity_page"):
        levels, table = twins.block_table(only(rows, result), "severity", response)
        values = list(table.values())
        if len(levels) < 3 or len(values) < 5:
            assert result.reason
            continue
        level, rho = twins.page(values, trend)
        n, k = len(values), len(levels)
        got = (result.statistic, result.numbers[0].value, known(result.effect).value)
        assert got == exact((level, rho, twins.friedman(values)[2]))
        if result.p_method.startswith("asymptotic"):
            mean = n * k * (k + 1) ** 2 / 4
            deviation = math.sqrt(n * k**2 * (k + 1) * (k**2 - 1) / 144)
            assert result.p == exact(stats.norm.sf((level - mean) / deviation))
        else:
            assert result.p == exact(exact_page(level, n, k))
        drawn = twins.draws(n, REPLICATES)
        same_interval(result.numbers[0], [twins.page([values[i] for i in each], trend)[1] for each in drawn])


def exact_page(level: float, n: int, k: int) -> float:
    """P(L ≥ level) by adding up the blocks' distributions."""
    one: dict[int, int] = {}
    for order in itertools.permutations(range(1, k + 1)):
        total = sum(i * r for i, r in enumerate(order, 1))
        one[total] = one.get(total, 0) + 1
    ways = {0: 1}
    for _ in range(n):
        again: dict[int, int] = {}
        for (a, x), (b, y) in itertools.product(ways.items(), one.items()):
            again[a + b] = again.get(a + b, 0) + x * y
        ways = again
    # Ties can make a level between two whole ones; the library counts from the one below, which is careful.
    least = math.floor(level)
    return sum(count for total, count in ways.items() if total >= least) / float(math.factorial(k) ** n)


def test_p_across_groups_is_holm() -> None:
    rows = study(noises=("fog", "jpeg", "pgd"), step=0.004, seeds=1)
    found = run_tests(rows, by=["noise"], tests=["methods_friedman"], replicates=0)
    assert [each.group for each in found] == [{"noise": name} for name in ("fog", "jpeg", "pgd")]
    assert [each.p_across for each in found] == exact(twins.holm([known(each.p) for each in found]))


def test_the_gap_of_a_verdict_is_the_stratified_one() -> None:
    rows = study(pictures=15)
    for each in verdict(rows, "net", "gaussian_noise").candidates:
        found = stratified(rows[rows["method"] == each.method])
        assert known(each.gap).value == exact(found.gap)
        gap, interval = known(each.gap), known(found.intervals["gap"])
        # A replicate needs both outcomes at every severity that the value rests on, as there.
        assert (gap.low, gap.high) == exact((interval.low, interval.high))


@pytest.mark.parametrize("n", [300, 700])
def test_intervals_of_many_pictures_are_close_to_the_full_form(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(n)
    d = np.round(rng.normal(0.3, 1, n), 1)  # with ties and zeros
    a, b = np.round(rng.normal(0.3, 1, n), 1), np.where(rng.random(n) < 0.3, np.nan, rng.normal(0, 1, n))
    weights = rng.multinomial(n, [1 / n] * n, size=200).astype(float)
    short = [rank_biserial(d), cliffs_delta(a, b)]
    monkeypatch.setattr("camlab.study.stats.effects.EXACT_UP_TO", 10**6)
    full = [rank_biserial(d), cliffs_delta(a, b)]
    for quick, slow in zip(short, full, strict=True):
        ones = np.ones((1, n))
        assert quick(ones) == exact(slow(ones))
        difference = quick(weights) - slow(weights)
        spread = slow(weights).std()
        assert 0 < np.abs(difference).max() < 0.3 * spread
        assert abs(difference.mean()) < 0.05 * spread


def test_critical_difference_of_the_textbook() -> None:
    """Demšar 2006, table 5 and section 3.2.2: q.05 = 2.569 for four classifiers; CD 1.25 over 14 data sets."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 6) == pytest.approx(2.569 * math.sqrt(20 / 36), abs=0.001)


def test_every_test_has_a_twin_here() -> None:
    done = {"methods_friedman", "noises_friedman", "methods_wilcoxon", "kept_flipped", "noises_kruskal"}
    assert set(TESTS) == done | {"sets_kruskal", "severity_page"}
