"""Every lesson: its words, its run on the real engine, and that its question's answer is what was measured."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from camlab.cams import CAMS
from camlab.common.errors import BadSetting
from camlab.engine.spec import CLEAN
from camlab.lessons import LESSONS
from camlab.lessons.attack import Fooling
from camlab.lessons.cam import STRONGEST, Channels, correlation
from camlab.lessons.handout import handout
from camlab.lessons.measure import Measuring, agreements, rbo_by_depth
from camlab.lessons.methods import SAME, Identities, LayerIdentities
from camlab.lessons.noise import OPTIONS, TRIED, Breaking, BreakingPoints
from camlab.lessons.sanity import Sanity, randomise, units
from camlab.lessons.settings import PAIRS
from camlab.metrics import breaks_at, flips_at, random_ranking_floor, rbo
from camlab.metrics.ranking import average_ranks
from camlab.models.classifier import Classifier
from tests.lessons.material import finished, quick, setting
from tests.material import known

QUICK = ("cam", "methods")


def test_there_are_seven_lessons_of_three_to_five_minutes_with_sources() -> None:
    assert list(LESSONS) == ["cam", "methods", "noise", "measure", "attack", "sanity", "quiz"]
    for each in LESSONS.values():
        assert 3 <= each.minutes <= 5
        assert each.goals and each.steps and each.formulas and each.sources
        assert all(source.address.startswith("https://") for source in each.sources)


@pytest.mark.parametrize("name", LESSONS)
def test_a_sheet_has_pictures_observations_and_one_right_answer(name: str) -> None:
    run = finished(name, **quick(name))
    sheet = run.sheet()
    assert sheet.figures and sheet.observations
    assert all(figure.alt and figure.picture.std() > 0 for figure in sheet.figures)
    asked = sheet.question
    assert 0 <= asked.right < len(asked.options) == len(set(asked.options))
    assert asked.because
    page = handout(LESSONS[name], run.setting, sheet, "/learn?x=1", answers=False)
    assert "☑" not in page and asked.because not in page and 'src="http' not in page
    assert "☑" in handout(LESSONS[name], run.setting, sheet, "/learn?x=1")


@pytest.mark.parametrize("name", LESSONS)
def test_results_that_a_page_may_read_meanwhile_are_replaced_and_never_grown(name: str) -> None:
    begun, ended = (vars(run) for run in (LESSONS[name].begin(setting(name)), finished(name, **quick(name))))
    for attribute, value in begun.items():
        now = ended[attribute]
        pairs = zip(value.values(), now.values(), strict=True) if isinstance(value, dict) else [(value, now)]
        for before, after in pairs:
            if isinstance(before, list):
                assert len(before) == len(after), f"{attribute} grows while a page may read it"


def test_channels_add_up_to_grad_cam_and_switches_change_it() -> None:
    run = finished("cam")
    assert isinstance(run, Channels)
    scene = run.scene
    engine = run.setting.engine.explain(scene.input, "other", [CLEAN], ["gradcam"], scene.layer)[0]
    assert np.allclose(run.finished, engine.maps["gradcam"], atol=1e-5)
    only = run.built(range(1, STRONGEST + 1))
    first = run.terms[run.order[0]].clip(min=0)
    assert correlation(only, first) == pytest.approx(1.0)
    assert run.likeness(range(1, STRONGEST + 1)) < run.likeness(()) == pytest.approx(1.0)
    assert not run.built(range(STRONGEST + 1)).any()
    sums = np.cumsum(run.terms[run.order], axis=0).clip(min=0)
    assert correlation(sums[run.enough - 1], run.finished) >= 0.95
    assert run.enough == 1 or correlation(sums[run.enough - 2], run.finished) < 0.95
    assert run.share(range(STRONGEST + 1)) == pytest.approx(1.0)
    assert run.ladder[0][1:] == (128, 128) and run.ladder[-1][1:] == run.finished.shape


def test_identities_hold_where_algebra_says_so_and_nowhere_else() -> None:
    pooled, before = _levels("shapes_resnet")
    assert set(pooled.like("gradcam")) == {"gradcam", "xgradcam", "hirescam"}
    assert pooled.spread < 1e-5 < before.spread
    assert all(expected == pytest.approx(drop, abs=1e-4) for _, expected, drop in pooled.drops)
    assert before.like("gradcam") == ("gradcam",)
    for level in (pooled, before):
        for stated in level.stated:
            shown = [m for m in stated.methods if m in level.methods]
            assert all(set(shown) <= set(level.like(m)) for m in shown)
        gap = np.abs(level.maps["gradcam"] - level.maps["eigencam"]).max()
        i, j = level.methods.index("gradcam"), level.methods.index("eigencam")
        assert level.distance[i, j] == pytest.approx(gap) and gap > SAME
    asked = finished("methods", model="shapes_resnet").sheet().question
    assert asked.options[asked.right] == "HiResCAM"


def _levels(model: str) -> list[LayerIdentities]:
    run = finished("methods", model=model)
    assert isinstance(run, Identities)
    return run.levels


def test_no_identity_is_claimed_for_a_network_without_one() -> None:
    asked = finished("methods", model="shapes_vit").sheet().question
    assert asked.options[asked.right] == "None of these"


def test_landmarks_of_the_noises_are_those_of_their_rows() -> None:
    run = finished("noise")
    assert isinstance(run, Breaking)
    assert [f.noise for f in run.found] == list(TRIED)
    assert run.floors is not None
    for found in run.found:
        rows = [r for r in run.rows if r["noise"] == found.noise]
        steps = sorted({r["severity"] for r in rows})
        means = [np.mean([r["similarity"] for r in rows if r["severity"] == s]) for s in steps]
        flips = [np.mean([r["flipped"] for r in rows if r["severity"] == s]) for s in steps]
        assert found.breaks == breaks_at(steps, means, run.floors.other)
        assert found.flips == flips_at(steps, flips)
    low, high = OPTIONS[run.sheet().question.right]
    assert low <= sum(f.map_first for f in run.found) <= high
    assert run.job.done == run.job.total


def test_what_comes_first_in_words() -> None:
    assert "the map comes first" in BreakingPoints("fog", 1.0, None).sentence
    assert "the prediction comes first" in BreakingPoints("fog", 2.0, 1.5).sentence
    assert "neither comes first" in BreakingPoints("fog", None, None).sentence
    assert not BreakingPoints("fog", 2.0, 2.0).map_first


def test_sorting_pairs_changes_c_and_r_as_their_definitions_say() -> None:
    run = finished("measure")
    assert isinstance(run, Measuring)
    values = np.array([row["similarity"] for row in run.dozen])
    placed = "k" * 6 + "f" * 6
    scores = run.scores(placed)
    assert scores.consistency == pytest.approx(values[:6].mean())
    assert scores.responsiveness == pytest.approx(1 - values[6:].mean())
    assert scores.rm == pytest.approx(values[:6].mean() * (1 - values[6:].mean()))
    assert run.scores("k" * PAIRS).responsiveness is None
    assert len(run.measured()) == len(run.thumbnails) == PAIRS
    assert [r.argmin() for r in run.ranks()] == [np.argmax(values) for values in run.values]
    assert run.scores().n_flipped == run.measured().count("f") > 0
    asked, table = run.sheet().question, run.table()
    best = max(table, key=lambda name: table[name][0].responsiveness or 0)
    assert asked.options[asked.right] == CAMS[best].title


def test_the_attack_moves_the_map_and_keeps_picture_and_prediction() -> None:
    run = finished("attack", steps=5)
    assert isinstance(run, Fooling) and run.result is not None and run.floors is not None
    assert 0 < run.result.largest <= 4 / 255 + 1e-6
    similarity = run.result.similarities(run.scene.comparison)["rbo"]
    assert run.sheet().question.right == int(similarity < (run.floors.threshold or 0))
    assert run.job.done == run.job.total


def _classifier() -> Classifier:
    classifier = setting("sanity").engine.classifier
    assert isinstance(classifier, Classifier)
    return classifier


def test_randomising_leaves_the_shared_network_as_it_is_and_eigencam_does_not_notice() -> None:
    classifier = _classifier()
    before = copy.deepcopy(classifier.module.state_dict())
    run = finished("sanity")
    assert isinstance(run, Sanity)
    after = classifier.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(run.steps) == len(run.units) + 1
    assert run.unmoved(1) == ("eigencam",)
    asked = run.sheet().question
    assert asked.options[asked.right] == CAMS["eigencam"].title
    first, last = run.steps[1], run.steps[-1]
    assert known(first.values["gradcam"]) < 0.99 < known(run.steps[0].values["gradcam"])
    assert known(last.values["eigencam"]) < known(first.values["eigencam"])
    assert first.probability < run.steps[0].probability


def test_layers_are_made_random_by_seed_with_their_scale_kept() -> None:
    module = _classifier().module
    one, same, other = (copy.deepcopy(module) for _ in range(3))
    name = units(module)[0][1][0]
    for each, seed in ((one, 0), (same, 0), (other, 1)):
        randomise(each, name, seed)
    weight, again, another, trained = (
        next(p for p in m.get_submodule(name).parameters() if p.dim() > 1) for m in (one, same, other, module)
    )
    assert torch.equal(weight, again)
    assert not torch.equal(weight, another) and not torch.equal(weight, trained)
    assert float(weight.std()) == pytest.approx(float(trained.std()), rel=0.2)
    covered = {p for _, prefixes in units(module) for p in prefixes}
    for parameter, _ in module.named_parameters():
        assert any(parameter.startswith(f"{prefix}.") for prefix in covered), parameter


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_rbo_by_depth_adds_up_to_rbo_with_and_without_ties(p: float) -> None:
    draw = np.random.default_rng(3)
    for x, y in ((draw.random(30), draw.random(30)), (draw.integers(0, 5, 30), draw.integers(0, 5, 30))):
        built = rbo_by_depth(x.astype(float), y.astype(float), p)
        assert built.value == pytest.approx(float(rbo(x[None].astype(float), y[None].astype(float), p)[0]))
        assert built.weight.sum() == pytest.approx(1.0) == built.agreement[-1]
        assert built.floor == random_ranking_floor(30, p)
        assert float((built.chance * built.weight).sum()) == pytest.approx(built.floor)


def test_agreement_by_hand() -> None:
    x, y = np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0])  # abc / bac
    assert agreements(x, y).tolist() == [0.0, 1.0, 1.0]
    assert average_ranks(np.array([[1.0, 5.0, 5.0]]))[0].tolist() == [3.0, 1.5, 1.5]
    with pytest.raises(BadSetting):
        rbo_by_depth(x, y, 1.0)
