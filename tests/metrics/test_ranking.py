from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.common.errors import BadSetting, UnknownName
from camlab.metrics.ranking import (
    TIE_VARIANTS,
    average_ranks,
    floor_corrected,
    random_ranking_floor,
    rbo,
    rbo_lists,
    tie_groups,
)
from tests.metrics import twins
from tests.rounding import near

TIED_A, TIED_B = [("a", "c"), "b", "d"], ["a", ("b", "c"), "d"]


@st.composite
def pair_of_scores(draw: st.DrawFn, longest: int = 9) -> tuple[list[int], list[int]]:
    """Two rankings of the same items with few levels, so that ties abound."""
    n = draw(st.integers(1, longest))
    scores = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    return draw(scores), draw(scores)


persistence = st.floats(0.05, 0.99)
variants = st.sampled_from(sorted(TIE_VARIANTS))


def score(values: list[int]) -> np.ndarray:
    return np.array([values], dtype=np.float64)


#: The answers below are given to ten decimals.
DECIMALS = 1e-10


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("abcdefg", "bacdefg", 0.9),
        ("abcde", "edcba", 0.737775),
        ("abc", "acb", 0.955),
        ("abcdefghij", "abcdefghji", 0.995217031),
        ("abcdefg", "zcavwxy", 0.2882172857),
    ],
)
@pytest.mark.parametrize("ties", ["a", "w", "b"])
def test_known_answers_untied(a: str, b: str, expected: float, ties: str) -> None:
    assert rbo_lists(a, b, ties=ties) == pytest.approx(expected, abs=DECIMALS)
    assert twins.rbo_of_sets(a, b, 0.9) == pytest.approx(expected, abs=DECIMALS)


@pytest.mark.parametrize(("ties", "expected"), [("w", 0.9486666666667), ("a", 0.9275), ("b", 0.9586529645)])
def test_known_answers_tied(ties: str, expected: float) -> None:
    assert rbo_lists(TIED_A, TIED_B, ties=ties) == pytest.approx(expected, abs=DECIMALS)
    # The same as scores of the items a, b, c, d.
    assert rbo(score([3, 2, 3, 1]), score([3, 2, 2, 1]), ties=ties)[0] == pytest.approx(expected, abs=DECIMALS)


@pytest.mark.parametrize(("n", "expected"), [(20, 0.439), (50, 0.199), (100, 0.100)])
def test_random_floor_known_answers(n: int, expected: float) -> None:
    assert random_ranking_floor(n) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("n", "p"), [(1, 0.9), (5, 0.9), (30, 0.9), (30, 0.6)])
def test_random_floor_is_the_mean_over_random_rankings(n: int, p: float) -> None:
    rng = np.random.default_rng(3)
    fixed = rng.random((1, n))
    values = rbo(fixed, rng.random((20_000, n)), p=p)
    assert random_ranking_floor(n, p) == pytest.approx(values.mean(), abs=5 * values.std() / np.sqrt(20_000) + 1e-12)


def test_random_floor_holds_with_ties_under_variant_a() -> None:
    rng = np.random.default_rng(4)
    tied = np.repeat([[5.0, 4.0, 1.0, 0.0]], [1, 2, 3, 14], axis=1)
    values = rbo(tied, rng.permuted(np.repeat(tied, 20_000, axis=0), axis=1))
    assert values.mean() == pytest.approx(random_ranking_floor(20), abs=5 * values.std() / np.sqrt(20_000))


def test_floor_corrected() -> None:
    assert floor_corrected(1.0, 0.2) == 1.0
    assert floor_corrected(0.2, 0.2) == 0.0
    assert floor_corrected(0.6, 0.2) == near(0.5)
    assert floor_corrected(np.array([0.1, 0.6]), 0.2) == near([-0.125, 0.5])
    assert np.isnan(floor_corrected(1.0, random_ranking_floor(1)))


@settings(max_examples=200, deadline=None)
@given(pair_of_scores(), persistence, variants)
def test_equals_the_definition(pair: tuple[list[int], list[int]], p: float, ties: str) -> None:
    x, y = pair
    expected = twins.rbo_of_groups(twins.groups_of(x), twins.groups_of(y), p, ties)
    assert rbo(score(x), score(y), p, ties)[0] == near(expected)


@settings(max_examples=60, deadline=None)
@given(pair_of_scores(longest=5), persistence)
def test_variant_a_is_the_mean_over_all_tie_breaks(pair: tuple[list[int], list[int]], p: float) -> None:
    breaks_x, breaks_y = (list(twins.tie_breaks(twins.groups_of(scores))) for scores in pair)
    broken = [twins.rbo_of_sets(a, b, p) for a, b in itertools.product(breaks_x[:120], breaks_y[:120])]
    assert rbo(score(pair[0]), score(pair[1]), p)[0] == near(np.mean(broken))


def test_variant_a_is_the_mean_over_random_tie_breaks_of_a_long_list() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 6, (2, 1, 40)).astype(float)
    jitter = rng.random((2, 20_000, 40)) * 0.5
    broken = rbo(x + jitter[0], y + jitter[1])
    assert rbo(x, y)[0] == pytest.approx(broken.mean(), abs=5 * broken.std() / np.sqrt(20_000))


