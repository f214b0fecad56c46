"""Second witness: the `imagecorruptions` package, an independent copy of ImageNet-C's own code.

It takes and returns bytes, cutting the fraction off, so values may differ by a byte and a little. Its fog and
Gaussian blur call names that NumPy and scikit-image have since removed, so those two have only their twin.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.noise import NOISES, parameters_at, perturb
from tests.noise.twins import DIGESTS

Corrupt = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def corrupt() -> Iterator[Corrupt]:
    """The package's entry point, with a stand-in for the setuptools module that it asks one path of."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stand_in = types.ModuleType("pkg_resources")
        stand_in.resource_filename = lambda package, name: name  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "pkg_resources", stand_in)
        imagecorruptions = pytest.importorskip("imagecorruptions")
        yield imagecorruptions.corrupt


def _bytes(picture: Tensor) -> np.ndarray:
    return (picture.numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)


# Largest difference in bytes: one for the cut fraction; pixelate and the blurs round to bytes on the way.
BYTES = {
    "defocus_blur": 1.01,
    "zoom_blur": 1.01,
    "brightness": 1.01,
    "contrast": 1.01,
    "saturate": 1.01,
    "pixelate": 1.01,
    "jpeg_compression": 0.01,
}


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", BYTES)
def test_types_that_draw_nothing_agree(name: str, level: int, full_size: Tensor, corrupt: Corrupt) -> None:
    row = level % 3
    theirs = corrupt(_bytes(full_size[row]), severity=level, corruption_name=name).astype(np.float64)
    ours = perturb(full_size[row : row + 1], name, level, 0, DIGESTS[row])[0].numpy().transpose(1, 2, 0) * 255.0
    assert np.abs(ours - theirs).max() <= BYTES[name]


@pytest.mark.parametrize("level", [1, 3, 5])
def test_motion_blur_agrees_at_the_same_angle(
    level: int, full_size: Tensor, corrupt: Corrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    angle = -27.5
    monkeypatch.setattr(np.random, "uniform", lambda low, high: angle)
    theirs = corrupt(_bytes(full_size[0]), severity=level, corruption_name="motion_blur").astype(np.float64)

    class Fixed:
        def uniform(self, low: float, high: float) -> float:
            assert (low, high) == (-45.0, 45.0)
            return angle

    parameters = torch.tensor([parameters_at("motion_blur", level)], dtype=torch.float64)
    ours = NOISES["motion_blur"].apply(full_size[:1], parameters, [Fixed()])[0]
    assert np.abs(ours.numpy().transpose(1, 2, 0) * 255.0 - theirs).max() <= 1.01


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"])
def test_types_that_draw_have_the_same_statistics(
    name: str, level: int, full_size: Tensor, corrupt: Corrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean and spread of the change, in four bands of clean brightness (150,528 values in all)."""
    np.random.seed(level)
    clean = _bytes(full_size[2])
    change_theirs = corrupt(clean, severity=level, corruption_name=name) + 0.5 - clean  # +½: the cut fraction
    ours = perturb(full_size[2:], name, level, 3, DIGESTS[2])[0].numpy().transpose(1, 2, 0)
    change_ours = np.floor(ours.astype(np.float64) * 255) + 0.5 - clean
    for low in (0, 64, 128, 192):
        band = (clean >= low) & (clean < low + 64)
        count = band.sum()
        if count < 2000:
            continue
        theirs, mine = change_theirs[band], change_ours[band]
        noise = theirs.std() / np.sqrt(count)
        assert abs(theirs.mean() - mine.mean()) < 5 * 1.5 * noise
        # The spread of a spread: at most sqrt(kurtosis - 1) / (2 sqrt(n)), relative; kurtosis stays below 12.
        assert abs(theirs.std() / mine.std() - 1) < 5 * 1.5 * np.sqrt(30 / count) / 2
