"""Noise types: their registry, the parameters at a severity, and the perturbation of pictures.

Three promises hold for every type and are tested for every type:

* severity 0 returns the picture bit for bit, and severities 1..5 are the levels of ImageNet-C
  (Hendrycks & Dietterich 2019, arXiv 1903.12261);
* one (seed, noise type, picture digest) gives one noise field, which only scales as the severity moves;
* a picture's result depends on nothing else: not on its batch, the thread count or the global random state.

For the last promise, the families use only operations whose result does not depend on how the work is split:
single additions, products and quotients in torch, and NumPy or SciPy on one picture at a time. Types that need the
model are an exception: their gradients are taken one picture at a time, but the last bits, which a search amplifies at
every step, depend on the device, the libraries and the number of threads.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.torch_state import pinned_torch

MAX_SEVERITY = 5.0

FAMILIES: tuple[str, ...] = (
    "Sensor noise",
    "Blur",
    "Weather and light",
    "Digital",
    "Occlusion",
    "Adversarial",
    "Your own",
)

Streams = Sequence[np.random.Generator]
"""One random stream per picture."""

NoiseFn = Callable[..., Tensor]
"""Pictures (N,3,H,W) float32, parameters (N,P) float64, one stream per picture -> pictures, not yet clipped.

A type that needs the model gets the `Surroundings` as fourth argument, one that needs a companion the second pictures.
"""

Needs = Literal["", "model", "companion"]
"""A noise type's need besides the picture: nothing, the model in use, or a second picture of the scene."""


class Attackable(Protocol):
    """The interface that attacks need of a classifier (`camlab.models.Classifier` has it)."""

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of pictures (N,3,H,W) in [0, 1]."""
        ...


Companion = Callable[[str], Tensor | None]
"""The second picture (3,H,W) that belongs to a picture, by the picture's digest; None if there is none."""


def no_companion(_: str) -> Tensor | None:
    """Return None: by default there is no second picture."""
    return None


@dataclass(frozen=True)
class Surroundings:
    """The context of a perturbation: the classifier in use, and a picture's second picture by its digest.

    ``companion`` returns (3, H, W) float32 in [0, 1] at the model's input size, or None if there is none.
    ``check`` is called between steps and may raise Cancelled.
    """

    classifier: Attackable | None = None
    companion: Companion = no_companion
    check: Callable[[], None] = lambda: None


Pixels = NDArray[np.float32]
"""One picture, (3,H,W)."""


@dataclass(frozen=True)
class NoiseType:
    """One row of the noise table.

    ``levels`` has six rows, the identity first and then the five levels; each row has one value per name in
    ``parameters``. ``stochastic``: the type draws random numbers, so the seed matters. ``monotone``: a larger
    severity always lies further from the clean picture, so a line may join the points. ``needs``: what `perturb`
    must be given besides the picture.
    """

    name: str
    title: str
    family: str
    summary: str
    parameters: tuple[str, ...]
    levels: tuple[tuple[float, ...], ...]
    stochastic: bool
    monotone: bool
    apply: NoiseFn
    needs: Needs = ""


NOISES: Registry[NoiseType] = Registry("noise type")


def noise_type(
    name: str,
    *,
    title: str,
    family: str,
    summary: str,
    parameters: Sequence[str],
    levels: Sequence[Sequence[float]],
    stochastic: bool,
    monotone: bool = True,
    needs: Needs = "",
) -> Callable[[NoiseFn], NoiseFn]:
    """Register the decorated function as a noise type; see ``NoiseType`` for the fields.

    Raises ValueError if the row is malformed or the name is taken.
    """
    rows = tuple(tuple(float(value) for value in row) for row in levels)
    if len(rows) != 6 or any(len(row) != len(parameters) for row in rows):
        raise ValueError(f"noise type {name!r} needs six level rows of {len(parameters)} values each")
    if family not in FAMILIES:
        raise ValueError(f"noise type {name!r} names an unknown family {family!r}")
    return NOISES.adding(
        name,
        lambda apply: NoiseType(
            name, title, family, summary, tuple(parameters), rows, stochastic, monotone, apply, needs
        ),
    )


def parameters_at(noise: str, severity: float) -> tuple[float, ...]:
    """Return the parameters of a noise type at a severity in [0, 5], linear between the levels.

    Raises UnknownName for the type and BadSetting for a severity out of range.
    """
    levels = NOISES[noise].levels
    severity = _checked_severity(severity)
    lower = min(int(severity), len(levels) - 2)
    share = severity - lower
    # In this form both ends of each interval equal the table's values exactly.
    return tuple(a * (1 - share) + b * share for a, b in zip(levels[lower], levels[lower + 1], strict=True))


