"""ShapeScenes: pure functions of (seed, index, size), balanced, with masks that are exact."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage.measure import points_in_poly

from camlab.common.errors import BadSetting
from camlab.images.scenes import scenes
from camlab.images.scenes.outlines import BITS, CORNERS, FORMS
from camlab.images.scenes.scenes import (
    CLASSES,
    COLOURS,
    PALETTES,
    TEXTURES,
    ScenePlan,
    render,
    render_ground,
    scene_plan,
)
from camlab.images.scenes.textures import GROUNDS

ROOT = Path(__file__).parents[3]
PLANS = [scene_plan(index, seed=2) for index in range(2000)]

# A digest of the first scenes of seed 3 at 64 and 96 pixels: what it is on one machine it must be on every one.
GOLDEN = "dd28749a436c87c9"
DIGEST = """
import hashlib
from camlab.images.scenes.scenes import render, scene_plan
digest = hashlib.blake2b(digest_size=8)
for index in range(30):
    for size in (64, 96):
        for part in render(scene_plan(index, 3), size):
            digest.update(part.tobytes())
print(digest.hexdigest())
"""


def test_the_same_pixels_whatever_instructions_the_processor_has() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__ as extras  # type: ignore[import-not-found]  # compiled

    for without in ("", " ".join(extras)):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": without}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == GOLDEN, f"scenes have changed, or depend on more than {without!r}"


def test_a_scene_depends_on_no_global_state_and_leaves_it_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    first = render(scene_plan(5, 9), 64)
    states = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    render(scene_plan(6, 9), 64)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # type: ignore[index]
    np.random.seed(2)
    again = render(scene_plan(5, 9), 64)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_other_indices_and_seeds_are_other_scenes() -> None:
    digests = {
        hashlib.sha256(render(scene_plan(index, seed), 48)[0].tobytes()).digest()
        for index in range(12)
        for seed in range(4)
    }
    assert len(digests) == 48
    assert scene_plan(10**12, 10**12).label in range(10)


# what a plan says


def test_the_plan_is_known_without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("drawn")

    for name in ("_ground", "_place", "fractal", "centres"):
        monkeypatch.setattr(scenes, name, fail)
    plan = scene_plan(3, 1)
    assert plan.shape == CLASSES[plan.label]
    with pytest.raises(AssertionError, match="drawn"):
        render(plan, 64)


def test_each_block_of_indices_has_every_class_once_in_another_order() -> None:
    blocks = [tuple(p.label for p in PLANS[i : i + 10]) for i in range(0, len(PLANS), 10)]
    assert all(sorted(block) == list(range(10)) for block in blocks)
    assert len(set(blocks)) > 0.9 * len(blocks)
    assert [scene_plan(i, 3).label for i in range(50)] != [p.label for p in PLANS[:50]]


@pytest.mark.parametrize("field", ["texture", "colour", "ground", "palette"])
def test_nuisances_are_spread_evenly_over_the_classes(field: str) -> None:
    wanted = {
        "texture": TEXTURES,
        "colour": tuple(COLOURS),
        "ground": tuple(GROUNDS),
        "palette": tuple(PALETTES),
    }
    values = [getattr(plan, field) for plan in PLANS]
    assert set(values) == set(wanted[field])
    table = np.zeros((len(CLASSES), len(wanted[field])))
    for plan, value in zip(PLANS, values, strict=True):
        table[plan.label, wanted[field].index(value)] += 1
    assert stats.chi2_contingency(table).pvalue > 1e-3
    if field != "colour":  # which colours stand out depends on the palette
        assert stats.chisquare(table.sum(0)).pvalue > 1e-3


def test_place_size_and_turn_say_nothing_about_the_class() -> None:
    for field in ("x", "y", "radius", "stretch", "turn"):
        groups = [[getattr(p, field) for p in PLANS if p.label == label] for label in range(10)]
        assert stats.kruskal(*groups).pvalue > 1e-3
    assert stats.kstest([p.turn / 360 for p in PLANS], "uniform").pvalue > 1e-3


def test_bits_are_small_and_of_every_kind() -> None:
    counts = Counter(bit.kind for plan in PLANS for bit in plan.bits)
    assert set(counts) == set(BITS)
    assert min(counts.values()) > 0.2 * sum(counts.values())
    assert {len(plan.bits) for plan in PLANS} == set(range(3, 9))
    for plan in PLANS[:300]:
        assert all(1.4 * bit.size < plan.radius for bit in plan.bits)


def test_the_object_s_colour_stands_out_from_its_ground() -> None:
    for plan in PLANS:
        for tone in PALETTES[plan.palette]:
            assert math.dist(COLOURS[plan.colour], tone) >= 0.3


# masks


def coordinates(plan: ScenePlan, size: int) -> NDArray[np.float64]:
    """Pixel centres in the object's own coordinates, (size, size, 2), by matrices and in double precision."""
    line = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(line - plan.y, line - plan.x, indexing="ij")
    angle = math.radians(-plan.turn)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    root = math.sqrt(plan.stretch)
    out: NDArray[np.float64] = np.stack([x, y], -1) @ turn.T / (np.array([root, 1 / root]) * plan.radius)
    return out


