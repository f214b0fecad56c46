"""Digests of a network's tensors: short ones, which identify a checkpoint's architecture, and one of all values.

The short ones use names and shapes, never values. Counters of batch norms (``num_batches_tracked``) are left out,
because older checkpoints lack them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

#: Values in a sketch: two sketches estimate the similarity of two networks to about 0.1.
SKETCH_LENGTH = 16
_COUNTER = "num_batches_tracked"


def shapes_of(state: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a state dict, without the counters of batch norms."""
    return {
        key: tuple(int(side) for side in value.shape)  # type: ignore[attr-defined]
        for key, value in state.items()
        if not key.endswith(_COUNTER)
    }


def without(shapes: Shapes, layers: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the tensors outside ``layers`` (dotted module names)."""
    stems = tuple(f"{layer}." for layer in layers)
    return {key: shape for key, shape in shapes.items() if not key.startswith(stems)}


def signature(shapes: Shapes) -> str:
    """Return 12 hex digits that are equal only if all names and shapes are equal."""
    text = "\n".join(sorted(_line(key, shape) for key, shape in shapes.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sketch(shapes: Shapes) -> str:
    """Return a MinHash of the (name, shape) pairs, 4 hex digits per value (Broder 1997); see ``resemblance``."""
    digests = [
        hashlib.blake2b(_line(*item).encode(), digest_size=4 * SKETCH_LENGTH).digest() for item in shapes.items()
    ]
    if not digests:
        return ""
    smallest = np.frombuffer(b"".join(digests), dtype="<u4").reshape(-1, SKETCH_LENGTH).min(axis=0)
    return "".join(f"{value & 0xFFFF:04x}" for value in smallest.tolist())


def resemblance(one: str, other: str) -> float:
    """Estimate the share of tensors that two networks have in common from their sketches, 0 to 1."""
    pairs = [(one[i : i + 4], other[i : i + 4]) for i in range(0, min(len(one), len(other)), 4)]
    return sum(a == b for a, b in pairs) / SKETCH_LENGTH


def _line(key: str, shape: tuple[int, ...]) -> str:
    return f"{key} {'x'.join(map(str, shape))}"


def digest_of_values(tensors: Iterable[tuple[str, Tensor]], start: str = "") -> str:
    """Return the hex digest of ``start`` and of the tensors' names, types, shapes and values, in their order."""
    import torch

    digest = hashlib.blake2b(start.encode(), digest_size=16)
    for name, tensor in tensors:
        values = tensor.detach().cpu().contiguous()
        digest.update(repr((name, str(values.dtype), tuple(values.shape))).encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
