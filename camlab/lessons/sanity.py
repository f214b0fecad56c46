"""Lesson 6: random weights replace the trained ones from the top down; a map that stays ignores the model."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from camlab.cams import CAMS
from camlab.common.jobs import Job
from camlab.common.torch_state import pinned_torch
from camlab.common.wording import listed
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson, overlay
from camlab.metrics import similarity
from camlab.models.classifier import Classifier
from camlab.noise import stream

METHODS = ("gradcam", "gradcam++", "layercam", "eigencam", "randomcam")
ASKED = ("gradcam", "gradcam++", "layercam", "eigencam")
MOST = 12  # steps; further layers, nearest to the picture, share the last one
UNMOVED = 1e-5  # maps in [0, 1] that differ by no more are equal up to rounding


@dataclass(frozen=True)
class RandomisationStep:
    """The maps after one more layer became random.

    name: that layer; maps: (h, w) by method; values: RBO with the trained network's map in [0, 1], None if a map is
    degenerate; probability: that of the explained class.
    """

    name: str
    maps: dict[str, NDArray[np.float32]]
    values: dict[str, float | None]
    probability: float


def units(module: nn.Module) -> list[tuple[str, tuple[str, ...]]]:
    """List the network's trained parts from the top down as (name, prefixes of their modules).

    Each block of a sequence is a part; a normalisation belongs to the layer before it.
    """
    found: list[tuple[str, list[str]]] = []
    for name, child in module.named_children():
        rows = isinstance(child, nn.Sequential | nn.ModuleList) and len(child) > 1
        parts = [(f"{name}.{n}", c) for n, c in child.named_children()] if rows else [(name, child)]
        for part, inner in parts:
            if not any(True for _ in inner.parameters()):
                continue
            only = all(p.dim() < 2 for p in inner.parameters())
            if only and found:  # a normalisation
                found[-1][1].append(part)
            else:
                found.append((part, [part]))
    found.reverse()
    if len(found) > MOST:
        rest = [prefix for _, prefixes in found[MOST - 1 :] for prefix in prefixes]
        found = [*found[: MOST - 1], (f"{found[MOST - 1][0]} and below", rest)]
    return [(name, tuple(prefixes)) for name, prefixes in found]


@pinned_torch()
def randomise(module: nn.Module, prefix: str, seed: int) -> None:
    """Replace the weights of one part of a network by random ones, in place; pass a copy, never a shared network.

    Weights are drawn from a normal distribution around 0 with the standard deviation of the trained ones, so that
    activations keep their scale; biases and normalisations are shuffled. The draw depends on seed and tensor name.
    """
    part = module.get_submodule(prefix)
    tensors = [*part.named_parameters(prefix), *part.named_buffers(prefix)]
    with torch.no_grad():
        for name, tensor in tensors:
            if not tensor.is_floating_point() or tensor.numel() < 2:
                continue
            draw = stream(seed, "randomised_layer", name)
            if tensor.dim() >= 2:
                values = draw.standard_normal(tuple(tensor.shape), dtype=np.float32)
                tensor.copy_(torch.from_numpy(values).to(tensor) * tensor.std())
            else:
                tensor.copy_(tensor[torch.from_numpy(draw.permutation(len(tensor))).to(tensor.device)])


@lesson(
    "sanity",
    title="Sanity checks",
    minutes=4,
    intro="An explanation of a model should depend on the model. So replace the trained weights by random "
    "numbers, layer by layer from the top. The network forgets what it has learnt: which maps stay the same?",
    goals=(
        "Describe the cascading randomisation test and what passing it means.",
        "Name a method whose map ignores the last layer, and say why.",
        "Distinguish “the map changed” from “the map is no more similar than chance”.",
    ),
    steps=(
        "Start the measurement, which works on a copy of the network.",
        "Make only the last layer random. Which map stays the same?",
        "Go further down. When do the maps reach the line of the random maps?",
    ),
    formulas=(
        Formula(
            r"s_j = \mathrm{RBO}\big(M_{\theta},\ M_{\theta_1\dots\theta_{L-j},\,\mathrm{random}}\big)",
            "s_j = RBO( map of the trained network, map with the top j layers random )",
            "The similarity of the trained network's map with the map after the top j layers became random.",
        ),
    ),
    sources=(Reference("Adebayo et al. 2018", "Sanity checks for saliency maps", "https://arxiv.org/abs/1810.03292"),),
    settings=("model", "image", "seed"),
    moves=("layers",),
    counts="layers",
)
class Sanity(LessonRun):
    """Maps of a copy of the network whose layers become random from the top down; ``steps`` begins with the trained."""

    def prepare(self) -> None:
        """Explain the trained network with every method.

        Raises CamLabError if the model has no layer that can be explained.
        """
        self.scene = self.setting.scene(method="gradcam")
        self.classifier = self.scene.classifier
        self.units = units(self.classifier.module)
        self.steps: tuple[RandomisationStep, ...] = ()
        self.job.total = len(self.units)
        trained = self.setting.engine.explain(
            self.scene.input, self.setting.picture.digest, [CLEAN], METHODS, self.scene.layer
        )[0]
        self.target = trained.index
        self.trained = {name: trained.maps[name] for name in METHODS}
        self._record("trained network", self.trained, trained.probability)

    def work(self, job: Job) -> Iterator[None]:
        """Make one more layer of a copy random at each step, and explain again."""
        module = copy.deepcopy(self.classifier.module)
        for name, prefixes in self.units:
            for prefix in prefixes:
                randomise(module, prefix, self.setting.state.seed)
            # A classifier keeps its network, so each step needs its own copy.
            self._step(name, copy.deepcopy(module), job)
            job.advance()
            yield

    def _step(self, name: str, module: nn.Module, job: Job) -> None:
        trained = self.classifier
        copied = Classifier(
            module,
            name=f"{trained.name} ({name} random)",
            title=trained.title,
            preprocessing=trained.preprocessing,
            class_names=trained.class_names,
            device=trained.device,
        )
        found = Engine(copied, MapCache(), queue=self.setting.engine.queue).explain(
            self.scene.input, self.setting.picture.digest, [CLEAN], METHODS[:-1], self.scene.layer, self.target,
            job.check,
        )[0]  # fmt: skip
        # Random-CAM would draw the same map at each step, but chance needs a new one.
        draw = stream(self.setting.state.seed, "random_map", name)
        chance = draw.random(self.trained["randomcam"].shape, dtype=np.float32)
        maps = {**found.maps, "randomcam": chance}
        self._record(name, maps, float(found.probabilities[self.target]))

    def _record(self, name: str, maps: dict[str, NDArray[np.float32]], probability: float) -> None:
        values: dict[str, float | None] = {}
        for method, map_ in maps.items():
            comparable = map_.any() and self.trained[method].any()
            both = self.trained[method][None], map_[None]
            values[method] = float(similarity("rbo", *both, self.scene.comparison)[0]) if comparable else None
        self.steps += (RandomisationStep(name, dict(maps), values, probability),)

    def unmoved(self, layers: int) -> tuple[str, ...]:
        """Return the methods whose map equals the trained one, up to rounding, after that many random layers."""
        step = self.steps[layers]
        return tuple(m for m in ASKED if float(np.abs(step.maps[m] - self.trained[m]).max()) <= UNMOVED)

    @property
    def chance(self) -> float:
        """Mean similarity of the random maps with the first of them; NaN before there are any."""
        values = [v for step in self.steps[1:] if (v := step.values["randomcam"]) is not None]
        return float(np.mean(values)) if values else float("nan")

    def sheet(self) -> Sheet:
        """Return maps of the trained and the random networks, their similarities, and the question."""
        pixels = self.scene.input.numpy()
        still = self.unmoved(1)
        titles = [CAMS[m].title for m in ASKED]
        options = (*titles, "All of them change")
        right = ASKED.index(still[0]) if len(still) == 1 else len(titles)
        if len(still) > 1:  # the answer then names all methods that stay the same
            options, right = (*titles, listed([CAMS[m].title for m in still])), len(titles)
        first, last = self.steps[1], self.steps[-1]
        return Sheet(
            tuple(
                Figure(
                    f"{CAMS[m].title}, {name}", overlay(pixels, step.maps[m]), f"{CAMS[m].title} map, {name}"
                )
                for m in ("gradcam", "eigencam")
                for name, step in (("trained", self.steps[0]), (f"{first.name} random", first), ("all random", last))
            ),
            (
                *(_sentence(step) for step in self.steps),
                f"Random maps reach {self.chance:.2f} on average: a map at this value is no more similar than chance.",
            ),
            Question(
                f"Only the last layer ({first.name}) is random, and the probability of the class changed from "
                f"{self.steps[0].probability:.2f} to {first.probability:.2f}. Which map is still exactly "
                "the same?",
                options,
                right,
                f"{_sentence(first)} Unchanged: {listed([CAMS[m].title for m in still])}. Eigen-CAM shows "
                "the main pattern of the layer's activations: it uses neither the layers above nor the class. "
                "It shows where the network sees something, not why it decides.",
            ),
        )  # fmt: skip


def _sentence(step: RandomisationStep) -> str:
    values = ", ".join(
        f"{CAMS[m].title} {'degenerate' if (v := step.values[m]) is None else f'{v:.2f}'}" for m in ASKED
    )
    return f"Random down to {step.name}: {values}." if step.name != "trained network" else f"Trained: {values}."
