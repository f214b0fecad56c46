"""The cost of a plan: pairs, time and disk space, estimated from a short trial run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camlab.cams.base import never
from camlab.engine.engine import Engine
from camlab.engine.shared import REFERENCE_COUNT
from camlab.engine.spec import Spec
from camlab.images.picture import Picture
from camlab.models import load_classifier
from camlab.study.plan import StudyPlan
from camlab.study.prepare import THREADS, LayerWork, Prepared, plan_at_hand
from camlab.study.rows import UnitWorker
from camlab.study.run.local import default_workers
from camlab.study.sources import Unit, check_plan
from camlab.study.store.own_models import weight_bytes

#: Versions of a picture that the calibration runs, over all models: about a second on one core.
SHOWN = 12
#: Seconds for a worker to load a model.
LOAD = 1.5
#: Bytes per row on the disk, measured on finished studies, without kept maps.
BYTES_A_ROW = 80
#: Seconds until the workers of a run have imported their modules and loaded a model.
START = 6.0


@dataclass(frozen=True)
class Estimate:
    """The cost of a plan.

    pictures: counted once per model; seconds: on this machine with ``workers``; bytes: on the disk; by_model: pairs
    and seconds; skipped: model, layer, method and reason of everything that cannot be computed.
    """

    pairs: int
    pictures: int
    seconds: float
    bytes: int
    workers: int
    by_model: dict[str, tuple[int, float]]
    skipped: tuple[dict[str, str], ...] = ()


def estimate(
    plan: StudyPlan, workers: int | None = None, device: str = "auto", check: Callable[[], None] = never
) -> Estimate:
    """Check a plan, run a few of its pairs with every model for about a second in total, and extrapolate.

    Raises what `check_plan` and loading a model raise, and what ``check`` raises between two models.
    """
    check_plan(plan)
    ready, skipped = plan_at_hand(plan, device)
    count = default_workers(device) if workers is None else max(1, workers)
    by_model: dict[str, tuple[int, float]] = {}
    shown = max(3, SHOWN // len(plan.models))
    for model in plan.models:
        check()
        units = [unit for unit in ready.units if unit.model == model]
        fixed, each = _calibrate(ready, units[0], shown)
        seconds = len(units) * (fixed + each * plan.versions())
        # Every worker computes the reference maps itself.
        seconds += min(count, len(units)) * (REFERENCE_COUNT * each + LOAD)
        by_model[model] = (len(units) * ready.pairs_of(model), seconds / min(count, len(ready.units)))
    pairs = sum(number for number, _ in by_model.values())
    size = pairs * BYTES_A_ROW + sum(weight_bytes(model) for model in plan.models)
    if plan.keep_maps:
        size += _map_bytes(ready, device)
    seconds = START + sum(taken for _, taken in by_model.values())
    return Estimate(pairs, len(ready.units), seconds, size, count, by_model, skipped)


class _WithoutReferences(UnitWorker):
    """A worker that skips the other-picture floor, whose cost per model does not grow with the study."""

    def reference_maps(
        self, engine: Engine, work: LayerWork, picture: Picture, check: Callable[[], None]
    ) -> dict[str, NDArray[np.float32]]:
        info = engine.classifier.layer_info(work.layer)
        return {method: np.zeros((0, info.height, info.width), np.float32) for method in work.methods}


def _calibrate(ready: Prepared, unit: Unit, shown: int) -> tuple[float, float]:
    """Measure the seconds of a unit without its versions, and the seconds per version."""
    specs = ready.plan.specs()
    picks = np.linspace(0, len(specs) - 1, min(shown, len(specs))).round().astype(int)
    worker = _WithoutReferences(ready)

    def run(chosen: list[Spec]) -> float:
        worker.specs = chosen
        begun = time.perf_counter()
        worker.compute(unit)
        return time.perf_counter() - begun

    some = [specs[i] for i in picks]
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)  # as in a worker
    try:
        with threadpool_limits(THREADS):  # of NumPy
            run(some[:1])  # warms up
            short, long = run(some[:1]), run(some)
    finally:
        torch.set_num_threads(threads)
    each = max(long - short, 0.0) / max(1, len(some) - 1) if len(some) > 1 else short
    return max(short - each, 0.0), each or long / len(some)


def _map_bytes(ready: Prepared, device: str) -> int:
    total = 0
    for unit in ready.units:
        classifier = load_classifier(unit.model, device)
        for work in ready.work[unit.model]:
            info = classifier.layer_info(work.layer)
            total += len(work.methods) * (ready.plan.versions() + 1) * info.height * info.width * 4
    return total
