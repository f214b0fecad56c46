"""Lesson 2: methods that coincide on a layer by algebra, shown and measured."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from camlab.cams import CAMS, PAPER_SIX, Coincidence, coinciding, shared_pass, unserved
from camlab.common.torch_state import pinned_torch
from camlab.common.wording import listed
from camlab.engine.spec import CLEAN
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson, overlay

SAME = 1e-5  # two maps in [0, 1] that differ by no more are equal up to rounding
SHOWN = (*PAPER_SIX, "layercam", "gradcam_elementwise")
TRIED = 5  # channels left out one at a time


@dataclass(frozen=True)
class LayerIdentities:
    """The measurements on one layer.

    maps: (h, w) by method; distance: largest difference of any two maps, indexed as ``methods``; spread: standard
    deviation of the gradient within a channel relative to its mean size (0: the same everywhere); drops: for each
    ablated channel its number and the expected (sum of gradient times activation) and measured drop of the class
    score; stated: the methods that coincide here by algebra.
    """

    layer: str
    methods: tuple[str, ...]
    maps: dict[str, NDArray[np.float32]]
    distance: NDArray[np.float64]
    spread: float
    drops: tuple[tuple[int, float, float], ...]
    stated: tuple[Coincidence, ...]

    @cached_property
    def groups(self) -> list[tuple[str, ...]]:
        """Methods grouped by equal maps (up to rounding), as measured; each method is in one group."""
        groups: list[list[int]] = []
        for i in range(len(self.methods)):
            for group in groups:
                if self.distance[group[0], i] <= SAME:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return [tuple(self.methods[i] for i in group) for group in groups]

    def like(self, method: str) -> tuple[str, ...]:
        """Return the methods with the same map as ``method``, itself included."""
        return next(group for group in self.groups if method in group)


@lesson(
    "methods",
    title="One picture, many explanations",
    minutes=5,
    intro="There are dozens of CAM methods. Some of them cannot differ: if a layer is averaged and then fed to "
    "one linear layer, algebra makes several methods identical. Here are eight maps of one picture, with the "
    "largest difference between any two of them.",
    goals=(
        "Name the methods that coincide on the pooled layer, and give the reason.",
        "Check an identity by measurement.",
        "See that the identity depends on the layer, not on the methods alone.",
    ),
    steps=(
        "Look at the eight maps. Which look the same?",
        "Compare your answer with the measured groups and the spread of the gradient within a channel.",
        "Move to the layer before: what happens to the spread and the groups?",
    ),
    formulas=(
        Formula(
            r"y_c = b_c + \sum_k w_{ck}\,\frac{1}{hw}\sum_{x,y} A_k(x,y)\qquad\Rightarrow\;"
            r"\frac{\partial y_c}{\partial A_k(x,y)} = \frac{w_{ck}}{hw}",
            "y꜀ = b꜀ + Σₖ w꜀ₖ · mean(Aₖ)   ⇒   ∂y꜀/∂Aₖ(x, y) = w꜀ₖ / (h·w), the same in every cell",
            "The class score is linear in the mean of each channel. So its gradient is one number per "
            "channel, and it does not matter whether a method averages it, weights it by the activations, or "
            "multiplies cell by cell.",
        ),
        Formula(
            r"y_c - y_c^{\,\text{without } k} = w_{ck}\,\mathrm{mean}(A_k)",
            "y꜀ − y꜀ without channel k = w꜀ₖ · mean(Aₖ)",
            "Leaving out a channel lowers the score by its weight times its mean, so Ablation-CAM needs no "
            "extra pass here.",
        ),
    ),
    sources=(
        Reference(
            "Selvaraju et al. 2017",
            "Grad-CAM (appendix A: CAM is a special case)",
            "https://arxiv.org/abs/1610.02391",
        ),
        Reference("Draelos and Carin 2020", "HiResCAM", "https://arxiv.org/abs/2011.08891"),
        Reference(
            "Desai and Ramaswamy 2020",
            "Ablation-CAM (WACV 2020)",
            "https://doi.org/10.1109/WACV45572.2020.9093360",
        ),
    ),
    settings=("model", "image"),
    moves=("before",),
)
class Identities(LessonRun):
    """Maps of several methods on the default layer and on the layer before it, and their differences."""

    def prepare(self) -> None:
        """Compute and compare the maps on the default layer and on the layer before it, if there is one.

        Raises CamLabError if the model has no layer that can be explained.
        """
        self.scene = self.setting.scene(method="gradcam")
        layers = [self.scene.layer, self.scene.layer_before]
        self.levels = [self._level(layer) for layer in layers if layer]

    @pinned_torch()
    def _level(self, layer: str) -> LayerIdentities:
        engine, picture = self.setting.engine, self.setting.picture
        classifier = self.scene.classifier
        lacking = unserved(classifier, layer)
        methods = tuple(name for name in SHOWN if name not in lacking)
        found = engine.explain(self.scene.input, picture.digest, [CLEAN], methods, layer)[0]
        flat = np.stack([found.maps[name].astype(np.float64).ravel() for name in methods])
        distance = np.abs(flat[:, None] - flat[None]).max(axis=2)
        with engine.queue.turn():
            shared = shared_pass(classifier, layer, self.scene.input[None], [None], [picture.digest])
            gradients = shared.grads[0].double()
            sizes = gradients.abs().mean(dim=(1, 2))
            spreads = gradients.std(dim=(1, 2), correction=0)
            spread = float((spreads.sum() / sizes.sum().clamp(min=1e-30)).cpu())
            parts = shared.product[0].double().sum(dim=(1, 2)).cpu()
            strongest = parts.abs().argsort(descending=True)[:TRIED]
            left_out = shared.activations.repeat(len(strongest), 1, 1, 1)
            left_out[torch.arange(len(strongest)), strongest] = 0
            target = int(shared.targets[0])
            with torch.no_grad():
                scores = shared.tail(left_out, torch.zeros(len(strongest), dtype=torch.long))[:, target].cpu().double()
            drops = float(shared.scores[0]) - scores
        pairs = zip(strongest.tolist(), drops.tolist(), strict=True)
        return LayerIdentities(
            layer, methods, {n: found.maps[n] for n in methods}, distance, spread,
            tuple((int(k), float(parts[k]), float(drop)) for k, drop in pairs), coinciding(classifier, layer),
        )  # fmt: skip

    def sheet(self) -> Sheet:
        """Return all maps on the default layer, the measurements on both layers, and the question."""
        pixels = self.scene.input.numpy()
        first = self.levels[0]
        same = first.like("gradcam")
        others = [n for n in ("hirescam", "gradcam++", "eigencam") if n in first.methods]
        twins = [n for n in others if n in same]
        offered = [n for n in others if n not in twins[1:]]  # one right answer
        options = (*(CAMS[n].title for n in offered), "None of these")
        right = offered.index(twins[0]) if twins else len(offered)
        return Sheet(
            tuple(
                Figure(CAMS[n].title, overlay(pixels, first.maps[n]), f"{CAMS[n].title} on layer {first.layer}")
                for n in first.methods
            ),
            tuple(sentence for level in self.levels for sentence in _sentences(level)),
            Question(
                f"Which of these gives exactly Grad-CAM's map on layer {first.layer}?",
                options,
                right,
                " ".join(_sentences(first)) + (
                    " These are several names for one explanation, so their agreement is no evidence."
                    if len(same) > 1 else " No identity holds here: no average and linear layer follow this layer."
                ),
            ),
        )  # fmt: skip


def _sentences(level: LayerIdentities) -> tuple[str, ...]:
    same = [group for group in level.groups if len(group) > 1]
    named = "; ".join(" = ".join(CAMS[n].title for n in group) for group in same)
    worst = max((abs(expected - measured) for _, expected, measured in level.drops), default=0.0)
    scale = max((abs(measured) for _, _, measured in level.drops), default=0.0)
    gradcam = level.methods.index("gradcam")
    apart = [
        f"{CAMS[n].title} {level.distance[gradcam, i]:.2f}"
        for i, n in enumerate(level.methods)
        if n not in level.like("gradcam")
    ]
    return (
        f"Layer {level.layer}, equal up to {SAME:g}: {named or 'no two methods'}.",
        f"Within a channel, the spread of the gradient is {level.spread:.2g} times its size.",
        f"Largest difference from Grad-CAM: {listed(apart)}.",
        f"Leaving out each of the {len(level.drops)} strongest channels: expected and measured drop of the "
        f"score differ by at most {worst:.2g} (largest drop {scale:.2f}).",
    )
