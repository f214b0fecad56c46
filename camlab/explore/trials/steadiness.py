"""Measure how steady the maps of several methods are on one picture, over the same noise draws."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.cams.coincidence import JOINT, is_baseline
from camlab.common.registry import Registry
from camlab.explore.results import Floors
from camlab.explore.rows import similarity_floors
from camlab.explore.scene import Scene
from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES, SEED, bootstrap

#: Methods that share one pass, so that all together cost hardly more than one; the baseline comes last.
COMPARED = (
    "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "eigengradcam", "randomcam",
)  # fmt: skip

#: Outcomes for a map under noise that leaves the prediction unchanged, in words.
OUTCOMES: Registry[str] = Registry("outcome of a story")
OUTCOMES.add("moves", "the map moves although the prediction stays")
OUTCOMES.add("holds", "the map stays where it is")
OUTCOMES.add("unsure", "the draws do not tell whether the map holds")
OUTCOMES.add("unseen", "not observed: no draw kept the prediction, or every map was degenerate")


@dataclass(frozen=True)
class Steady:
    """One method's map over the noise draws that kept the prediction.

    method: its name, or the names of all methods with this same map, joined by " = ". n: draws; kept: those with the
    clean prediction; measured: those of them with a similarity; similarity: their mean, 0..1, with a 95 % interval
    over draws if there are 5 and more; floor: the mean similarity with other pictures' maps.
    """

    method: str
    n: int
    kept: int
    measured: int
    similarity: float | None
    low: float | None
    high: float | None
    floor: float | None

    @property
    def threshold(self) -> float | None:
        """The map counts as broken below this: halfway between 1 and the other-picture floor."""
        return Floors(None, self.floor, 0).threshold

    @property
    def outcome(self) -> str:
        """One of OUTCOMES; a decided one needs the whole interval on one side of the threshold."""
        if self.similarity is None or self.threshold is None:
            return "unseen"
        low, high = (self.similarity if end is None else end for end in (self.low, self.high))
        return "moves" if high < self.threshold else "holds" if low >= self.threshold else "unsure"

    @property
    def strength(self) -> float:
        """Distance of the interval's near end from the threshold; 0 if the draws do not decide."""
        if self.outcome not in ("moves", "holds") or self.threshold is None:
            return 0.0
        ends = [end for end in (self.low, self.high, self.similarity) if end is not None]
        return self.threshold - max(ends) if self.outcome == "moves" else min(ends) - self.threshold

    @property
    def baseline(self) -> bool:
        """Whether this is the random baseline."""
        return is_baseline(self.method)


def usable_methods(scene: Scene, wanted: Iterable[str] = COMPARED) -> list[str]:
    """Return the methods that can be used at the scene's layer, the scene's own first."""
    names = dict.fromkeys([scene.state.method, *wanted])
    return [n for n in names if not CAMS[n].serves(scene.classifier, scene.layer)]


def steadiness(
    scene: Scene,
    seeds: Sequence[int],
    methods: Sequence[str] | None = None,
    check: Callable[[], None] = lambda: None,
    floors: bool = True,
) -> list[Steady]:
    """Measure each method's steadiness at the state's noise and severity; methods that coincide are merged.

    seeds: one draw each (a noise type without draws has one). Without ``floors`` the other-picture floor, which
    takes 24 more passes, stays None. The scene's own method comes first, the baseline last.
    """
    names = list(methods or usable_methods(scene))
    groups = distinct(scene, names)
    first = [group[0] for group in groups]
    clean = scene.clean(check, first)
    specs = [scene.spec(scene.state.severity, seed) for seed in seeds]
    versions = scene.explain(specs, scene.target(clean), check, first)
    kept = np.array([version.index == clean.index for version in versions])
    others = list(scene.references(check, first)) if floors else []
    found = []
    for group in groups:
        name = group[0]
        values = scene.scaled_similarities(clean.maps[name], np.stack([v.maps[name] for v in versions]))
        values = values[kept & ~np.isnan(values)]
        low, high = _interval(values)
        floor = similarity_floors(clean, others, name, scene.comparison, scene.state.similarity).other
        mean = float(values.mean()) if len(values) else None
        counts = len(versions), int(kept.sum()), len(values)
        found.append(Steady(JOINT.join(group), *counts, mean, low, high, floor))
    return sorted(found, key=lambda each: each.baseline)


def distinct(scene: Scene, names: Sequence[str]) -> list[list[str]]:
    """Group the methods that give one map on the scene's layer, in their order."""
    group: dict[str, list[str]] = {name: [name] for name in names}
    # Methods that coincide may differ once they are smoothed.
    for each in scene.coincidences if scene.state.smoothing.passes <= 1 and not scene.state.eigen else ():
        together = [name for name in names if name in each.methods]
        if len(together) > 1:
            joined = list(dict.fromkeys(n for name in together for n in group[name]))
            group |= dict.fromkeys(joined, joined)
    return [list(g) for g in dict.fromkeys(tuple(group[name]) for name in names)]


def _interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if len(values) < FEWEST_PAIRS:
        return None, None
    drawn = bootstrap(lambda w: {"mean": w @ values / len(values)}, len(values), REPLICATES, SEED)["mean"]
    return (None, None) if drawn is None else (drawn.low, drawn.high)
