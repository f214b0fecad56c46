"""Occlusion: parts of the picture are hidden."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camlab.noise.base import Streams, noise_type

GRID = 8
GREY = 0.5


@noise_type(
    "occlusion",
    title="Occlusion",
    family="Occlusion",
    summary="Covers part of the picture with grey patches.",
    parameters=("share covered",),
    levels=((0.0,), (0.05,), (0.1,), (0.2,), (0.3,), (0.4,)),
    stochastic=True,
)
def occlusion(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Cover the share c of the picture with mid-grey (0.5) patches of 1/8 of its side.

    The patches lie on an 8×8 grid; the seed draws their order. The last one is covered row by row from its
    top, so the covered share is c to the pixel, and a covered pixel stays covered at higher severities.
    """
    height, width = x.shape[2:]
    ranks = torch.from_numpy(np.stack([covering_ranks(height, width, stream) for stream in streams]))
    pixels = torch.round(parameters[:, 0] * (height * width)).reshape(-1, 1, 1)
    hidden = (ranks < pixels).unsqueeze(1)
    return torch.where(hidden, torch.full_like(x, GREY), x)


def covering_ranks(height: int, width: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """Return each pixel's place (height, width) in the order of covering, from 0."""
    turn = np.argsort(stream.permutation(GRID * GRID)).reshape(GRID, GRID)  # patch -> its place in the order
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    # A stable sort by turn keeps the pixels of one patch in reading order.
    order = np.argsort(turn[rows[:, None], columns[None, :]].ravel(), kind="stable")
    ranks = np.empty(height * width, dtype=np.int64)
    ranks[order] = np.arange(height * width)
    return ranks.reshape(height, width)
