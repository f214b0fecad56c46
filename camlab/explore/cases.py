"""Find cases: search noises, severities and seeds for predictions and maps that disagree."""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from camlab.common.errors import BadImage
from camlab.common.jobs import Job, Steps
from camlab.engine.engine import Engine
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture
from camlab.noise import NOISES

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
SEEDS_SEARCHED = 2
LISTED = 6


@dataclass(frozen=True)
class FoundCase:
    """One pair found by the search: its state, its row, and the similarity below which a map counts as broken."""

    state: ExploreState
    row: dict[str, Any]
    threshold: float

    @property
    def similarity(self) -> float:
        """The chosen similarity, on [0, 1]."""
        return float(self.row["similarity"])


@dataclass(frozen=True)
class Disagreement:
    """A kind of disagreement between prediction and map."""

    title: str
    meaning: str
    holds: Callable[[dict[str, Any], float], bool]
    strength: Callable[[dict[str, Any]], float]


DISAGREEMENTS: dict[str, Disagreement] = {
    "kept": Disagreement(
        "Prediction kept, map broke",
        "The network still says the same thing, but the explanation points elsewhere.",
        lambda row, threshold: not row["flipped"] and row["similarity"] < threshold,
        lambda row: -float(row["similarity"]),
    ),
    "flipped": Disagreement(
        "Prediction flipped, map stayed",
        "The network changed its mind, and the explanation does not show it.",
        lambda row, threshold: bool(row["flipped"]) and row["similarity"] >= threshold,
        lambda row: float(row["similarity"]),
    ),
}


@dataclass
class CaseSearch:
    """The search over pictures and noise types; ``found`` holds the strongest cases of each kind so far.

    ``skipped`` counts pictures whose clean map is degenerate, ``unreadable`` those whose file is missing or damaged;
    ``left_out`` holds, by noise type, one sentence on why it could not be applied to a picture.
    """

    engine: Engine
    pictures: Sequence[Picture]
    state: ExploreState
    noises: Sequence[str] = field(default_factory=lambda: tuple(NOISES))
    found: dict[str, list[FoundCase]] = field(default_factory=lambda: {kind: [] for kind in DISAGREEMENTS})
    pairs: int = 0
    skipped: int = 0
    unreadable: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.job = Job("Find cases", self._work)
        self.job.total = len(self.pictures) * len(self.noises)

    def best(self, kind: str) -> list[FoundCase]:
        """Return the cases of one kind, strongest first, at most one per picture and noise type."""
        with self._lock:
            return list(self.found[kind])

    def _work(self, job: Job) -> Steps:
        for picture in self.pictures:
            state = dataclasses.replace(self.state, image=picture.id)
            try:
                scene = Scene(self.engine, picture, state)
            except BadImage:  # continue with the rest of the folder
                self.unreadable += 1
                job.advance(len(self.noises))
                yield
                continue
            for _ in scene.references(job.check):
                yield
            threshold = scene.floors(job.check).threshold
            if threshold is None:  # the clean map is degenerate, so no comparison is possible
                self.skipped += 1
                job.advance(len(self.noises))
                continue
            for noise in self.noises:
                trial = dataclasses.replace(state, noise=noise)
                seeds = trial.seeds[:SEEDS_SEARCHED]
                scene = Scene(self.engine, picture, trial)
                if reason := scene.lacking:
                    self.left_out = {**self.left_out, noise: reason}
                    job.advance()
                    continue
                for severity in LEVELS:
                    rows = scene.rows([(severity, seed) for seed in seeds], job.check)
                    self._take(trial, rows, threshold)
                    yield
                job.advance()

    def _take(self, state: ExploreState, rows: Sequence[dict[str, Any]], threshold: float) -> None:
        with self._lock:
            for row in rows:
                self.pairs += 1
                if row["degenerate"]:
                    continue
                for name, kind in DISAGREEMENTS.items():
                    if kind.holds(row, threshold):
                        shown = dataclasses.replace(state, severity=row["severity"], seed=row["seed"])
                        self._keep(name, kind, FoundCase(shown, row, threshold))

    def _keep(self, name: str, kind: Disagreement, case: FoundCase) -> None:
        """Insert a case by strength; each picture and noise type is listed once, with its strongest case."""
        listed = {(c.state.image, c.state.noise): c for c in self.found[name]}
        key = (case.state.image, case.state.noise)
        if key not in listed or kind.strength(case.row) > kind.strength(listed[key].row):
            listed[key] = case
        self.found[name] = sorted(listed.values(), key=lambda c: -kind.strength(c.row))[:LISTED]
