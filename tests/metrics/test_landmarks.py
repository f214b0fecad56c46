from __future__ import annotations

import numpy as np
import pytest

from camlab.metrics import Comparison, breaks_at, flips_at, other_picture_floor, segment, similarity
from tests.rounding import near

SEVERITIES = [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        # The floor 0.2 puts the threshold at 0.6.
        ([0.9, 0.8, 0.5, 0.4, 0.3], 3.0),
        ([0.9, 0.5, 0.7, 0.5, 0.4], 4.0),  # the dip at 2 does not last
        ([0.9, 0.9, 0.9, 0.9, 0.5], 5.0),  # the last step counts when below
        ([0.9, 0.9, 0.9, 0.5, 0.9], None),
        ([0.6, 0.6, 0.6, 0.6, 0.6], None),  # at the threshold is not below it
        ([0.1, 0.1, 0.1, 0.1, 0.1], 1.0),
        ([0.9, 0.5, None, 0.4, 0.9], 2.0),  # severities without a value are passed over
        ([0.9, 0.5, float("nan"), 0.9, 0.9], None),
        ([None] * 5, None),
    ],
)
def test_breaks_at(means: list[float | None], expected: float | None) -> None:
    assert breaks_at(SEVERITIES, means, 0.2) == expected
    order = [3, 0, 4, 1, 2]
    assert breaks_at([SEVERITIES[i] for i in order], [means[i] for i in order], 0.2) == expected


def test_breaks_at_needs_a_floor_and_moves_with_it() -> None:
    means = [0.9, 0.7, 0.6, 0.5, 0.4]
    assert breaks_at(SEVERITIES, means, None) is None
    assert breaks_at(SEVERITIES, means, 0.0) == 5.0
    assert breaks_at(SEVERITIES, means, 0.5) == 2.0


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.0, 0.2, 0.6, 0.9, 1.0], 3.0),
        ([0.6, 0.4, 0.6, 0.6, 0.2], 3.0),
        ([0.5, 0.5, 0.5, 0.5, 0.5], None),  # a half is not most
        ([0.0, 0.0, 0.0, 0.0, 1.0], 5.0),
        ([0.0, 0.0, 0.0, 1.0, 0.0], None),
    ],
)
def test_flips_at(rates: list[float | None], expected: float | None) -> None:
    assert flips_at(SEVERITIES, rates) == expected


def test_other_picture_floor_by_hand() -> None:
    # Two by two cells on a 2×2 picture: four segments, the map's own cells.
    labels = segment(np.zeros((2, 2, 3)), "cells", rows=2, cols=2)
    comparison = Comparison(labels, (2, 2), p=0.9)
    mine = np.array([[1.0, 0.6], [0.3, 0.0]])
    same, swapped = mine, np.array([[0.6, 1.0], [0.3, 0.0]])
    constant = np.zeros((2, 2))
    # Swapping the first two of four: the agreement is 0 at depth 1 and 1 from there on, so RBO is 1 − 0.1.
    floor = other_picture_floor(mine, np.stack([same, swapped, constant]), comparison)
    assert floor == near((1 + 0.9) / 2)
    # ρ = 1 and 1 − 6·2/(4·15) = 0.8, on the unit scale 1 and 0.9.
    assert other_picture_floor(mine, np.stack([same, swapped]), comparison, "spearman") == near(0.95)


def test_other_picture_floor_is_the_mean_of_the_loop() -> None:
    rng = np.random.default_rng(0)
    labels = segment(np.zeros((30, 30, 3)), "cells", rows=5, cols=6)
    comparison = Comparison(labels, (30, 30))
    mine, others = rng.random((6, 6)), rng.random((20, 6, 6))
    each = [similarity("rbo", mine[None], other[None], comparison)[0] for other in others]
    assert other_picture_floor(mine, others, comparison) == near(np.mean(each))


def test_other_picture_floor_not_observed() -> None:
    labels = segment(np.zeros((4, 4, 3)), "cells", rows=2, cols=2)
    comparison = Comparison(labels, (4, 4))
    ramp = np.arange(4.0).reshape(2, 2)
    assert other_picture_floor(ramp, np.zeros((3, 2, 2)), comparison) is None
    assert other_picture_floor(ramp, np.empty((0, 2, 2)), comparison) is None
    assert other_picture_floor(np.ones((2, 2)), ramp[None], comparison) is None
