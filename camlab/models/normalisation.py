"""What a classifier's normalising does, read off from black and white: a scale and a shift of each channel."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Normalising(Protocol):
    """A classifier, as far as its mean and standard deviation go."""

    def normalise(self, x: Tensor) -> Tensor: ...


def scale_and_shift(classifier: Normalising, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The a and b (1, 3, 1, 1), like the pictures, of ``normalise(x) = a · x + b``."""
    black = pictures.new_zeros((1, pictures.shape[1], 1, 1))
    shift = classifier.normalise(black).to(pictures)
    return classifier.normalise(black + 1).to(pictures) - shift, shift


def mean_colour(classifier: Normalising, pictures: Tensor) -> Tensor:
    """The colour (1, 3, 1, 1) in [0, 1] that normalises to zero."""
    scale, shift = scale_and_shift(classifier, pictures)
    return -shift / scale
