"""Attacks on the prediction: exact where a model can be worked out, equal to a plain twin where it cannot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from camlab.common.errors import BadSetting, Cancelled
from camlab.noise import NOISES, Surroundings, perturb, stream
from camlab.noise.adversarial import STEPS, ascent
from tests.noise.around import TwoFields, around
from tests.noise.twins import DIGESTS
from tests.rounding import DOUBLE, apart, chain_bound

ATTACKS = [name for name, kind in NOISES.items() if kind.family == "Adversarial"]
EVERY = pytest.mark.parametrize("name", ATTACKS)
#: Half a unit in the last place of numbers just below 1, twice: the bound and the sum are each rounded once.
ROUNDING = 2**-24
EPSILON = [0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255]


class Network:
    """A small network with three classes: smooth, so that hardly any gradient is zero; counts its passes."""

    device = torch.device("cpu")
    input_size = (20, 20)
    class_names = ("a", "b", "c")

    def __init__(self, certainty: float = 20.0, classes: int = 3) -> None:
        torch.manual_seed(0)
        self.certainty, self.passes = certainty, 0
        parts = (nn.Conv2d(3, 6, 5, padding=2), nn.Tanh(), nn.Conv2d(6, 4, 3, stride=2), nn.Tanh())
        self.body = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, classes))
        self.body.eval().requires_grad_(False)

    def logits(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        out: Tensor = self.certainty * self.body(4 * x - 2)
        return out


class Linear:
    """Logits w·x with the weights given, (C, 3, H, W)."""

    device = torch.device("cpu")
    input_size = (2, 2)

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.class_names = tuple(map(str, range(len(weights))))

    def logits(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weights.flatten(1).T


def some(count: int = 2, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((count, 3, 20, 20), dtype=np.float32))


def twin(model: Network, clean: Tensor, epsilon: float, name: str, start: Tensor) -> Tensor:
    """The attack as its paper writes it, on one picture, with the library's own cross-entropy."""
    with torch.no_grad():
        ranked = model.logits(clean[None])[0].argsort(descending=True)
    targeted = name.endswith("targeted")
    label, sign = (ranked[1], -1.0) if targeted else (ranked[0], 1.0)
    once = name.startswith("fgsm")
    x = clean if once else (clean + epsilon * start).clamp(0, 1)
    for _ in range(1 if once else 10):
        x = x.clone().requires_grad_()
        loss = functional.cross_entropy(model.logits(x[None]), label[None])
        gradient = torch.autograd.grad(loss, x)[0]
        x = x.detach() + sign * (epsilon if once else epsilon / 4) * gradient.sign()
        x = (clean + (x - clean).clamp(-epsilon, epsilon)).clamp(0, 1)
    return x


def test_there_are_four_and_they_say_what_they_need() -> None:
    assert ATTACKS == ["fgsm", "fgsm_targeted", "pgd", "pgd_targeted"]
    for name in ATTACKS:
        kind = NOISES[name]
        assert kind.needs == "model" and kind.stochastic is name.startswith("pgd")
        assert np.allclose(np.ravel(kind.levels), EPSILON, rtol=1e-15)


@pytest.mark.parametrize("level", [1, 3, 5])
@EVERY
def test_equals_its_twin(name: str, level: int) -> None:
    model, clean = Network(), some()
    ours = perturb(clean, name, level, 3, ["a", "b"], Surroundings(model))
    for picture, digest, mine in zip(clean, "ab", ours, strict=True):
        start = stream(3, name, digest).random((3, 20, 20), dtype=np.float32) * 2 - 1
        theirs = twin(model, picture, EPSILON[level], name, torch.from_numpy(start))
        # A gradient that is zero up to rounding may have either sign, at few pixels; 1e-6 only tells whether it had.
        assert ((mine - theirs).abs() > 1e-6).float().mean() < 0.005
        assert apart(apart(mine, picture).max(), EPSILON[level]) <= 2 * ROUNDING


