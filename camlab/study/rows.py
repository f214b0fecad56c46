"""The rows of one unit: a picture under a model, all its versions, layers and methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.cams.base import never
from camlab.common.errors import BadImage, BadStudy
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.segments import picture_segments
from camlab.engine.shared import model_input, reference_pictures, second_input
from camlab.engine.spec import CLEAN, Explained
from camlab.images.picture import Picture
from camlab.metrics import SIMILARITIES, Comparison, other_picture_floor, rbo_cells, similarity
from camlab.models import Classifier, load_classifier
from camlab.models.batching import AT_ONCE
from camlab.study.pictures import image_row, is_tie, margin
from camlab.study.prepare import LayerWork, Prepared
from camlab.study.reuse import GoingOn, LastInputs
from camlab.study.sources import Unit, picture_of
from camlab.study.store.parts import UnitNote
from camlab.study.store.schema import COLUMNS, arrow_schema

Check = Callable[[], None]
Floats = NDArray[np.float64]

#: Bytes of maps and predictions that are kept while a unit is computed; nothing of it goes to the disk.
CACHE_BYTES = 64 * 2**20
#: Inputs that an extra pass takes at once on a CPU, whatever the batch.
CHUNK = 16


@dataclass(frozen=True)
class UnitRows:
    """What came of a unit: what its part says about it, its rows, and its maps where they are kept."""

    note: UnitNote
    table: pa.Table
    maps: dict[str, np.ndarray]


@dataclass
class _Seen:
    """The versions of a unit's picture on one layer, the clean one first: predictions, and maps (P, h, w) by method."""

    versions: list[Explained]
    maps: dict[str, np.ndarray]
    seconds: float


class UnitWorker:
    """Computes units one after the other, and keeps what they share: models and the maps of reference pictures.

    The rows of a unit do not depend on what was computed before.
    """

    def __init__(self, prepared: Prepared, models: int = 8) -> None:
        """`models`: how many stay loaded at once."""
        self._models = models
        self.prepared = prepared
        self.specs = prepared.plan.specs()
        self._engines: dict[str, Engine] = {}
        self._references: dict[tuple[str, str], dict[str, dict[str, np.ndarray]]] = {}

    def compute(self, unit: Unit, check: Check = never) -> UnitRows:
        """The rows of a unit; none, with the reason, where its picture cannot be read.

        Raises Cancelled where ``check`` does, and CamLabError for what concerns more than this picture.
        """
        begun = time.perf_counter()
        try:
            picture = picture_of(self.prepared.sets[unit.image_set], unit)
            _ = picture.digest  # reads it
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
            going_on = GoingOn(classifier)
            batch, chunk = self._sizes(classifier.device)
            engine = Engine(going_on, MapCache(CACHE_BYTES), batch, companion=companion, chunk=chunk)
            engine.pictures = LastInputs(going_on, engine.queue, companion)
            self._engines[model] = engine
        return self._engines[model]

    def _sizes(self, device: torch.device) -> tuple[int, int]:
        """The batch, and how many inputs an extra pass takes.

        On a CPU the batch is one of whole groups, and the passes are what they are: no row depends on the batch.
        """
        batch = self.prepared.batch
        return (max(AT_ONCE, batch - batch % AT_ONCE), CHUNK) if device.type == "cpu" else (batch, batch)

    def reference_maps(
        self, engine: Engine, work: LayerWork, picture: Picture, check: Check
    ) -> dict[str, NDArray[np.float32]]:
        """Maps (M, h, w), by method, of the reference pictures of a picture; each is computed once a model."""
        classifier = engine.classifier
        assert isinstance(classifier, Classifier)
        known = self._references.setdefault((classifier.name, work.layer), {})
        others = reference_pictures(picture)
        for other in others:
            if other.digest not in known:
                clean = model_input(classifier, other)
                found = engine.explain(clean, other.digest, [CLEAN], work.methods, work.layer, None, check)
                known[other.digest] = dict(found[0].maps)
        return {
            method: np.stack([known[other.digest][method] for other in others]) for method in work.methods
        }


