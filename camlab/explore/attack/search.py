"""The explanation attack: move a map as far as possible while the prediction and the look of the picture stay.

After Ghorbani et al. 2019 (arXiv 1710.10547) and Dombrowski et al. 2019 (arXiv 1906.07983): projected gradient
descent on the picture, within an L∞ ball, of a loss on the map plus a penalty that keeps the logits. The CAM methods
themselves compute the map, on a differentiable shared pass. Dombrowski et al. replace ReLU by softplus, as the
second derivative of a ReLU is zero. A CAM does not need this: its map also depends on the picture through the
activations, and the gradients that weight them may stay constant.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from camlab.cams import CAMS, CamMethod, Explainable, SharedPass, probabilities, scale_maps, shared_pass
from camlab.common.errors import BadSetting
from camlab.common.jobs import Job, Steps
from camlab.common.torch_state import pinned_arithmetic, pinned_torch
from camlab.engine.engine import Engine
from camlab.metrics import SIMILARITIES, Comparison, similarity
from camlab.noise import stream

LARGEST_EPSILON = 64 / 255
MOST_STEPS = 1000
#: Slope of the negative values in the loss: without it, values that ReLU hides would have no gradient.
LEAK = 0.1
#: Share of the previous direction that a step keeps (Dong et al. 2018, arXiv 1710.06081, keep all of it).
MOMENTUM = 0.9
#: Sum of all steps in units of ε, enough to cross the ball. Steps shrink linearly to zero.
PATH = 2.5


@dataclass(frozen=True)
class Attack:
    """The settings of an attack.

    method, layer: of the map to change (None: the default layer); epsilon: the largest change of any value of the
    picture in [0, 1]; slack: the largest fall of the predicted class's probability; goal: a non-negative map of any
    size to imitate, or None to move away from the clean map; seed: of the random start.
    """

    method: str = "gradcam"
    layer: str | None = None
    epsilon: float = 4 / 255
    steps: int = 40
    slack: float = 0.1
    goal: NDArray[np.floating[Any]] | None = None
    seed: int = 0


@dataclass(frozen=True)
class AttackResult:
    """The best picture so far, as measured on the network.

    picture: (3, H, W) float32 in [0, 1]; before, after: the maps of the clean and of this picture, (h, w) in
    [0, 1], for class ``index``, which is predicted on both; kept: Pearson correlation of the two maps at the
    layer's resolution; reached: correlation with the goal, before and after, None without a goal; largest: the
    largest change of a value; step: the step that found it, 0 for the clean picture.
    """

    picture: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    index: int
    probability_before: float
    probability_after: float
    kept: float
    reached: tuple[float, float] | None
    largest: float
    step: int

    def similarities(self, comparison: Comparison) -> dict[str, float]:
        """Return every similarity of the two maps by name, on the segments and size of the comparison."""
        maps = self.before[None], self.after[None]
        return {name: float(similarity(name, *maps, comparison)[0]) for name in SIMILARITIES}


def attackable(method: str) -> str | None:
    """Return one sentence on why a method's map cannot be attacked by gradients; None if it can.

    A method that computes its weights outside torch can be attacked through the activations that it weights.
    Raises UnknownName for the method.
    """
    entry = CAMS[method]
    if entry.cost != "shared":
        return f"{entry.title} runs the network again for its map, which passes no gradient; attack Grad-CAM instead."
    first, same, other = (_trial(entry, key) for key in ("a", "a", "b"))
    if first is None or same is None or other is None or not first.requires_grad:
        return f"{entry.title} passes no gradient; attack Grad-CAM instead."
    if not torch.equal(first, other):
        return f"{entry.title} is drawn at random, so there is nothing to attack; attack Grad-CAM instead."
    return None


@cache
@pinned_torch()
def _trial(method: CamMethod, key: str) -> Tensor | None:
    """Return the method's map of a made-up pass with gradients; None if that fails.

    Trying is more reliable than a declaration, as methods also come from other libraries.
    """
    draw = torch.Generator().manual_seed(0)
    maps, grads = (torch.rand(1, 3, 4, 5, generator=draw).requires_grad_() for _ in range(2))
    logits, targets = torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)
    made = SharedPass(cast(Explainable, None), "", torch.zeros(1, 3, 8, 10), maps, grads, maps, logits, targets, (key,))
    try:
        return method.apply(made)
    except Exception:  # methods of other libraries may raise anything
        return None


@pinned_arithmetic()
def differentiable_pass(
    classifier: Explainable, layer: str, picture: Tensor, target: int, *, gradients: bool = True
) -> SharedPass:
    """Return a shared pass of one picture (1, 3, H, W) through which gradients flow back to the picture.

    Its values equal those of `shared_pass`. With ``gradients``, the gradients of the target's logit are differentiable
    themselves.
    """
    inputs = classifier.normalise(picture)
    native = classifier.head(inputs, layer)
    logits = classifier.tail(native.clone(), layer)
    grads: Tensor | None = None
    if gradients:
        (grads,) = torch.autograd.grad(logits[:, target].sum(), native, create_graph=True)
        grads = classifier.to_maps(grads, layer)
    index = torch.tensor([target], device=logits.device)
    maps = classifier.to_maps(native, layer)
    return SharedPass(classifier, layer, inputs, maps, grads, native, logits, index, ("attack",))


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the Pearson correlation of two maps of one shape, 0 if one is constant."""
    a, b = a - a.mean(), b - b.mean()
    length = a.norm() * b.norm()
    return torch.where(length > 0, (a * b).sum() / length.where(length > 0, 1.0), 0.0)


