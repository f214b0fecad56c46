"""Fixtures for the CAM methods: pictures of the built-in sets and classifiers, read once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from camlab.images import Picture, built_in_pictures
from camlab.models import load_classifier
from camlab.models.classifier import Classifier
from camlab.models.network.split import linear_head, pointwise_head


def spread_pictures(count: int) -> list[Picture]:
    """`count` built-in pictures, evenly over all sets."""
    every = built_in_pictures()
    return [every[i * len(every) // count] for i in range(count)]


@cache
def picture_batch(model: str, count: int) -> Tensor:
    """Pictures of the built-in sets at the model's input size."""
    classifier = load_classifier(model, "cpu")
    return torch.stack([classifier.preprocess(picture.load()) for picture in spread_pictures(count)])


@pytest.fixture(scope="session")
def batch() -> Callable[[str, int], Tensor]:
    """(model, count) -> pictures of the built-in sets at the model's input size."""
    return picture_batch


def in_double(classifier: Classifier) -> Classifier:
    """A copy of a classifier that calculates in float64: what algebra says is then seen to 12 digits, not to 5."""
    copied = copy.deepcopy(classifier)
    copied.module.double()
    copied._mean, copied._std = copied._mean.double(), copied._std.double()
    for stage in copied._stages:
        stage.module.double()
    # The heads are made again, as the float32 ones hold weights that were multiplied and rounded.
    for name in copied._by_name:
        after, layout = copied._stages[copied._cut[name] :], copied._layout[name]
        copied._linear[name] = linear_head(after, layout.places)
        copied._pointwise[name] = pointwise_head(after) if layout.kind == "maps" else None
    return copied
