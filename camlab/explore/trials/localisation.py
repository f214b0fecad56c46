"""Test whether the maps of a pair point at the object, given the outline that comes with the picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.engine.shared import model_mask
from camlab.engine.spec import Explained
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.metrics import upsample
from camlab.metrics.localisation import LOCALISATIONS, best_iou, localisation

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Localised:
    """One localisation measure of a pair, in [0, 1]; None for a degenerate map.

    chance: the mean of maps that are unrelated to the object.
    """

    name: str
    clean: float | None
    perturbed: float | None
    chance: float


@dataclass(frozen=True)
class PairLocalisation:
    """The localisation scores of a pair of maps, measured with the outline of the object.

    mask: (H, W) at the model's input; thresholds: those of the clean and the perturbed map at the best IoU.
    """

    mask: Mask
    measures: tuple[Localised, ...]
    thresholds: tuple[float | None, float | None]

    def record(self) -> dict[str, Any]:
        """Return the numbers as plain data for JSON."""
        sides = {m.name: {"clean": m.clean, "perturbed": m.perturbed, "chance": m.chance} for m in self.measures}
        thresholds = dict(zip(("clean", "perturbed"), self.thresholds, strict=True))
        return {**sides, "best_iou_thresholds": thresholds, "mask_share": float(self.mask.mean())}


def object_mask(scene: Scene) -> Mask | None:
    """Return the object's mask (H, W) at the model's input; None without an outline, or if it is empty or full.

    Raises BadImage if the outline's file cannot be read.
    """
    seen = model_mask(scene.classifier, scene.picture)
    return None if seen is None or not seen.any() or seen.all() else seen


def why_not(scene: Scene) -> str:
    """Return one sentence on why a scene has no `object_mask` and what to do."""
    if model_mask(scene.classifier, scene.picture) is None:
        return (
            "This picture comes without an outline of the object, so there is nothing to compare the map with; "
            "choose a picture that has one, or upload yours with a mask beside it."
        )
    return "The object fills all or none of the part that the model sees; choose another picture."


def localise(scene: Scene, shown: Shown) -> PairLocalisation | None:
    """Compute every localisation measure of the shown pair; None without a mask. Raises BadImage."""
    mask = object_mask(scene)
    if mask is None:
        return None
    maps = np.stack([as_shown(scene, side) for side in (shown.clean, shown.perturbed)])
    found = []
    for name, entry in LOCALISATIONS.items():
        values = localisation(name, maps, mask)
        if values is None:
            raise RuntimeError("an object mask is neither empty nor full")
        clean, perturbed = (None if np.isnan(v) else float(v) for v in values)
        found.append(Localised(name, clean, perturbed, entry.chance(mask)))
    cuts = best_iou(maps, mask)[1]
    method = scene.state.method
    empty = [side.degenerate[method] for side in (shown.clean, shown.perturbed)]
    first, second = (None if nothing else float(cut) for nothing, cut in zip(empty, cuts, strict=True))
    return PairLocalisation(mask, tuple(found), (first, second))


def as_shown(scene: Scene, explained: Explained) -> NDArray[np.float64]:
    """Return a version's map (H, W) at the model's input size, interpolated as on screen."""
    shown: NDArray[np.float64] = upsample(explained.maps[scene.state.method][None], scene.classifier.input_size)[0]
    return shown
