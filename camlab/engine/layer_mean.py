"""Several target layers as one: the mean of their maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from camlab.cams import scale_maps
from camlab.engine.spec import Explained


def averaged(versions: Sequence[Explained]) -> Explained:
    """One picture explained at several layers as one explanation, with the mean of the maps for each method.

    The prediction is the same in all; the class explained is, too. Raises ValueError where there is no version.
    """
    first = versions[0]
    maps = {name: mean_map([version.maps[name] for version in versions]) for name in first.maps}
    degenerate = {name: not found.any() for name, found in maps.items()}
    cached = all(version.cached for version in versions)
    return Explained(first.probabilities, first.target, maps, degenerate, cached)


def mean_map(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of maps (h, w) in [0, 1] on the finest of their grids, scaled to [0, 1]; read-only float32.

    Coarser maps are enlarged as they are to be shown (bilinear, align_corners False). A degenerate map (all
    zeros) is one that says nothing: it counts as zeros. pytorch-grad-cam averages layers likewise, but at the
    size of the picture.
    """
    shape = max((found.shape for found in maps), key=lambda each: each[0] * each[1])
    fine = [
        functional.interpolate(torch.tensor(found)[None, None], shape, mode="bilinear", align_corners=False)
        for found in maps
    ]
    scaled, _ = scale_maps(torch.cat(fine)[:, 0].double().mean(dim=0, keepdim=True))
    mean: NDArray[np.float32] = scaled[0].numpy()
    mean.setflags(write=False)
    return mean
