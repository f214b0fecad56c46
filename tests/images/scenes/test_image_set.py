"""ShapeScenes as an image set: every picture by its id alone, labels and outlines that belong to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.common.errors import UnknownName
from camlab.images import IMAGE_SETS, SHAPES, built_in_pictures, find_picture, set_of, shape_scenes
from camlab.images.scenes.image_set import SIDE, scene_numbers
from camlab.images.scenes.scenes import render, scene_plan


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999_999), st.integers(0, 999_999_999))
def test_any_scene_is_found_by_its_id_and_is_what_the_generator_draws(seed: int, index: int) -> None:
    picture = find_picture(f"shapes/{seed}-{index}")
    plan = scene_plan(index, seed)
    pixels, mask = render(plan, SIDE)
    assert picture.id == f"shapes/{seed}-{index}" and picture.image_set == SHAPES == set_of(picture.id)
    assert np.array_equal(np.asarray(picture.load()), pixels)
    outline = picture.mask()
    assert outline is not None and np.array_equal(outline, mask)
    assert picture.label == plan.shape and plan.shape in picture.title.lower()
    assert plan.colour in picture.title.lower()


@pytest.mark.parametrize(
    "picture_id",
    (
        *(
            "shapes/",
            "shapes/0",
            "shapes/01-2",
            "shapes/0-02",
            "shapes/-1-0",
            "shapes/1000000-0",
            "shapes/0-0/",
        ),
        *("shapes/0-1000000000", "shapes/a-b", "shapes/0-1\n", "shapes/1\u0663-1", "photos/0-1"),
    ),
)
def test_what_is_no_scenes_id_is_refused(picture_id: str) -> None:
    assert scene_numbers(picture_id) is None
    with pytest.raises(UnknownName, match="choose"):
        find_picture(picture_id)


def test_the_set_holds_the_first_pictures_of_its_seed() -> None:
    scenes = shape_scenes(3, 40)
    assert [p.id for p in scenes.pictures] == [f"shapes/3-{i}" for i in range(40)]
    assert scenes.place("shapes/3-39") == 39
    assert scenes.place("shapes/3-40") is None and scenes.place("shapes/0-1") is None
    assert scenes.place("photos/bison") is None
    assert {p.label for p in scenes.pictures} == set(scenes.labels)
    assert IMAGE_SETS[SHAPES] is shape_scenes()
    assert not {p.image_set for p in built_in_pictures()} & {SHAPES}


def test_a_search_finds_titles() -> None:
    scenes = shape_scenes(0, 60)
    found = scenes.search("STAR red")
    titles = [p.title.lower() for p in scenes.pictures]
    assert found == [i for i, title in enumerate(titles) if "star" in title and "red" in title]
    assert scenes.search("checkered") == [
        i for i in range(60) if scene_plan(i, 0).texture == "checked"
    ]  # as the titles say it
    assert scenes.search("giraffe") == []


def test_a_thumbnail_is_the_same_composition_drawn_small() -> None:
    picture = find_picture("shapes/0-5")
    small = np.asarray(picture.thumbnail(64), dtype=float)
    large = np.asarray(picture.load().resize((64, 64)), dtype=float)
    assert small.shape == (64, 64, 3)
    assert np.abs(small - large).mean() < 12
    other = np.asarray(find_picture("shapes/0-6").thumbnail(64), dtype=float)
    assert np.abs(other - large).mean() > 24