def test_fgsm_on_a_linear_model_can_be_worked_out() -> None:
    w = torch.zeros(2, 3, 2, 2)
    w[0, 0] = torch.tensor([[3.0, -1.0], [0.0, 0.5]])
    clean = torch.full((1, 3, 2, 2), 0.5)  # class 0 leads by 0.5 · 2.5
    expected = torch.zeros(3, 2, 2)
    expected[0] = torch.tensor([[-1.0, 1.0], [0.0, -1.0]])  # down where class 0 gains; still where nothing depends
    for name in ("fgsm", "fgsm_targeted"):  # with two classes both lead to the other one
        out = perturb(clean, name, 4, 0, "x", Surroundings(Linear(w)))
        assert torch.allclose(out[0] - 0.5, expected * 8 / 255, rtol=0, atol=ROUNDING)
        white = perturb(torch.ones_like(clean), name, 4, 0, "x", Surroundings(Linear(w)))
        assert torch.allclose(white[0] - 1, expected.clamp(max=0) * 8 / 255, rtol=0, atol=ROUNDING)


def test_pgd_on_a_linear_model_ends_in_the_corner_of_the_ball() -> None:
    w = torch.zeros(2, 3, 2, 2)
    w[0] = torch.tensor([[3.0, -1.0], [2.0, 0.5]])
    clean = torch.full((1, 3, 2, 2), 0.5)
    for name in ("pgd", "pgd_targeted"):
        out = perturb(clean, name, 3, 0, "x", Surroundings(Linear(w)))
        assert torch.allclose(out[0] - 0.5, -w[0].sign() * 4 / 255, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_targeted_leads_to_the_second_class_and_untargeted_away_from_the_first(name: str) -> None:
    w = torch.zeros(3, 3, 2, 2)
    w[0, 0], w[1, 1], w[2, 2] = 1.0, 0.9, 0.2
    clean = torch.full((1, 3, 2, 2), 0.5)
    away = perturb(clean, name, 3, 0, "x", Surroundings(Linear(w)))[0] - clean[0]
    towards = perturb(clean, f"{name}_targeted", 3, 0, "x", Surroundings(Linear(w)))[0] - clean[0]
    assert [float(c.mean().sign()) for c in away] == [-1, 1, 1]
    assert [float(c.mean().sign()) for c in towards] == [-1, 1, -1]


@EVERY
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    severity=st.floats(0, 5),
    seed=st.integers(0, 2**31),
    content=st.sampled_from(["any", "black", "white", "two values", "tiny"]),
)
def test_no_value_moves_by_more_than_epsilon(name: str, severity: float, seed: int, content: str) -> None:
    values = np.random.default_rng(seed).random((1, 3, 9, 7), dtype=np.float32)
    picture = torch.from_numpy(
        {
            "any": values,
            "black": values * 0,
            "white": values * 0 + 1,
            "two values": (values > 0.5).astype(np.float32),
            "tiny": values * np.float32(1e-39),
        }[content]
    )
    out = perturb(picture, name, severity, seed, "x", around(picture))
    epsilon = np.interp(severity, range(6), EPSILON)
    assert (out - picture).abs().double().max() <= epsilon + ROUNDING
    assert out.min() >= 0 and out.max() <= 1
    if severity > 0.1 and content == "any":  # at black and white values the way may be barred
        assert (out - picture).abs().max() > 0.9 * epsilon


@EVERY
def test_a_model_that_is_certain_is_attacked_too(name: str) -> None:
    """Where p is 1 to the last bit the plain gradient is zero, and a plain attack changes nothing."""
    model, clean = Network(certainty=1e5), some(1)
    leaf = clean.clone().requires_grad_()
    logits = model.logits(leaf)
    loss = functional.cross_entropy(logits, logits.argmax(1))
    assert not torch.autograd.grad(loss, leaf)[0].any()
    out = perturb(clean, name, 5, 0, "x", Surroundings(model))
    before, after = (model.logits(x)[0].sort(descending=True) for x in (clean, out))
    first, second = before.indices[:2]
    after_logits = model.logits(out)[0]
    assert after_logits[first] - after_logits[second] < before.values[0] - before.values[1]
    assert ((out - clean).abs() > 0.9 * EPSILON[5]).float().mean() > 0.5
    assert after.values.isfinite().all()


