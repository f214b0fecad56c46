"""What cannot be tested says so and why, and nothing warns."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camlab.common.errors import BadSetting, UnknownName
from camlab.study.stats import TESTS, TestResult, power_note, read_cells, record, run_tests, verdict
from camlab.study.stats.blocks import RESPONSES
from tests.material import known
from tests.study.stats.frames import study


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def one(rows: pd.DataFrame, test: str, **more: Any) -> TestResult:
    found = run_tests(rows, by=[], tests=[test], replicates=20, **more)
    return found[0]


FRAMES = {
    "nothing": study(pictures=3).iloc[:0],
    "one picture": study(pictures=1),
    "three pictures": study(pictures=3),
    "one method": study(methods=["gradcam"]),
    "two methods": study(methods=["gradcam", "layercam"]),
    "one severity": study(severities=(3.0,)),
    "all equal": study().assign(similarity=0.5, degenerate=False),
    "all zero": study().assign(similarity=0.0, degenerate=False),
    "all degenerate": study(degenerate=1.1),
    "no flips": study().assign(flipped=False),
    "all flips": study().assign(flipped=True),
    "two values": study(decimals=0, noises=("fog", "pgd"), sets=("a", "b")),
    "one method broken": (lambda r: r.assign(similarity=r["similarity"].where(r["method"] != "eigencam")))(study()),
}


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("frame", FRAMES)
def test_whatever_the_rows_every_test_answers(frame: str, response: str) -> None:
    rows = FRAMES[frame]
    results = run_tests(rows, response=response, replicates=20)
    assert len(results) >= len(TESTS) or frame == "nothing"
    for result in results:
        assert result.sentence
        assert result.done == (result.p is not None) == (result.effect is not None)
        if result.reason:
            assert result.sentence.endswith(f"his cannot be tested: {result.reason}")
            assert result.reason.endswith(".")
        else:
            assert 0 <= known(result.p) <= 1 and result.assumptions
    json.dumps(record(results), allow_nan=False)
    if len(rows):
        json.dumps(record(verdict(rows, response=response, replicates=20)), allow_nan=False)
        json.dumps(record(power_note(rows, response)), allow_nan=False)


@pytest.mark.parametrize(
    ("frame", "test", "why"),
    [
        (
            "three pictures",
            "methods_friedman",
            "only 3 pictures can be compared, and a test needs at least 5.",
        ),
        ("one picture", "methods_wilcoxon", "only 1 picture can be compared, and a test needs at least 5."),
        (
            "one method",
            "methods_friedman",
            "only 1 method (gradcam) can be compared, and this test needs 3 or more.",
        ),
        (
            "one method",
            "methods_wilcoxon",
            "only 1 method (gradcam) can be compared, and this test needs 2 or more.",
        ),
        (
            "two methods",
            "methods_friedman",
            "only 2 methods (gradcam, layercam) can be compared, and this test needs 3 or more; compare the two by "
            "Wilcoxon's test.",
        ),
        ("all equal", "methods_friedman", "the methods tie in every picture."),
        ("all equal", "methods_wilcoxon", "the methods have the same value in every picture."),
        ("all equal", "kept_flipped", "all pictures have the same similarity, kept or flipped."),
        ("all equal", "severity_page", "the severities tie in every picture."),
        ("no flips", "kept_flipped", "no picture has a flipped pair."),
        ("all flips", "kept_flipped", "no picture has a kept pair."),
        ("all flips", "methods_friedman", "no method can be compared, and this test needs 3 or more."),
        ("all degenerate", "noises_kruskal", "no noise type can be compared, and this test needs 2 or more."),
        (
            "one severity",
            "severity_page",
            "only 1 severity (3.0) can be compared, and this test needs 3 or more.",
        ),
    ],
)
def test_the_reason_is_said(frame: str, test: str, why: str) -> None:
    result = one(FRAMES[frame], test)
    assert (result.reason, result.done, result.differs) == (why, False, False)


def test_all_ties_between_groups() -> None:
    rows = study(noises=("fog", "pgd")).assign(similarity=0.5, degenerate=False)
    assert one(rows, "noises_kruskal").reason == "all pictures have the same value in every group."


def test_too_few_pictures_on_one_side() -> None:
    rows = study(pictures=12).assign(flipped=lambda r: r["image"].isin(["p00000", "p00001"]))
    why = "only 2 pictures with a flipped pair, and a test needs at least 5."
    assert one(rows, "kept_flipped").reason == why


def test_a_method_that_never_has_a_map_is_left_out_and_named() -> None:
    result = one(FRAMES["one method broken"], "methods_friedman")
    assert result.levels == ("gradcam", "layercam", "randomcam")
    assert result.left_out[0] == "Left out, since no pair of it counts: eigencam."


def test_a_pair_of_equal_methods_does_not_count_in_the_family() -> None:
    rows = study(methods=["a", "b", "c"], degenerate=0)
    rows.loc[rows["method"] == "b", "similarity"] = rows.loc[rows["method"] == "a", "similarity"].to_numpy()
    result = one(rows, "methods_wilcoxon")
    equal, others = result.pairs[0], result.pairs[1:]
    assert (equal.p, equal.p_adjusted, equal.effect, equal.differ) == (None, None, None, False)
    assert equal.note == "all differences are zero"
    assert [pair.p_adjusted for pair in others] == pytest.approx([min(1, 2 * known(pair.p)) for pair in others])


def test_a_small_group_of_pictures_is_left_out_of_kruskal() -> None:
    rows = study(pictures=8, sets=("a", "b", "c"))
    rows = rows[~((rows["image_set"] == "c") & (rows["image"].astype(str) > "p00003"))]
    result = one(rows.astype({"image_set": str, "image": str}), "sets_kruskal")
    assert result.levels == ("a", "b")
    assert "Left out, since fewer than 5 pictures have a pair that counts: c (4)." in result.left_out


def test_wrong_settings_are_told() -> None:
    rows = study(pictures=5)
    with pytest.raises(BadSetting, match="cannot be grouped by 'colour'; choose from: model,"):
        run_tests(rows, by=["colour"])
    with pytest.raises(UnknownName, match="response called 'keep'; did you mean 'kept'"):
        run_tests(rows, response="keep")
    with pytest.raises(UnknownName, match="statistical test called 'page'"):
        run_tests(rows, tests=["page"])
    with pytest.raises(BadSetting, match=r"between 0 and 0\.5, not 1"):
        run_tests(rows, alpha=1)
    with pytest.raises(BadSetting, match="lack the column 'method'"):
        run_tests(rows.drop(columns="method"))
    with pytest.raises(BadSetting, match="occur in the rows more than once"):
        run_tests(pd.concat([rows, rows.iloc[:1]]))
    with pytest.raises(BadSetting, match="similarities in"):
        run_tests(rows.assign(similarity=-0.5, degenerate=False))
    with pytest.raises(BadSetting, match="Every pair needs a value in the column 'noise'"):
        run_tests(rows.assign(noise=None))
    with pytest.raises(BadSetting, match="no noise 'rain'; choose one that it has"):
        verdict(rows, noise="rain")
    with pytest.raises(BadSetting, match="several models; say which model"):
        verdict(study(models=("x", "y"), pictures=5))


def test_missing_ids_are_one_level() -> None:
    rows = study(pictures=6)
    plain = rows.drop(columns=["model", "layer", "image_set", "noise", "tied", "rbo", "other_floor"])
    a, b = one(rows, "methods_friedman"), one(plain, "methods_friedman")
    assert (a.statistic, a.p) == (b.statistic, b.p)
    assert np.isnan(read_cells(plain).floor).all()