class ExplanationAttack:
    """One attack as a job; ``result`` is the best picture so far, from the job's first step on.

    A candidate counts if it keeps the prediction, its probability falls by no more than the slack, no value changes by
    more than ε, and its map is not degenerate. Candidates are rounded to whole grey levels, so that a PNG file holds
    exactly the measured picture.
    """

    @pinned_torch()
    def __init__(self, engine: Engine, clean: Tensor, digest: str, attack: Attack) -> None:
        """Check the settings. clean: (3, H, W) in [0, 1] at the model's input size; digest: seeds the random start.

        Raises UnknownName for method and layer, BadSetting for settings out of range, a constant goal and a method
        that cannot be attacked here.
        """
        classifier = engine.classifier
        self.engine, self.attack, self.digest = engine, attack, digest
        self.method = CAMS[attack.method]
        self.layer = classifier.resolve_layer(attack.layer)
        _checked(attack)
        for reason in (attackable(attack.method), self.method.serves(classifier, self.layer)):
            if reason:
                raise BadSetting(reason)
        if tuple(clean.shape) != (3, *classifier.input_size):
            size = " × ".join(map(str, classifier.input_size))
            raise BadSetting(f"This model takes RGB pictures of {size} pixels; preprocess it first.")
        info = classifier.layer_info(self.layer)
        self.goal = None if attack.goal is None else goal_map(attack.goal, info.height, info.width)
        self._clean = clean.detach().to(classifier.device, torch.float32)[None].contiguous()
        self._best: AttackResult | None = None
        self._lock = threading.Lock()
        self.job = Job("Explanation attack", self._work)
        self.job.total = attack.steps

    @property
    def result(self) -> AttackResult | None:
        """The best picture so far; None before the first step."""
        with self._lock:
            return self._best

    def _work(self, job: Job) -> Steps:
        clean, attack, turn = self._clean, self.attack, self.engine.queue.turn
        with turn(job.check):
            start = self._measure(clean, None)
        index = int(start.shares.argmax())
        if not start.map.any():
            raise BadSetting("The clean map is degenerate, so it cannot move; choose another layer or method.")
        self._take(start, start, 0)
        yield
        drawn = stream(attack.seed, "explanation_attack", self.digest).random(clean.shape, dtype=np.float32)
        moved = self._inside(clean + attack.epsilon * torch.from_numpy(drawn * 2 - 1).to(clean))
        speed, weight = torch.zeros_like(clean), 1.0
        for step in range(attack.steps):
            with turn(job.check):
                slope = self._slope(moved, start, index, weight)
                speed = MOMENTUM * speed + slope / slope.abs().mean().clamp(min=torch.finfo(slope.dtype).tiny)
                # The shares of all steps add up to 1.
                share = 2 * (attack.steps - step) / (attack.steps * (attack.steps + 1))
                moved = self._inside(moved - PATH * share * attack.epsilon * speed.sign())
                found = self._measure(self._inside((moved * 255).round() / 255), index)
            self._take(start, found, step + 1)
            # The closer the prediction is to being lost, the heavier its penalty.
            lost = float(start.shares[index] - found.shares[index])
            held = found.shares.argmax() == index and lost <= attack.slack / 2
            weight = min(max(weight / 1.2 if held else weight * 1.5, 1e-3), 1e3)
            job.advance()
            yield

    @pinned_torch()
    def _slope(self, picture: Tensor, start: _Measured, index: int, weight: float) -> Tensor:
        """Return the gradient (1, 3, H, W) of the loss: correlation of the maps plus distance from the clean logits."""
        leaf = picture.detach().clone().requires_grad_()
        made = differentiable_pass(
            self.engine.classifier, self.layer, leaf, index, gradients=self.method.uses_gradients
        )
        map_ = functional.leaky_relu(self.method.apply(made)[0], LEAK).cpu().double()
        wanted = start.map if self.goal is None else self.goal
        likeness = correlation(map_, torch.from_numpy(wanted).double())
        logits = made.logits[0].cpu().double()
        spread = start.logits.var(correction=0).clamp(min=torch.finfo(torch.double).tiny)
        kept = (logits - start.logits).square().mean() / spread
        loss = (likeness if self.goal is None else -likeness) + weight * kept
        (slope,) = torch.autograd.grad(loss, leaf)
        if not bool(slope.isfinite().all()):
            raise BadSetting(
                f"{self.method.title} has no finite gradient at this picture; choose another method or seed."
            )
        return slope

    @pinned_torch()
    def _measure(self, picture: Tensor, target: int | None) -> _Measured:
        """Run the network on a candidate (1, 3, H, W); target None: its own prediction."""
        classifier, gradients = self.engine.classifier, self.method.uses_gradients
        shared = shared_pass(classifier, self.layer, picture, [target], ["attack"], gradients=gradients)
        maps, _ = scale_maps(self.method.apply(shared))
        logits = shared.logits[0].cpu().double()
        return _Measured(picture, maps[0].numpy(), logits, probabilities(shared.logits)[0])

    @pinned_torch()
    def _take(self, start: _Measured, found: _Measured, step: int) -> None:
        """Keep a candidate if it counts and is better than the best so far."""
        index = int(start.shares.argmax())
        lost = float(start.shares[index] - found.shares[index])
        if found.shares.argmax() != index or lost > self.attack.slack or not found.map.any():
            return
        kept = _likeness(found.map, start.map)
        goal = self.goal
        reached = None if goal is None else (_likeness(start.map, goal), _likeness(found.map, goal))
        best = self.result
        if best is not None and not _better(kept, reached, best):
            return
        result = AttackResult(
            found.picture[0].cpu().numpy().copy(),
            start.map,
            found.map,
            index,
            float(start.shares[index]),
            float(found.shares[index]),
            kept,
            reached,
            float((found.picture - self._clean).abs().max()),
            step,
        )
        with self._lock:
            self._best = result

    def _inside(self, picture: Tensor) -> Tensor:
        """Return the nearest picture in [clean − ε, clean + ε] ∩ [0, 1]."""
        epsilon = self.attack.epsilon
        nearest = torch.minimum(torch.maximum(picture, self._clean - epsilon), self._clean + epsilon)
        return nearest.clamp(0.0, 1.0)


