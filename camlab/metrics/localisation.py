"""Localisation: how well a batch of maps matches a mask of the object."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.metrics.pixels import DECIMALS, Floats, is_constant
from camlab.models.preprocessing import Preprocessing

Mask = NDArray[np.bool_]

#: The pointing game's tolerance in pixels, for pictures whose shorter side is REFERENCE_SIDE.
TOLERANCE = 15.0
REFERENCE_SIDE = 224


@dataclass(frozen=True)
class Localisation:
    """A measure of maps (N, H, W) in [0, 1], as shown, against a mask (H, W) of the object: (N,) in [0, 1].

    It is nan for a constant map. `chance`: its mean for this mask over maps that are unrelated to the mask.
    """

    name: str
    title: str
    summary: str
    source: str
    apply: Callable[[Floats, Mask], Floats]
    chance: Callable[[Mask], float]


Measure = TypeVar("Measure", bound=Callable[[Floats, Mask], Floats])
LOCALISATIONS: Registry[Localisation] = Registry("localisation measure")


def localisation_measure(
    name: str, *, title: str, summary: str, source: str, chance: Callable[[Mask], float]
) -> Callable[[Measure], Measure]:
    """Register the decorated function as a localisation measure."""

    def register(apply: Measure) -> Measure:
        LOCALISATIONS.add(name, Localisation(name, title, summary, source, apply, chance))
        return apply

    return register


def localisation(name: str, maps: NDArray[np.floating], mask: Mask) -> Floats | None:
    """Compute a registered measure (N,) for maps (N, H, W); None for a mask that is empty or covers everything.

    Raises UnknownName for an unknown measure, BadSetting if mask and maps differ in size.
    """
    entry = LOCALISATIONS[name]
    if maps.ndim != 3 or maps.shape[1:] != mask.shape:
        raise BadSetting(
            f"The maps have {maps.shape[1:]} pixels and the mask {mask.shape}; bring both to the model's input size."
        )
    inside = mask.astype(bool)
    if not inside.any() or inside.all():
        return None
    wide = maps.astype(np.float64, copy=False)
    return np.where(is_constant(wide), np.nan, entry.apply(wide, inside))


def near(mask: Mask, tolerance: float = TOLERANCE) -> Mask:
    """Flag the pixels within ``tolerance`` of the mask, centre to centre; scaled if the shorter side is not 224."""
    from scipy.ndimage import distance_transform_edt

    reach = tolerance * min(mask.shape) / REFERENCE_SIDE
    close: Mask = distance_transform_edt(~mask) <= reach
    return close


@localisation_measure(
    "pointing_game",
    title="Pointing game",
    summary="Whether the map's maximum hits the object, or misses it by no more than 15 pixels of 224.",
    source="Zhang et al. 2016, arXiv 1608.00507",
    chance=lambda mask: float(near(mask).mean()),
)
def pointing_game(maps: Floats, mask: Mask, tolerance: float = TOLERANCE) -> Floats:
    """Score 1 if a map's maximum lies near the mask, else 0; of equal maxima, the share that lies near it."""
    values = np.round(maps.reshape(len(maps), -1), DECIMALS)
    top = values == values.max(axis=1, keepdims=True)
    hits: Floats = (top & near(mask, tolerance).ravel()).sum(axis=1) / top.sum(axis=1)
    return hits


@localisation_measure(
    "energy_pointing",
    title="Energy inside",
    summary="The share of the map's sum that lies on the object.",
    source="Wang et al. 2020, arXiv 1910.01279, energy-based pointing game",
    chance=lambda mask: float(mask.mean()),
)
def energy_inside(maps: Floats, mask: Mask) -> Floats:
    """Compute the share of the map's sum that lies inside the mask; nan if the sum is 0."""
    flat = maps.reshape(len(maps), -1)
    inside, whole = flat @ mask.ravel().astype(np.float64), flat.sum(axis=1)
    share = np.divide(inside, whole, out=np.full(len(maps), np.nan), where=whole > 0)
    inside_share: Floats = np.minimum(share, 1.0)  # the two sums are rounded differently
    return inside_share


@localisation_measure(
    "best_iou",
    title="Best IoU",
    summary="How well the map, cut at the threshold that suits this mask best, covers the object: overlap over union.",
    source="after Choe et al. 2020, arXiv 2001.07437; the best threshold is chosen for each picture",
    chance=lambda mask: float(mask.mean()),
)
def iou(maps: Floats, mask: Mask) -> Floats:
    """Compute the largest intersection over union of {map ≥ t} and the mask, over all thresholds t."""
    return best_iou(maps, mask)[0]


def best_iou(maps: Floats, mask: Mask) -> tuple[Floats, Floats]:
    """Find the threshold t at which {map ≥ t} and the mask have the largest intersection over union.

    maps: (N, H, W), rounded to 1e-6. Returns the IoU (N,) and t (N,), the highest of equally good ones. The lowest t
    covers the whole picture, so the IoU is never below the mask's share of it.
    """
    values = np.round(maps.reshape(len(maps), -1), DECIMALS)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    count = np.arange(1, values.shape[1] + 1)
    hits = np.cumsum(mask.ravel()[order], axis=1)
    overlap = hits / (count + mask.sum() - hits)
    # A threshold separates only different values: cut after the last of equal ones.
    last = np.concatenate([ranked[:, 1:] < ranked[:, :-1], np.ones((len(maps), 1), dtype=bool)], axis=1)
    overlap = np.where(last, overlap, -1.0)
    best = overlap.argmax(axis=1)[:, None]
    return np.take_along_axis(overlap, best, axis=1)[:, 0], np.take_along_axis(ranked, best, axis=1)[:, 0]


def mask_at_input(mask: NDArray[np.generic], preprocessing: Preprocessing) -> Mask:
    """Resize and crop the mask (h, w) of a whole picture as the model's preprocessing does the picture: (H, W).

    A pixel is inside if more than half of its area is. Raises BadSetting for a mask that is not two-dimensional
    or has no pixels.
    """
    from PIL import Image

    if mask.ndim != 2 or not mask.size:
        raise BadSetting(f"A mask has rows and columns, not the shape {mask.shape}; give one plane of 0 and 1.")
    picture = Image.fromarray(np.where(mask.astype(bool), 255, 0).astype(np.uint8)).convert("RGB")
    seen = dataclasses.replace(preprocessing, interpolation="box").apply(picture)
    return seen[0].numpy() > 0.5
