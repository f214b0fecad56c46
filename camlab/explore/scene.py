"""One picture under one model, method and noise: the shown pair, its rows of measurements and its floors."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from camlab.cams import CAMS, Coincidence, coinciding
from camlab.cams.base import Cost, never
from camlab.common.errors import BadSetting
from camlab.common.wording import json_number
from camlab.engine.engine import Engine
from camlab.engine.segments import begin_segments
from camlab.engine.shared import model_input, reference_pictures
from camlab.engine.spec import CLEAN, Check, Explained, Spec
from camlab.explore.results import Decomposition, Floors, SegmentMove, Shown
from camlab.explore.rows import (
    Maps,
    Values,
    decompose,
    degenerate_pairs,
    predictions,
    random_floor,
    similarities,
    similarity_floors,
)
from camlab.explore.state import ExploreState
from camlab.images import Picture
from camlab.metrics import SIMILARITIES, Comparison, unit_scale
from camlab.models import Classifier
from camlab.models.network.split import PLUS
from camlab.noise import unavailable


class Scene:
    """One picture under the choices of a state: the source of everything that the Explore page shows.

    Raises UnknownName for a layer, and BadSetting for a class, that the model does not have.
    """

    def __init__(self, engine: Engine, picture: Picture, state: ExploreState) -> None:
        self.engine, self.picture, self.state = engine, picture, state
        # An engine takes any Explainable; those of `engine_for` hold a whole Classifier.
        self.classifier = cast(Classifier, engine.classifier)
        self.layer = self.classifier.resolve_layer(state.layer)
        self.method = CAMS[state.method]
        classes = len(self.classifier.class_names)
        if state.rule == "fixed" and not 0 <= (state.target if state.target is not None else -1) < classes:
            raise BadSetting(
                f"{self.classifier.title} has no class {state.target}; choose one from 0 to {classes - 1}."
            )
        self.input = model_input(self.classifier, picture)
        # Segments that are not known yet are computed during the forward pass.
        self._labels = begin_segments(self.input, state.segmentation, state.segment_parameters, engine.cache)
        self._comparison: Comparison | None = None

    @property
    def comparison(self) -> Comparison:
        """The measures' input besides the maps: segments, size and RBO's p; made on first use.

        Raises BadSetting for more segments than the picture can hold.
        """
        if self._comparison is None:
            labels = self._labels.result()
            self._comparison = Comparison(labels, labels.shape, self.state.p)
        return self._comparison

    @property
    def cost(self) -> Cost:
        """The cost of a map: the method's own, but more than a shared pass if smoothing averages many maps."""
        own = self.method.cost
        return "tail" if own == "shared" and self.state.smoothing.passes > 1 else own

    @property
    def coincidences(self) -> tuple[Coincidence, ...]:
        """Groups of methods that give one and the same map on this layer, each with its reason."""
        return coinciding(self.classifier, self.layer)

    @property
    def lacking(self) -> str | None:
        """One sentence on why the state's noise type cannot be applied to this picture; None: it can."""
        return unavailable(self.state.noise, self.engine.pictures.surroundings(), self.picture.digest)

    @property
    def flat(self) -> bool:
        """Whether the model sees a single colour, for which no map has a meaning."""
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
        check: Check = never,
        methods: Sequence[str] | None = None,
    ) -> list[Explained]:
        """Return predictions and maps of versions of the picture; default: the maps of the state's method."""
        return self._explain(self.input, self.picture.digest, specs, targets, check, methods)

    def _explain(
        self,
        clean: Tensor,
        digest: str,
        specs: Sequence[Spec],
        targets: int | Sequence[int | None] | None,
        check: Check,
        methods: Sequence[str] | None,
    ) -> list[Explained]:
        methods = [self.state.method] if methods is None else methods
        return self.engine.explain(clean, digest, specs, methods, self.layer, targets, check, self.state.smoothing)

    @property
    def fixed_target(self) -> int | None:
        """The class that every picture is explained for; None if the class rule fixes none."""
        return self.state.target if self.state.rule == "fixed" else None

    def clean(self, check: Check = never, methods: Sequence[str] | None = None) -> Explained:
        """Return the clean picture, explained under the class rule."""
        return self.explain([CLEAN], self.fixed_target, check, methods)[0]

    def target(self, clean: Explained) -> int | None:
        """Return the class that versions are explained for under the class rule; None: each one's prediction."""
        return clean.index if self.state.rule == "clean" else self.fixed_target

    def compare(self, name: str, a: Explained, b: Explained) -> float | None:
        """Return the raw similarity of two maps; None if one is degenerate or the measure is undefined."""
        method = self.state.method
        return json_number(similarities([name], a.maps[method], b.maps[method][None], self.comparison)[name][0])

    def scaled_similarities(self, clean: Maps, others: Maps) -> Values:
        """Return the chosen similarity on [0, 1] of a map (h, w) with others (N, h, w); nan where undefined."""
        name = self.state.similarity
        return unit_scale(name, similarities([name], clean, others, self.comparison)[name])

    def rows(self, pairs: Sequence[tuple[float, int]], check: Check = never) -> list[dict[str, Any]]:
        """Return one row of measurements per (severity, seed): a study's columns, and what the page shows.

        ``similarity`` is the chosen measure on [0, 1] (nan if not observed); the raw value has the measure's name.
        """
        clean = self.clean(check)
        specs = [self.spec(severity, seed) for severity, seed in pairs]
        return self._rows(pairs, clean, self.explain(specs, self.target(clean), check))

    def _rows(
        self, pairs: Sequence[tuple[float, int]], clean: Explained, versions: Sequence[Explained]
    ) -> list[dict[str, Any]]:
        if not versions:
            return []
        method, name = self.state.method, self.state.similarity
        maps = np.stack([version.maps[method] for version in versions])
        raw = similarities([name], clean.maps[method], maps, self.comparison)[name]
        same = {
            "model": self.classifier.name,
            "image_set": self.picture.image_set,
            "image": self.picture.id,
            "method": method,
            "layer": self.layer,
            "noise": self.state.noise,
        }
        columns: dict[str, list[Any]] = {
            "severity": [float(severity) for severity, _ in pairs],
            "seed": [int(seed) for _, seed in pairs],
        }
        predicted = predictions(clean, versions, self.classifier.class_names)
        columns |= {each: values.tolist() for each, values in predicted.items()}
        columns["degenerate"] = degenerate_pairs(clean.maps[method], maps).tolist()
        columns["segments"] = [self.comparison.n_segments] * len(pairs)
        columns[name] = raw.tolist()
        columns["similarity"] = unit_scale(name, raw).tolist()
        return [same | dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def spec(self, severity: float, seed: int) -> Spec:
        """Return the version of the picture under the state's noise type."""
        return Spec(self.state.noise, severity, seed)

    def pair(self, severity: float, seed: int, check: Check = never) -> tuple[Explained, Explained]:
        """Return the clean and the perturbed version, explained under the class rule."""
        clean = self.clean(check)
        return clean, self.explain([self.spec(severity, seed)], self.target(clean), check)[0]

    def shown(self, severity: float, seed: int, check: Check = never, *, brief: bool = False) -> Shown:
        """Return the pair at one severity and seed with everything the panels need.

        ``brief`` leaves out the measures that were not chosen and, if an expensive method would have to run again, the
        decomposition of the move.
        """
        start = time.perf_counter()
        clean, perturbed = self.pair(severity, seed, check)
        perturbed.pixels(check)  # while the work may still be cancelled
        row = self._rows([(severity, seed)], clean, [perturbed])[0]
        values = {} if brief else {name: self.compare(name, clean, perturbed) for name in SIMILARITIES}
        split = self.state.rule == "own" and not (brief and self.cost != "shared")
        return Shown(
            clean,
            perturbed,
            row,
            values,
            self._decompose(self.spec(severity, seed), clean, perturbed, check) if split else None,
            self.moves(clean, perturbed),
            (time.perf_counter() - start) * 1000,
        )

    def _decompose(self, spec: Spec, clean: Explained, perturbed: Explained, check: Check) -> Decomposition:
        method = self.state.method
        both = self.scaled_similarities(clean.maps[method], perturbed.maps[method][None])
        alone = decompose(
            lambda specs, targets, methods: self.explain(specs, targets, check, methods),
            [spec],
            clean,
            [perturbed],
            [method],
            self.scaled_similarities,
        )[method]
        return Decomposition(*(json_number(values[0]) for values in (*alone, both)))

    def segment_values(self, explained: Explained) -> NDArray[np.float64]:
        """Return the mean map value of every segment, (n,)."""
        values: NDArray[np.float64] = self.comparison.means(explained.maps[self.state.method][None])[0]
        return values

    def moves(self, clean: Explained, perturbed: Explained, count: int = 5) -> tuple[SegmentMove, ...]:
        """Return the segments whose rank changed most, largest change first; ties share their mean rank."""
        before, after = (rankdata(-self.segment_values(e), method="average") for e in (clean, perturbed))
        areas = np.bincount(self.comparison.labels.ravel()) / self.comparison.labels.size
        # Of equal changes the larger segment comes first, because its move is easier to see.
        order = np.lexsort((-areas, -np.abs(after - before)))[:count]
        return tuple(
            SegmentMove(int(k), float(before[k]), float(after[k]), float(areas[k]))
            for k in order
            if before[k] != after[k]
        )

    @property
    def random_floor(self) -> float | None:
        """The similarity of two unrelated random rankings, if the measure has a formula for it."""
        return random_floor(self.comparison, self.state.similarity)

    def references(self, check: Check = never, methods: Sequence[str] | None = None) -> Iterator[Explained]:
        """Explain the other pictures under the same class rule, one at a time; the engine caches the results."""
        for other in reference_pictures(self.picture):
            clean = model_input(self.classifier, other)
            yield self._explain(clean, other.digest, [CLEAN], self.fixed_target, check, methods)[0]

    def floors(self, check: Check = never) -> Floors:
        """Return the similarity's two floors for this picture's clean map: random ranking and other pictures."""
        clean, method = self.clean(check), self.state.method
        others = [] if clean.degenerate[method] else list(self.references(check))
        return similarity_floors(clean, others, method, self.comparison, self.state.similarity)
