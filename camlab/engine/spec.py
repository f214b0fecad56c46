"""Versions of a picture, and their explanations by a model."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from camlab.cams import scale_maps
from camlab.cams.base import never
from camlab.common.torch_state import pinned_torch
from camlab.noise import NOISES

Check = Callable[[], None]


@dataclass(frozen=True)
class Spec:
    """One version of a picture: a noise type (None: the clean picture), a severity in [0, 5] and a seed."""

    noise: str | None = None
    severity: float = 0.0
    seed: int = 0


CLEAN = Spec(None, 0.0, 0)


class VersionPixels:
    """The pixels of one version as the model sees them: made on first use, then kept. Threads may share it."""

    def __init__(self, make: Callable[[Check], torch.Tensor]) -> None:
        """``make`` returns the picture (3, H, W) in [0, 1]; it is called once and then forgotten."""
        self._make: Callable[[Check], torch.Tensor] | None = make
        self._made: NDArray[np.float32] | None = None

    def __call__(self, check: Check = never) -> NDArray[np.float32]:
        """Return the pixels (3, H, W), float32 in [0, 1], read-only. Raises what ``check`` and the noise raise."""
        make = self._make
        if make is not None:
            made: NDArray[np.float32] = make(check).numpy()
            made.setflags(write=False)
            self._made, self._make = made, None
        if self._made is None:
            raise RuntimeError("the pixels were neither made nor kept")
        return self._made


@dataclass(frozen=True)
class Explained:
    """A model's prediction for one version of a picture, and the maps that explain it.

    probabilities: float32 (C,); target: the class that the maps explain; maps: float32 (h, w) in [0, 1] by
    method, in the requested order; degenerate: by method, True if the map is all zeros; cached: nothing had to be
    computed; source: the pixels explained. The arrays are read-only, because the cache shares them.
    """

    probabilities: np.ndarray
    target: int
    maps: Mapping[str, np.ndarray]
    degenerate: Mapping[str, bool]
    cached: bool
    source: VersionPixels | None = field(default=None, repr=False, compare=False)

    def pixels(self, check: Check = never) -> NDArray[np.float32]:
        """Return the picture as the model saw it, (3, H, W) float32 in [0, 1], read-only.

        The first call may perturb the picture again, if the engine has dropped it. Raises what ``check`` raises, and
        ValueError for an explanation without a source.
        """
        if self.source is None:
            raise ValueError("this explanation does not know which pixels it explains")
        return self.source(check)

    @property
    def index(self) -> int:
        """The predicted class."""
        return int(self.probabilities.argmax())

    @property
    def probability(self) -> float:
        """The probability of the predicted class."""
        return float(self.probabilities[self.index])

    def top(self, k: int = 5) -> list[tuple[int, float]]:
        """Return the k most probable classes and their probabilities, best first; ties go to the lower index."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(int(i), float(self.probabilities[i])) for i in order]


def canonical(spec: Spec) -> Spec:
    """Return the canonical spec of a version: severity 0 is the clean picture, noise types without draws have seed 0.

    Raises UnknownName for an unknown noise type.
    """
    noise = None if spec.noise is None else NOISES[spec.noise]
    if noise is None or spec.severity == 0:
        return CLEAN
    seed = operator.index(spec.seed) if noise.stochastic else 0
    return Spec(noise.name, float(spec.severity), seed)


def averaged(versions: Sequence[Explained]) -> Explained:
    """Merge the explanations of one picture at several layers: per method, the mean of the maps.

    All share the prediction and the class explained. Raises IndexError for none.
    """
    first = versions[0]
    maps = {name: mean_map([version.maps[name] for version in versions]) for name in first.maps}
    degenerate = {name: not found.any() for name, found in maps.items()}
    cached = all(version.cached for version in versions)
    return Explained(first.probabilities, first.target, maps, degenerate, cached, first.source)


@pinned_torch()
def mean_map(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Average maps (h, w) in [0, 1] on the finest of their grids and scale to [0, 1]; read-only float32.

    Coarser maps are upsampled (bilinear, align_corners=False). A degenerate map counts as zeros. pytorch-grad-cam
    averages layers in the same way, but at the picture's size.
    """
    shape = max((found.shape for found in maps), key=lambda each: each[0] * each[1])
    fine = [
        functional.interpolate(torch.tensor(found)[None, None], shape, mode="bilinear", align_corners=False)
        for found in maps
    ]
    scaled, _ = scale_maps(torch.cat(fine)[:, 0].double().mean(dim=0, keepdim=True))
    mean: NDArray[np.float32] = scaled[0].numpy()
    mean.setflags(write=False)
    return mean
