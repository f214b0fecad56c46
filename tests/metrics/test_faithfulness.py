"""Deletion and insertion against loops, ROAD against pytorch-grad-cam."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.common.errors import BadSetting, Cancelled
from camlab.metrics import upsample
from camlab.metrics.faithfulness import (
    FAITHFULNESS,
    FaithfulnessInput,
    area_under,
    blurred,
    curve,
    deletion,
    hottest_first,
    insertion,
    road,
)
from camlab.models.classifier import Classifier
from tests.cams.stub import random_pictures, signed_stub
from tests.rounding import DOUBLE, apart, chain_bound, sum_bound

SIZE = (12, 10)
TARGETS = [0, 3]


class Scored:
    """The stub with the whole way to the logits, in float64; counts its batches."""

    def __init__(self) -> None:
        self.stub = signed_stub().double()
        self.batches: list[int] = []

    def normalise(self, x: Tensor) -> Tensor:
        return self.stub.normalise(x).float()  # as the library fills in pixels in float32

    def network(self, z: Tensor) -> Tensor:
        return self.stub.tail(self.stub.head(z.double(), "cut"), "cut")

    def logits(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return self.network(self.normalise(x))


def case(**options: Any) -> FaithfulnessInput:
    maps = np.random.default_rng(0).random((2, *SIZE))
    given: dict[str, Any] = {
        "classifier": Scored(),
        "pictures": random_pictures(2),
        "maps": maps,
        "targets": TARGETS,
    }
    return FaithfulnessInput(**(given | options))


def twin_area(this: FaithfulnessInput, row: int, start: Tensor, end: Tensor, steps: int) -> float:
    """Replace pixels one after the other, hottest first, and add up trapezoids."""
    hottest = sorted(range(SIZE[0] * SIZE[1]), key=lambda p: -this.maps[row].ravel()[p])
    shown, done, scores = start.clone(), 0, []
    for step in range(steps + 1):
        while done < round(step * len(hottest) / steps):
            i, j = divmod(hottest[done], SIZE[1])
            shown[:, i, j] = end[:, i, j]
            done += 1
        logits = this.classifier.logits(shown[None])[0].double()
        scores.append(float(torch.softmax(logits, 0)[this.targets[row]]))
    return sum((a + b) / 2 for a, b in pairwise(scores)) / steps


@pytest.mark.parametrize("steps", [1, 7, 120, 500])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_equal_their_slow_twins(steps: int, batch: int) -> None:
    this = case(batch=batch)
    grey = torch.full((3, *SIZE), 0.5)  # the stub's mean
    soft = blurred(this.pictures)
    down, up = deletion(this, steps), insertion(this, steps)
    for row in range(2):
        # Means of probabilities.
        assert apart(down[row], twin_area(this, row, this.pictures[row], grey, steps)) <= DOUBLE
        assert apart(up[row], twin_area(this, row, soft[row], this.pictures[row], steps)) <= DOUBLE


def test_batches_are_bounded() -> None:
    this = case(batch=5)
    deletion(this, 9)
    assert isinstance(this.classifier, Scored)
    assert this.classifier.batches == [5, 5, 5, 5]


def test_curves_start_and_end_where_they_should() -> None:
    this = case()
    start, end = this.pictures, torch.zeros_like(this.pictures)
    found = curve(this, start, end, 10)
    assert apart(found[:, 0], this.probabilities(start, [0, 1])).max() <= DOUBLE
    assert apart(found[:, -1], this.probabilities(end, [0, 1])).max() <= DOUBLE
    assert apart(curve(case(maps=1 - this.maps), end, start, 10)[:, ::-1], found).max() <= DOUBLE
    assert area_under(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [0.5, 0.5]


def test_ranks_are_hottest_first_and_ties_have_no_direction() -> None:
    maps = np.random.default_rng(1).random((3, *SIZE))
    ranks = hottest_first(maps)
    for row in range(3):
        assert (np.diff(maps[row].ravel()[np.argsort(ranks[row])]) <= 0).all()
    half = np.zeros((1, 20, 20))
    half[0, :, :10] = 1
    tied = hottest_first(half)[0].reshape(20, 20)
    assert sorted(tied[:, :10].ravel()) == list(range(200))
    assert abs(np.corrcoef(np.arange(200), tied[:, :10].ravel())[0, 1]) < 0.2


def test_blur_is_that_of_a_gaussian_window() -> None:
    impulse = torch.zeros(1, 3, 31, 31)
    impulse[..., 15, 15] = 1
    weights = [math.exp(-0.5 * (d / 5) ** 2) for d in range(-5, 6)]
    row = np.array(weights) / sum(weights)
    # Rounded to float32 after each of the two axes, and once more at a power of two.
    spread = np.outer(row, row)
    assert (apart(blurred(impulse)[0, 1, 10:21, 10:21], spread) <= chain_bound(3, spread)).all()
    assert apart(blurred(impulse)[0, 0].double().sum(), 1) <= sum_bound(spread, earlier=3)


# ROAD


def library_road(
    this: FaithfulnessInput, percentiles: list[int], z: Tensor, model: Callable[[Tensor], Tensor]
) -> np.ndarray:
    targets = [ClassifierOutputSoftmaxTarget(t) for t in this.targets]
    scores = []
    for remove in (RemoveLeastRelevantFirst, RemoveMostRelevantFirst):
        metrics = [PerturbationConfidenceMetric(remove(p, NoisyLinearImputer(0.0))) for p in percentiles]
        scores.append(np.mean([metric(z, np.float32(this.maps), targets, model) for metric in metrics], axis=0))
    found: np.ndarray = (scores[0] - scores[1]) / 2
    return found


def test_road_equals_the_library() -> None:
    this, percentiles = case(), [20, 50, 90]
    scored = this.classifier
    assert isinstance(scored, Scored)
    theirs = library_road(this, percentiles, scored.normalise(this.pictures), scored.network)
    # Ours goes back to [0, 1] and is normalised again, which rounds every filled pixel to float32 some four times,
    # 2⁻²⁴ each; 360 such changes of either sign, weighed by a gradient below 1, are seen as less than 1e-6.
    assert apart(road(this, percentiles, noise=0.0), theirs).max() <= 1e-6
    # With its noise the library draws from the global stream: near, never equal.
    torch.manual_seed(0)
    goals = [ClassifierOutputSoftmaxTarget(t) for t in TARGETS]
    noisy = ROADCombined(percentiles)(scored.normalise(this.pictures), np.float32(this.maps), goals, scored.network)
    ours = road(this, percentiles)
    assert np.abs(ours - noisy).max() <= 0.05 and np.abs(ours - theirs).max() > 0
    assert np.array_equal(ours, road(this, percentiles))


def test_road_of_a_map_that_is_mostly_zero_has_an_answer() -> None:
    maps = np.zeros((2, *SIZE))
    maps[:, 3:6, 3:6] = np.random.default_rng(0).random((2, 3, 3))
    assert np.isfinite(road(case(maps=maps), [30, 60])).all()


# all of them


def few(name: str) -> Callable[[FaithfulnessInput], np.ndarray]:
    fewer: dict[str, Callable[[FaithfulnessInput], np.ndarray]] = {
        "deletion": lambda c: deletion(c, 12),
        "insertion": lambda c: insertion(c, 12),
        "road": lambda c: road(c, [50]),
    }
    return fewer[name]


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_ranges_rows_and_maps_with_nothing_in_them(name: str) -> None:
    entry = FAITHFULNESS[name]
    assert entry.name == name and entry.summary.endswith(".") and entry.price and entry.source
    this = case()
    found = few(name)(this)
    assert ((found >= entry.low) & (found <= entry.high)).all()
    turned = few(name)(case(pictures=this.pictures.flip(0), maps=this.maps[::-1], targets=TARGETS[::-1]))
    assert apart(turned[::-1], found).max() <= DOUBLE
    maps = this.maps.copy()
    maps[1] = 0.3
    assert np.isnan(few(name)(case(maps=maps))).tolist() == [False, True]
    nobody = case(pictures=torch.zeros(0, 3, *SIZE), maps=np.zeros((0, *SIZE)), targets=[])
    assert few(name)(nobody).shape == (0,)


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_stops_between_batches(name: str) -> None:
    calls = [0]

    def check() -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        few(name)(case(check=check, batch=4))
    assert calls[0] == 2


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(BadSetting, match="map of its size"):
        case(maps=np.zeros((2, 5, 5)))
    with pytest.raises(BadSetting, match="map of its size"):
        case(targets=[1])
    with pytest.raises(BadSetting, match="1 or more"):
        deletion(case(), 0)
    with pytest.raises(BadSetting, match="between 0 and 100"):
        road(case(), [0, 50])


def test_on_a_real_network_a_map_beats_its_opposite(lite0: Classifier, inputs: Tensor) -> None:
    shared = shared_pass(lite0, "bn2", inputs[:1], [None], ["a"])
    maps = upsample(scale_maps(CAMS["gradcam"].apply(shared))[0].numpy(), lite0.input_size)
    targets = shared.targets.tolist()
    right, wrong = (FaithfulnessInput(lite0, inputs[:1], m, targets) for m in (maps, 1 - maps))
    assert deletion(right, 16)[0] < deletion(wrong, 16)[0]
    assert insertion(right, 16)[0] > insertion(wrong, 16)[0]
