"""Surroundings for the noise types that need some: a model of any size that can be worked out, a second picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from camlab.noise import Surroundings, perturb


def field(shape: Sequence[int], seed: int) -> Tensor:
    """Numbers in [0, 1), the same for the same shape and seed: not to be changed."""
    return _field(tuple(shape), seed)


@cache
def _field(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


class TwoFields:
    """Two classes: mean(x²·P) and mean(x·Q) of fixed fields P and Q.

    With two classes the attack's gradient is that of z₀ − z₁ or its opposite: one product and one difference an
    element, which come out the same however the work is split.
    """

    device = torch.device("cpu")
    input_size = (64, 64)
    class_names = ("square", "plain")

    def __init__(self) -> None:
        self.seen = 0

    def logits(self, x: Tensor) -> Tensor:
        self.seen += 1
        p, q = (field(x.shape[1:], seed) for seed in (1, 2))
        return torch.stack([(x * x * p).mean((1, 2, 3)), (x * q).mean((1, 2, 3))], dim=1)


def around(images: Tensor) -> Surroundings:
    """The model, and one second picture of the images' own size for all of them."""
    return Surroundings(TwoFields(), lambda _: field(images.shape[1:], 3))


def perturb_around(
    images: Tensor,
    noise: str,
    severities: float | Sequence[float],
    seeds: int | Sequence[int],
    digests: str | Sequence[str],
) -> Tensor:
    """`perturb` for any noise type."""
    return perturb(images, noise, severities, seeds, digests, around(images))
