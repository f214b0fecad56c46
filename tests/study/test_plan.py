from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from camlab.cams import PAPER_SIX
from camlab.common.errors import BadSetting, BadSource, BadStudy, CamLabError, UnknownName
from camlab.models import MODELS
from camlab.noise import NOISES
from camlab.study import PRESETS, StudyPlan
from camlab.study.sources import (
    ROUND,
    check_plan,
    count_pairs,
    count_pictures,
    fits,
    open_sets,
    paired,
    spread,
    units_of,
)
from camlab.study.stats import fewest_pictures


def test_pairs_are_counted_as_nested_loops_count_them(plan: StudyPlan) -> None:
    count = 0
    for _model in plan.models:
        for _picture in range(3):
            for noise in plan.noises:
                for severity in plan.severities:
                    if noise == "saturate" and severity == 2.5:
                        continue  # has levels only
                    for _seed in range(2 if NOISES[noise].stochastic else 1):
                        count += len(plan.methods) * len(plan.layers)
    assert count_pairs(plan) == count == 2 * 3 * 11 * 8
    assert len(plan.specs()) == len(set(plan.specs())) == plan.versions() == 11


def test_a_plan_survives_json(plan: StudyPlan) -> None:
    assert StudyPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("data", [{}, {"models": 3}, {"models": ["a"], "severities": "x"}])
def test_what_is_no_plan_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadStudy):
        StudyPlan.from_json(data)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"models": ()}, BadSetting),
        ({"models": ("shapes_resent",)}, UnknownName),
        ({"models": ("shapes_vgg", "shapes_vgg")}, BadSetting),
        ({"methods": ("gradcamm",)}, UnknownName),
        ({"noises": ("fogg",)}, UnknownName),
        ({"noises": ("captured",)}, BadSetting),
        ({"image_sets": ("nowhere",)}, UnknownName),
        ({"image_sets": ("cifar10",)}, BadSource),
        ({"severities": (0.0,)}, BadSetting),
        ({"severities": (5.5,)}, BadSetting),
        ({"severities": (float("nan"),)}, BadSetting),
        ({"severities": (2.5,)}, BadSetting),  # saturate has the whole levels only
        ({"seeds": 0}, BadSetting),
        ({"seeds": 100_000}, BadSetting),
        ({"limit": 0}, BadSetting),
        ({"layers": ()}, BadSetting),
        ({"pairing": "some"}, BadSetting),
        ({"pairing": "fitting", "image_sets": ("photos",)}, BadSetting),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is(
    plan: StudyPlan, change: dict[str, Any], error: type[CamLabError]
) -> None:
    check_plan(plan)
    with pytest.raises(error) as said:
        check_plan(dataclasses.replace(plan, **change))
    assert str(said.value)[-1] in ".?" and "\n" not in str(said.value)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_can_be_run(name: str) -> None:
    plan = PRESETS[name].make()
    check_plan(plan)
    assert count_pairs(plan) > 0 and plan.name


def test_the_paper_preset_is_what_it_says() -> None:
    plan = PRESETS["paper"].make()
    assert plan.methods == (*PAPER_SIX, "randomcam")
    assert plan.layers == ("before", "default")
    assert plan.models == tuple(MODELS)
    assert plan.noises == tuple(name for name, kind in NOISES.items() if not kind.needs)
    assert (len(plan.noises), plan.severities, plan.seeds) == (17, (1, 2, 3, 4, 5), 3)
    # 3 models × 140 pictures, 3 models × 60 scenes, 175 versions, 7 methods, 2 layers.
    assert count_pictures(plan) == {m: 140 if m.startswith("efficientnet") else 60 for m in plan.models}
    assert count_pairs(plan) == (3 * 140 + 3 * 60) * 175 * 14


def test_the_quick_look_has_pictures_enough_for_a_verdict() -> None:
    plan = PRESETS["quick"].make()
    assert min(count_pictures(plan).values()) >= fewest_pictures(len(plan.methods))


def test_shapes_and_photographs_are_kept_apart_unless_asked_for() -> None:
    plan = PRESETS["paper"].make()
    pairs = paired(plan, open_sets(plan))
    assert all(fits(model, label) for model, label in pairs)
    assert ("shapes_vgg", "shapes") in pairs and ("efficientnet_lite1", "places") in pairs
    every = dataclasses.replace(plan, pairing="all")
    assert len(paired(every, open_sets(every))) == 6 * 5


def test_the_first_units_are_a_fair_part() -> None:
    plan = dataclasses.replace(PRESETS["paper"].make(), limit=5)
    sets = open_sets(plan)
    units = units_of(plan, sets)
    pairs = paired(plan, sets)
    assert [(unit.model, unit.image_set) for unit in units[: len(pairs)]] == pairs
    assert [unit.number for unit in units] == list(range(len(units)))
    assert len({(unit.model, unit.image) for unit in units}) == len(units) == len(pairs) * 5


def test_large_models_stay_for_a_round(plan: StudyPlan) -> None:
    plan = dataclasses.replace(plan, models=("timm/resnet50.a1_in1k", "timm/resnet18.a1_in1k"), limit=20)
    units = units_of(plan, open_sets(plan))
    assert [unit.model for unit in units[: 2 * ROUND]] == [plan.models[0]] * ROUND + [plan.models[1]] * ROUND


@pytest.mark.parametrize("count", [1, 2, 5, 16, 37])
def test_any_first_pictures_are_spread_over_the_set(count: int) -> None:
    order = spread(count)
    assert sorted(order) == list(range(count))
    for some in range(2, count):
        gaps = [b - a for a, b in pairwise(sorted(order[:some]))]
        assert max(gaps) <= -(-2 * count // some) + 1


def test_scenes_are_those_that_no_network_was_trained_on(plan: StudyPlan) -> None:
    source = open_sets(dataclasses.replace(plan, limit=300))["shapes"]
    assert source.count == 300 and all(image.startswith("shapes/0-") for _, image in source.pictures)


@pytest.mark.parametrize("given", ["..", "inside/../../outside", "outside", "/", "{outside}"])
def test_a_confined_plan_opens_no_folder_outside_the_allowed_ones(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / name / "a.png")
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path / "inside"))
    monkeypatch.chdir(tmp_path)
    plan = dataclasses.replace(PRESETS["quick"].make(), confined=True)
    with pytest.raises(BadSource):
        open_sets(dataclasses.replace(plan, image_sets=(given.format(outside=tmp_path / "outside"),)))
    inside = open_sets(dataclasses.replace(plan, image_sets=(str(tmp_path / "inside"),)))
    assert [source.count for source in inside.values()] == [1]
