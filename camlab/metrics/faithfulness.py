"""Faithfulness: whether the prediction uses what a map shows, by removing or restoring pixels in the map's order."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.cams.base import never
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.torch_state import pinned_torch
from camlab.metrics.pixels import DECIMALS, Floats, is_constant
from camlab.models.preprocessing import mean_colour, scale_and_shift

#: Steps from the whole picture to the empty canvas: RISE changes 224 pixels of 224 × 224 at a time.
STEPS = 224
#: The canvas of insertion: a Gaussian blur of this window and standard deviation, in pixels, as in RISE.
BLUR_SIZE, BLUR_SIGMA = 11, 5.0
#: The percentages of hottest, or coldest, pixels that ROAD removes.
PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)
#: Standard deviation of the noise that ROAD adds to filled-in pixels, in units of the normalised picture.
FILL_NOISE = 0.01


class Scorer(Protocol):
    """The interface of a classifier that these measures use; `camlab.models.Classifier` implements it."""

    def normalise(self, x: Tensor) -> Tensor:
        """Return pictures (N, 3, H, W) in [0, 1], normalised for the network."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C) of pictures in [0, 1]."""
        ...


@dataclass(frozen=True)
class FaithfulnessInput:
    """Pictures with the maps to judge and the classes that the maps explain.

    pictures: (N, 3, H, W) in [0, 1], clean or perturbed; maps: (N, H, W) in [0, 1], as shown; targets: one class per
    map. `check` is called between batches of at most ``batch`` pictures and raises Cancelled. Raises BadSetting if
    the sizes do not match.
    """

    classifier: Scorer
    pictures: Tensor
    maps: NDArray[np.floating]
    targets: Sequence[int]
    check: Callable[[], None] = never
    batch: int = 16

    def __post_init__(self) -> None:
        count, _, *size = self.pictures.shape
        if self.maps.shape != (count, *size) or len(self.targets) != count:
            raise BadSetting(
                f"There are {count} pictures of {tuple(size)} pixels, maps of {self.maps.shape} and "
                f"{len(self.targets)} targets; give each picture a map of its size and a class."
            )

    def varies(self) -> NDArray[np.bool_]:
        """Flag the maps (N,) that are not constant."""
        return ~is_constant(self.maps)

    @pinned_torch()
    def probabilities(self, pictures: Tensor, rows: Sequence[int]) -> Floats:
        """Return the target's probability (M,) in pictures (M, 3, H, W), variants of the pictures at ``rows``."""
        with torch.inference_mode():
            shares = torch.softmax(self.classifier.logits(pictures).double(), dim=1).cpu()
        goals = torch.tensor([self.targets[row] for row in rows])
        return shares.gather(1, goals[:, None])[:, 0].numpy()


FaithfulnessFn = Callable[[FaithfulnessInput], Floats]
_Fn = TypeVar("_Fn", bound=FaithfulnessFn)


@dataclass(frozen=True)
class Faithfulness:
    """A measure of how much a prediction uses what its map shows: FaithfulnessInput -> (N,), nan for constant maps.

    low, high: its range; `higher_is_better`: the high end is the faithful one; `price`: its cost in words.
    """

    name: str
    title: str
    summary: str
    source: str
    low: float
    high: float
    higher_is_better: bool
    price: str
    apply: FaithfulnessFn


FAITHFULNESS: Registry[Faithfulness] = Registry("faithfulness measure")


def faithfulness_measure(
    name: str,
    *,
    title: str,
    summary: str,
    source: str,
    low: float = 0.0,
    high: float = 1.0,
    higher_is_better: bool = True,
    price: str,
) -> Callable[[_Fn], _Fn]:
    """Register the decorated function as a faithfulness measure."""

    def register(apply: _Fn) -> _Fn:
        words = (name, title, summary, source, low, high, higher_is_better, price)
        FAITHFULNESS.add(name, Faithfulness(*words, apply))
        return apply

    return register


