from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from camlab.common.errors import BadSetting
from camlab.common.grouping import numbered
from camlab.metrics import (
    assess,
    macro,
    robustness,
    same_pictures,
    stratified,
    tally,
)
from tests.metrics import twins
from tests.rounding import near

COLUMNS = ["image", "severity", "flipped", "near", "degenerate", "similarity"]


def table(*rows: tuple[str, float, str, float | None]) -> pd.DataFrame:
    """Rows of (picture, severity, kept | near | far, similarity); None: a degenerate map."""
    return pd.DataFrame(
        [(i, s, kind != "kept", kind == "near", v is None, np.nan if v is None else v) for i, s, kind, v in rows],
        columns=COLUMNS,
    )


SIX = table(
    ("a", 1, "kept", 0.9),
    ("a", 3, "near", 0.5),
    ("b", 1, "kept", 0.8),
    ("b", 3, "kept", 0.4),
    ("c", 1, "far", 0.6),
    ("c", 3, "far", 0.1),
)


def random_pairs(seed: int, n: int = 40, pictures: int = 6, levels: int = 3) -> pd.DataFrame:
    """A table with ties, degenerate pairs and pictures that flip more or less easily."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, pictures, n)
    flipped = rng.random(n) < (image + 1) / (pictures + 2)
    degenerate = rng.random(n) < 0.1
    return pd.DataFrame(
        {
            "image": [f"p{i}" for i in image],
            "severity": rng.integers(1, levels + 1, n).astype(float),
            "flipped": flipped,
            "near": flipped & (rng.random(n) < 0.5),
            "degenerate": degenerate,
            "similarity": np.where(degenerate, np.nan, np.round(rng.random(n), 1)),
        }
    )


def none_to_nan(result: object, names: tuple[str, ...] = tally.VALUES) -> dict[str, float]:
    return {name: math.nan if getattr(result, name) is None else getattr(result, name) for name in names}


# --- by hand
# -----------------------------------------------------------------------------------------------------


def test_six_pairs_by_hand() -> None:
    r = robustness(SIX)
    assert (r.n, r.n_pictures, r.n_flipped, r.n_near, r.n_degenerate) == (6, 3, 3, 1, 0)
    assert (r.n_consistency, r.n_responsiveness) == (3, 3)
    assert r.consistency == near((0.9 + 0.8 + 0.4) / 3)  # 0.7
    assert r.responsiveness == near(1 - (0.5 + 0.6 + 0.1) / 3)  # 0.6
    assert r.responsiveness_near == near(0.5)
    assert r.responsiveness_far == near(0.65)
    assert r.rm == near(0.42)
    assert r.gap == near(0.3)
    # 0.9 and 0.8 beat all three flipped pairs, 0.4 beats only 0.1.
    assert r.auroc == near(7 / 9)
    assert r.mean_similarity == near(0.55)
    assert r.blind == near(0.55 * 0.45)
    assert r.flip_rate == 0.5
    assert r.consistency_bounds == near((0.7, 0.7))


def test_six_pairs_within_severity_by_hand() -> None:
    r = stratified(SIX)
    # Severity 1: C .85, R .4, AUROC 2/2; severity 3: C .4, R .7, AUROC 1/2 (.4 beats .1, loses to .5).
    assert r.consistency == near((0.85 + 0.4) / 2)
    assert r.responsiveness == near((0.4 + 0.7) / 2)
    assert r.rm == near((0.85 * 0.4 + 0.4 * 0.7) / 2)
    assert r.gap == near((0.25 + 0.1) / 2)
    assert r.auroc == near((2 + 1) / (2 + 2))
    assert r.auroc == auroc_within(SIX, ["severity"])
    assert r.responsiveness_near == near(0.5)
    assert r.responsiveness_far == near((0.4 + 0.9) / 2)
    s1, s3 = 2.3 / 3, 1.0 / 3
    assert r.mean_similarity == near((s1 + s3) / 2)
    assert r.blind == near((s1 * (1 - s1) + s3 * (1 - s3)) / 2)
    assert r.averaged_over == "severity"
    assert (r.averaged["consistency"], r.averaged["responsiveness_near"], r.averaged["rm"]) == (2, 1, 2)


def test_six_pairs_a_picture_at_a_time_by_hand() -> None:
    r = macro(SIX)
    # Picture a: C .9, R .5; picture b: C .6; picture c: R .65.
    assert r.consistency == near((0.9 + 0.6) / 2)
    assert r.responsiveness == near((0.5 + 0.65) / 2)
    assert r.rm == near(0.9 * 0.5)
    assert r.gap == near(0.4)
    assert r.auroc == 1.0
    assert (r.averaged["consistency"], r.averaged["rm"]) == (2, 1)


def test_six_pairs_by_severity_by_hand() -> None:
    each = {level: robustness(pairs) for level, pairs in SIX.groupby("severity")}
    assert list(each) == [1.0, 3.0]
    assert each[1.0].consistency == near(0.85)
    assert each[1.0].responsiveness_near is None
    assert each[3.0].responsiveness == near(0.7)
    assert (each[3.0].n, each[3.0].n_flipped) == (3, 2)


def auroc_within(pairs: pd.DataFrame, by: Sequence[str]) -> float | None:
    rows, _, _ = tally.read_pairs(pairs)
    stratum, strata = numbered(pairs, by)
    return assess.auroc_of(rows, stratum, np.zeros(len(strata), np.intp), 1)[0]


def test_auroc_within_by_hand() -> None:
    pairs = table(
        ("a", 1, "kept", 0.9), ("a", 1, "kept", 0.3), ("a", 1, "far", 0.3),  # 1 + 1/2 of 2
        ("b", 1, "kept", 0.2), ("b", 1, "far", 0.8), ("b", 1, "far", 0.1), ("b", 1, "near", 0.5),  # 1 of 3
        ("c", 2, "kept", 0.7), ("d", 2, "far", 0.6),  # alone in their picture; 1 of 1 within severity 2
    )  # fmt: skip
    assert auroc_within(pairs, ["image", "severity"]) == near(2.5 / 5)
    # Severity 1: .9 beats 4, .3 beats .1 and ties .3, .2 beats .1: 6.5 of 12.
    assert auroc_within(pairs, ["severity"]) == near(7.5 / 13)
    assert auroc_within(pairs[pairs.image == "c"], ["severity"]) is None


def test_degenerate_pairs_are_left_out_and_counted() -> None:
    pairs = table(
        ("a", 1, "kept", 0.8), ("a", 1, "kept", 0.6), ("b", 1, "kept", None), ("b", 1, "far", None),
        ("b", 1, "near", 0.2),
    )  # fmt: skip
    # A value in a degenerate pair is not a similarity either.
    pairs.loc[3, "similarity"] = 0.99
    r = robustness(pairs)
    assert (r.n, r.n_degenerate, r.n_flipped, r.n_near, r.n_consistency, r.n_responsiveness) == (
        5,
        2,
        2,
        1,
        2,
        1,
    )
    assert r.consistency == near(0.7)
    assert r.responsiveness == near(0.8)
    assert r.responsiveness_far is None
    assert r.mean_similarity == near(1.6 / 3)
    assert r.consistency_bounds == near((1.4 / 3, 2.4 / 3))


def test_an_undefined_similarity_counts_as_degenerate() -> None:
    pairs = SIX.copy()
    pairs.loc[0, "similarity"] = np.nan  # Pearson's r of a constant map, for instance
    r = robustness(pairs, replicates=0)
    assert (r.n, r.n_degenerate, r.n_consistency) == (6, 1, 2)
    assert r.consistency == near(0.6)
    assert r.auroc == near(4 / 6)


def test_near_says_nothing_without_a_flip() -> None:
    r = robustness(SIX.assign(near=True), replicates=0)
    assert (r.n_near, r.n_flipped) == (3, 3)
    assert r.responsiveness_far is None


def test_bounds_of_the_averages() -> None:
    pairs = table(("a", 1, "kept", 0.8), ("b", 1, "kept", None), ("a", 2, "kept", 0.4), ("b", 3, "far", 0.1))
    # Severity 1: .4 to .9; severity 2: .4; severity 3 has no unflipped pair.
    assert stratified(pairs).consistency_bounds == near((0.4, 0.65))
    # Picture a: .6; picture b: 0 to 1.
    assert macro(pairs).consistency_bounds == near((0.3, 0.8))


# --- not observed
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [robustness, stratified, macro])
def test_without_flips_r_is_not_observed(call: object) -> None:
    r = call(table(("a", 1, "kept", 0.9), ("b", 1, "kept", 0.7)))  # type: ignore[operator]
    assert r.consistency == near(0.8)
    for name in ("responsiveness", "responsiveness_near", "responsiveness_far", "rm", "gap", "auroc"):
        assert getattr(r, name) is None
        assert r.intervals[name] is None
    assert r.n_flipped == 0


@pytest.mark.parametrize("call", [robustness, stratified, macro])
def test_without_kept_pairs_c_is_not_observed(call: object) -> None:
    r = call(table(("a", 1, "far", 0.9), ("b", 1, "near", 0.7)))  # type: ignore[operator]
    assert r.responsiveness == near(0.2)
    assert (r.consistency, r.rm, r.gap, r.auroc, r.consistency_bounds) == (None,) * 5


@pytest.mark.parametrize("call", [robustness, stratified, macro])
def test_no_pairs_at_all(call: object) -> None:
    r = call(SIX.iloc[:0])  # type: ignore[operator]
    assert (r.n, r.n_pictures) == (0, 0)
    assert all(getattr(r, name) is None for name in tally.VALUES)
    assert r.flip_rate is None and r.consistency_bounds is None


def test_zero_is_observed() -> None:
    r = robustness(table(("a", 1, "kept", 0.0), ("a", 1, "far", 1.0)))
    assert (r.consistency, r.responsiveness, r.rm, r.gap, r.auroc) == (0.0, 0.0, 0.0, -1.0, 0.0)


# --- twins
# -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_values_equal_their_definitions(seed: int, n: int) -> None:
    pairs = random_pairs(seed, n)
    assert none_to_nan(robustness(pairs, replicates=0)) == near(twins.values_of(pairs), nan_ok=True)
    assert none_to_nan(stratified(pairs, replicates=0)) == near(twins.stratified_values_of(pairs), nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_equals_scikit_learn(seed: int) -> None:
    pairs = random_pairs(seed, 200)
    seen = pairs[~pairs.degenerate]
    expected = roc_auc_score(~seen.flipped, seen.similarity)
    assert robustness(pairs, replicates=0).auroc == near(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_values_lie_in_their_ranges_and_ignore_row_order(seed: int, n: int) -> None:
    pairs = random_pairs(seed, n)
    result = robustness(pairs, replicates=0)
    for name, value in none_to_nan(result).items():
        assert math.isnan(value) or (-1 if name == "gap" else 0) <= value <= 1
    low, high = result.consistency_bounds or (0, 0)
    if result.consistency is not None:
        assert low - 1e-12 <= result.consistency <= high + 1e-12
    shuffled = robustness(pairs.sample(frac=1, random_state=0), replicates=0)
    assert none_to_nan(shuffled) == near(none_to_nan(result), nan_ok=True)
    assert (shuffled.n_near, shuffled.warnings) == (result.n_near, result.warnings)


@pytest.mark.parametrize("over", ["", "severity", "image"])
def test_groups_at_once_are_groups_one_by_one(over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = random_pairs(3, n=400, pictures=12)
    rows, names, _ = tally.read_pairs(pairs)
    group = np.arange(len(pairs)) % 7
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(assess, "THREADS", threads)
        found.append(assess.assess(rows, names, group, 7, "image", 200, 0, over))
    assert found[0] == found[1]
    assert any(each.intervals["consistency"] for each in found[0])
    for g in range(7):  # and each is what it is alone
        (alone,) = assess.assess(
            *tally.read_pairs(pairs[group == g])[:2],
            np.zeros((group == g).sum(), int),
            1,
            "image",
            200,
            0,
            over,
        )
        assert alone.intervals == found[0][g].intervals


def test_a_map_that_ignores_flips_has_the_blind_value() -> None:
    # The same similarities with and without a flip: RM is the blind value, the gap 0, the AUROC one half.
    values = [0.2, 0.5, 0.9]
    pairs = table(*[("a", 1, kind, v) for kind in ("kept", "far") for v in values])
    r = robustness(pairs)
    assert r.rm == near(r.blind)
    assert r.gap == near(0)
    assert r.auroc == 0.5


# --- warnings and bad tables
# -------------------------------------------------------------------------------------


def test_a_picture_with_over_a_quarter_of_the_flips_is_named() -> None:
    def flips(*counts: int) -> tuple[str, ...]:
        rows = [(f"p{i}", 1, "far", 0.5) for i, count in enumerate(counts) for _ in range(count)]
        return robustness(table(*rows), replicates=0).warnings

    assert flips(2, 2, 2, 2) == ()
    (warning,) = flips(3, 2, 2, 2)
    assert "p0 supplies 3 of the 9 flips" in warning
    # A single picture supplies all flips by design (Explore).
    assert flips(9) == ()


def test_few_pairs_are_named() -> None:
    rows = [(f"p{i}", 1, "far", 0.5) for i in range(5)]
    assert robustness(table(*rows, ("p0", 1, "kept", 0.5)), replicates=0).warnings == (
        "C rests on 1 pair without a flip: too few for an interval.",
    )
    rows = [(f"p{i}", 1, "kept", 0.5) for i in range(5)]
    few = robustness(table(*rows, ("p0", 1, "far", 0.5), ("p1", 1, "far", 0.5)), replicates=0).warnings
    assert few[-1] == "R rests on 2 pairs with a flip: too few for an interval."


def test_bad_tables() -> None:
    with pytest.raises(BadSetting, match="lacks the column 'near'"):
        robustness(SIX.drop(columns="near"))
    with pytest.raises(BadSetting, match="unit_scale"):
        robustness(SIX.assign(similarity=-0.2))
    with pytest.raises(BadSetting, match="by 'image' or by 'row'"):
        robustness(SIX, unit="pixel")
    with pytest.raises(BadSetting, match="name of its picture"):
        robustness(SIX.assign(image=None))


def test_missing_flags_and_similarities_as_stored_tables_hold_them() -> None:
    pairs = SIX.astype({"near": object, "similarity": object})
    pairs.loc[~pairs.flipped, "near"] = None
    pairs.loc[5, ["degenerate", "similarity"]] = True, None
    result = robustness(pairs, replicates=0)
    expected = SIX.copy()
    expected.loc[5, "degenerate"] = True
    assert asdict(result) == asdict(robustness(expected, replicates=0))


# --- the same pictures
# -------------------------------------------------------------------------------------------


def test_same_pictures_by_hand() -> None:
    pairs = table(
        ("a", 1, "kept", 0.9), ("a", 1, "far", 0.2), ("a", 2, "far", 0.1),
        ("b", 1, "kept", 0.8), ("b", 2, "kept", 0.7), ("b", 2, "far", None),
        ("c", 1, "kept", None), ("c", 2, "kept", 0.6),
    )  # fmt: skip
    # Only picture a at severity 1 has both outcomes with a similarity.
    assert same_pictures(pairs).index.tolist() == [0, 1]
    # Only picture b is kept, with a similarity, at both severities.
    assert same_pictures(pairs, across="severities").index.tolist() == [3, 4, 5]
    assert same_pictures(pairs.iloc[:0]).empty
    with pytest.raises(BadSetting, match="'outcomes' or 'severities'"):
        same_pictures(pairs, across="models")
