"""Fixtures for the CAM methods: pictures of the built-in sets and classifiers, read once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from camlab.images import Picture, built_in_pictures
from camlab.models import load_classifier


def spread_pictures(count: int) -> list[Picture]:
    """`count` built-in pictures, evenly over all sets."""
    every = built_in_pictures()
    return [every[i * len(every) // count] for i in range(count)]


@cache
def _batch(model: str, count: int) -> Tensor:
    classifier = load_classifier(model, "cpu")
    return torch.stack([classifier.preprocess(picture.load()) for picture in spread_pictures(count)])


@pytest.fixture(scope="session")
def batch() -> Callable[[str, int], Tensor]:
    """(model, count) -> pictures of the built-in sets at the model's input size."""
    return _batch
