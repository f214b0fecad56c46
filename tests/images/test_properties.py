from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from skimage.color import rgb2gray
from skimage.filters import gaussian

from camlab.common.errors import BadSetting
from camlab.images import built_in_pictures
from camlab.images.properties import PROPERTIES, properties_of
from camlab.study.store import IMAGE_COLUMNS


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """A few photographs, (3, 160, 160) in [0, 1]."""
    return [
        cv2.resize(np.asarray(picture.load()), (160, 160), interpolation=cv2.INTER_AREA).transpose(2, 0, 1) / 255.0
        for picture in list(built_in_pictures())[:4]
    ]


def grey(value: float, height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((3, height, width), value)


def test_an_even_surface_has_nothing() -> None:
    for value in (0.0, 0.3, 1.0):
        found = properties_of(grey(value))
        assert (found["clutter"], found["contrast"], found["sharpness"]) == pytest.approx((0, 0, 0), abs=1e-12)


def test_half_black_half_white() -> None:
    pixels = grey(0.0)
    pixels[:, :, 15:] = 1.0
    found = properties_of(pixels)
    assert found["contrast"] == pytest.approx(0.5)
    # The edge takes one or two columns of thirty; the Laplacian is +1 and −1 beside it.
    assert 0.8 / 30 < found["clutter"] <= 2 / 30
    assert found["sharpness"] == pytest.approx(2 / 30)


def test_sharpness_is_opencvs(photos: list[np.ndarray]) -> None:
    for pixels in photos:
        theirs = cv2.Laplacian(rgb2gray(pixels, channel_axis=0), cv2.CV_64F).var()
        assert properties_of(pixels)["sharpness"] == pytest.approx(theirs, rel=1e-9)


def test_contrast_is_that_of_scikit_images_grey(photos: list[np.ndarray]) -> None:
    for pixels in photos:
        theirs = rgb2gray(pixels, channel_axis=0).std()
        assert properties_of(pixels)["contrast"] == pytest.approx(theirs, rel=1e-9)


def test_clutter_is_near_the_share_of_opencvs_edges(photos: list[np.ndarray]) -> None:
    for pixels in photos:
        smooth = gaussian(rgb2gray(pixels, channel_axis=0), 1.0, mode="nearest", truncate=4)
        down, across = (cv2.Sobel(smooth, cv2.CV_64F, *d, borderType=cv2.BORDER_REPLICATE) for d in ((0, 1), (1, 0)))
        scale = 30_000 / max(np.abs(down).max(), np.abs(across).max())
        steepest = np.hypot(down, across).max() * scale
        edges = cv2.Canny(
            (across * scale).astype(np.int16), (down * scale).astype(np.int16),
            0.11 * steepest, 0.27 * steepest, L2gradient=True,
        )  # fmt: skip
        # The two thin edges differently, by interpolation and by sectors.
        assert properties_of(pixels)["clutter"] == pytest.approx((edges > 0).mean(), rel=0.15)


def test_clutter_counts_objects() -> None:
    shares = []
    for count in (1, 4, 9):
        pixels = grey(0.2, 96, 96)
        for i in range(count):
            y, x = divmod(i, 3)
            pixels[:, 8 + 30 * y : 20 + 30 * y, 8 + 30 * x : 20 + 30 * x] = 0.9
        shares.append(properties_of(pixels)["clutter"])
    assert np.array(shares) / shares[0] == pytest.approx([1, 4, 9])


def test_blur_lowers_sharpness_and_less_light_contrast(photos: list[np.ndarray]) -> None:
    for pixels in photos:
        sharp = properties_of(pixels)
        blurred = properties_of(gaussian(pixels, 2.0, channel_axis=0))
        dim = properties_of(pixels / 2)
        assert blurred["sharpness"] < sharp["sharpness"] / 4
        assert dim["contrast"] == pytest.approx(sharp["contrast"] / 2)
        # Thresholds go with the picture's own gradients.
        assert dim["clutter"] == pytest.approx(sharp["clutter"])


def test_the_object_is_measured_where_there_is_a_mask(photos: list[np.ndarray]) -> None:
    mask = np.zeros((160, 160), bool)
    mask[:40] = True
    assert properties_of(photos[0], mask)["object_share"] == 0.25
    assert math.isnan(properties_of(photos[0])["object_share"])


def test_every_property_stays_in_its_range(photos: list[np.ndarray]) -> None:
    noise = np.random.default_rng(0).random((3, 40, 40))
    for pixels in (*photos, noise, np.round(noise)):
        found = properties_of(pixels.astype(np.float32), np.ones(pixels.shape[1:], bool))
        assert list(found) == list(PROPERTIES)
        for name, value in found.items():
            entry = PROPERTIES[name]
            assert entry.low <= value <= (np.inf if entry.high is None else entry.high)


@pytest.mark.parametrize(
    ("shape", "mask"), [((20, 30, 3), None), ((1, 20, 30), None), ((3, 20, 30), np.ones((3, 3), bool))]
)
def test_other_shapes_are_refused(shape: tuple[int, ...], mask: np.ndarray | None) -> None:
    with pytest.raises(BadSetting, match=r"\(3, height, width\)"):
        properties_of(np.zeros(shape), mask)


def test_a_study_has_a_column_for_every_property() -> None:
    assert set(PROPERTIES) <= {column.name for column in IMAGE_COLUMNS}