@dataclass(frozen=True)
class _Measured:
    """A candidate, its scaled map, logits (float64, on the CPU) and probabilities."""

    picture: Tensor
    map: NDArray[np.float32]
    logits: Tensor
    shares: NDArray[np.float32]


def _likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(correlation(torch.from_numpy(a).double(), torch.from_numpy(b).double()))


def _better(kept: float, reached: tuple[float, float] | None, best: AttackResult) -> bool:
    if reached is not None and best.reached is not None:
        return reached[1] > best.reached[1]
    return kept < best.kept


def _checked(attack: Attack) -> None:
    if not 0 < attack.epsilon <= LARGEST_EPSILON:
        raise BadSetting(f"ε is {attack.epsilon:g}; choose a number above 0, up to 64/255.")
    if not 1 <= attack.steps <= MOST_STEPS:
        raise BadSetting(f"An attack of {attack.steps} steps is impossible; choose 1 to {MOST_STEPS} steps.")
    if not 0 <= attack.slack <= 1:
        raise BadSetting(f"A probability cannot fall by {attack.slack:g}; choose a slack from 0 to 1.")


@pinned_torch()
def goal_map(goal: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.float32]:
    """Resize a non-negative map to a layer's resolution (height, width) and scale it to [0, 1].

    Raises BadSetting for an invalid or constant map.
    """
    if goal.ndim != 2 or 0 in goal.shape or not np.isfinite(goal).all() or (goal < 0).any():
        raise BadSetting("A goal is a map of non-negative numbers; choose a corner or a picture's map.")
    wide = torch.from_numpy(np.ascontiguousarray(goal, dtype=np.float64))[None, None]
    if wide.shape[2:] != (height, width):
        wide = functional.interpolate(wide, (height, width), mode="bilinear", align_corners=False)
    scaled, degenerate = scale_maps(wide[0])
    if bool(degenerate[0]):
        raise BadSetting("The goal is the same everywhere; choose a corner or a picture's map.")
    return scaled[0].numpy()