@settings(max_examples=100, deadline=None)
@given(st.data(), persistence, variants)
def test_lists_that_share_some_items_equal_the_definition(data: st.DataObject, p: float, ties: str) -> None:
    n = data.draw(st.integers(1, 7))
    rankings = []
    for _ in range(2):
        items = data.draw(st.permutations("abcdefghij"))[:n]
        levels = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        rankings.append([[items[i] for i in group] for group in twins.groups_of(levels)])
    a, b = ([tuple(group) if len(group) > 1 else group[0] for group in ranking] for ranking in rankings)
    expected = twins.rbo_of_groups(rankings[0], rankings[1], p, ties)
    assert rbo_lists(a, b, p, ties) == near(expected)


def test_lists_without_a_common_item_score_zero() -> None:
    assert rbo_lists("abc", "xyz") == 0.0


@settings(max_examples=100, deadline=None)
@given(pair_of_scores(), persistence, variants)
def test_symmetric_and_bounded(pair: tuple[list[int], list[int]], p: float, ties: str) -> None:
    x, y = map(score, pair)
    value = rbo(x, y, p, ties)[0]
    assert 0.0 <= value <= 1.0
    assert value == rbo(y, x, p, ties)[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), persistence, variants)
def test_identical_rankings(scores: list[int], p: float, ties: str) -> None:
    value = rbo(score(scores), score(scores), p, ties)[0]
    if ties == "a" and len(set(scores)) < len(scores):
        assert value < 1.0
    else:
        assert value == near(1.0)


def test_all_tied_under_a_is_the_random_floor() -> None:
    assert rbo(np.zeros((1, 30)), np.zeros((1, 30)))[0] == near(random_ranking_floor(30))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 30), variants, st.integers(1, 13))
def test_batch_equals_loop_and_chunks_equal_full(seed: int, count: int, n: int, ties: str, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, (2, count, n)).astype(float)
    full = rbo(x, y, ties=ties)
    # Float64 sums of at most 30 terms in [0, 1] with weights of sum 1: n·eps = 7e-15 for each order of adding them.
    assert rbo(x, y, ties=ties, chunk=chunk) == pytest.approx(full, rel=0, abs=1e-14)
    assert [rbo(x[i : i + 1], y[i : i + 1], ties=ties)[0] for i in range(count)] == near(full)
    one_against_all = rbo(x[:1], y, ties=ties)
    assert rbo(np.repeat(x[:1], count, axis=0), y, ties=ties) == near(one_against_all)


@pytest.mark.parametrize("ties", ["a", "w", "b"])
@pytest.mark.parametrize("p", [0.3, 0.9, 0.999])
def test_long_rankings_stay_precise(ties: str, p: float) -> None:
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 60, (2, 1, 400)).astype(float)
    (above_x, size_x), (above_y, size_y) = tie_groups(x), tie_groups(y)
    depth = np.arange(1, 401)[:, None]
    share_x, share_y = (
        (depth > above).astype(float) if ties == "w" else np.clip((depth - above) / size, 0, 1)
        for above, size in ((above_x, size_x), (above_y, size_y))
    )
    size = {
        "a": np.arange(1, 401),
        "w": (share_x.sum(1) + share_y.sum(1)) / 2,
        "b": np.sqrt((share_x**2).sum(1) * (share_y**2).sum(1)),
    }[ties]
    agreement = (share_x * share_y).sum(1) / size
    expected = agreement[-1] * p**400 + (1 - p) / p * np.sum(agreement * p ** np.arange(1, 401))
    assert rbo(x, y, p, ties)[0] == near(expected)


def test_average_ranks() -> None:
    assert average_ranks(score([5, 9, 5, 1]))[0] == near([2.5, 1, 2.5, 4])


def test_a_missing_score_makes_only_its_pair_undefined() -> None:
    x = np.array([[1.0, 2.0], [np.nan, 1.0]])
    assert np.isnan(rbo(x, np.ones((2, 2)))).tolist() == [False, True]


def test_no_pairs_give_no_values() -> None:
    assert rbo(np.empty((0, 3)), np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0, float("nan")])
def test_p_out_of_range(p: float) -> None:
    with pytest.raises(BadSetting, match="strictly between 0 and 1"):
        rbo_lists("ab", "ba", p)
    with pytest.raises(BadSetting, match="strictly between 0 and 1"):
        random_ranking_floor(3, p)


def test_bad_input() -> None:
    with pytest.raises(UnknownName, match="treatment of ties"):
        rbo_lists("ab", "ba", ties="z")
    with pytest.raises(BadSetting, match="equal length"):
        rbo_lists("ab", "a")
    with pytest.raises(BadSetting, match="equal length"):
        rbo_lists("", "")
    with pytest.raises(BadSetting, match="comes twice"):
        rbo_lists(["a", ("b", "a")], "abc")
    with pytest.raises(BadSetting, match="same items"):
        rbo(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(BadSetting, match="not 2 and 3"):
        rbo(np.ones((2, 2)), np.ones((3, 2)))
    with pytest.raises(BadSetting, match="at least one item"):
        random_ranking_floor(0)
