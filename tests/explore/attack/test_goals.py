"""Goals of the explanation attack."""

from __future__ import annotations

import numpy as np
import pytest

from camlab.common.errors import BadSetting, UnknownName
from camlab.explore.attack.prepare import corner_map
from camlab.explore.attack.search import goal_map
from camlab.explore.attack.settings import CORNERS


@pytest.mark.parametrize("corner", CORNERS)
def test_a_corner_is_brightest_in_the_corner_and_falls_off(corner: str) -> None:
    made = corner_map(6, 9, corner)
    assert made.shape == (6, 9) and made.dtype == np.float32 and made.max() == 1 and made.min() > 0
    top, left = "top" in corner, "left" in corner
    assert made[0 if top else -1, 0 if left else -1] == 1
    turned = made[:: 1 if top else -1, :: 1 if left else -1]
    assert (np.diff(turned, axis=0) < 0).all() and (np.diff(turned, axis=1) < 0).all()


def test_corners_that_are_not_there_are_named() -> None:
    with pytest.raises(UnknownName, match="top left"):
        corner_map(3, 3, "middle")


def test_a_goal_comes_at_the_layers_resolution_from_0_to_1() -> None:
    own = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert np.allclose(goal_map(own, 2, 2), [[0, 0.25], [0.5, 1]], atol=1e-7)
    other = goal_map(own.astype(np.float32), 5, 4)
    assert other.shape == (5, 4) and other.min() == 0 and other.max() == 1
    assert (np.diff(other, axis=0) >= 0).all() and (np.diff(other, axis=1) >= 0).all()
    assert goal_map(own[::-1, ::-1], 2, 2)[0, 0] == 1  # a view that runs backwards


@pytest.mark.parametrize(
    "goal",
    [
        np.zeros((3, 3)),
        np.full((2, 2), 0.7),
        np.array([[0.0, -1.0]]),
        np.array([[0.0, np.nan]]),
        np.array([[0.0, np.inf]]),
        np.zeros((0, 3)),
        np.arange(3.0),
        np.ones((1, 2, 2)),
    ],
    ids=str,
)
def test_what_is_no_goal_is_refused(goal: np.ndarray) -> None:
    with pytest.raises(BadSetting, match="choose a corner"):
        goal_map(goal, 4, 4)
