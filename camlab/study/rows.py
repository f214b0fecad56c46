"""Compute the rows of one unit: a picture under a model, all its versions, layers and methods."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.cams.base import never
from camlab.common.errors import BadImage, BadStudy
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.segments import picture_segments
from camlab.engine.shared import model_input, model_mask, reference_pictures, second_input
from camlab.engine.spec import CLEAN, Check, Explained, Spec
from camlab.explore.rows import (
    Maps,
    Values,
    decompose,
    degenerate_pairs,
    predictions,
    random_floor,
    similarities,
)
from camlab.images.picture import Picture
from camlab.images.properties import properties_of
from camlab.metrics import SIMILARITIES, Comparison, other_picture_floor, rbo_cells
from camlab.models import Classifier, load_classifier, short_name
from camlab.models.batching import AT_ONCE
from camlab.study.prepare import LayerWork, Prepared
from camlab.study.sources import Unit, picture_of
from camlab.study.store.parts import UnitNote
from camlab.study.store.schema import COLUMNS, arrow_schema

#: Bytes of maps and predictions cached while a unit is computed; none of them go to the disk.
CACHE_BYTES = 64 * 2**20
#: Inputs of an extra pass on a CPU, whatever the batch.
CHUNK = 16
#: Probabilities that differ by at most this tie, to within float error.
TIE = 1e-6


@dataclass(frozen=True)
class UnitRows:
    """The result of a unit: its note, its rows, and its maps if the plan keeps them."""

    note: UnitNote
    table: pa.Table
    maps: dict[str, np.ndarray]


@dataclass
class _Seen:
    """The versions of a unit's picture on one layer, the clean one first, with their maps (P, h, w) by method."""

    versions: list[Explained]
    maps: dict[str, np.ndarray]
    seconds: float


@dataclass(frozen=True)
class _Reached:
    """The progress of pictures through a network: the stages passed, and the activations after them."""

    pictures: Tensor
    stages: int
    activations: Tensor


class ResumingClassifier(Classifier):
    """A classifier for one thread that resumes from the layer up to which the same pictures last ran.

    A later layer then costs only the stages between the two. All else is shared with the original classifier.
    """

    def __init__(self, classifier: Classifier) -> None:
        """Share everything that ``classifier`` holds and change none of it."""
        self.__dict__.update(classifier.__dict__)
        self._reached: _Reached | None = None

    def head(self, z: Tensor, layer: str | None) -> Tensor:
        """Return what `Classifier.head` returns, computed from the last activations of the same pictures."""
        stages, last = self._cut[self.resolve_layer(layer)], self._reached
        if last and last.stages <= stages and torch.equal(last.pictures, z):
            activations = self.in_groups(self._stages[last.stages : stages], last.activations)
        else:
            activations = super().head(z, layer)
        self._reached = _Reached(z, stages, activations)
        return activations


class UnitWorker:
    """The worker that computes units in turn and keeps shared data: models and the maps of reference pictures.

    The rows of a unit do not depend on earlier units.
    """

    def __init__(self, prepared: Prepared, models: int = 8) -> None:
        """Keep up to `models` models loaded."""
        self._models = models
        self.prepared = prepared
        self.specs = prepared.plan.specs()
        self._engines: dict[str, Engine] = {}
        self._references: dict[tuple[str, str], dict[str, dict[str, np.ndarray]]] = {}

    def compute(self, unit: Unit, check: Check = never) -> UnitRows:
        """Compute the rows of a unit; if its picture cannot be read, return no rows and the reason.

        Raises Cancelled if ``check`` does, and CamLabError for problems beyond this picture.
        """
        begun = time.perf_counter()
        try:
            picture = picture_of(self.prepared.sets[unit.image_set], unit)
            _ = picture.digest  # reads the picture
        except BadImage as error:
            note = UnitNote(unit.number, unit.model, unit.image_set, unit.image, 0, skipped=str(error))
            return UnitRows(note, arrow_schema().empty_table(), {})
        engine = self._engine(unit.model)
        engine.cache.clear()
        rows, about, maps = _UnitWork(self, engine, unit, picture, check).result()
        note = UnitNote(
            unit.number, unit.model, unit.image_set, unit.image, len(rows),
            seconds=time.perf_counter() - begun, image_row=about,
        )  # fmt: skip
        return UnitRows(note, rows, maps)

    def _engine(self, model: str) -> Engine:
        if model not in self._engines:
            while len(self._engines) >= self._models:
                del self._engines[next(iter(self._engines))]
            classifier = load_classifier(model, self.prepared.device)
            if classifier.fingerprint != self.prepared.fingerprints[model]:
                raise BadStudy(
                    f"{classifier.title} has other weights than when this study was planned; start a new study."
                )
            companion = partial(second_input, classifier)
            batch, chunk = self._sizes(classifier.device)
            self._engines[model] = Engine(
                ResumingClassifier(classifier), MapCache(CACHE_BYTES), batch, companion=companion, chunk=chunk
            )
        return self._engines[model]

    def _sizes(self, device: torch.device) -> tuple[int, int]:
        """Return the batch size, and the number of inputs in an extra pass.

        On a CPU the batch has whole groups and extra passes have a fixed size, so that no row depends on the batch.
        """
        batch = self.prepared.batch
        return (max(AT_ONCE, batch - batch % AT_ONCE), CHUNK) if device.type == "cpu" else (batch, batch)

    def reference_maps(self, engine: Engine, work: LayerWork, picture: Picture, check: Check) -> dict[str, Maps]:
        """Return maps (M, h, w), by method, of a picture's reference pictures; each is computed once per model."""
        classifier = cast(Classifier, engine.classifier)
        known = self._references.setdefault((classifier.name, work.layer), {})
        others = reference_pictures(picture)
        for other in others:
            if other.digest not in known:
                clean = model_input(classifier, other)
                found = engine.explain(clean, other.digest, [CLEAN], work.methods, work.layer, None, check)
                known[other.digest] = dict(found[0].maps)
        return {method: np.stack([known[other.digest][method] for other in others]) for method in work.methods}


