"""Grounds and surfaces: varied, sane, and the same at every size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from camlab.images.scenes.fields import Draws
from camlab.images.scenes.textures import GROUNDS, SURFACES

PALETTE = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.35), (0.9, 0.8, 0.7))


@pytest.mark.parametrize("name", GROUNDS)
def test_grounds_are_varied_pictures_of_sane_brightness(name: str) -> None:
    pictures = [GROUNDS[name](Draws("ground", k), 96, PALETTE) for k in range(6)]
    for picture in pictures:
        assert picture.shape == (96, 96, 3)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()
        assert picture.std(axis=(0, 1)).min() > 0.03
        assert ((picture > -0.2) & (picture < 1.3)).all()
    for k in range(5):
        assert np.abs(pictures[k] - pictures[k + 1]).mean() > 0.02


@pytest.mark.parametrize("name", GROUNDS)
def test_a_ground_is_the_same_at_another_size(name: str) -> None:
    small = GROUNDS[name](Draws("size"), 96, PALETTE)
    large = GROUNDS[name](Draws("size"), 384, PALETTE).reshape(96, 4, 96, 4, 3).mean((1, 3))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_mix_two_colours_and_stay_the_same_at_another_size(name: str) -> None:
    def at(count: int) -> NDArray[np.float32]:
        line = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(count / 2) - np.float32(1)
        u, v = np.meshgrid(line, line)
        return SURFACES[name](Draws("surface"), u, v, count / 2)

    small, large = at(60), at(240)
    assert small.min() >= 0 and small.max() <= 1
    shrunk = large.reshape(60, 4, 60, 4).mean((1, 3))
    assert np.abs(small - shrunk).mean() < 0.03
    if name == "plain":
        assert not large.any()
    else:
        assert 0.1 < large.mean() < 0.9
        assert large.min() < 0.1 and large.max() > 0.9
