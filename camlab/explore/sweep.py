"""Measure the noise draws of one picture over all severities in the background, those on screen first."""

import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pandas as pd
from cachetools import LRUCache

from camlab.common.jobs import Job, Resumable, Steps
from camlab.engine.shared import REFERENCE_COUNT
from camlab.explore.results import Floors
from camlab.explore.scene import Scene
from camlab.explore.state import SEVERITY_STEP, VIEW_FIELDS, ExploreState
from camlab.metrics import Robustness, breaks_at, flips_at, robustness, stratified
from camlab.noise import NOISES

#: Columns of an empty table.
NEEDED = ("image", "severity", "seed", "similarity", "flipped", "near", "degenerate")
T = TypeVar("T")
KEPT = 64  # results of the rows so far: three charts and the scores of sixteen severities
PATIENCE = 60.0  # the longest computation, in seconds, that starts without asking
EVIDENCE = 3.0  # seconds of drawing before the pace is trusted, because single steps may be slow on a busy machine
#: Draws that one background step may take, by the method's cost.
STEP_IMAGES = {"shared": 4, "tail": 1, "full": 1}


def sweep_severities(noise: str) -> list[float]:
    """Return the severities on the curve: the slider's steps, or the levels for a noise type that is not monotone."""
    step = SEVERITY_STEP if NOISES[noise].monotone else 1.0
    return [step * i for i in range(round(5 / step) + 1)]


def coarse_to_fine(severities: Sequence[float]) -> list[float]:
    """Order severities: whole levels, then halves, then quarters, so that the first points make a readable curve."""
    return sorted(severities, key=lambda s: (s % 1 != 0, s % 0.5 != 0, s))


def draws_of(state: ExploreState) -> ExploreState:
    """Return the state with every field reset that does not affect its draws: severity, seed and VIEW_FIELDS.

    States with equal results share all draws. The seed becomes the first of its block.
    """
    standard = ExploreState()
    defaults = {name: getattr(standard, name) for name in VIEW_FIELDS}
    return dataclasses.replace(state, severity=standard.severity, seed=state.seeds[0], **defaults)


@dataclass(frozen=True)
class Scores:
    """C, R and RM of the draws so far, at one severity and over all; where the map breaks and predictions flip."""

    severity: Robustness
    pooled: Robustness
    stratified: Robustness
    breaks_at: float | None
    flips_at: float | None
    threshold_known: bool
    complete: bool

    @property
    def sentence(self) -> str:
        """Where the map breaks and where the prediction flips, in words."""
        so_far = "" if self.complete else " so far"
        if self.breaks_at is not None:
            broken = f"breaks at severity {self.breaks_at:g}{so_far}"
        else:
            broken = f"does not break{so_far}" if self.threshold_known else "has no known breaking point yet"
        flipped = f"flips at severity {self.flips_at:g}" if self.flips_at is not None else "does not flip"
        flipped += so_far
        return (
            f"The map {broken}; the prediction {flipped}. “Breaks” means: mean similarity stays below halfway between "
            "1 and the other-picture floor. “Flips” means: most draws flip, and still do at the next step."
        )