@pytest.mark.parametrize("targeted", [False, True])
def test_the_direction_is_the_gradient_of_the_loss(targeted: bool) -> None:
    model, picture = Network(certainty=1.0), some(1)[0].double()
    model.body.double()
    leaf = picture.clone().requires_grad_()
    loss = functional.cross_entropy(model.logits(leaf[None]), torch.tensor([1]))
    plain = torch.autograd.grad(loss, leaf)[0] * (-1 if targeted else 1)
    ours = ascent(model, picture, 1, targeted)
    assert ours.dtype == torch.float64
    assert apart(ours / ours.norm(), plain / plain.norm()).max() <= DOUBLE


def test_equal_pictures_share_what_does_not_depend_on_the_severity() -> None:
    model, clean = Network(), some(2)
    rows = [0, 1, 0, 0]
    batch, severities = clean[rows], [1.0, 2.0, 3.0, 4.5]
    together = perturb(batch, "fgsm", severities, 0, ["a", "b", "a", "a"], Surroundings(model))
    assert model.passes == 2 * 2, "one prediction and one gradient a picture"
    alone = [
        perturb(clean[[r]], "fgsm", s, 0, "a", Surroundings(model))[0] for r, s in zip(rows, severities, strict=True)
    ]
    assert torch.equal(together, torch.stack(alone))
    model.passes = 0
    perturb(batch, "pgd", severities, 0, ["a", "b", "a", "a"], Surroundings(model))
    assert model.passes == 2 + 4 * STEPS


@EVERY
def test_it_can_be_cancelled_between_steps(name: str) -> None:
    def check() -> None:
        model.checks += 1
        if model.checks == 2:
            raise Cancelled

    class Counted(Network):
        checks = 0

    model = Counted()
    with pytest.raises(Cancelled):
        perturb(some(1), name, 3, 0, "x", Surroundings(model, check=check))
    assert model.passes == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(mode: Callable[[], torch.inference_mode]) -> None:
    clean = some(1)
    here = Surroundings(Network())
    expected = perturb(clean, "pgd", 3, 0, "x", here)
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        out = perturb(clean.clone(), "pgd", 3, 0, "x", here)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert torch.equal(out, expected) and not out.requires_grad


def test_what_cannot_be_attacked_is_told() -> None:
    for name in ATTACKS:
        with pytest.raises(BadSetting, match="needs a model"):
            perturb(some(), name, 3, 0, ["a", "b"])
        assert torch.equal(perturb(some(), name, 0, 0, ["a", "b"]), some()), "nothing is needed to change nothing"
    single = Surroundings(Network(classes=1))
    for name in ("fgsm_targeted", "pgd_targeted"):
        with pytest.raises(BadSetting, match="only one class"):
            perturb(some(1), name, 3, 0, "x", single)
    assert torch.equal(perturb(some(1), "fgsm", 3, 0, "x", single), some(1)), "nothing can be raised"


def test_one_seed_starts_in_one_direction(pictures: Tensor) -> None:
    """With a model that no picture moves, only the random start is left."""

    class Still(TwoFields):
        def logits(self, x: Tensor) -> Tensor:
            return torch.stack([0 * x.sum((1, 2, 3)), 0 * x.sum((1, 2, 3)) + 1], dim=1)

    grey = torch.full_like(pictures, 0.5)
    mild, strong = (perturb(grey, "pgd", s, 1, DIGESTS, Surroundings(Still())) - 0.5 for s in (1, 5))
    # The rounding of 0.5 plus a change, some five on the way, of which 16 times as much is seen in `mild`.
    assert apart(strong, 16 * mild).max() <= (1 + 16) * chain_bound(3, 0.5) < 0.05 / 255
    assert mild.std() > 0.4 / 255
    other = perturb(grey, "pgd", 1, 2, DIGESTS, Surroundings(Still())) - 0.5
    assert abs(np.corrcoef(mild.ravel().numpy(), other.ravel().numpy())[0, 1]) < 0.05