def hottest_first(maps: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rank the pixels (N, H·W), 0 the hottest; values equal to 1e-6 come in one fixed random order.

    Without the random order, ties would be removed from top to bottom of the picture.
    """
    flat = maps.reshape(len(maps), math.prod(maps.shape[1:]))
    values = np.round(flat.astype(np.float64), DECIMALS)
    shuffled = np.random.default_rng(0).permutation(values.shape[1])
    order = shuffled[np.argsort(-values[:, shuffled], axis=1, kind="stable")]
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(values.shape[1])[None], axis=1)
    return ranks.astype(np.int64)


@pinned_torch()
def curve(case: FaithfulnessInput, start: Tensor, end: Tensor, steps: int = STEPS) -> Floats:
    """Return probabilities (N, steps + 1) as pixels of ``end`` replace those of ``start``, hottest first.

    At step s, round(s · H · W / steps) pixels are replaced. Raises BadSetting for fewer than 1 step, and what `check`
    raises, between batches.
    """
    if steps < 1:
        raise BadSetting(f"A curve of {steps} steps cannot be drawn; choose 1 or more.")
    ranks = torch.from_numpy(hottest_first(case.maps)).reshape(case.maps.shape).to(start.device)
    pixels = math.prod(case.maps.shape[1:])
    replaced = [round(step * pixels / steps) for step in range(steps + 1)]
    jobs = [(row, step) for row in range(len(ranks)) for step in range(steps + 1)]
    found = np.zeros((len(ranks), steps + 1))
    for first in range(0, len(jobs), case.batch):
        case.check()
        rows, places = (list(part) for part in zip(*jobs[first : first + case.batch], strict=True))
        limits = torch.tensor([replaced[step] for step in places], device=start.device)
        new = (ranks[rows] < limits[:, None, None])[:, None]
        found[rows, places] = case.probabilities(torch.where(new, end[rows], start[rows]), rows)
    return found


def area_under(curves: Floats) -> Floats:
    """Compute the area (N,) under curves (N, steps + 1) over the share of pixels by the trapezoid rule."""
    area: Floats = np.trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1)
    return area


@faithfulness_measure(
    "deletion",
    title="Deletion",
    summary="The class's mean probability while pixels are replaced by mean colour, hottest first; low is faithful.",
    source="Petsiuk et al. 2018, arXiv 1806.07421",
    higher_is_better=False,
    price=f"{STEPS + 1} passes per picture",
)
@pinned_torch()
def deletion(case: FaithfulnessInput, steps: int = STEPS) -> Floats:
    """Compute the area under the probability while pixels turn to the model's mean colour (zero after normalising)."""
    grey = mean_colour(case.classifier, case.pictures).expand_as(case.pictures)
    return _where_varied(case, area_under(curve(case, case.pictures, grey, steps)))


@faithfulness_measure(
    "insertion",
    title="Insertion",
    summary="The class's mean probability while pixels return to a blurred picture, hottest first; high is faithful.",
    source="Petsiuk et al. 2018, arXiv 1806.07421",
    price=f"{STEPS + 1} passes per picture",
)
@pinned_torch()
def insertion(case: FaithfulnessInput, steps: int = STEPS) -> Floats:
    """Compute the area under the probability while pixels of the picture replace those of its blurred copy."""
    return _where_varied(case, area_under(curve(case, blurred(case.pictures), case.pictures, steps)))


@faithfulness_measure(
    "road",
    title="ROAD",
    summary="Half the gap between the class's probability with the coldest and with the hottest pixels filled in; "
    "high is faithful.",
    source="Rong et al. 2022, arXiv 2202.00449, in pytorch-grad-cam's implementation",
    low=-0.5,
    high=0.5,
    price=f"{2 * len(PERCENTILES)} passes per picture, each after a filling that takes under a second",
)
@pinned_torch()
def road(case: FaithfulnessInput, percentiles: Sequence[int] = PERCENTILES, noise: float = FILL_NOISE) -> Floats:
    """Compute (mean probability without the coldest − without the hottest pixels) / 2, over the percentiles.

    The library removes and fills in the pixels. It gets ranks instead of values, because it would remove many tied
    pixels (half a map may be zero) at once; without ties the result is the same. The noise depends only on the
    percentile, not on the library's global random state. Raises BadSetting for a percentile outside 0 to 100, both
    excluded, and what `check` raises, between percentiles.
    """
    from pytorch_grad_cam.metrics.perturbation_confidence import (
        RemoveLeastRelevantFirst,
        RemoveMostRelevantFirst,
    )
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    if not percentiles or not all(0 < p < 100 for p in percentiles):
        raise BadSetting("ROAD removes shares of the picture; choose percentiles between 0 and 100.")
    count = len(case.maps)
    heat = 1 - (hottest_first(case.maps) + 0.5) / math.prod(case.maps.shape[1:])
    pictures = case.classifier.normalise(case.pictures).detach().cpu()
    scale, shift = scale_and_shift(case.classifier, case.pictures)
    sums = np.zeros((2, count))
    for row in range(count):
        for percentile in percentiles:
            filled: list[Tensor] = []
            for remove in (RemoveLeastRelevantFirst, RemoveMostRelevantFirst):
                case.check()
                stream = torch.Generator().manual_seed(percentile + 101 * len(filled))
                whole = pictures[row]
                # `relevance` in float32 could make neighbouring ranks equal.
                relevance = torch.from_numpy(heat[row].reshape(case.maps.shape[1:]))
                new = remove(percentile, NoisyLinearImputer(0.0))(whole, relevance)
                draws = noise * torch.randn(whole.shape, generator=stream)
                # Add noise only where pixels were removed.
                filled.append(torch.where(new == whole, whole, new + draws))
            back = (torch.stack(filled).to(case.pictures) - shift) / scale
            sums[:, row] += case.probabilities(back, [row, row])
    return _where_varied(case, (sums[0] - sums[1]) / (2 * len(percentiles)))


@pinned_torch()
def blurred(pictures: Tensor) -> Tensor:
    """Blur pictures (N, 3, H, W) for insertion: a Gaussian of 11 × 11 pixels, σ 5, mirrored borders."""
    from scipy.ndimage import gaussian_filter

    values = pictures.detach().cpu().numpy()
    soft = gaussian_filter(values, BLUR_SIGMA, mode="mirror", radius=BLUR_SIZE // 2, axes=(2, 3))
    return torch.from_numpy(soft).to(pictures)


def _where_varied(case: FaithfulnessInput, values: Floats) -> Floats:
    return np.where(case.varies(), values, np.nan)