class Sweep(Resumable):
    """The rows of one scene's draws, filled in by a job; threads may read them meanwhile.

    ``focus`` is the severity whose draws come next; it may change at any time. ``waiting``: the seconds that the rest
    would take, set when the job stops to let the user decide.
    """

    def __init__(self, scene: Scene, focus: float, patient: bool = False) -> None:
        self.scene = scene
        self.focus = focus
        self.patient = patient
        self.floors: Floors | None = None
        self.waiting: float | None = None
        self._rows: dict[tuple[float, int], dict[str, Any]] = {}
        self._stopped_at: float | None = None
        self._kept: LRUCache[Hashable, object] = LRUCache(KEPT)
        self._lock = threading.RLock()
        super().__init__("Noise draws")

    def fits(self, state: ExploreState) -> bool:
        """Return whether the state has the same draws as this sweep, at any draw or severity shown."""
        return draws_of(self.scene.state) == draws_of(state)

    def frame(self, severity: float | None = None) -> pd.DataFrame:
        """Return the rows so far, ordered by severity and seed; with a severity, only its rows."""
        with self._lock:
            rows = [row for (s, _), row in sorted(self._rows.items()) if severity is None or s == severity]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(NEEDED))

    def scope_frame(self, state: ExploreState) -> pd.DataFrame:
        """Return the rows in the state's scope: its severity, or every point of the curve above 0."""
        if state.scope == "severity":
            return self.frame(state.severity)
        return self.noisy()

    def noisy(self) -> pd.DataFrame:
        """Return the rows at the curve's severities above 0, without those measured between its points."""
        frame = self.frame()
        return frame[frame["severity"].isin(sweep_severities(self.scene.state.noise)[1:])]

    def add(self, row: dict[str, Any]) -> None:
        """Add a row, which may have been measured elsewhere (the shown pair); foreign seeds are ignored."""
        with self._lock:
            if row["seed"] in self.seeds_at(row["severity"]):
                self._rows[row["severity"], row["seed"]] = row

    def seeds_at(self, severity: float) -> tuple[int, ...]:
        """Return the seeds drawn at a severity: one at severity 0, where all draws are the clean picture."""
        seeds = self.scene.state.seeds
        return seeds if severity > 0 else seeds[:1]

    def missing(self, severity: float) -> list[int]:
        """Return the seeds that have no row yet at a severity."""
        with self._lock:
            return [seed for seed in self.seeds_at(severity) if (severity, seed) not in self._rows]

    def has(self, severity: float, seed: int) -> bool:
        """Return whether a draw is measured."""
        with self._lock:
            return (severity, seed) in self._rows

    @property
    def complete(self) -> bool:
        """Whether every severity has all its draws."""
        return not any(self.missing(s) for s in sweep_severities(self.scene.state.noise))

    def wants(self, severity: float) -> bool:
        """Return whether draws of this severity are missing and no job is running."""
        idle = not self.job.running and not self.job.error
        return idle and severity != self._stopped_at and bool(self.missing(severity))

    def stop(self) -> None:
        """Stop on the user's request, so that nothing restarts by itself at this severity."""
        self._stopped_at = self.focus
        self.job.cancel()

    def resume(self, patient: bool = False) -> Job:
        """Return a new job for the missing draws; with ``patient`` it never stops to ask the user."""
        self.patient = self.patient or patient
        self.waiting = self._stopped_at = None
        return super().resume()

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` returned for this key since rows or floors were last added; do not change it."""
        with self._lock:
            now = (key, len(self._rows), self.floors)
            if now in self._kept:
                return cast("T", self._kept[now])
        made = make()  # without the lock, as the job adds rows meanwhile
        with self._lock:
            self._kept[now] = made
        return made

    def scores(self, severity: float) -> Scores:
        """Return the scores of the rows so far."""
        return self.kept(("scores", severity), lambda: self._score(severity))

    def _score(self, severity: float) -> Scores:
        here, noisy = self.frame(severity), self.noisy()
        means = noisy.groupby("severity")[["similarity", "flipped"]].mean() if len(noisy) else None
        floor = self.floors.other if self.floors else None
        broken = flipped = None
        if means is not None:
            steps = means.index.to_list()
            broken = None if floor is None else breaks_at(steps, means["similarity"].to_list(), floor)
            flipped = flips_at(steps, means["flipped"].to_list())
        values = robustness(here, unit="row"), robustness(noisy, unit="row"), stratified(noisy, unit="row")
        return Scores(*values, broken, flipped, floor is not None, self.complete)

    def _plan(self) -> list[float]:
        wanted = [self.focus, *coarse_to_fine(sweep_severities(self.scene.state.noise))]
        return [s for s in dict.fromkeys(wanted) if self.missing(s)]

    def _work(self, job: Job) -> Steps:
        chunk = STEP_IMAGES[self.scene.cost]
        spent, pairs = 0.0, 0
        while plan := self._plan():
            job.total = job.done + sum(len(self.missing(s)) for s in plan)
            severity = plan[0]
            if severity not in (self.focus, 0.0) and pairs:
                left = job.total - job.done + REFERENCE_COUNT * (self.floors is None)
                if spent >= EVIDENCE and left * spent / pairs > PATIENCE and not self.patient:
                    self.waiting = left * spent / pairs
                    return
                if self.floors is None:
                    # All draws on screen are measured: the floors come before the rest of the curve.
                    yield from self._measure_floors(job)
                    continue
            seeds = self.missing(severity)[:chunk]
            start = time.perf_counter()
            rows = self.scene.rows([(severity, seed) for seed in seeds], job.check)
            if severity > 0:  # the clean picture costs nothing and would distort the pace
                spent, pairs = spent + time.perf_counter() - start, pairs + len(rows)
            for row in rows:
                self.add(row)
            job.advance(len(rows))
            yield
        if self.floors is None:
            yield from self._measure_floors(job)

    def _measure_floors(self, job: Job) -> Steps:
        # Explain one reference picture per step; the last step finds them all in the engine's cache.
        for _ in self.scene.references(job.check):
            yield
        self.floors = self.scene.floors(job.check)
        yield


def ticks(sweep: Sweep, of: str) -> dict[str, float]:
    """Return the floors as named ticks on a scale of ``similarity``, or of ``difference`` (1 − similarity)."""
    floors = sweep.floors or Floors(sweep.scene.random_floor, None, 0)
    named = {"random ranking": floors.random, "other pictures": floors.other}
    return {name: value if of == "similarity" else 1 - value for name, value in named.items() if value is not None}
