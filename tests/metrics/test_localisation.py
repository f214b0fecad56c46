"""Localisation against loops, and what must hold for every map and mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from camlab.common.errors import BadSetting, UnknownName
from camlab.metrics.localisation import (
    LOCALISATIONS,
    best_iou,
    energy_inside,
    localisation,
    mask_at_input,
    pointing_game,
)
from camlab.models.preprocessing import Preprocessing
from tests.rounding import near

SHAPE = (7, 5)
MAPS = hnp.arrays(np.float64, (2, *SHAPE), elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1]))
MASKS = hnp.arrays(np.bool_, SHAPE).filter(lambda m: m.any() and not m.all())


def twin_pointing(map_: np.ndarray, mask: np.ndarray, tolerance: float) -> float:
    top = [(i, j) for i in range(SHAPE[0]) for j in range(SHAPE[1]) if map_[i, j] == map_.max()]
    inside = list(zip(*np.nonzero(mask), strict=True))
    hit = [min(math.dist(p, q) for q in inside) <= tolerance * min(SHAPE) / 224 for p in top]
    return sum(hit) / len(hit)


def twin_energy(map_: np.ndarray, mask: np.ndarray) -> float:
    whole = sum(float(v) for v in map_.ravel())
    return sum(float(v) for v, m in zip(map_.ravel(), mask.ravel(), strict=True) if m) / whole if whole else math.nan


def twin_iou(map_: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    best = (-1.0, 0.0)
    for t in sorted(set(map_.ravel()), reverse=True):
        shown = map_ >= t
        value = (shown & mask).sum() / (shown | mask).sum()
        if value > best[0]:
            best = (float(value), float(t))
    return best


@settings(max_examples=80, deadline=None)
@given(MAPS, MASKS, st.sampled_from([0.0, 15.0, 45.0, 64.0, 100.0, 500.0]))
def test_equal_their_slow_twins(maps: np.ndarray, mask: np.ndarray, tolerance: float) -> None:
    points, energy, (overlap, cut) = (
        pointing_game(maps, mask, tolerance),
        energy_inside(maps, mask),
        best_iou(maps, mask),
    )
    for row, map_ in enumerate(maps):
        assert points[row] == near(twin_pointing(map_, mask, tolerance))
        assert energy[row] == near(twin_energy(map_, mask), nan_ok=True)
        assert (overlap[row], cut[row]) == near(twin_iou(map_, mask))


@settings(max_examples=60, deadline=None)
@given(MAPS, MASKS)
def test_ranges_and_invariances(maps: np.ndarray, mask: np.ndarray) -> None:
    for name in LOCALISATIONS:
        found = localisation(name, maps, mask)
        assert found is not None
        constant = maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))
        assert (np.isnan(found) == constant).all()
        kept = found[~constant]
        assert ((kept >= 0) & (kept <= 1)).all()
        # Turning map and mask over together changes nothing, nor does another unit of the map.
        turned = localisation(name, maps[:, ::-1, ::-1], mask[::-1, ::-1])
        doubled = localisation(name, maps * 2, mask)
        assert turned is not None and doubled is not None
        assert turned == near(found, nan_ok=True) and doubled == near(found, nan_ok=True)
    # No map covers an object worse than everything does.
    assert (best_iou(maps, mask)[0] >= mask.mean() - 1e-12).all()
    # A maximum on one side of the mask's border is a hit for the mask or for the rest.
    hits = pointing_game(maps, mask, 0) + pointing_game(maps, ~mask, 0)
    assert hits == near(np.ones(2))


def test_the_mask_itself_is_the_best_map() -> None:
    mask = np.zeros((224, 224), dtype=bool)
    mask[60:120, 80:200] = True
    for name in LOCALISATIONS:
        perfect = localisation(name, mask[None].astype(float), mask)
        assert perfect is not None and perfect[0] == 1
    assert best_iou(mask[None] * 0.7, mask)[1][0] == 0.7


@pytest.mark.parametrize(("column", "hit"), [(80, 1), (65, 1), (64, 0)])
def test_fifteen_pixels_are_tolerated(column: int, hit: int) -> None:
    mask = np.zeros((224, 224), dtype=bool)
    mask[60:120, 80:200] = True
    map_ = np.zeros((1, 224, 224))
    map_[0, 90, column] = 1
    assert pointing_game(map_, mask)[0] == hit


def test_chance_is_what_maps_without_knowledge_get() -> None:
    mask = np.zeros((32, 32), dtype=bool)
    mask[4:16, 8:20] = True
    maps = np.random.default_rng(0).random((1500, 32, 32))
    for name in ("pointing_game", "energy_pointing", "best_iou"):
        found = localisation(name, maps, mask)
        assert found is not None
        assert found.mean() == pytest.approx(LOCALISATIONS[name].chance(mask), abs=0.03)  # a mean of 1,500


def test_masks_without_an_answer_have_none() -> None:
    maps = np.random.default_rng(0).random((2, *SHAPE))
    for name in LOCALISATIONS:
        assert localisation(name, maps, np.zeros(SHAPE, dtype=bool)) is None
        assert localisation(name, maps, np.ones(SHAPE, dtype=bool)) is None
    with pytest.raises(BadSetting, match="input size"):
        localisation("best_iou", maps, np.ones((3, 3), dtype=bool))
    with pytest.raises(UnknownName, match="best_iou"):
        localisation("iou", maps, np.ones(SHAPE, dtype=bool))


# masks at the model's input


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (224, 224), (50, 90)])
@pytest.mark.parametrize("crop", [0.875, 1.0])
def test_a_mask_goes_where_the_picture_goes(size: tuple[int, int], crop: float) -> None:
    preprocessing = Preprocessing((224, 224), crop, "bicubic", (0.5,) * 3, (0.5,) * 3)
    mask = np.zeros(size, dtype=bool)
    mask[size[0] // 3 : size[0] // 2, size[1] // 4 : size[1] // 2] = True
    seen = mask_at_input(mask, preprocessing)
    # The same shape drawn into a picture, found again by its brightness.
    picture = Image.fromarray(np.stack([mask * np.uint8(255)] * 3, axis=-1))
    drawn = preprocessing.apply(picture)[0].numpy() > 0.5
    assert seen.shape == (224, 224) and seen.dtype == bool and 0 < seen.sum() < seen.size
    # They may differ at the border, where the picture's own resizing blends.
    square = np.ones((3, 3))
    assert (binary_erosion(drawn, square) <= seen).all() and (seen <= binary_dilation(drawn, square)).all()


def test_a_pixel_is_inside_where_more_than_half_of_it_is() -> None:
    preprocessing = Preprocessing((2, 2), 1.0, "bicubic", (0.5,) * 3, (0.5,) * 3)
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1]])
    assert mask_at_input(mask, preprocessing).tolist() == [[False, True], [True, False]]
    with pytest.raises(BadSetting, match="plane"):
        mask_at_input(np.zeros((2, 2, 3)), preprocessing)


def test_every_measure_has_words_for_people() -> None:
    for name, entry in LOCALISATIONS.items():
        assert entry.name == name and entry.title and entry.source and entry.summary.endswith(".")
