"""Test whether averaging each map over noisy copies makes the maps of a pair more similar."""

import dataclasses
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from camlab.common.jobs import Job, Steps
from camlab.common.wording import json_number
from camlab.explore.scene import Scene
from camlab.metrics import similarity

#: Numbers of noisy copies that are compared; 0 is the map without averaging.
COPIES = (0, 1, 4, 16)
#: The smallest change of similarity that counts as a change.
NOTICEABLE = 0.02


@dataclass(frozen=True)
class Averaged:
    """The pair when each of its maps is the mean over ``copies`` noisy copies (0: no averaging).

    similarity: the chosen measure on [0, 1]; None for a degenerate map. kept: Pearson's r in [−1, 1] between the clean
    picture's maps with and without averaging, which shows how much averaging itself changes the map.
    """

    copies: int
    similarity: float | None
    kept: float | None


class Remedy:
    """The similarity of a pair for each of ``copies``, filled in by a job; ``found`` may be read from any thread."""

    def __init__(self, scene: Scene, severity: float, seed: int, sigma: float, copies: Sequence[int] = COPIES) -> None:
        """Average over copies with noise of standard deviation ``sigma``, for pictures in [0, 1].

        All other settings, including other smoothing, are those of the scene.
        """
        self.scene, self.pair, self.sigma = scene, (severity, seed), sigma
        self.copies = tuple(sorted(copies))
        self._found: list[Averaged] = []
        self._lock = threading.Lock()
        self.job = Job("Averaging", self._work)
        self.job.total = sum(2 * max(n, 1) for n in self.copies)

    @property
    def found(self) -> tuple[Averaged, ...]:
        """The results so far, by rising number of copies."""
        with self._lock:
            return tuple(self._found)

    def _work(self, job: Job) -> Steps:
        plain = None
        for copies in self.copies:
            state = dataclasses.replace(self.scene.state, copies=copies, sigma=self.sigma)
            scene = Scene(self.scene.engine, self.scene.picture, state)
            clean = scene.clean(job.check)  # the row below finds it in the cache
            job.advance(max(copies, 1))
            yield
            row = scene.rows([self.pair], job.check)[0]
            map_ = clean.maps[state.method][None]
            plain = map_ if plain is None else plain
            kept = json_number(similarity("pearson", plain, map_, self.scene.comparison)[0])
            with self._lock:
                self._found.append(Averaged(copies, json_number(row["similarity"]), kept))
            job.advance(max(copies, 1))
            yield


def sentence(found: Sequence[Averaged]) -> str:
    """Return a sentence on whether averaging made the two maps more similar; empty without two results."""
    values = {each.copies: each.similarity for each in found}
    before, copies = values.get(0), max(values, default=0)
    after = values.get(copies)
    if before is None or after is None or not copies:
        return ""
    change = after - before
    verb = "raises" if change > NOTICEABLE else "lowers" if change < -NOTICEABLE else "hardly changes"
    return (
        f"Averaging {copies} noisy {'copy' if copies == 1 else 'copies'} {verb} the similarity of the two maps: "
        f"{before:.2f} without, {after:.2f} with it."
    )
