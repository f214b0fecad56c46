"""What an attacked map is to look like: a corner, or any map of the user's choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from camlab.cams import scale_maps
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry

#: Corners that a map can be drawn to: which end of the rows, which end of the columns.
CORNERS: Registry[tuple[int, int]] = Registry("corner")
CORNERS.add("top left", (0, 0))
CORNERS.add("top right", (0, 1))
CORNERS.add("bottom left", (1, 0))
CORNERS.add("bottom right", (1, 1))


def corner_map(height: int, width: int, corner: str) -> NDArray[np.float32]:
    """A map (height, width) that is 1 in one corner and falls off like a bell. Raises UnknownName."""
    bottom, right = CORNERS[corner]
    down, across = (
        np.exp(-0.5 * (3 * np.abs(np.linspace(0, 1, side) - end)) ** 2)
        for side, end in ((height, bottom), (width, right))
    )
    return np.outer(down, across).astype(np.float32)


def goal_map(goal: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.float32]:
    """A map of any size, not negative, at a layer's resolution (height, width), scaled to [0, 1].

    Raises BadSetting for what is no such map and for one that is the same everywhere.
    """
    if goal.ndim != 2 or 0 in goal.shape or not np.isfinite(goal).all() or (goal < 0).any():
        raise BadSetting(
            "A goal is a map of numbers that are not negative; choose a corner or a picture's map."
        )
    wide = torch.from_numpy(np.ascontiguousarray(goal, dtype=np.float64))[None, None]
    if wide.shape[2:] != (height, width):
        wide = functional.interpolate(wide, (height, width), mode="bilinear", align_corners=False)
    scaled, degenerate = scale_maps(wide[0])
    if bool(degenerate[0]):
        raise BadSetting("The goal is the same everywhere; choose a corner or a picture's map.")
    made: NDArray[np.float32] = scaled[0].numpy()
    return made
