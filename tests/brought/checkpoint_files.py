"""Makers of checkpoints as people bring them, around small networks of timm with random weights."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camlab.common.errors import BadCheckpoint
from camlab.engine.shared import engine_for
from camlab.engine.spec import CLEAN
from camlab.models.own.model import model_from_file
from camlab.models.registry import ModelRow
from tests.models.own.test_model import network

State = dict[str, Tensor]
SIDE = 64  # pixels of the networks' inputs: quick, and enough for a map


@cache
def _state(architecture: str, classes: int, seed: int) -> State:
    """Random values under which signals neither vanish nor explode, as after training: maps are not empty."""
    random = torch.Generator().manual_seed(seed)
    state = dict(network(architecture, seed, num_classes=classes).state_dict())
    for key, value in state.items():
        if value.ndim > 1:
            state[key] = torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5
        elif value.is_floating_point():
            low, high = (-0.1, 0.1) if key.endswith(("bias", "mean")) else (0.5, 1.5)
            state[key] = low + (high - low) * torch.rand(value.shape, generator=random)
    return state


def state_of(architecture: str = "test_resnet", classes: int = 3, seed: int = 0) -> State:
    """The tensors of a network, in a dictionary of its own."""
    return dict(_state(architecture, classes, seed))


def prefixed(state: Mapping[str, Tensor], prefix: str) -> State:
    """The same tensors with a prefix before their names."""
    return {prefix + key: value for key, value in state.items()}


def renamed(state: Mapping[str, Tensor], old: str, new: str) -> State:
    """The same tensors, those whose names begin with ``old`` under ``new``."""
    return {new + key.removeprefix(old) if key.startswith(old) else key: value for key, value in state.items()}


def written(value: Any, path: Path) -> Path:
    """The file, as torch saves it."""
    stream = io.BytesIO()
    torch.save(value, stream)
    path.write_bytes(stream.getvalue())
    return path


def map_of(row: ModelRow) -> bytes:
    """The Grad-CAM map of a picture of random pixels for class 1, and the probabilities, byte by byte."""
    engine = engine_for(row.name, "cpu")
    pixels = torch.rand(3, *engine.classifier.input_size, generator=torch.Generator().manual_seed(0))
    found = engine.explain(pixels, "random", [CLEAN], ["gradcam"], targets=1)[0]
    assert found.maps["gradcam"].any()
    return np.ascontiguousarray(found.maps["gradcam"]).tobytes() + found.probabilities.tobytes()


def read(
    value: Any, folder: Path, architecture: str | None = None, name: str = "mine.pth", **settings: Any
) -> ModelRow:
    """The model in a file with this content."""
    return model_from_file(written(value, folder / name), architecture, **settings)


def refusal(value: Any, folder: Path, architecture: str | None = None, name: str = "mine.pth") -> BadCheckpoint:
    """The error by which a file with this content is refused: one sentence, and lines below it."""
    try:
        row = read(value, folder, architecture, name)
    except BadCheckpoint as error:
        text = str(error)
        assert text.endswith(".")
        assert "\n" not in text
        return error
    raise AssertionError(f"the file was read as {row.summary}")
