"""Pictures for the noise tests: three photographs that come with scikit-image, at two sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data, transform
from torch import Tensor

from tests.noise.twins import DIGESTS


def photographs(side: int) -> Tensor:
    photos = [data.astronaut(), data.coffee(), data.chelsea()]
    resized = [transform.resize(photo, (side, side), anti_aliasing=True) for photo in photos]
    return torch.from_numpy(np.stack(resized).astype(np.float32).transpose(0, 3, 1, 2).copy()).clamp(0, 1)


@pytest.fixture(scope="session")
def pictures() -> Tensor:
    """(3,3,64,64): enough for most rules, and quick."""
    small = photographs(64)
    assert len(small) == len(DIGESTS)
    return small


@pytest.fixture(scope="session")
def full_size() -> Tensor:
    """(3,3,224,224), on the 256 grey levels that a picture file can hold."""
    return (photographs(224) * 255).round() / 255