def defined(shape: str, u: float, v: float) -> bool:
    """Which points belong to the shapes that are no polygons."""

    def near(x0: float, y0: float, radius: float) -> bool:
        return math.hypot(u - x0, v - y0) < radius

    return {
        "circle": near(0, 0, 0.88),
        "ring": near(0, 0, 0.95) and not near(0, 0, 0.52),
        "crescent": near(0, 0, 0.98) and not near(0.5, 0, 0.82),
        "heart": abs(u) + abs(v - 0.23) < 0.6 or near(-0.3, -0.07, 0.4243) or near(0.3, -0.07, 0.4243),
    }[shape]


def slow_mask(plan: ScenePlan, size: int) -> NDArray[np.bool_]:
    places = coordinates(plan, size).reshape(-1, 2)
    if plan.shape in CORNERS:
        inside = points_in_poly(places, np.array(CORNERS[plan.shape]))
    else:
        inside = np.array([defined(plan.shape, u, v) for u, v in places])
    return np.asarray(inside, bool).reshape(size, size)


@pytest.mark.parametrize("index", range(20))
def test_the_mask_is_the_pixels_whose_centre_lies_in_the_shape(index: int) -> None:
    plan = scene_plan(index, 4)
    for size in (57, 128):
        mask, expected = render(plan, size)[1], slow_mask(plan, size)
        wrong = mask != expected
        # A centre within a millionth of the outline may fall either way in single precision.
        assert wrong.sum() <= 1
        uv = coordinates(plan, size)[wrong].astype(np.float32)
        assert (np.abs(FORMS[plan.shape](uv[..., 0], uv[..., 1])) < 1e-5).all()
        assert mask.any() and not mask.all()


@pytest.mark.parametrize("seed", [0, 5])
def test_the_object_changes_all_that_its_mask_covers_and_nothing_beyond_its_border(seed: int) -> None:
    square = np.ones((3, 3), bool)
    for index in range(20):
        plan = scene_plan(index, seed)
        (picture, mask), ground = render(plan, 96), render_ground(plan, 96)
        changed = (picture != ground).any(-1)
        # Tips thinner than a pixel hold no pixel's centre; a finer mask has them, too.
        fine = ndimage.binary_dilation(render(plan, 384)[1], square)
        assert not (changed & ~fine.reshape(96, 4, 96, 4).any((1, 3))).any()
        beyond = changed & ~ndimage.binary_dilation(mask, square)
        assert beyond.sum() <= 6
        inner = ndimage.binary_erosion(mask, square)
        assert changed[inner].mean() > 0.98
        far = np.abs(picture.astype(int) - ground).max(-1)
        assert (far[inner] > 20).mean() > 0.8


