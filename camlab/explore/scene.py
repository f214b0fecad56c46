"""One picture under one model, method and noise: the shown pair, its rows of measurements and its floors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from camlab.cams import CAMS, Coincidence, coinciding
from camlab.cams.base import Cost
from camlab.common.errors import BadSetting
from camlab.engine.engine import Engine
from camlab.engine.segments import begin_segments
from camlab.engine.shared import REFERENCE_COUNT, engine_for, model_input, reference_pictures
from camlab.engine.spec import CLEAN, Explained, Spec
from camlab.explore.results import Decomposition, Floors, SegmentMove, Shown
from camlab.explore.state import ExploreState
from camlab.images import Picture
from camlab.metrics import (
    SIMILARITIES,
    Comparison,
    other_picture_floor,
    similarity,
    unit_scale,
)
from camlab.models import Classifier, short_name
from camlab.models.network.split import PLUS
from camlab.noise import unavailable

__all__ = [
    "REFERENCE_COUNT",
    "Decomposition",
    "Floors",
    "Scene",
    "SegmentMove",
    "Shown",
    "engine_for",
    "model_input",
]

Check = Callable[[], None]


def _no_check() -> None:
    """Default for work that nobody cancels."""


class Scene:
    """One picture under the choices of a state; everything the Explore page shows is asked from here.

    Raises UnknownName for a layer the model does not have, BadSetting for a class it does not have.
    """

    def __init__(self, engine: Engine, picture: Picture, state: ExploreState) -> None:
        self.engine, self.picture, self.state = engine, picture, state
        # Engines take anything that can be explained; those of engine_for hold a whole classifier.
        self.classifier = cast(Classifier, engine.classifier)
        self.layer = self.classifier.resolve_layer(state.layer)
        self.method = CAMS[state.method]
        classes = len(self.classifier.class_names)
        if state.rule == "fixed" and not 0 <= (state.target if state.target is not None else -1) < classes:
            raise BadSetting(
                f"{self.classifier.title} has no class {state.target}; choose one from 0 to {classes - 1}."
            )
        self.input = model_input(self.classifier, picture)
        # Cut beside the forward pass where nobody knows them yet.
        self._labels = begin_segments(self.input, state.segmentation, state.segment_parameters, engine.cache)
        self._comparison: Comparison | None = None

    @property
    def comparison(self) -> Comparison:
        """Segments, size and RBO p: what measures need besides the maps. Made on first use.

        Raises BadSetting for segments that the picture has no room for.
        """
        if self._comparison is None:
            labels = self._labels.result()
            self._comparison = Comparison(labels, labels.shape, self.state.p)
        return self._comparison

    @property
    def cost(self) -> Cost:
        """What a map costs: the method's cost, and more than a shared pass where maps of many are averaged."""
        own = self.method.cost
        return "tail" if own == "shared" and self.state.smoothing.passes > 1 else own

    @property
    def coincidences(self) -> tuple[Coincidence, ...]:
        """Groups of methods that give one and the same map on this layer, each with its reason."""
        return coinciding(self.classifier, self.layer)

    @property
    def lacking(self) -> str | None:
        """Why the state's noise type cannot be applied to this picture, in one sentence; None: it can."""
        return unavailable(self.state.noise, self.engine.pictures.surroundings(), self.picture.digest)

    @property
    def flat(self) -> bool:
        """Whether the model sees one single colour, in which no map can mean anything."""
        return bool((self.input == self.input[:, :1, :1]).all())

    @property
    def layer_before(self) -> str | None:
        """The layer one step earlier, None at the first."""
        names = [layer.name for layer in self.classifier.layers]
        place = names.index(self.layer.split(PLUS)[0])
        return names[place - 1] if place else None

    def explain(
        self,
        specs: Sequence[Spec],
        targets: int | Sequence[int | None] | None = None,
        check: Check = _no_check,
    ) -> list[Explained]:
        """Predictions and this method's map for versions of the picture."""
        method = [self.state.method]
        return self.engine.explain(
            self.input, self.picture.digest, specs, method, self.layer, targets, check, self.state.smoothing
        )

    def clean(self, check: Check = _no_check) -> Explained:
        """The clean picture under the class rule."""
        return self.explain([CLEAN], self.state.target if self.state.rule == "fixed" else None, check)[0]

    def target(self, clean: Explained) -> int | None:
        """The class that versions of the picture are explained for under the class rule; None: each one's own."""
        return {"own": None, "clean": clean.index, "fixed": self.state.target}[self.state.rule]

    def compare(self, name: str, a: Explained, b: Explained) -> float | None:
        """One raw similarity of two maps; None where a map is degenerate or the measure is undefined."""
        method = self.state.method
        if a.degenerate[method] or b.degenerate[method]:
            return None
        value = float(similarity(name, a.maps[method][None], b.maps[method][None], self.comparison)[0])
        return value if np.isfinite(value) else None

    def rows(self, pairs: Sequence[tuple[float, int]], check: Check = _no_check) -> list[dict[str, Any]]:
        """One row of measurements for each (severity, seed): a study's columns, and what the page shows.

        ``similarity`` is the chosen measure on [0, 1] (nan where not observed); the raw value has the measure's name.
        """
        clean = self.clean(check)
        specs = [Spec(self.state.noise, severity, seed) for severity, seed in pairs]
        versions = self.explain(specs, self.target(clean), check)
        return self._rows(pairs, clean, versions)

    def _rows(
        self, pairs: Sequence[tuple[float, int]], clean: Explained, versions: Sequence[Explained]
    ) -> list[dict[str, Any]]:
        method, name = self.state.method, self.state.similarity
        reference = np.repeat(clean.maps[method][None], len(versions), axis=0)
        raw = similarity(name, reference, np.stack([v.maps[method] for v in versions]), self.comparison)
        names, top5 = self.classifier.class_names, {index for index, _ in clean.top(5)}
        rows = []
        for (severity, seed), version, value in zip(pairs, versions, raw, strict=True):
            degenerate = bool(clean.degenerate[method] or version.degenerate[method])
            value = float("nan") if degenerate else float(value)
            flipped = version.index != clean.index
            rows.append(
                {
                    "model": self.classifier.name,
                    "image_set": self.picture.image_set,
                    "image": self.picture.id,
                    "method": method,
                    "layer": self.layer,
                    "noise": self.state.noise,
                    "severity": float(severity),
                    "seed": int(seed),
                    "clean_index": clean.index,
                    "clean_prob": clean.probability,
                    "perturbed_index": version.index,
                    "perturbed_prob": version.probability,
                    "perturbed_label": short_name(names[version.index]),
                    "clean_class_prob": float(version.probabilities[clean.index]),
                    "flipped": flipped,
                    "near": flipped and version.index in top5,
                    "degenerate": degenerate,
                    "segments": self.comparison.n_segments,
                    name: value,
                    "similarity": float(unit_scale(name, np.array([value]))[0]),
                }
            )
        return rows

    def versions(
        self, severity: float, seed: int, check: Check = _no_check
    ) -> tuple[Explained, Explained, NDArray[np.float32]]:
        """The clean and the perturbed version under the class rule, and the perturbed picture (3, H, W)."""
        spec = Spec(self.state.noise, severity, seed)
        clean = self.clean(check)
        perturbed = self.explain([spec], self.target(clean), check)[0]
        pictures = self.engine.inputs(self.input, self.picture.digest, [spec], check)
        return clean, perturbed, pictures[0].numpy()

    def shown(self, severity: float, seed: int, check: Check = _no_check, *, brief: bool = False) -> Shown:
        """The pair at one severity and seed with everything the panels need.

        ``brief`` leaves out the measures that were not chosen and, where it would cost a dear method's time
        once more, what moved the map.
        """
        start = time.perf_counter()
        spec = Spec(self.state.noise, severity, seed)
        clean, perturbed, pixels = self.versions(severity, seed, check)
        row = self._rows([(severity, seed)], clean, [perturbed])[0]
        values = {} if brief else {name: self.compare(name, clean, perturbed) for name in SIMILARITIES}
        split = self.state.rule == "own" and not (brief and self.cost != "shared")
        decomposition = self._decompose(spec, clean, perturbed, check) if split else None
        return Shown(
            clean,
            perturbed,
            self.input.numpy(),
            pixels,
            row,
            values,
            decomposition,
            self.moves(clean, perturbed),
            (time.perf_counter() - start) * 1000,
        )

    def _decompose(self, spec: Spec, clean: Explained, perturbed: Explained, check: Check) -> Decomposition:
        name = self.state.similarity

        def similar(version: Explained) -> float | None:
            value = self.compare(name, clean, version)
            return None if value is None else float(unit_scale(name, np.array([value]))[0])

        both = similar(perturbed)
        if perturbed.index == clean.index:  # one class in both: the noise alone made whatever changed
            return Decomposition(similar(clean), both, both)
        class_only = self.explain([CLEAN], perturbed.index, check)[0]
        noise_only = self.explain([spec], clean.index, check)[0]
        return Decomposition(similar(class_only), similar(noise_only), both)

    def segment_values(self, explained: Explained) -> NDArray[np.float64]:
        """Mean map value of every segment, (n,)."""
        values: NDArray[np.float64] = self.comparison.means(explained.maps[self.state.method][None])[0]
        return values

    def moves(self, clean: Explained, perturbed: Explained, count: int = 5) -> tuple[SegmentMove, ...]:
        """The segments whose rank changed most, strongest change first; ties share their mean rank."""
        before, after = (rankdata(-self.segment_values(e), method="average") for e in (clean, perturbed))
        areas = np.bincount(self.comparison.labels.ravel()) / self.comparison.labels.size
        # Of equal jumps the larger segment comes first: it is the one that the eye sees move.
        order = np.lexsort((-areas, -np.abs(after - before)))[:count]
        return tuple(
            SegmentMove(int(k), float(before[k]), float(after[k]), float(areas[k]))
            for k in order
            if before[k] != after[k]
        )

    @property
    def random_floor(self) -> float | None:
        """The similarity of two unrelated random rankings, where the measure has a formula for it."""
        formula = SIMILARITIES[self.state.similarity].random_floor
        return None if formula is None else formula(self.comparison)

    def references(self, check: Check = _no_check) -> Iterator[Explained]:
        """The other pictures under the same class rule, one after the other; remembered by the engine."""
        target = self.state.target if self.state.rule == "fixed" else None
        for other in reference_pictures(self.picture):
            clean = model_input(self.classifier, other)
            yield self.engine.explain(
                clean,
                other.digest,
                [CLEAN],
                [self.state.method],
                self.layer,
                target,
                check,
                self.state.smoothing,
            )[0]

    def floors(self, check: Check = _no_check) -> Floors:
        """The similarity's two floors for this picture's clean map: random ranking and other pictures."""
        name = self.state.similarity
        random = self.random_floor
        clean = self.clean(check)
        if clean.degenerate[self.state.method]:
            return Floors(random, None, 0)
        others = [other for other in self.references(check) if not other.degenerate[self.state.method]]
        maps = [other.maps[self.state.method] for other in others]
        if not maps:
            return Floors(random, None, 0)
        floor = other_picture_floor(clean.maps[self.state.method], np.stack(maps), self.comparison, name)
        return Floors(random, floor, len(maps))
