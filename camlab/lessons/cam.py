"""Lesson 1: a class activation map is a weighted sum of the channels of a layer."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camlab.cams import scale_maps, shared_pass
from camlab.common.wording import percent, plural
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, heat, lesson, overlay
from camlab.models import short_name

STRONGEST = 12  # channels with their own switch; all others share one
ALIKE = 0.95  # correlation from which a map counts as nearly the finished one
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Channel:
    """A channel: its number from 0, its weight, its share of the raw map's sum, and its activations in [0, 1]."""

    number: int
    weight: float
    part: float
    activations: Floats


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the Pearson correlation of two maps of the same shape; 0 if one is constant."""
    a, b = a.astype(float) - a.mean(), b.astype(float) - b.mean()
    length = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / length) if length else 0.0


@lesson(
    "cam",
    title="What a CAM is",
    minutes=4,
    intro="A network's last layers hold many small pictures, the channels. Each is bright where the network "
    "found a certain pattern. A class activation map (CAM) adds them up, each with a weight: how strongly the "
    "pattern speaks for the class. Build Grad-CAM yourself: switch channels on and off.",
    goals=(
        "Say what a channel, its weight and the map are, and how channels and weights make the map.",
        "Explain why the map has so few cells, and what smoothing adds.",
        "See that no single channel is the explanation.",
    ),
    steps=(
        "Switch off all channels but the strongest. Which part of the picture is left?",
        "Switch them on again one by one, and watch the correlation with the finished map.",
        "Switch off only “all others”: do twelve channels make the map?",
        "Turn smoothing on and off: the network knows only the squares.",
    ),
    formulas=(
        Formula(
            r"M = \mathrm{ReLU}\Big(\sum_k \alpha_k A_k\Big),\qquad "
            r"\alpha_k = \frac{1}{hw}\sum_{x,y}\frac{\partial y_c}{\partial A_k(x,y)}",
            "M = ReLU( Σₖ αₖ · Aₖ ),   αₖ = mean over all cells of ∂y꜀ / ∂Aₖ",
            "The map M is the sum of the channels A, each times its weight α; negative values become 0. "
            "The weight is the mean gradient of the class score y with respect to the channel.",
        ),
    ),
    sources=(
        Reference(
            "Zhou et al. 2016",
            "Learning deep features for discriminative localization",
            "https://arxiv.org/abs/1512.04150",
        ),
        Reference("Selvaraju et al. 2017", "Grad-CAM", "https://arxiv.org/abs/1610.02391"),
    ),
    settings=("model", "image"),
    moves=("off", "smooth"),
)
class Channels(LessonRun):
    """Grad-CAM taken apart on the default layer, for the predicted class.

    channels: those with the largest absolute part; terms: weight × activations of all channels, (K, h, w).
    """

    def prepare(self) -> None:
        """Compute channels, weights and the finished map in one forward and backward pass.

        Raises CamLabError if the model has no layer with channels to explain.
        """
        engine, classifier = self.setting.engine, self.setting.engine.classifier
        self.scene = self.setting.scene(method="gradcam")
        self.layer = self.scene.layer
        with engine.queue.turn():
            shared = shared_pass(classifier, self.layer, self.scene.input[None], [None], [self.setting.picture.digest])
        maps = shared.activations[0].cpu().double().numpy()
        weights = shared.grads[0].mean(dim=(1, 2)).cpu().double().numpy()
        self.target = int(shared.targets[0])
        self.label = short_name(classifier.class_names[self.target])
        self.terms: Floats = weights[:, None, None] * maps
        parts = self.terms.sum(axis=(1, 2))
        self.order = np.argsort(-np.abs(parts), kind="stable")
        self.channels = [
            Channel(int(k), float(weights[k]), float(parts[k]), _scaled(maps[k])) for k in self.order[:STRONGEST]
        ]
        self.finished = self.built(())
        self.enough = self._enough()

    def built(self, off: Collection[int]) -> NDArray[np.float32]:
        """Return the map (h, w) in [0, 1] without the channels ``off``, by place; STRONGEST means all others."""
        rest = self.order[STRONGEST:]
        kept = [k for place, k in enumerate(self.order[:STRONGEST]) if place not in off]
        raw = self.terms[kept].sum(axis=0) + (0 if STRONGEST in off else self.terms[rest].sum(axis=0))
        return _map(raw)

    def likeness(self, off: Collection[int]) -> float:
        """Return the correlation of the built map with the finished one."""
        return correlation(self.built(off), self.finished)

    def share(self, places: Collection[int]) -> float:
        """Return the share of these channels in the sum of the absolute parts of all channels."""
        sizes = np.abs(self.terms.sum(axis=(1, 2)))[self.order]
        own = sum(sizes[p] if p < STRONGEST else sizes[STRONGEST:].sum() for p in places)
        return float(own / sizes.sum())

    def _enough(self) -> int:
        """Return the number of channels, strongest first, from which the map stays nearly the finished one."""
        sums = np.cumsum(self.terms[self.order], axis=0)
        short = [i for i, raw in enumerate(sums) if correlation(_map(raw), self.finished) < ALIKE]
        return (short[-1] + 2) if short else 1

    @property
    def ladder(self) -> list[tuple[str, int, int]]:
        """Sizes on the way through the network: (name, height, width) at each change, the input first."""
        steps = [("picture", *self.scene.classifier.input_size)]
        for layer in self.scene.classifier.layers:
            if (layer.height, layer.width) != steps[-1][1:]:
                steps.append((layer.name, layer.height, layer.width))
        return steps

    def why(self) -> str:
        """Return a few sentences on why the map has its size."""
        info = self.scene.classifier.layer_info(self.layer)
        height, width = self.scene.classifier.input_size
        way = " → ".join(str(h) for _, h, _ in self.ladder)
        return (
            f"The network shrinks the picture step by step: {way} cells per side. Layer {self.layer} has "
            f"{info.height}×{info.width} cells, and so has the map; each covers "
            f"{height // info.height}×{width // info.width} pixels of the {height}×{width} input. "
            "The map holds no finer detail: its smooth look comes from interpolation."
        )

    def sheet(self) -> Sheet:
        """Return the finished map, its cells and the strongest channel, their shares, and the question."""
        pixels, count = self.scene.input.numpy(), len(self.terms)
        bounds = _bounds(count)
        names = [f"{low} to {high}" if low < high else f"{low}" for low, high in bounds]
        right = next(i for i, (_, high) in enumerate(bounds) if self.enough <= high)
        first = self.channels[0]
        return Sheet(
            (
                Figure(
                    f"Grad-CAM for {self.label}: {self.finished.shape[0]}×{self.finished.shape[1]} cells",
                    overlay(pixels, self.finished, cells=True),
                    f"{self.setting.picture.title} under the squares of the finished map",
                ),
                Figure("Smoothed", overlay(pixels, self.finished), "The same map, smoothed"),
                Figure(
                    f"Strongest channel alone (no. {first.number})",
                    heat(first.activations),
                    "The strongest channel's activations as squares",
                ),
            ),
            (
                f"Layer {self.layer} has {count:,} channels; the prediction is {self.label}.",
                f"The {len(self.channels)} strongest contribute {percent(self.share(range(len(self.channels))))} "
                "of the sum; their map alone has a correlation of "
                f"{self.likeness((STRONGEST,)):.2f} with Grad-CAM.",
                f"The strongest channel alone has a correlation of {self.likeness(range(1, STRONGEST + 1)):.2f}.",
                f"It takes {plural(self.enough, 'channel')}, strongest first, until the correlation stays at "
                f"{ALIKE} or more.",
                self.why(),
            ),
            Question(
                f"Channels are added one after the other, strongest first. How many of the {count:,} does "
                f"it take until the map's correlation with the finished Grad-CAM stays at {ALIKE} or more?",
                tuple(names),
                right,
                f"Measured here: {self.enough}. A CAM adds up many weak channels. The strongest one alone "
                f"reaches {self.likeness(range(1, STRONGEST + 1)):.2f}; one channel is not the explanation.",
            ),
        )


def _bounds(count: int) -> list[tuple[int, int]]:
    """Split 1…count into up to four ranges, each several times as wide as the one before."""
    edges = sorted({1, max(2, round(count**0.4)), max(3, round(count**0.7)), count})
    return list(zip([1, *(e + 1 for e in edges[:-1])], edges, strict=True))


def _map(raw: Floats) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = scale_maps(torch.from_numpy(np.asarray(raw))[None])[0][0].numpy()
    return scaled


def _scaled(values: Floats) -> Floats:
    span = values.max() - values.min()
    return np.asarray((values - values.min()) / span if span else np.zeros_like(values))
