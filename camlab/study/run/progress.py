"""The progress of a run: counted from finished units, reported to the caller and to the study's folder."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from camlab.study.prepare import Prepared
from camlab.study.run.control import PROGRESS, Status, from_progress
from camlab.study.store.files import write_json
from camlab.study.store.parts import UnitNote

OnProgress = Callable[[Status], None]
_EVERY = 0.5  # seconds between two writings


class Progress:
    """The count of finished units, written to ``progress.json`` for other processes."""

    def __init__(self, folder: Path, on_progress: OnProgress | None) -> None:
        self.folder = folder
        self.workers = 0
        self._on_progress = on_progress
        self._prepared: Prepared | None = None
        self._done: dict[int, tuple[int, float, str]] = {}
        self._begun = time.monotonic()
        self._new = 0  # pairs of this run
        self._written = 0.0

    def begin(self, prepared: Prepared, notes: Iterable[UnitNote], workers: int) -> None:
        """Start from the units that are already done."""
        self._prepared, self.workers = prepared, workers
        self.recount(notes)
        self._begun = time.monotonic()
        self.say("running", now=True)

    @property
    def finished(self) -> set[int]:
        """The numbers of the units that are done."""
        return set(self._done)

    def add(self, unit: int, rows: int, seconds: float, skipped: str) -> None:
        """Count a unit, once."""
        if unit not in self._done:
            self._done[unit] = (rows, seconds, skipped)
            self._new += rows

    def recount(self, notes: Iterable[UnitNote]) -> None:
        """Count again from the parts' notes."""
        self._done = {note.unit: (note.rows, note.seconds, note.skipped) for note in notes}

    def say(self, state: str, error: str = "", *, now: bool = False) -> None:
        """Write and report the progress, at most every half second unless ``now``."""
        moment = time.monotonic()
        if not now and moment - self._written < _EVERY:
            return
        self._written = moment
        report = self._report(state, error)
        write_json(self.folder / PROGRESS, report)
        if self._on_progress is not None:
            self._on_progress(from_progress(report, state, state in ("running", "paused")))

    def _report(self, state: str, error: str) -> dict[str, Any]:
        report: dict[str, Any] = {
            "state": state,
            "error": error,
            "updated": time.time(),
            "workers": self.workers,
        }
        ready = self._prepared
        if ready is None:
            return report
        units, done = Counter(unit.model for unit in ready.units), Counter[str]()
        lost = Counter[str]()
        spent = dict.fromkeys(units, 0.0)
        for number, (_, seconds, skipped) in self._done.items():
            model = ready.units[number].model
            done[model] += 1
            lost[model] += bool(skipped)
            spent[model] += seconds
        by: dict[str, dict[str, list[int]]] = {}
        for model, count in units.items():
            each = sum(len(work.methods) for work in ready.work[model])
            by[model] = {
                noise: [(done[model] - lost[model]) * size, (count - lost[model]) * size]
                for noise in ready.plan.noises
                for size in [len(ready.plan.levels(noise)) * ready.plan.draws(noise) * each]
            }
        elapsed = time.monotonic() - self._begun
        known = {model: spent[model] / done[model] for model in units if done[model]}
        usual = sum(spent.values()) / max(1, sum(done.values()))
        left = sum((count - done[model]) * known.get(model, usual) for model, count in units.items())
        return report | {
            "done": sum(pair[0] for noises in by.values() for pair in noises.values()),
            "total": sum(pair[1] for noises in by.values() for pair in noises.values()),
            "units_done": sum(done.values()),
            "units_total": len(ready.units),
            "by": by,
            "skipped": sum(lost.values()),
            "seconds_left": left / max(1, self.workers) if known else None,
            "seconds_spent": float(sum(spent.values())),
            "pairs_per_second": self._new / elapsed if self._new and elapsed > 0 else None,
        }