def stream(seed: int, noise: str, digest: str) -> np.random.Generator:
    """Return the random stream of one (seed, noise type, picture digest): the same on every platform."""
    words = json.dumps([int(seed), noise, digest]).encode()
    key = int.from_bytes(hashlib.blake2b(words, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


@pinned_torch()
def perturb(
    images: Tensor,
    noise: str,
    severities: float | Sequence[float],
    seeds: int | Sequence[int],
    digests: str | Sequence[str],
    around: Surroundings | None = None,
) -> Tensor:
    """Return perturbed copies of pictures.

    ``images`` is (N,3,H,W) float32 on the CPU, in [0, 1], and is never changed. ``severities`` (in [0, 5]),
    ``seeds`` and ``digests`` (texts that with the seed decide the noise field) are one value for all pictures
    or one per picture. The result is a new (N,3,H,W) float32 tensor clipped to [0, 1]; rows of
    severity 0 equal their input bit for bit. Types without randomness ignore the seed.

    Raises UnknownName for the noise type and BadSetting for all other errors, such as a type that needs the
    model or a second picture if ``around`` has none.
    """
    kind = NOISES[noise]
    count = _checked_pictures(images)
    strengths = [_checked_severity(value) for value in _one_each(severities, count, "severity")]
    numbers = [_checked_seed(value) for value in _one_each(seeds, count, "seed")]
    texts = [str(value) for value in _one_each(digests, count, "digest")]

    with torch.no_grad():
        # A row-major copy: sums over a picture must not depend on the caller's memory layout.
        out = images.detach().clone(memory_format=torch.contiguous_format)
        moved = [row for row, strength in enumerate(strengths) if strength > 0]
        if not moved:
            return out
        parameters = torch.tensor([parameters_at(noise, strengths[row]) for row in moved], dtype=torch.float64)
        streams = [stream(numbers[row] if kind.stochastic else 0, noise, texts[row]) for row in moved]
        more = _needed(kind, around or Surroundings(), [texts[row] for row in moved])
        out[moved] = kind.apply(out[moved], parameters, streams, *more).clamp(0.0, 1.0)
        return out


def unavailable(noise: str, around: Surroundings, digest: str) -> str | None:
    """Return one sentence saying why a noise type cannot be applied to a picture and what to do; None if it can.

    ``digest`` is the picture's. Raises UnknownName for the type.
    """
    kind = NOISES[noise]
    if kind.needs == "model" and around.classifier is None:
        return f"{kind.title} needs a model; perturb through an engine that has one."
    if kind.needs == "companion" and around.companion(digest) is None:
        return f"{kind.title} needs a second picture of the scene; upload a pair first."
    return None


def _needed(kind: NoiseType, around: Surroundings, digests: Sequence[str]) -> tuple[Any, ...]:
    """Return the type's further arguments: none, the surroundings, or the second pictures (N,3,H,W)."""
    for digest in dict.fromkeys(digests):
        if reason := unavailable(kind.name, around, digest):
            raise BadSetting(reason)
    if kind.needs == "model":
        return (around,)
    if kind.needs == "companion":
        others = [around.companion(digest) for digest in digests]
        return (torch.stack([other for other in others if other is not None]),)
    return ()


def column(parameters: Tensor, index: int) -> Tensor:
    """Return one parameter of every picture as float32, shaped (N,1,1,1) to scale pictures by."""
    return parameters[:, index].to(torch.float32).reshape(-1, 1, 1, 1)


def stack(fields: Sequence[NDArray[Any]]) -> Tensor:
    """Return one float32 tensor of equally shaped NumPy arrays, one per picture."""
    return torch.from_numpy(np.stack(fields).astype(np.float32, copy=False))


def each_picture(
    images: Tensor,
    parameters: Tensor,
    streams: Streams,
    one: Callable[..., NDArray[Any]],
) -> Tensor:
    """Return ``one(picture (3,H,W), stream, *parameters)`` of every picture, stacked.

    For operations whose result could depend on how a batch is split, such as sums and transforms.
    """
    rows = parameters.tolist()
    return stack([one(*item[:2], *item[2]) for item in zip(images.numpy(), streams, rows, strict=True)])


def _checked_severity(severity: object) -> float:
    if isinstance(severity, bool) or not isinstance(severity, Real):
        raise BadSetting(f"A severity is a number from 0 to 5; {str(severity)[:40]!r} is not.")
    value = float(severity)
    if math.isnan(value) or not 0.0 <= value <= MAX_SEVERITY:
        raise BadSetting(f"Severity {value:g} is out of range; choose a number from 0 to 5.")
    return value


def _checked_seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise BadSetting(f"A seed is a whole number; {str(seed)[:40]!r} is not.")
    return int(seed)


def _checked_pictures(images: object) -> int:
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        shape = tuple(getattr(images, "shape", ())) or type(images).__name__
        raise BadSetting(f"Pictures to perturb must be a tensor of shape (N, 3, height, width), not {shape}.")
    if images.dtype != torch.float32 or images.device.type != "cpu":
        raise BadSetting(f"Pictures to perturb must be float32 on the CPU, not {images.dtype} on {images.device}.")
    if images.numel():
        low, high = torch.aminmax(images.detach())
        if not (low >= 0 and high <= 1):  # also catches NaN
            raise BadSetting("Pictures to perturb need values from 0 to 1; perturb before normalising.")
    return int(images.shape[0])


def _one_each(values: Any, count: int, name: str) -> list[Any]:
    """Return one value per picture: repeat a single value, or check the number of several."""
    if isinstance(values, (str, Real)) or not isinstance(values, (Sequence, np.ndarray, Tensor)):
        return [values] * count
    listed = list(values.tolist() if isinstance(values, (np.ndarray, Tensor)) else values)
    if len(listed) != count:
        raise BadSetting(
            f"There are {len(listed)} values of {name} for {count} pictures; give one for all or one each."
        )
    return listed
