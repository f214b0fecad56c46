"""Digests of a network's tensors: short ones, which identify a checkpoint's architecture, and one of all values.

The short ones use names and shapes, never values. Counters of batch norms (``num_batches_tracked``) are left out,
because older checkpoints lack them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
    """Return a MinHash of the (name, shape) pairs, 4 hex digits per value (Broder 1997); see ``resemblances``."""
    digests = [
        hashlib.blake2b(_line(*item).encode(), digest_size=4 * SKETCH_LENGTH).digest() for item in shapes.items()
    ]
    if not digests:
        return ""
    smallest = np.frombuffer(b"".join(digests), dtype="<u4").reshape(-1, SKETCH_LENGTH).min(axis=0)
    return "".join(f"{value & 0xFFFF:04x}" for value in smallest.tolist())


def resemblances(ones: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    """Estimate the share (0 to 1) of tensors in common from sketches, as (len(ones), len(others)); none is empty."""
    first, second = _values(ones), _values(others)
    rows = [(row == second).mean(axis=1) for row in first]  # row by row: all at once would take gigabytes
    return np.array(rows, dtype=np.float64).reshape(len(ones), len(others))


def _values(sketches: Sequence[str]) -> NDArray[np.uint16]:
    """Return the values of sketches, (N, SKETCH_LENGTH)."""
    return np.frombuffer(bytes.fromhex("".join(sketches)), dtype=">u2").reshape(-1, SKETCH_LENGTH)


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
