"""Frames for the browser: what is lost on the way, what is refused, and that words stay words."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camlab.common.errors import BadSetting
from camlab.drawing.pictures import DIVERGING, ENLARGE, INK, blend, colourise, enlarge, upsample
from camlab.engine.shared import engine_for
from camlab.explore.output import frames, pair_html
from camlab.explore.output.frames import LEVELS, SEVERITIES, pack, quantise
from camlab.explore.output.panels import draw_change, draw_panel
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from tests.explore.output.parcels import restore, unpack

STRIP = "0123456789ab"


@pytest.fixture(scope="module")
def scene() -> Scene:
    state = ExploreState()
    return Scene(engine_for(state.model), find_picture(state.image), state)


@pytest.fixture(scope="module")
def shown(scene: Scene) -> Shown:
    return scene.shown(3.0, 0)


def decoded(data: bytes) -> np.ndarray:
    """A picture file as RGB."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels[..., ::-1]


def test_there_is_a_frame_for_every_step_of_the_handle() -> None:
    assert SEVERITIES[0] == 0 and SEVERITIES[-1] == 5 and len(SEVERITIES) == 21
    assert set(np.diff(SEVERITIES)) == {0.25}


# numbers


@given(arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32)))
def test_a_map_comes_back_to_within_half_a_step(values: np.ndarray) -> None:
    back = restore(quantise(values), values.shape)
    assert np.abs(back - values).max() <= 0.5 / LEVELS + 1e-12


def test_a_map_takes_two_bytes_a_value_row_by_row() -> None:
    assert quantise(np.array([[0.0, 1.0], [1 / LEVELS, 0.5]])) == bytes([0, 0, 255, 255, 1, 0, 0, 128])


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
def test_what_is_no_map_value_is_refused(value: float) -> None:
    with pytest.raises(BadSetting, match="from 0 to 1"):
        quantise(np.array([[0.5, value]]))


def test_bytes_of_another_size_are_no_map() -> None:
    with pytest.raises(BadSetting, match="cannot hold values of shape"):
        restore(b"\0\0\0", (1, 2))


# pictures


@pytest.mark.parametrize("count", [3, 300, 65535])
def test_segment_numbers_survive_the_png(count: int) -> None:
    labels = np.random.default_rng(0).integers(0, count, (20, 30)).astype(np.int32)
    labels[0, 0] = count - 1
    red, green, _ = np.moveaxis(decoded(frames.encode_labels(labels)).astype(int), -1, 0)
    assert np.array_equal(red + 256 * green, labels)


def test_a_picture_keeps_its_size_and_the_colours_of_its_noise(shown: Shown) -> None:
    clean = (shown.perturbed_input.transpose(1, 2, 0) * 255).clip(0, 255)
    back = decoded(frames.encode_picture(shown.perturbed_input)).astype(float)
    assert back.shape == clean.shape
    assert np.abs(back - clean).mean() < 20
    # Coloured noise stays coloured: with halved colours less than half of the spread between channels is left.
    assert np.ptp(back, axis=-1).mean() > 0.8 * np.ptp(clean, axis=-1).mean()


def test_a_frame_holds_what_the_server_draws_its_panels_from(scene: Scene, shown: Shown) -> None:
    """The slow twin of the browser: from a frame's bytes alone to the panels of the page."""
    frame = frames.make_frame(scene, shown)
    height, width = scene.classifier.input_size
    large = (height * ENLARGE, width * ENLARGE)
    sizes, (labels, clean) = frames.base(scene)
    assert (sizes["size"], sizes["enlarge"]) == ([height, width], ENLARGE)
    map_ = restore(frame.map, tuple(sizes["map"]))
    heat = colourise(upsample(map_.astype(np.float32), large), scene.state.colormap)
    there = draw_panel(scene, shown.perturbed, "heat")
    assert np.abs(heat.astype(int) - there).mean() < 0.05

    picture = enlarge((decoded(frame.picture) / 255).astype(np.float32))
    overlay = blend(picture, heat, scene.state.opacity).astype(int)
    assert np.abs(overlay - draw_panel(scene, shown.perturbed)).mean() < 8

    red, green, _ = np.moveaxis(decoded(labels).astype(int), -1, 0)
    assert np.array_equal(red + 256 * green, scene.comparison.labels)
    values = restore(frame.segments, (scene.comparison.n_segments,))
    assert np.abs(values - scene.segment_values(shown.perturbed)).max() <= 0.5 / LEVELS + 1e-6

    delta = (map_ - restore(clean, tuple(sizes["map"]))).astype(np.float32)
    drawn = colourise((upsample(delta, large) + 1) / 2, DIVERGING).astype(float)
    ink = decoded(frame.ink)[..., 0]
    rim = cv2.dilate(ink, np.ones((5, 5), np.uint8))
    for colour, share in ((255, rim), (INK, ink)):
        drawn = np.rint(drawn * (1 - share[..., None] / 255.0) + colour * (share[..., None] / 255.0))
    assert np.abs(drawn - draw_change(scene, shown)).mean() < 0.05


def test_a_frame_says_what_the_page_says(scene: Scene, shown: Shown) -> None:
    frame = frames.make_frame(scene, shown)
    assert frame.severity == 3.0
    assert frame.spoken.startswith("severity 3, flipped: German shepherd")
    assert frame.html == pair_html.pair(scene, shown)
    assert "severity 3, seed 0" in frame.html["title"]


# parcels


def test_a_parcel_comes_back_as_it_was_packed() -> None:
    header = {"scores": [{"severity": 1.5, "html": {"rm": "<b>“ü”</b>"}}]}
    data = pack(STRIP, 7, header, [b"", b"\0\1", b"abc"])
    assert unpack(data) == (STRIP, 7, header, [b"", b"\0\1", b"abc"])


def test_a_parcel_of_frames_lists_four_blobs_each_behind_the_shared_ones(scene: Scene, shown: Shown) -> None:
    frame = frames.make_frame(scene, shown)
    shared, blobs = frames.base(scene)
    _, _, header, found = unpack(frames.pack_frames(STRIP, 0, shared, [frame, frame], blobs))
    assert [f["severity"] for f in header["frames"]] == [3.0, 3.0]
    assert header["frames"][0]["html"] == frame.html
    assert header["size"] == list(scene.classifier.input_size)
    assert found == [*blobs, *[frame.picture, frame.map, frame.segments, frame.ink] * 2]
    assert len(frame.picture) < 80_000 and sum(map(len, found[3:6])) < 8_000


@pytest.mark.parametrize("strip", ["", "short", "0123456789abc", "0123456789aü"])
def test_a_strip_needs_a_name_of_twelve_letters(strip: str) -> None:
    with pytest.raises(BadSetting, match="12 ASCII"):
        pack(strip, 0, {}, [])


WHOLE = pack(STRIP, 0, {"frames": []}, [b"abcdef"])


@pytest.mark.parametrize("data", [b"", b"CAMF", WHOLE[:30], WHOLE[:-1], WHOLE + b"x", b"XXXX" + WHOLE[4:]])
def test_a_damaged_parcel_is_refused(data: bytes) -> None:
    with pytest.raises(BadSetting, match="parcel"):
        unpack(data)


@pytest.mark.parametrize("header", [[], 3, {}, {"blobs": None}, {"blobs": ["x"]}, {"blobs": [-1, 1]}])
def test_a_parcel_with_another_header_is_refused(header: object) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(BadSetting, match="parcel"):
        unpack(frames.PREFIX.pack(frames.MAGIC, STRIP.encode(), 0, 0, len(text)) + text)