class _UnitWork:
    """A unit while it is computed."""

    def __init__(self, worker: UnitWorker, engine: Engine, unit: Unit, picture: Picture, check: Check) -> None:
        classifier = cast(Classifier, engine.classifier)
        self.worker, self.engine, self.unit, self.picture, self.check = worker, engine, unit, picture, check
        self.plan, self.specs, self.classifier = worker.prepared.plan, worker.specs, classifier
        self.input = model_input(classifier, picture)
        labels, slic = (picture_segments(self.input, name, {}, engine.cache) for name in ("quickshift", "slic"))
        self.comparison = Comparison(labels, classifier.input_size)
        self.slic = Comparison(slic, classifier.input_size)

    def result(self) -> tuple[pa.Table, dict[str, Any], dict[str, np.ndarray]]:
        work = self.worker.prepared.work[self.unit.model]
        seen = self._explain(work)
        blocks = [self._layer_rows(each, seen[each.layer]) for each in work]
        table = pa.concat_tables([block for block in blocks if block is not None])
        maps: dict[str, np.ndarray] = {}
        if self.plan.keep_maps:
            maps = {f"{each.layer}/{m}": seen[each.layer].maps[m] for each in work for m in each.methods}
        clean = next(iter(seen.values())).versions[0]
        return table, image_row(self.unit, self.classifier, self.picture, self.input, clean), maps

    def _explain(self, work: Sequence[LayerWork]) -> dict[str, _Seen]:
        """Explain all versions on all layers, one batch of pictures at a time."""
        wanted = [CLEAN, *self.specs]
        size = self.engine.part_size(len(wanted))  # the engine's own batches
        versions: dict[str, list[Explained]] = {each.layer: [] for each in work}
        seconds = dict.fromkeys(versions, 0.0)
        for start in range(0, len(wanted), size):
            for each in work:
                self.check()
                begun = time.perf_counter()
                versions[each.layer] += self.engine.explain(
                    self.input, self.picture.digest, wanted[start : start + size], each.methods, each.layer,
                    None, self.check,
                )  # fmt: skip
                seconds[each.layer] += time.perf_counter() - begun
        return {
            each.layer: _Seen(
                versions[each.layer],
                {m: np.stack([v.maps[m] for v in versions[each.layer]]) for m in each.methods},
                seconds[each.layer],
            )
            for each in work
        }

    def _layer_rows(self, work: LayerWork, seen: _Seen) -> pa.Table | None:
        begun = time.perf_counter()
        references = self.worker.reference_maps(self.engine, work, self.picture, self.check)
        begun -= seen.seconds
        moved = self._moved(work, seen) if self.plan.decompose else {}
        shared = self._predictions(seen.versions)
        blocks = []
        for method in work.methods:
            self.check()
            clean, others = seen.maps[method][0], seen.maps[method][1:]
            columns = shared | self._similarities(clean, others)
            columns["other_floor"] = self._each(other_picture_floor(clean, references[method], self.comparison))
            nothing = self._each(None)
            alone = moved.get(method, (nothing, nothing))
            columns["rbo_class_only"], columns["rbo_noise_only"] = alone
            blocks.append((method, columns))
        took = (time.perf_counter() - begun) / max(1, len(self.specs) * len(work.methods))
        return pa.concat_tables([self._table(method, work.layer, took, c) for method, c in blocks])

    def _each(self, value: float | None) -> Values:
        """Return the value once per version; nan for None."""
        return np.full(len(self.specs), np.nan if value is None else value, dtype=np.float64)

    def _predictions(self, versions: Sequence[Explained]) -> dict[str, Any]:
        """Return the columns that all methods share."""
        clean, others = versions[0], versions[1:]
        return predictions(clean, others, self.classifier.class_names) | {
            "noise": [spec.noise for spec in self.specs],
            "severity": np.array([spec.severity for spec in self.specs], dtype=np.float64),
            "seed": np.array([spec.seed for spec in self.specs], dtype=np.int32),
            "clean_margin": self._each(margin(clean)),
            "tied": np.array([is_tie(version) for version in others], dtype=bool) | is_tie(clean),
            "segments": np.full(len(others), self.comparison.n_segments, dtype=np.int32),
            "random_floor": self._each(random_floor(self.comparison, "rbo")),
        }

    def _similarities(self, clean: Maps, others: Maps) -> dict[str, Any]:
        """Return every similarity of the clean map (h, w) with the others (N, h, w); nan for degenerate pairs."""
        empty = degenerate_pairs(clean, others)
        return similarities(SIMILARITIES, clean, others, self.comparison) | {
            "rbo_cells": np.where(empty, np.nan, rbo_cells(clean[None], others)),
            "rbo_slic50": self._rbo(clean, others, self.slic),
            "degenerate": empty,
        }

    def _moved(self, work: LayerWork, seen: _Seen) -> dict[str, tuple[Values, Values]]:
        """Return, by method, the similarities after changing only the class, and only the noise."""

        def explain(specs: Sequence[Spec], targets: Sequence[int | None], methods: Sequence[str]) -> list[Explained]:
            return self.engine.explain(self.input, self.picture.digest, specs, methods, work.layer, targets, self.check)

        clean, others = seen.versions[0], seen.versions[1:]
        return decompose(explain, self.specs, clean, others, work.methods, self._rbo)

    def _rbo(self, clean: Maps, others: Maps, comparison: Comparison | None = None) -> Values:
        return similarities(["rbo"], clean, others, comparison or self.comparison)["rbo"]

    def _table(self, method: str, layer: str, took: float, columns: dict[str, Any]) -> pa.Table:
        count = len(self.specs)
        texts = {name: getattr(self.unit, name) for name in ("model", "image_set", "image")}
        texts |= {"method": method, "layer": layer}
        columns = {name: pa.repeat(value, count) for name, value in texts.items()} | columns
        columns["seconds"] = np.full(count, took, dtype=np.float32)
        # from_pandas: nan becomes empty, which every reader leaves out of a mean.
        arrays = [pa.array(columns[column.name], column.type, from_pandas=True) for column in COLUMNS]
        return pa.table(arrays, schema=arrow_schema())


