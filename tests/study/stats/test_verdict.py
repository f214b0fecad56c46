"""Which CAM to trust: who is at the top, and what has to be said beside it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from camlab.study.stats import Verdict, fewest_pictures, verdict
from tests.study.stats import twins
from tests.study.stats.frames import study


def judged(rows: pd.DataFrame, **more: Any) -> Verdict:
    return verdict(rows, "net", "gaussian_noise", replicates=200, **more)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step", [0.0, 0.005, 0.05])
def test_the_top_by_a_slow_twin(seed: int, step: float) -> None:
    rows = study(seed, pictures=14, step=step)
    found = judged(rows)
    levels, table = twins.block_table(rows, "method", "kept")
    values = list(table.values())
    pairs = list(itertools.combinations(range(len(levels)), 2))
    differences = [[round(row[i] - row[j], 12) for row in values] for i, j in pairs]
    p = twins.holm([twins.wilcoxon_p(d) for d in differences])
    beats = set()
    for (i, j), d, each in zip(pairs, differences, p, strict=True):
        if each <= 0.05:
            beats.add((levels[i], levels[j]) if twins.rank_biserial(d)[0] > 0 else (levels[j], levels[i]))
    methods = [level for level in levels if level != "randomcam"]
    top = {m for m in methods if not any((other, m) in beats for other in methods)}
    ranks = {
        m: np.mean([twins.mean_ranks([row[levels.index(x)] for x in methods])[methods.index(m)] for row in values])
        for m in methods
    }
    assert found.n == len(values)
    assert set(found.top) == top
    assert list(found.top) == sorted(found.top, key=lambda m: ranks[m])
    assert found.indistinguishable == (len(top) == len(methods))
    floors = twins.holm(
        [stats.wilcoxon([row[levels.index(m)] - 0.2 for row in values], alternative="greater").pvalue for m in methods]
    )
    for one in found.candidates:
        assert one.rank == pytest.approx(ranks[one.method])
        assert set(one.beaten_by) == {other for other in methods if (other, one.method) in beats}
        assert one.above_random == ((one.method, "randomcam") in beats)
        assert one.above_floor == (floors[methods.index(one.method)] <= 0.05)
    # No two at the top are shown to differ.
    assert not any((a, b) in beats for a in top for b in top)


def test_indistinguishable_is_said() -> None:
    found = judged(study(1, pictures=14, step=0, methods=["gradcam", "layercam"]))
    assert found.indistinguishable
    assert "the 2 methods are statistically indistinguishable (" in found.sentence
    assert found.cautions[0].startswith("The rows have no randomcam")


def test_methods_no_better_than_chance_are_not_trusted() -> None:
    found = judged(study(1, pictures=14, step=0))
    assert found.indistinguishable and not found.trusted
    assert found.sentence.endswith(
        "but none is shown to be better than chance, so there is no evidence to trust any of them."
    )
    assert "not shown to be above randomcam, a random map." in " ".join(found.cautions)


def test_the_floor_of_other_pictures_is_minded() -> None:
    rows = study(1, pictures=14, step=0.1)
    assert judged(rows).trusted == ("gradcam",)
    high = judged(rows.assign(other_floor=0.95))
    assert (high.top, high.trusted) == (("gradcam",), ())
    assert "gradcam: not shown to be above the floor of other pictures' maps." in high.cautions
    # A floor of RBO says nothing about another similarity.
    assert judged(rows.assign(other_floor=0.95, rbo=0.1)).candidates[0].above_floor is None


def test_a_map_that_never_moves_is_told() -> None:
    rows = study(2, pictures=14, step=0.05)
    still = rows["method"] == "gradcam"
    rows["similarity"] = np.where(still, 0.99 + np.arange(len(rows)) % 7 / 1000, rows["similarity"])
    rows["degenerate"] &= ~still
    found = judged(rows)
    assert found.top == ("gradcam",)
    assert found.candidates[0].still
    assert found.cautions == (
        "gradcam: within a severity, the map is not shown to change more where the prediction flips; a map that "
        "never moves would score just as well.",
    )
    assert judged(study(2, pictures=14, step=0.05)).candidates[0].still is False


def test_a_study_without_flips_says_that_it_did_not_see_any() -> None:
    found = judged(study(pictures=14).assign(flipped=False))
    assert "gradcam: no severity has both kept and flipped pairs" in found.cautions[0]
    assert (found.candidates[0].gap, found.candidates[0].still) == (None, None)


def test_responsiveness_alone_is_not_enough() -> None:
    found = judged(study(pictures=30, seeds=4), response="flipped")
    # The least steady of the three moves most; a random map, which is not judged, would move more still.
    assert found.top == ("eigencam",)
    assert found.candidates[0].above_random is False
    assert found.cautions == (
        "Responsiveness alone misleads: a random map moves most when the prediction flips. Read the verdict "
        "on consistency too.",
    )


def test_merged_methods_are_one_candidate() -> None:
    rows = study(pictures=14, methods=["gradcam = hirescam", "layercam", "randomcam"])
    assert {each.method for each in judged(rows).candidates} == {"gradcam = hirescam", "layercam"}


def test_one_method_makes_no_verdict() -> None:
    found = judged(study(pictures=14, methods=["gradcam", "randomcam"]))
    assert found.reason == "only 1 method (gradcam) can be compared, and this test needs 2 or more."
    assert found.sentence == f"There is no verdict: {found.reason}"
    assert judged(study(pictures=3)).reason.startswith("only 3 pictures")


def test_where_the_verdict_holds() -> None:
    rows = study(pictures=8, models=("net", "other"), sets=("art", "photos"), noises=("fog", "jpeg"))
    found = verdict(rows, "net", layer="last", image_set="art", replicates=0)
    assert found.group == {"model": "net", "layer": "last", "image_set": "art"}
    assert found.sentence.startswith("For net at layer last on art, over 8 pictures gradcam keeps")


def test_too_few_pictures_for_so_many_methods_make_no_verdict() -> None:
    """Eight pictures one way have p = 2⁻⁷, which times 28 pairs is above .05."""
    methods = [f"m{i}" for i in range(7)]
    rows = study(pictures=8, methods=[*methods, "randomcam"], step=0.1, severities=(1.0,), degenerate=0)
    found = judged(rows.assign(flipped=False))
    why = (
        "8 pictures cannot decide between 28 pairs of methods, however large the difference (Wilcoxon, Holm); a "
        "verdict needs at least 11."
    )
    assert (found.reason, found.top) == (why, ())
    assert fewest_pictures(8) == 11


@pytest.mark.parametrize("methods", [2, 3, 5])
def test_a_verdict_takes_just_so_many_pictures(methods: int) -> None:
    fewest = fewest_pictures(methods)
    for pictures, possible in ((fewest - 1, False), (fewest, True)):
        names = [f"m{i}" for i in range(methods)]
        rows = study(pictures=pictures, methods=names, step=0.1, severities=(1.0,), degenerate=0)
        found = judged(rows.assign(flipped=False))
        assert (found.reason == "") is possible, (pictures, found.reason)
