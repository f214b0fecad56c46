"""The explanation attack: what it promises, measured again from outside; small classifiers and one real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.cams import CAMS, SharedPass, cam_method, shared_pass
from camlab.common.errors import BadSetting, UnknownName
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN, Explained
from camlab.explore.attack.prepare import corner_map
from camlab.explore.attack.search import (
    Attack,
    AttackResult,
    ExplanationAttack,
    attackable,
    correlation,
    differentiable_pass,
)
from camlab.explore.attack.settings import CORNERS
from camlab.images import Picture
from camlab.metrics import Comparison, similarity
from camlab.models.classifier import Classifier
from tests.cams.stub import Stub, pooled_stub, random_pictures, signed_stub

PICTURE = (random_pictures(1, seed=3)[0] * 255).round() / 255
METHODS = [name for name in CAMS if attackable(name) is None]
#: Their weights are numbers from outside torch: the attack takes them as they are and goes by the activations.
FIXED_WEIGHTS = ("cfcam",)


def run(attack: ExplanationAttack) -> AttackResult:
    for _ in range(attack.attack.steps + 2):
        attack.job.step()
    assert attack.job.finished and attack.job.error is None
    assert attack.result is not None
    return attack.result


def on(stub: Stub, clean: Tensor = PICTURE, **settings: Any) -> ExplanationAttack:
    chosen = Attack(**{"epsilon": 16 / 255, "steps": 12, **settings})
    return ExplanationAttack(Engine(stub, queue=DeviceQueue()), clean, "x", chosen)


def explained(stub: Stub, picture: np.ndarray, method: str, target: int) -> Explained:
    """What an engine says, which knows nothing of attacks."""
    tensor = torch.from_numpy(picture)
    return Engine(stub, queue=DeviceQueue()).explain(tensor, "y", [CLEAN], [method], "cut", target)[0]


# the pass that can be differentiated


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [signed_stub, pooled_stub])
def test_the_differentiable_pass_has_the_values_of_the_shared_pass(method: str, make: Callable[[], Stub]) -> None:
    stub = make()
    plain = shared_pass(stub, "cut", PICTURE[None], [2], ["x"])
    leaf = PICTURE[None].clone().requires_grad_()
    ours = differentiable_pass(stub, "cut", leaf, 2)
    assert torch.equal(ours.logits.detach(), plain.logits) and torch.equal(ours.targets, plain.targets)
    made = CAMS[method].apply(ours)
    assert torch.allclose(made.detach(), CAMS[method].apply(plain), atol=1e-6)
    assert made.requires_grad


@pytest.mark.parametrize("method", [name for name in METHODS if name not in FIXED_WEIGHTS])
def test_the_gradient_of_a_map_is_that_of_small_differences(method: str) -> None:
    """In float64, through a tail whose gradients change with the picture: second derivatives are needed."""
    stub = signed_stub()
    stub.split.double()
    draw = torch.rand(6, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))

    def value(picture: Tensor) -> Tensor:
        return (CAMS[method].apply(differentiable_pass(stub, "cut", picture, 1)) * draw).sum()

    leaf = PICTURE[None].double().requires_grad_()
    (slope,) = torch.autograd.grad(value(leaf), leaf)
    for seed in range(3):
        way = torch.randn(leaf.shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
        step = 1e-6 * way
        ahead, behind = (float(value((leaf.detach() + d).requires_grad_()).detach()) for d in (step, -step))
        assert (ahead - behind) / 2e-6 == pytest.approx(float((slope * way).sum()), rel=1e-3, abs=1e-6)


def test_correlation_is_pearsons() -> None:
    a, b = torch.rand(2, 5, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    assert float(correlation(a, b)) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-12)
    assert float(correlation(a, 3 - 2 * a)) == pytest.approx(-1)
    flat = torch.ones(5, 4, dtype=torch.double, requires_grad=True)
    (slope,) = torch.autograd.grad(correlation(flat, b), flat)
    assert float(correlation(flat, b).detach()) == 0 and slope.isfinite().all()


# what it promises


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [2 / 255, 16 / 255])
def test_every_promise_holds_when_measured_from_outside(method: str, epsilon: float) -> None:
    stub = signed_stub()
    found = run(on(stub, method=method, epsilon=epsilon, slack=0.05))
    change = np.abs(found.picture - PICTURE.numpy())
    assert found.largest == change.max() <= epsilon + 2**-24
    assert found.picture.min() >= 0 and found.picture.max() <= 1
    assert np.abs(found.picture * 255 - np.round(found.picture * 255)).max() < 1e-4, "whole grey levels"
    before, after = (explained(stub, p, method, found.index) for p in (PICTURE.numpy(), found.picture))
    assert before.index == after.index == found.index
    assert found.probability_before == pytest.approx(before.probability, abs=1e-6)
    assert found.probability_after == pytest.approx(after.probability, abs=1e-6)
    assert found.probability_after >= found.probability_before - 0.05 - 1e-6
    assert np.allclose(found.before, before.maps[method], atol=1e-5)
    assert np.allclose(found.after, after.maps[method], atol=1e-5)
    assert found.kept == pytest.approx(np.corrcoef(found.before.ravel(), found.after.ravel())[0, 1], abs=1e-6)
    assert found.reached is None and found.kept < 1


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "eigencam"])
def test_it_goes_further_than_chance(method: str) -> None:
    """Than noise of the same size; methods that divide by what may be zero jump under either."""
    stub = signed_stub()
    found = run(on(stub, method=method))
    draw = np.random.default_rng(0)
    likeness = []
    for _ in range(12):
        noise = draw.choice([-1, 1], PICTURE.shape).astype(np.float32) * 16 / 255
        noisy = (PICTURE.numpy() + noise).clip(0, 1)
        map_ = explained(stub, noisy, method, found.index).maps[method]
        likeness.append(np.corrcoef(map_.ravel(), found.before.ravel())[0, 1])
    assert found.kept < np.median(likeness) - 0.03


def test_the_result_only_gets_better_and_starts_with_the_clean_picture() -> None:
    attack = on(signed_stub(), steps=8)
    nothing = attack.result
    assert nothing is None and attack.job.total == 8
    attack.job.step()
    first = attack.result
    assert first is not None and np.array_equal(first.picture, PICTURE.numpy())
    assert first.kept == pytest.approx(1) and (first.step, first.largest) == (0, 0)
    assert first.probability_after == first.probability_before
    last = first
    for step in range(1, 9):
        attack.job.step()
        now = attack.result
        assert now is not None and now.kept <= last.kept and (now is last or now.step == step)
        assert attack.job.done == step
        last = now
    assert last.kept < 0.9


def test_cancelled_it_keeps_the_best_so_far() -> None:
    attack = on(signed_stub())
    for _ in range(6):
        attack.job.step()
    best = attack.result
    attack.job.cancel()
    attack.job.step()
    assert attack.job.cancelled and attack.job.error is None
    assert attack.result is best and best is not None and best.step > 0
    assert not attack.engine.queue._busy


def test_a_tight_slack_holds_the_probability() -> None:
    for slack in (0.0, 0.01):
        found = run(on(signed_stub(), slack=slack, steps=20))
        assert found.probability_after >= found.probability_before - slack
        assert found.step > 0


@pytest.mark.parametrize("corner", CORNERS)
def test_a_map_can_be_drawn_to_a_corner(corner: str) -> None:
    goal = corner_map(20, 30, corner)
    found = run(on(signed_stub(), goal=goal, epsilon=32 / 255, steps=20))
    assert found.reached is not None
    assert found.reached[1] > found.reached[0] + 0.1
    away = run(on(signed_stub(), epsilon=32 / 255, steps=20))
    assert away.kept < found.kept, "who wants only to get away gets further"


def test_the_same_attack_gives_the_same_picture_and_the_seed_decides_its_start() -> None:
    first, again, other = (run(on(signed_stub(), seed=seed)).picture for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_every_similarity_of_the_two_maps() -> None:
    found = run(on(signed_stub()))
    labels = np.arange(120, dtype=np.int32).reshape(12, 10) // 6
    comparison = Comparison(labels, labels.shape, 0.9)
    values = found.similarities(comparison)
    assert values["rbo"] == similarity("rbo", found.before[None], found.after[None], comparison)[0] < 1
    same = replace(found, after=found.before).similarities(comparison)
    assert same["rbo"] == same["pearson"] == pytest.approx(1)


# what cannot be attacked


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CAMS, "_entries", dict(CAMS._entries))


def test_methods_that_gradients_cannot_lead_say_why(scratch: None) -> None:
    words = {"randomcam": "drawn at random"}
    for name, entry in CAMS.items():
        reason = attackable(name)
        assert (reason is None) is (entry.cost == "shared" and name != "randomcam")
        if reason:
            assert words.get(name, "runs the network again") in reason and reason.endswith(".")
            with pytest.raises(BadSetting, match="attack Grad-CAM instead"):
                on(signed_stub(), method=name)

    def register(name: str, apply: Callable[[SharedPass], Tensor], **more: Any) -> None:
        words = {"title": name, "summary": "S.", "source": "s", "uses_gradients": False}
        cam_method(name, **words, **more)(apply)  # type: ignore[arg-type]

    register("numpy", lambda shared: torch.from_numpy(shared.activations.detach().numpy().mean(axis=1)))
    register("broken", lambda shared: shared.activations.no_such_thing)  # type: ignore[attr-defined]
    register("mean", lambda shared: shared.activations.mean(dim=1))
    register("picky", lambda shared: shared.activations.mean(dim=1), serves=lambda *_: "Choose another layer.")
    for name in ("numpy", "broken"):
        assert "passes no gradient" in str(attackable(name))
    assert attackable("mean") is None and run(on(signed_stub(), method="mean")).kept < 0.9
    with pytest.raises(BadSetting, match="Choose another layer"):
        on(signed_stub(), method="picky")
    with pytest.raises(UnknownName):
        attackable("no such method")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0},
        {"epsilon": float("nan")},
        {"epsilon": 0.5},
        {"steps": 0},
        {"steps": 10**6},
        {"slack": -0.1},
        {"slack": 2},
        {"goal": np.zeros((3, 3))},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match="choose"):
        on(signed_stub(), **wrong)


def test_pictures_and_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadSetting, match="12 × 10"):
        on(signed_stub(), torch.zeros(3, 10, 12))
    with pytest.raises(UnknownName, match="choose cut"):
        on(signed_stub(), layer="elsewhere")


def test_a_clean_map_that_says_nothing_ends_the_job_with_a_sentence() -> None:
    stub = pooled_stub()
    for part in stub.split[0].children():  # no activation anywhere
        for parameter in part.parameters():
            parameter.zero_()
    attack = on(stub)
    attack.job.step()
    assert attack.job.finished and "choose another layer" in str(attack.job.error)


# a real network


@pytest.mark.parametrize(("method", "layer"), [("gradcam", "blocks.6"), ("eigencam", None)])
def test_a_real_network_keeps_its_word_and_loses_its_map(
    method: str, layer: str | None, lite0: Classifier, inputs: Tensor, pictures: tuple[Picture, ...]
) -> None:
    engine = Engine(lite0, queue=DeviceQueue())
    settings = Attack(method, layer, 4 / 255, steps=12)
    found = run(ExplanationAttack(engine, inputs[0], pictures[0].digest, settings))
    assert found.kept < 0.3 and found.largest <= 4 / 255 + 2**-24
    again = engine.explain(torch.from_numpy(found.picture), "y", [CLEAN], [method], layer)[0]
    assert again.index == found.index and np.allclose(again.maps[method], found.after, atol=1e-3)
    assert again.probability == pytest.approx(found.probability_after, abs=1e-4)
