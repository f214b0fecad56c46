"""Versions of a picture, and what a model says about one."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from camlab.noise import NOISES


@dataclass(frozen=True)
class Spec:
    """One version of a picture: a noise type (None: the clean picture), a severity in [0, 5] and a seed."""

    noise: str | None = None
    severity: float = 0.0
    seed: int = 0


CLEAN = Spec(None, 0.0, 0)


@dataclass(frozen=True)
class Explained:
    """What the model says about one version of a picture, and why.

    probabilities: float32 (C,); target: the class that the maps explain; maps: float32 (h, w) in [0, 1] by
    method, in the order asked for; degenerate: by method, True where the map says nothing (all zeros);
    cached: nothing was computed for it. The arrays are read-only, as they are shared with the cache.
    """

    probabilities: np.ndarray
    target: int
    maps: Mapping[str, np.ndarray]
    degenerate: Mapping[str, bool]
    cached: bool

    @property
    def index(self) -> int:
        """The predicted class."""
        return int(self.probabilities.argmax())

    @property
    def probability(self) -> float:
        """The probability of the predicted class."""
        return float(self.probabilities[self.index])

    def top(self, k: int = 5) -> list[tuple[int, float]]:
        """The k most probable classes and their probabilities, best first; of equals, the lower index."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(int(i), float(self.probabilities[i])) for i in order]


def canonical(spec: Spec) -> Spec:
    """The one name of a version: severity 0 is the clean picture, and what draws nothing has no seed.

    Raises UnknownName for a noise type that is not there.
    """
    noise = None if spec.noise is None else NOISES[spec.noise]
    if noise is None or spec.severity == 0:
        return CLEAN
    seed = operator.index(spec.seed) if noise.stochastic else 0
    return Spec(noise.name, float(spec.severity), seed)
