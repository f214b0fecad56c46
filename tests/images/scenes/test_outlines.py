"""Outlines: signs against other libraries' point-in-polygon, distances against a walk along the outline."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from camlab.images.scenes.outlines import BITS, CORNERS, FORMS, Form, capsule, disc, polygon, union, without


def grid(side: float = 1.3, count: int = 67) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    line = np.linspace(-side, side, count).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def members(name: str, x: float, y: float) -> bool:
    """Which points belong to the round shapes, from what the shapes are."""

    def near(x0: float, y0: float, radius: float) -> bool:
        return math.hypot(x - x0, y - y0) < radius

    return {
        "circle": near(0, 0, 0.88),
        "ring": near(0, 0, 0.95) and not near(0, 0, 0.52),
        "crescent": near(0, 0, 0.98) and not near(0.5, 0, 0.82),
        "heart": abs(x) + abs(y - 0.23) < 0.6 or near(-0.3, -0.07, 0.4243) or near(0.3, -0.07, 0.4243),
    }[name]


@pytest.mark.parametrize("name", CORNERS)
def test_inside_a_polygon_is_where_scikit_image_says(name: str) -> None:
    x, y = grid()
    d = FORMS[name](x, y)
    points = np.stack([x.ravel(), y.ravel()], 1).astype(float)
    inside = points_in_poly(points, np.array(CORNERS[name])).reshape(x.shape)
    clear = np.abs(d) > 1e-5
    np.testing.assert_array_equal((d < 0)[clear], inside[clear])
    assert 0.05 < inside.mean() < 0.5


@pytest.mark.parametrize("name", ["circle", "ring", "crescent", "heart"])
def test_inside_a_round_shape_is_what_defines_it(name: str) -> None:
    x, y = grid(count=41)
    d = FORMS[name](x, y)
    for place in zip(*np.nonzero(np.abs(d) > 1e-5), strict=True):
        assert (d[place] < 0) == members(name, float(x[place]), float(y[place]))


def test_every_shape_is_one_of_the_two_kinds() -> None:
    assert set(FORMS) == {*CORNERS, "circle", "ring", "crescent", "heart"}


@pytest.mark.parametrize("name", CORNERS)
def test_a_polygon_s_distance_is_that_of_the_nearest_point_of_a_walk_around_it(name: str) -> None:
    x, y = grid(count=23)
    corners = np.array([*CORNERS[name], CORNERS[name][0]])
    steps = np.linspace(0, 1, 400)[:, None]
    walk = np.concatenate([a + (b - a) * steps for a, b in pairwise(corners)])
    apart = np.hypot(x[..., None] - walk[:, 0], y[..., None] - walk[:, 1]).min(-1)
    np.testing.assert_allclose(np.abs(FORMS[name](x, y)), apart, atol=2e-3)


@pytest.mark.parametrize("form", [*FORMS.values(), *BITS.values()], ids=[*FORMS, *BITS])
def test_a_distance_is_never_more_than_the_way_to_the_other_side(form: Form) -> None:
    x, y = grid(side=1.6, count=51)
    d = form(x, y).ravel().astype(float)
    points = np.stack([x.ravel(), y.ravel()], 1).astype(float)
    for here in np.nonzero(np.abs(d) > 0.02)[0][::7]:
        other = (d < 0) != (d[here] < 0)
        assert abs(d[here]) <= np.hypot(*(points[other] - points[here]).T).min() + 1e-5


@pytest.mark.parametrize("name", FORMS)
def test_shapes_fit_the_unit_circle_and_fill_a_good_part_of_it(name: str) -> None:
    x, y = grid(side=1.5, count=201)
    inside = FORMS[name](x, y) < 0
    assert np.hypot(x, y)[inside].max() <= 1.0
    assert inside.mean() * 9 > 0.5  # of π


def test_polygons_may_go_either_way_round() -> None:
    x, y = grid()
    back = polygon(CORNERS["arrow"][::-1])
    np.testing.assert_allclose(back(x, y), FORMS["arrow"](x, y), atol=1e-6)


def test_unions_and_holes() -> None:
    x, y = np.array([[0.0, 2.0, 1.0]], np.float32), np.zeros((1, 3), np.float32)
    both = union(disc(0.5), disc(0.25, 2.0))
    np.testing.assert_allclose(both(x, y), [[-0.5, -0.25, 0.5]], atol=1e-6)
    np.testing.assert_allclose(without(disc(1.5), disc(0.25))(x, y), [[0.25, 0.5, -0.5]], atol=1e-6)


def test_a_capsule_is_as_far_as_its_line_less_its_radius() -> None:
    line = capsule(-1.0, 0.0, 1.0, 0.0, 0.1)
    x, y = np.array([[0.0, 2.0, -1.3], [0.5, 0.0, 0.4]], np.float32)
    np.testing.assert_allclose(line(x, y), [0.4, 0.9, 0.4], atol=1e-6)
