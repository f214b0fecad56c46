"""Every type equals its slow twin at levels 1 to 5."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.noise import NOISES, perturb, stream
from tests.noise.twins import DIGESTS, TABLE, TWINS

#: Half a unit in the last place of numbers just below 1: what one rounding to float32 moves a value in [0, 1].
UNIT = 2.0**-24
#: Largest difference allowed anywhere in the picture, in float32 roundings: the last is always the twin's own, which
#: calculates in float64. What lies outside [0, 1] is clipped, so every term of a sum that counts is at most 1.
TOLERANCE = {
    "gaussian_noise": 4 * UNIT,  # the parameter, the product, the sum
    "shot_noise": 3 * UNIT,  # in float64 but for the end
    "impulse_noise": 0.0,
    "salt_and_pepper": 0.0,
    "speckle_noise": 5 * UNIT,  # one product more
    "uniform_noise": 4 * UNIT,
    # By Fourier transform in float32. Its worst case (Higham, theorem 24.2), near 1e-4, would hide a wrong weight; its
    # errors are independent enough for √log₂N roundings of a few, and 1e-6 is what the blurs promise.
    "gaussian_blur": 1e-6,
    "defocus_blur": 1e-6,
    "motion_blur": 1e-6,
    "zoom_blur": 33 * UNIT,  # up to 16 copies to add, of nine roundings each, and their weights
    "fog": 3 * UNIT,  # in float64 but for the end
    "brightness": 5 * UNIT,  # the parameter, a sum, a quotient, a product
    "contrast": 5 * UNIT,  # the mean, a difference, a product, a sum
    "saturate": 2e-5,  # the saturation is a quotient of small differences: its roundings count up to 1/range times
    "pixelate": 5 * UNIT,  # a box's mean: two products and a quotient
    "jpeg_compression": 1.01 / 255,  # two codecs may round a value to neighbouring bytes
    "occlusion": 0.0,
}


def test_every_type_has_a_twin_and_a_tolerance() -> None:
    assert set(TABLE) == set(TWINS) == set(TOLERANCE)
    assert set(TABLE) <= set(NOISES)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", TABLE)
def test_equals_its_twin(name: str, level: int, pictures: Tensor) -> None:
    ours = perturb(pictures, name, level, 7, DIGESTS)
    for picture, digest, mine in zip(pictures, DIGESTS, ours, strict=True):
        clean = picture.numpy().transpose(1, 2, 0).astype(np.float64)
        theirs = TWINS[name](clean, TABLE[name][level - 1], stream(7, name, digest)).clip(0, 1)
        difference = np.abs(mine.numpy().transpose(1, 2, 0) - theirs.astype(np.float32))
        assert difference.max() <= TOLERANCE[name]
        assert np.abs(theirs - clean).max() > 100 * max(TOLERANCE[name], 1e-6) / 255  # the rule did something


@pytest.mark.parametrize("name", ["fog", "zoom_blur", "pixelate", "occlusion", "defocus_blur", "contrast"])
def test_equals_its_twin_on_oblong_pictures(name: str, pictures: Tensor) -> None:
    oblong = pictures[:1, :, :62, :46].contiguous()
    ours = perturb(oblong, name, 4, 1, "oblong")[0].numpy().transpose(1, 2, 0)
    clean = oblong[0].numpy().transpose(1, 2, 0).astype(np.float64)
    theirs = TWINS[name](clean, TABLE[name][3], stream(1, name, "oblong")).clip(0, 1)
    assert np.abs(ours - theirs).max() <= max(TOLERANCE[name], 2 * UNIT)


@pytest.mark.parametrize("side", [224, 240, 260])
def test_zoom_blur_equals_its_twin_at_the_models_sizes(side: int) -> None:
    """The crop's size hangs on the last bit of the zoom factor: 240 px at 1.3 is the hard case."""
    picture = torch.from_numpy(np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32))
    clean = picture[0].numpy().transpose(1, 2, 0).astype(np.float64)
    for level in (2, 5):
        ours = perturb(picture, "zoom_blur", level, 0, "x")[0].numpy().transpose(1, 2, 0)
        theirs = TWINS["zoom_blur"](clean, TABLE["zoom_blur"][level - 1], stream(0, "zoom_blur", "x"))
        # A place that lies on a pixel up to rounding may be looked up from either side: places near 260 are rounded
        # by 2⁻¹⁶ at most, a third of which is the share of such a copy among the others.
        assert np.abs(ours - theirs).max() <= 5e-6
