"""The frames of one scene and seed over all severities, made in the background and sent in parcels."""

import secrets
import threading

from camlab.common.jobs import Job, Resumable, Steps
from camlab.explore.output import frames, pair_html
from camlab.explore.output.frames import SEVERITIES, Frame
from camlab.explore.results import Decomposition
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep

PARCEL = 4  # fewest frames per parcel while the job works


class Strip(Resumable):
    """All frames of a scene at one seed, filled by a job; safe to read from any thread.

    Maps of cheap methods are computed as needed, and the sweep finds them in the cache; expensive methods get frames
    only for draws that the sweep has measured. ``focus`` (a severity) may change at any time: the nearest missing frame
    comes next. Once the sweep is complete, the scores of each severity follow.
    """

    def __init__(self, scene: Scene, sweep: Sweep, focus: float) -> None:
        """Start with no frames; submit ``job`` to fill the strip."""
        self.scene, self.sweep, self.focus = scene, sweep, focus
        self.seed = scene.state.shown_seed
        self.name = secrets.token_hex(6)
        self.parcels: tuple[bytes, ...] = ()
        self._frames: dict[float, Frame] = {}
        self._parts: dict[float, tuple[Decomposition | None, bool]] = {}
        self._scores: dict[float, dict[str, str]] = {}
        self._packed: set[float] = set()
        self._scores_packed = False
        self._lock = threading.RLock()
        super().__init__("Frames")

    def frame(self, severity: float) -> Frame | None:
        """Return the frame of a severity, None until it is made."""
        return self._frames.get(severity)

    @property
    def complete(self) -> bool:
        """Whether every severity has a frame and all scores that the sweep can give are included."""
        return len(self._frames) == len(SEVERITIES) and not self._unscored()

    @property
    def wants(self) -> bool:
        """Whether no job is running although there is work to do."""
        return not self.job.running and not self.job.error and bool(self._next() or self._unscored())

    def pack(self) -> tuple[bytes, ...]:
        """Return all parcels so far; enough new frames since the last call make a new parcel."""
        with self._lock:
            new = [self._frames[s] for s in sorted(self._frames) if s not in self._packed]
            if len(new) >= PARCEL or (new and not self.job.running):
                shared, blobs = frames.base(self.scene) if not self.parcels else ({}, [])
                self._add(frames.pack_frames(self.name, len(self.parcels), shared, new, blobs))
                self._packed.update(f.severity for f in new)
            if self._scores and not self._scores_packed and not self._unscored():
                scores = [{"severity": s, "html": html} for s, html in sorted(self._scores.items())]
                self._add(frames.pack(self.name, len(self.parcels), {"scores": scores}, []))
                self._scores_packed = True
            return self.parcels

    def _add(self, parcel: bytes) -> None:
        self.parcels = (*self.parcels, parcel)

    def _next(self) -> list[float]:
        """Return the severities whose frame is missing and can be made now, nearest to the focus first."""
        cheap = self.scene.cost == "shared"
        missing = [s for s in SEVERITIES if s not in self._frames]
        able = [s for s in missing if cheap or s == 0 or self.sweep.has(s, self.seed)]
        return sorted(able, key=lambda s: (abs(s - self.focus), s))

    def _unscored(self) -> list[float]:
        """Return the severities whose scores are final but not included yet."""
        if len(self._frames) < len(SEVERITIES) or self.sweep.floors is None or not self.sweep.complete:
            return []
        return [s for s in SEVERITIES if s not in self._scores and not self.sweep.missing(s)]

    def _work(self, job: Job) -> Steps:
        job.total = len(SEVERITIES)
        while plan := self._next():
            shown = self.scene.shown(plan[0], self.seed, job.check, brief=True)
            frame = frames.make_frame(self.scene, shown)
            with self._lock:
                self._parts[plan[0]] = (shown.decomposition, bool(shown.row["flipped"]))
                self._frames[plan[0]] = frame
            job.advance()
            yield
        while unscored := self._unscored():
            severity = unscored[0]
            html = pair_html.gauges(self.sweep, self.sweep.scores(severity), "severity")
            parts, flipped = self._parts[severity]
            if parts is not None:
                html["moved_by"] = pair_html.moved_by(parts, flipped, self.sweep.floors)
            with self._lock:
                self._scores[severity] = html
            yield