def test_the_border_is_mixed_by_the_share_of_each_pixel_that_is_covered() -> None:
    """Coverage, read off as white on black, against 16 × 16 points a pixel in double precision."""
    for index in range(10):
        plan, size = scene_plan(index, 6), 48
        picture = np.zeros((size, size, 3), np.float32)
        scenes._place(
            picture,
            FORMS[plan.shape],
            *(plan.x, plan.y, plan.radius, plan.stretch, plan.turn),
            lambda u, v, d: np.ones((*u.shape, 3), np.float32),
        )
        fine = slow_mask(plan, 16 * size) if plan.shape in CORNERS else render(plan, 16 * size)[1]
        expected = fine.reshape(size, 16, size, 16).mean((1, 3))
        apart = np.abs(picture[..., 0] - expected)
        assert apart.max() < 0.2  # 4 × 4 points against 16 × 16
        assert apart[expected % 1 > 0].mean() < 0.05


def test_objects_lie_wholly_in_the_picture_and_cover_a_fair_part_of_it() -> None:
    shares = []
    for index in range(100):
        mask = render(scene_plan(index, 8), 64)[1]
        assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
        shares.append(mask.mean())
    assert min(shares) > 0.015
    assert max(shares) < 0.35
    assert 0.05 < np.median(shares) < 0.2
    for plan in PLANS:
        assert plan.radius * 1.07 <= min(plan.x, plan.y, 1 - plan.x, 1 - plan.y)


# size


def test_another_size_shows_the_same_composition() -> None:
    for index in range(20):
        plan = scene_plan(index, 7)
        (small, mask), (large, fine) = render(plan, 96), render(plan, 384)
        shrunk = large.reshape(96, 4, 96, 4, 3).mean((1, 3))
        assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.985
        assert np.abs(small - shrunk).mean() < 6
        share = fine.reshape(96, 4, 96, 4).mean((1, 3))
        assert mask[share == 1].all() and not mask[share == 0].any()


@pytest.mark.parametrize("size", [32, 33, 224, 1000])
def test_any_size(size: int) -> None:
    picture, mask = render(scene_plan(1), size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    assert mask.shape == (size, size) and mask.dtype == np.bool_


# what is drawn is what the plan says


def test_the_colour_is_the_one_that_is_named() -> None:
    for index, name in enumerate(COLOURS):
        plan = dataclasses.replace(scene_plan(index, 1), texture="plain", colour=name, shape="circle")
        picture, mask = render(plan, 96)
        inner = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=6)
        mean = picture[inner].mean(0) / 255
        assert math.dist(mean, COLOURS[name]) < 0.1
        assert min(COLOURS, key=lambda other: math.dist(mean, COLOURS[other])) == name


def test_texture_and_colour_change_the_object_alone() -> None:
    plan = scene_plan(0, 1)
    picture, mask = render(plan, 96)
    beyond = ~ndimage.binary_dilation(mask, np.ones((3, 3)))
    pictures = []
    for texture in TEXTURES:
        other, same = render(dataclasses.replace(plan, texture=texture, colour="teal"), 96)
        np.testing.assert_array_equal(mask, same)
        np.testing.assert_array_equal(picture[beyond], other[beyond])
        pictures.append(other.astype(int))
    for i, one in enumerate(pictures):
        assert all(np.abs(one - other)[mask].mean() > 5 for other in pictures[i + 1 :])


# bad input


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
def test_bad_indices_and_seeds(value: object) -> None:
    with pytest.raises(BadSetting, match="index of a scene must be a whole number"):
        scene_plan(value)  # type: ignore[arg-type]
    with pytest.raises(BadSetting, match="seed of a scene must be a whole number"):
        scene_plan(0, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [31, 2049, 0, -5, 64.0, True, "big"])
def test_bad_sizes(size: Any) -> None:
    plan = scene_plan(0)
    for draw in (render, render_ground):
        with pytest.raises(BadSetting, match="from 32 to 2048"):
            draw(plan, size)


def test_numpy_numbers_are_numbers() -> None:
    assert scene_plan(np.int64(3), np.uint8(1)) == scene_plan(3, 1)  # type: ignore[arg-type]