class _UnitWork:
    """One unit while it is computed."""

    def __init__(
        self, worker: UnitWorker, engine: Engine, unit: Unit, picture: Picture, check: Check
    ) -> None:
        classifier = engine.classifier
        assert isinstance(classifier, Classifier)
        self.worker, self.engine, self.unit, self.picture, self.check = worker, engine, unit, picture, check
        self.plan, self.specs, self.classifier = worker.prepared.plan, worker.specs, classifier
        self.input = model_input(classifier, picture)
        labels, slic = (
            picture_segments(self.input, name, {}, engine.cache) for name in ("quickshift", "slic")
        )
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
        """All versions on all layers, a batch at a time, so that no more pictures than a batch are ever held."""
        wanted = [CLEAN, *self.specs]
        size = self.engine.part_size(len(wanted))  # as the engine would cut them
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
            columns = dict(shared)
            columns |= self._similarities(seen.maps[method])
            clean = seen.maps[method][0]
            floor = other_picture_floor(clean, references[method], self.comparison)
            columns["other_floor"] = self._each(np.nan if floor is None else floor)
            columns |= moved.get(method, {})
            blocks.append((method, columns))
        took = (time.perf_counter() - begun) / max(1, len(self.specs) * len(work.methods))
        return pa.concat_tables([self._table(method, work.layer, took, c) for method, c in blocks])

    def _each(self, value: float) -> Floats:
        return np.full(len(self.specs), value, dtype=np.float64)

    def _predictions(self, versions: Sequence[Explained]) -> dict[str, Any]:
        """The columns that all methods share."""
        clean, others = versions[0], versions[1:]
        top5 = {index for index, _ in clean.top(5)}
        index = np.array([version.index for version in others], dtype=np.int32)
        flipped = index != clean.index
        tied = np.array([is_tie(version) for version in others], dtype=bool) | is_tie(clean)
        rbo = SIMILARITIES["rbo"].random_floor
        assert rbo is not None
        return {
            "noise": [spec.noise for spec in self.specs],
            "severity": np.array([spec.severity for spec in self.specs], dtype=np.float64),
            "seed": np.array([spec.seed for spec in self.specs], dtype=np.int32),
            "clean_index": np.full(len(others), clean.index, dtype=np.int32),
            "clean_prob": self._each(clean.probability),
            "clean_margin": self._each(margin(clean)),
            "perturbed_index": index,
            "perturbed_prob": np.array([version.probability for version in others], dtype=np.float64),
            "clean_class_prob": np.array([v.probabilities[clean.index] for v in others], dtype=np.float64),
            "flipped": flipped,
            "near": flipped & np.array([int(i) in top5 for i in index], dtype=bool),
            "tied": tied,
            "segments": np.full(len(others), self.comparison.n_segments, dtype=np.int32),
            "random_floor": self._each(rbo(self.comparison)),
        }

    def _similarities(self, maps: NDArray[np.float32]) -> dict[str, Any]:
        """Every similarity of the clean map with the others; nan where one of the two is degenerate."""
        clean, others = maps[:1], maps[1:]
        degenerate = ~others.any(axis=(1, 2)) | ~clean.any()
        values = {name: similarity(name, clean, others, self.comparison) for name in SIMILARITIES}
        values["rbo_cells"] = rbo_cells(clean, others)
        values["rbo_slic50"] = similarity("rbo", clean, others, self.slic)
        return {name: np.where(degenerate, np.nan, value) for name, value in values.items()} | {
            "degenerate": degenerate
        }

    def _moved(self, work: LayerWork, seen: _Seen) -> dict[str, dict[str, Floats]]:
        """What the class alone and what the noise alone does to the map, by method; see `Scene`."""
        clean, others = seen.versions[0], seen.versions[1:]
        flips = [i for i, version in enumerate(others) if version.index != clean.index]
        classes = sorted({others[i].index for i in flips})
        # A map that knows no class is the same for every class.
        methods = [method for method in work.methods if CAMS[method].class_specific]
        ask = partial(
            self.engine.explain, self.input, self.picture.digest, methods=methods, layer=work.layer,
            check=self.check,
        )  # fmt: skip
        by_class = dict(zip(classes, ask([CLEAN] * len(classes), targets=classes), strict=True))
        noisy = dict(zip(flips, ask([self.specs[i] for i in flips], targets=clean.index), strict=True))
        result = {}
        for method in work.methods:
            maps = seen.maps[method]
            asked = method in methods
            class_only = np.stack(
                [maps[0], *(by_class[c].maps[method] if asked else maps[0] for c in classes)]
            )
            place = [classes.index(v.index) + 1 if v.index != clean.index else 0 for v in others]
            noise_only = np.stack([
                noisy[i].maps[method] if asked and i in noisy else maps[i + 1] for i in range(len(others))
            ])  # fmt: skip
            result[method] = {
                "rbo_class_only": self._rbo(maps[:1], class_only)[place],
                "rbo_noise_only": self._rbo(maps[:1], noise_only),
            }
        return result

    def _rbo(self, clean: NDArray[np.float32], others: NDArray[np.float32]) -> Floats:
        degenerate = ~others.any(axis=(1, 2)) | ~clean.any()
        value: Floats = np.where(degenerate, np.nan, similarity("rbo", clean, others, self.comparison))
        return value

    def _table(self, method: str, layer: str, took: float, columns: dict[str, Any]) -> pa.Table:
        count = len(self.specs)
        texts = {
            "model": self.unit.model,
            "image_set": self.unit.image_set,
            "image": self.unit.image,
            "method": method,
            "layer": layer,
        }
        columns = {name: pa.repeat(value, count) for name, value in texts.items()} | columns
        columns["seconds"] = np.full(count, took, dtype=np.float32)
        missing = {name: self._each(np.nan) for name in ("rbo_class_only", "rbo_noise_only")}
        columns = missing | columns
        # from_pandas: nan becomes empty, which every reader leaves out of a mean.
        arrays = [pa.array(columns[column.name], column.type, from_pandas=True) for column in COLUMNS]
        return pa.table(arrays, schema=arrow_schema())
