"""The tray as a figure: three kinds of file that say all there is to say."""

from __future__ import annotations

import dataclasses
import io
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camlab.common.errors import BadSetting, UnknownName
from camlab.explore.compare.figure import FORMATS, caption, figure, overlay, settings
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import CompareState, Place
from camlab.explore.state import ExploreState
from camlab.images import find_picture

CLEAN = Place("gradcam", "shapes_resnet")
NOISY = Place("eigencam", "shapes_resnet", "gaussian_noise", 4.0, 1)
BARE = Place("fem", "shapes_resnet", "captured", 3.0, 0)
START = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def grid(**changes: Any) -> Grid:
    fields: dict[str, Any] = {"model": "shapes_resnet", "image": "photos/bison", "seed": 1, **changes}
    base = ExploreState(**fields)
    state = CompareState(base, ("gradcam", "hirescam", "eigencam"), columns=("4",), pins=(CLEAN, NOISY, BARE))
    found = Grid(state, find_picture(base.image))
    while found.job.running:
        found.job.step()
    return found


@pytest.fixture(scope="module")
def filled() -> Grid:
    return grid()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_kind_is_a_file_of_its_own_and_the_same_each_time(filled: Grid, kind: str) -> None:
    data = figure(filled, [CLEAN, NOISY], kind)
    assert data.startswith(START[kind])
    assert data == figure(filled, [CLEAN, NOISY], kind)
    assert data != figure(filled, [NOISY, CLEAN], kind), "the order is that of the tray"


def test_an_svg_says_captions_credit_and_settings_as_text(filled: Grid) -> None:
    tree = ET.fromstring(figure(filled, [CLEAN, NOISY, BARE], "svg"))
    texts = [" ".join("".join(node.itertext()).split()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    said = " ".join(texts)
    cell = filled.cells[NOISY]
    picture = filled.picture
    for wanted in (
        "Grad-CAM", "= HiResCAM", "Eigen-CAM", "Gaussian noise, severity 4, seed 1", "ShapeScenes ResNet, layer",
        f"Similarity to its clean map: {cell.similarity:.2f}", picture.author, picture.licence, "CAM Lab", "torch",
        "Rank-biased overlap", "quickshift", "map value", "upload a pair",
    ):  # fmt: skip
        assert wanted in said, wanted
    images = list(tree.iter("{http://www.w3.org/2000/svg}image"))
    assert len(images) >= 2
    assert not re.search(rb'href="(?!data:|#)', figure(filled, [CLEAN], "svg")), "nothing is fetched"


def test_a_pdf_holds_its_fonts_and_says_what_it_is(filled: Grid) -> None:
    data = figure(filled, [NOISY], "pdf")
    title = "explanations of".encode("utf-16-be")
    assert b"/FontFile2" in data and title in data and b"/CreationDate" not in data


def test_a_png_shows_the_overlays(filled: Grid) -> None:
    drawn = Image.open(io.BytesIO(figure(filled, [CLEAN], "png")))
    assert "bison" in drawn.info["Title"].lower() and "Grad-CAM" in drawn.info["Description"]
    cell = overlay(filled, filled.cells[CLEAN])
    assert cell.shape == (256, 256, 3)
    # Somewhere on the sheet is that overlay: its mean colour within what enlarging changes.
    sheet = np.asarray(drawn.convert("RGB")).astype(float)
    inked = np.argwhere((sheet < 250).any(axis=2))
    assert len(inked) > 256 * 256
    part = sheet[100:300, 100:300].mean(axis=(0, 1))
    assert np.abs(part - cell.astype(float).mean(axis=(0, 1))).max() < 60


def test_opacity_and_colours_are_those_chosen(filled: Grid) -> None:
    cell = filled.cells[NOISY]
    before = overlay(filled, cell)
    old = filled.state
    filled.adopt(dataclasses.replace(old, base=dataclasses.replace(old.base, opacity=0.0)))
    bare = overlay(filled, cell)
    filled.adopt(old)
    assert np.abs(bare.astype(int) - before).max() > 30
    pixels = filled.pixels(NOISY).transpose(1, 2, 0) * 255
    assert np.abs(bare[::2, ::2].astype(float) - pixels).mean() < 25


def test_a_tray_that_cannot_be_drawn_says_why(filled: Grid) -> None:
    with pytest.raises(BadSetting, match="pin a cell"):
        figure(filled, [], "png")
    with pytest.raises(BadSetting, match="still being computed"):
        figure(filled, [Place("gradcam", "shapes_vgg")], "png")
    with pytest.raises(UnknownName):
        figure(filled, [CLEAN], "gif")


def test_captions_say_what_differs_and_settings_what_does_not(filled: Grid) -> None:
    assert caption(filled, filled.cells[CLEAN])[1] == "= HiResCAM"
    assert not any("clean map" in line for line in caption(filled, filled.cells[CLEAN]))
    assert caption(filled, filled.cells[BARE])[-1].endswith(".")
    fixed = grid(rule="fixed", target=3, copies=2, image="shapes/0-0")
    text = " ".join(settings(fixed))
    assert "number 3" in text and "2 noisy copies" in text and "CC0" in text
