"""Answers that can be worked out by hand, or stand in a textbook."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from camlab.study.stats import read_cells, run_tests, verdict
from camlab.study.stats.blocks import RESPONSES, blocks
from camlab.study.stats.effects import (
    cliffs_delta,
    concordance,
    epsilon_squared,
    holm,
    magnitude,
    rank_biserial,
)
from camlab.study.stats.paired import signed_rank
from tests.material import known

ONE = np.ones((1, 4))


def rows(values: dict[tuple[str, str], float], **more: object) -> pd.DataFrame:
    """A kept pair for every (picture, method)."""
    table = pd.DataFrame(
        [(image, method, value) for (image, method), value in values.items()],
        columns=["image", "method", "similarity"],
    )
    fixed = {"severity": 1.0, "flipped": False, "near": False, "degenerate": False}
    return table.assign(**{**fixed, **more})


def test_rank_biserial_by_hand() -> None:
    # |d| in order .1 .2 .3 .4: ranks 1 2 3 4; against: .2 only.
    assert rank_biserial(np.array([0.1, -0.2, 0.3, 0.4]))(ONE)[0] == pytest.approx((8 - 2) / 10)
    assert rank_biserial(np.array([0.0, -0.2, 0.2, 0.0]))(ONE)[0] == 0  # zeros left out, a tie
    assert np.isnan(rank_biserial(np.zeros(4))(ONE)[0])


def test_cliffs_delta_by_hand() -> None:
    a, b = np.array([0.9, 0.5, np.nan, 0.7]), np.array([0.6, 0.5, 0.1, np.nan])
    # .9 beats all three; .5 beats .1, ties with .5, loses to .6; .7 beats all.
    assert cliffs_delta(a, b)(ONE)[0] == pytest.approx((3 + 0 + 3) / 9)


def test_drawing_a_picture_twice_is_having_it_twice() -> None:
    d = np.array([0.3, -0.1, 0.2, 0.2])
    twice = np.array([0.3, 0.3, -0.1, 0.2])
    assert rank_biserial(d)(np.array([[2.0, 1, 1, 0]]))[0] == pytest.approx(rank_biserial(twice)(ONE)[0])


def test_concordance_of_judges_who_agree_and_who_do_not() -> None:
    assert concordance(np.array([[1.0, 2, 3]] * 4))(ONE)[0] == pytest.approx(1)
    assert concordance(np.array([[1.0, 2, 3], [2, 3, 1], [3, 1, 2]]))(np.ones((1, 3)))[0] == pytest.approx(0)


def test_epsilon_squared_of_groups_apart() -> None:
    # Ranks 1 2 | 3 4: H = 12/20 · (9/2 + 49/2) − 15 = 2.4; ε² = .8.
    found = epsilon_squared(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1]), np.arange(4), 2)
    assert found(ONE)[0] == pytest.approx(0.8)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.6]) == [1.0, 1.0]


def test_signed_rank_by_hand() -> None:
    # Five differences one way: 2 · 2⁻⁵.
    statistic, p, _ = signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert statistic == 0.0 and p == pytest.approx(0.0625)
    # Four with a tie, one of the smallest against: rank sum 1.5 or less in 3 of 16 sign patterns.
    statistic, p, how = signed_rank(np.array([-0.1, 0.1, 0.3, 0.4, 0.0]))
    assert statistic == 1.5 and p == pytest.approx(2 * 3 / 16)
    assert how == "exact over all signs, n = 4; 1 zero difference left out"
    assert signed_rank(np.zeros(6)) == (None, None, "all differences are zero")


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        ("delta", 0.1, "negligible"),
        ("delta", -0.2, "small"),
        ("delta", 0.4, "medium"),
        ("delta", -1, "large"),
        ("w", 0.3, "medium"),
        ("epsilon", 0.05, "small"),
    ],
)
def test_effects_in_words(kind: str, value: float, word: str) -> None:
    assert magnitude(kind, value) == word


def test_friedman_by_hand() -> None:
    """Five pictures that all rank a > b > c: χ² = n(k − 1) = 10, W = 1, ranks 1 2 3."""
    table = rows({(f"p{i}", m): v + i / 100 for i in range(5) for m, v in (("a", 0.9), ("b", 0.5), ("c", 0.1))})
    (found,) = run_tests(table, tests=["methods_friedman"])
    assert (found.n, found.n_pairs, found.df) == (5, 15, 2)
    assert found.statistic == pytest.approx(10)
    assert known(found.effect).value == pytest.approx(1)
    assert [(each.name, each.value) for each in found.ranks] == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    assert found.sentence == (
        "Over 5 pictures the 3 methods differ in the similarity of the maps where the prediction is kept "
        "(Friedman χ²(2) = 10.0, p = 0.0067, roughly, from only 5 pictures, "
        "Kendall's W 1.00 [1.00, 1.00], large): a ranks highest and c lowest; "
        "1 of 3 pairs lie further apart than the critical difference."
    )


def test_seeds_are_averaged_before_severities() -> None:
    """A severity with many draws must not count more than one with a single draw."""
    draws = [(1.0, 0, 0.8), (1.0, 1, 0.8), (1.0, 2, 0.8), (5.0, 0, 0.2)]
    table = pd.DataFrame(
        [("p", m, s, k, v) for m in "ab" for s, k, v in draws],
        columns=["image", "method", "severity", "seed", "similarity"],
    ).assign(flipped=False, near=False, degenerate=False)
    found = blocks(read_cells(table), "method", RESPONSES["kept"])
    assert found.values.tolist() == [[0.5, 0.5]]
    assert found.n_pairs == 8


def test_what_one_method_lacks_is_left_out_for_all_and_said() -> None:
    values = {("p", "a"): 0.9, ("p", "b"): 0.5, ("q", "a"): 0.7, ("q", "b"): float("nan")}
    table = pd.concat([rows(values), rows({("r", "a"): 0.1, ("r", "b"): 0.2}, flipped=True)])
    table["tied"] = table["image"] == "r"
    found = blocks(read_cells(table), "method", RESPONSES["kept"])
    assert found.pictures == ("p",)
    assert found.left_out == (
        "Left out without a complete block: 2 of 3 pictures.",
        "Without any pair for the response 'kept': 1 of 3 cells (picture × noise × severity).",
        "Left out for all, since some method has no value: 1 of 3 cells.",
        "Left out for a degenerate map or no similarity: 1 pair.",
        "Counted as stored although the two most likely classes tie, so that rounding decides the flip: 2 pairs.",
    )


def test_pictures_of_two_sets_with_one_name_are_two() -> None:
    values = {("p", "a"): 0.9, ("p", "b"): 0.5}
    table = pd.concat([rows(values, image_set="x"), rows(values, image_set="y")])
    assert len(blocks(read_cells(table), "method", RESPONSES["all"])) == 2


def test_trust_the_better_of_two() -> None:
    steady = {(f"p{i}", "a"): 0.8 + i / 100 for i in range(8)}
    shaky = {(f"p{i}", "b"): 0.5 - i / 100 for i in range(8)}
    chance = {(f"p{i}", "randomcam"): 0.3 for i in range(8)}
    table = rows(steady | shaky | chance, model="net", noise="fog")
    found = verdict(table, "net", "fog")
    assert found.sentence == "For net under fog, over 8 pictures a keeps its map steadier than any other method."
    assert (found.top, found.trusted, found.indistinguishable) == (("a",), ("a",), False)
    a, b = found.candidates
    assert (a.method, a.rank, a.above_random, b.beaten_by, b.above_random) == ("a", 1.0, True, ("a",), True)
    assert found.cautions == (
        "a: no severity has both kept and flipped pairs, so the map's reaction to a changed prediction was "
        "not observed.",
    )
