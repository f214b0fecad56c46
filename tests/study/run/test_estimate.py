from __future__ import annotations

import dataclasses

import pytest

from camlab.common.errors import Cancelled, UnknownName
from camlab.study import StudyPlan, estimate
from camlab.study.store import Study


def test_an_estimate_counts_what_a_run_makes(study: Study, plan: StudyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimate(plan, workers=2, device="cpu")
    assert found.pairs == study.count() and found.pictures == 6 and found.workers == 2
    assert {model: pairs for model, (pairs, _) in found.by_model.items()} == dict.fromkeys(plan.models, 264)
    assert found.seconds > 0 and not found.skipped
    monkeypatch.setattr("camlab.study.run.estimate._calibrate", lambda *_: (0.1, 0.1))  # the bytes need no time
    assert estimate(dataclasses.replace(plan, keep_maps=True), device="cpu").bytes > found.bytes


def test_more_pictures_take_longer(plan: StudyPlan) -> None:
    light = dataclasses.replace(plan, models=("shapes_vgg",), methods=("gradcam",), decompose=False)
    one, many = (estimate(dataclasses.replace(light, limit=n), 1, "cpu").seconds for n in (3, 300))
    assert many > 2 * one


def test_methods_that_cannot_be_used_are_left_out_with_the_reason(plan: StudyPlan) -> None:
    wrong = dataclasses.replace(plan, models=("shapes_vit",), layers=("before", "stem_conv"))
    with pytest.raises(UnknownName):
        estimate(wrong, device="cpu")
    first = dataclasses.replace(plan, models=("shapes_vgg",), methods=("gradcam", "fullgrad"), decompose=False)
    found = estimate(first, device="cpu")
    assert found.pairs + sum(66 // 2 for _ in found.skipped) == 3 * 11 * 2 * 2


def test_it_can_be_cancelled(plan: StudyPlan) -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        estimate(plan, device="cpu", check=check)