def image_row(unit: Unit, classifier: Classifier, picture: Picture, clean: Tensor, seen: Explained) -> dict[str, Any]:
    """Build a picture's row of ``images.parquet``; clean: (3, H, W), the model-input picture."""
    mask: NDArray[np.bool_] | None
    try:
        mask = model_mask(classifier, picture)
    except BadImage:  # an unreadable outline counts as none
        mask = None
    return {
        "model": unit.model,
        "image_set": unit.image_set,
        "image": unit.image,
        "digest": picture.digest,
        "title": picture.title,
        "label": picture.label or "",
        "licence": picture.licence,
        "author": picture.author,
        "source": picture.source,
        "clean_index": seen.index,
        "clean_label": short_name(classifier.class_names[seen.index]),
        "clean_prob": seen.probability,
        "clean_margin": margin(seen),
        **properties_of(clean.cpu().numpy(), mask),
    }


def margin(version: Explained) -> float:
    """Return the probability of the predicted class minus the second one's; with a single class, the probability."""
    first, *rest = (probability for _, probability in version.top(2))
    return first - (rest[0] if rest else 0.0)


def is_tie(version: Explained) -> bool:
    """Return whether the top two classes tie to within float error."""
    return len(version.probabilities) > 1 and margin(version) <= TIE
