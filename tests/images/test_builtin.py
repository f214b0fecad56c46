"""The built-in sets are whole, and every picture says whose it is."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from camlab.common.errors import UnknownName
from camlab.images import (
    IMAGE_SETS,
    SHAPES,
    built_in_pictures,
    find_picture,
)
from camlab.images.builtin import ROOT

ALL = built_in_pictures()


def test_sets_and_sizes() -> None:
    sizes = {name: len(image_set.pictures) for name, image_set in IMAGE_SETS.items()}
    assert sizes == {"photos": 37, "composites": 44, "places": 37, "objects": 22, "shapes": 200}
    assert list(sizes) == ["photos", "composites", "places", "objects", "shapes"]
    for image_set in IMAGE_SETS.values():
        assert len({p.title for p in image_set.pictures}) == len(image_set.pictures)
        assert all(p.image_set == image_set.name for p in image_set.pictures)
        assert image_set.title
        assert image_set.summary.endswith(".")


def test_every_picture_can_be_read_and_is_another() -> None:
    for picture in ALL:
        image = picture.load()
        assert image.mode == "RGB"
        assert max(image.size) <= 416
        assert min(image.size) >= 160
    assert len({p.digest for p in ALL}) == len({p.id for p in ALL}) == 140


def test_masks_fit_their_pictures() -> None:
    with (ROOT / "details.csv").open(encoding="utf-8", newline="") as stream:
        details = {row["file"].removesuffix(".jpg"): row for row in csv.DictReader(stream)}
    masked = 0
    for picture in ALL:
        mask = picture.mask()
        width, height = picture.load().size
        assert (width, height) == (int(details[picture.id]["width"]), int(details[picture.id]["height"]))
        if mask is None:
            assert not details[picture.id]["mask_fraction"]
            continue
        masked += 1
        assert mask.dtype == np.bool_
        assert mask.shape == (height, width)
        assert float(mask.mean()) == pytest.approx(float(details[picture.id]["mask_fraction"]), abs=6e-4)
    assert masked == 90


def test_every_picture_says_whose_it_is() -> None:
    for picture in ALL:
        assert picture.author.strip()
        assert picture.licence.strip()
        assert "http" in picture.source
        assert picture.licence_url.startswith("https://")
        if "CC-BY" in picture.licence:
            assert "https://creativecommons.org/licenses/by" in picture.licence_url
    bison = find_picture("photos/bison")
    assert (bison.title, bison.label, bison.label_index) == ("bison", "bison", 347)
    assert (bison.author, bison.licence) == ("Kurt Kaiser", "CC0-1.0")
    assert bison.licence_url == "https://creativecommons.org/publicdomain/zero/1.0/"
    both = find_picture("composites/chameleon__dandelions")
    assert both.licence == "CC-BY-3.0 (object) + CC0-1.0 (background)"
    assert both.licence_url == (
        "https://creativecommons.org/licenses/by/3.0/ ; https://creativecommons.org/publicdomain/zero/1.0/"
    )


def test_every_file_in_the_folder_is_in_the_manifest() -> None:
    with (ROOT / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    listed = {name for row in rows for name in (row["file"], row["mask_file"]) if name}
    there = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("*/*")}
    assert listed == there
    assert [row["file"].removesuffix(".jpg") for row in rows] == [p.id for p in ALL]


def test_find_picture() -> None:
    assert find_picture("composites/bison__cork").title == "bison on cork"
    for wrong in (
        "photos/unicorn",
        "photos/",
        "unicorn",
        "",
        "upload/0123456789ab",
        "../../etc/passwd",
        "x" * 999,
    ):
        with pytest.raises(UnknownName) as caught:
            find_picture(wrong)
        assert str(caught.value).endswith(".")
        assert len(str(caught.value)) < 200


def test_the_built_in_pictures_are_those_of_all_sets() -> None:
    files = [each for name, each in IMAGE_SETS.items() if name != SHAPES]
    assert built_in_pictures() == [picture for image_set in files for picture in image_set.pictures]
