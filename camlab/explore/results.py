"""Results for a pair of maps: measurements, floors, the segments that moved, and why the map moved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.engine.spec import Explained


@dataclass(frozen=True)
class Floors:
    """Similarities of unrelated maps: random rankings, and ``others`` other pictures; None: undefined."""

    random: float | None
    other: float | None
    others: int

    @property
    def threshold(self) -> float | None:
        """The map counts as broken below this: halfway between 1 and the other-picture floor."""
        return None if self.other is None else (1 + self.other) / 2


@dataclass(frozen=True)
class SegmentMove:
    """One segment's rank (1 = strongest) in the clean and in the perturbed map."""

    segment: int
    clean_rank: float
    perturbed_rank: float
    share: float  # of the picture's area, 0..1


@dataclass(frozen=True)
class Decomposition:
    """Similarity to the clean map, 0..1, with only the class, only the noise, or both changed (None: degenerate)."""

    class_only: float | None
    noise_only: float | None
    both: float | None


@dataclass(frozen=True)
class Shown:
    """The pair on screen with its measurements."""

    clean: Explained
    perturbed: Explained
    row: dict[str, Any]
    values: dict[str, float | None]
    decomposition: Decomposition | None
    moves: tuple[SegmentMove, ...]
    milliseconds: float

    @property
    def clean_input(self) -> NDArray[np.float32]:
        """The clean model-input picture, (3, H, W) in [0, 1]; read-only."""
        return self.clean.pixels()

    @property
    def perturbed_input(self) -> NDArray[np.float32]:
        """The perturbed picture as the model saw it, (3, H, W) in [0, 1]; read-only."""
        return self.perturbed.pixels()

    @property
    def cached(self) -> bool:
        """Whether both maps came from the cache."""
        return self.clean.cached and self.perturbed.cached
