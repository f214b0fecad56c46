"""Test whether the prediction uses what a map shows: deletion, insertion and ROAD of a pair, as a job."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.common.jobs import Job, Steps
from camlab.engine.spec import Explained
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.trials.localisation import as_shown
from camlab.metrics.faithfulness import PERCENTILES, FaithfulnessInput, area_under, blurred, curve, road
from camlab.models.preprocessing import mean_colour

#: Steps of the page's curves: one eighth of the default of `camlab.metrics.faithfulness`.
CURVE_STEPS = 28
SIDES = ("clean", "perturbed")
CURVES = ("deletion", "insertion")
#: Passes for a pair: each of two pictures runs through every curve and has two fillings at every percentile.
PASSES = len(SIDES) * (len(CURVES) * (CURVE_STEPS + 1) + 2 * len(PERCENTILES))

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Faithful:
    """The faithfulness of a pair so far, by (measure, side); side is one of SIDES.

    curves: the explained class's probability (steps + 1,) over the share of pixels, from 0 to 1; areas: deletion
    and insertion in [0, 1]; road in [−0.5, 0.5]. ``empty``: the sides with a degenerate map, which have no values.
    """

    curves: dict[tuple[str, str], Curve]
    values: dict[tuple[str, str], float]
    empty: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the numbers as plain data for JSON; null is "not observed"."""
        names = (*CURVES, "road")
        found: dict[str, Any] = {n: {s: self.values.get((n, s)) for s in SIDES} for n in names}
        found["curves"] = {n: {s: self.curves[n, s].tolist() for s in SIDES if (n, s) in self.curves} for n in CURVES}
        return found


class FaithfulnessRun:
    """The faithfulness of both maps of a pair, filled in by a job; ``found`` may be read from any thread.

    Each map is measured on its own picture and for the class that it explains.
    """

    def __init__(self, scene: Scene, shown: Shown, steps: int = CURVE_STEPS) -> None:
        """Measure the shown pair with ``steps`` steps per curve."""
        self.scene, self.steps = scene, steps
        self._sides = {
            "clean": (shown.clean, shown.clean_input),
            "perturbed": (shown.perturbed, shown.perturbed_input),
        }
        method = scene.state.method
        self._empty = tuple(side for side, (e, _) in self._sides.items() if e.degenerate[method])
        self._curves: dict[tuple[str, str], Curve] = {}
        self._values: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self.job = Job("Faithfulness", self._work)
        self.job.total = (len(CURVES) + len(PERCENTILES)) * (len(SIDES) - len(self._empty))

    @property
    def found(self) -> Faithful:
        """All values so far."""
        with self._lock:
            return Faithful(dict(self._curves), dict(self._values), self._empty)

    def _work(self, job: Job) -> Steps:
        queue = self.scene.engine.queue
        sides = {side: pair for side, pair in self._sides.items() if side not in self._empty}
        for name in CURVES:
            for side, pair in sides.items():
                with queue.turn(job.check) as step_aside:
                    case = self._case(*pair, step_aside)
                    start, end = _ends(name, case)
                    line = curve(case, start, end, self.steps)
                with self._lock:
                    self._curves[name, side] = line[0]
                    self._values[name, side] = float(area_under(line)[0])
                job.advance()
                yield
        for side, pair in sides.items():
            yield from self._road(job, side, pair)

    def _road(self, job: Job, side: str, pair: tuple[Explained, NDArray[np.float32]]) -> Iterator[None]:
        """Run one percentile per step, as each takes a second; their mean is ROAD over all of them."""
        parts = []
        for percentile in PERCENTILES:
            with self.scene.engine.queue.turn(job.check) as step_aside:
                parts.append(float(road(self._case(*pair, step_aside), (percentile,))[0]))
            job.advance()
            yield
        with self._lock:
            self._values["road", side] = float(np.mean(parts))

    def _case(self, explained: Explained, pixels: NDArray[np.float32], check: Callable[[], None]) -> FaithfulnessInput:
        classifier = self.scene.classifier
        picture = torch.from_numpy(np.array(pixels))[None].to(classifier.device)
        maps = as_shown(self.scene, explained)[None]
        return FaithfulnessInput(classifier, picture, maps, [explained.target], check, self.scene.engine.batch)


def _ends(name: str, case: FaithfulnessInput) -> tuple[Tensor, Tensor]:
    """Return the pictures at the start and at the end of a curve."""
    if name == "deletion":
        return case.pictures, mean_colour(case.classifier, case.pictures).expand_as(case.pictures)
    return blurred(case.pictures), case.pictures
