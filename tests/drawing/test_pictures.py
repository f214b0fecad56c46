"""Pictures of maps: exact where a value can be exact, and a slow twin where a rule can be said again."""

from __future__ import annotations

import base64
import io
from itertools import product

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from camlab.drawing.pictures import (
    COLOUR_MAPS,
    DIVERGING,
    ENLARGE,
    VIEWS,
    Bytes,
    Panel,
    blend,
    colour_table,
    colourise,
    data_url,
    draw_difference,
    encode_png,
    enlarge,
    outline,
    panels_figure,
    to_image,
    upsample,
)

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def panel() -> Panel:
    rng = np.random.default_rng(0)
    labels = (np.arange(HEIGHT)[:, None] // 16 * 2 + np.arange(WIDTH)[None, :] // 32).astype(np.int32)
    picture = rng.random((HEIGHT, WIDTH, 3), dtype=np.float32)
    map_ = rng.random((7, 9), dtype=np.float32)
    map_.setflags(write=False)  # as the cache hands them out
    return Panel(picture, map_, labels, np.linspace(0, 1, 6))


# views


def test_the_views_are_offered_in_this_order() -> None:
    assert {name: view.title for name, view in VIEWS.items()} == {
        "overlay": "Overlay",
        "heat": "Heat map",
        "image": "Image",
        "segments": "Segments",
    }


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("colormap", list(COLOUR_MAPS))
def test_every_view_draws_rgb_at_twice_the_size(view: str, colormap: str, panel: Panel) -> None:
    kept = panel.picture.copy(), panel.map.copy(), panel.labels.copy()
    drawn = VIEWS[view].draw(panel, colormap, 0.5)
    assert ENLARGE == 2
    assert drawn.shape == (2 * HEIGHT, 2 * WIDTH, 3) and drawn.dtype == np.uint8
    assert np.array_equal(drawn, VIEWS[view].draw(panel, colormap, 0.5))
    assert all(np.array_equal(a, b) for a, b in zip(kept, (panel.picture, panel.map, panel.labels), strict=True))


def test_an_overlay_of_no_opacity_is_the_picture_and_of_full_opacity_the_map(panel: Panel) -> None:
    overlay = VIEWS["overlay"].draw
    picture, heat = VIEWS["image"].draw(panel, "inferno", 0.5), VIEWS["heat"].draw(panel, "inferno", 0.5)
    assert np.array_equal(overlay(panel, "inferno", 0.0), picture)
    assert np.array_equal(overlay(panel, "inferno", 1.0), heat)
    assert not np.array_equal(picture, heat)


@pytest.mark.parametrize("opacity", [0.25, 0.55])
def test_an_overlay_mixes_both_by_its_opacity(opacity: float, panel: Panel) -> None:
    picture, heat = (VIEWS[name].draw(panel, "viridis", 0.5).astype(float) for name in ("image", "heat"))
    found = VIEWS["overlay"].draw(panel, "viridis", opacity)
    assert np.abs(found - (opacity * heat + (1 - opacity) * picture)).max() <= 0.51


def test_blend_is_exact_at_both_ends() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 256, (5, 6, 3), dtype=np.uint8) for _ in range(2))
    assert np.array_equal(blend(a, b, 0.0), a) and np.array_equal(blend(a, b, 1.0), b)


def test_a_heat_map_is_the_upsampled_map_in_colour(panel: Panel) -> None:
    heat = VIEWS["heat"].draw(panel, "cividis", 0.1)
    table = colour_table("cividis")
    large = torch_upsample(panel.map, (2 * HEIGHT, 2 * WIDTH))
    for y, x in [(0, 0), (95, 127), (40, 77), (13, 101)]:
        exact = large[y, x] * 255
        near = {int(np.floor(exact + 0.5 - 1e-3)), int(np.floor(exact + 0.5 + 1e-3))}
        assert any(np.array_equal(heat[y, x], table[i]) for i in near)


def test_the_segment_view_shows_each_segments_own_value(panel: Panel) -> None:
    drawn = VIEWS["segments"].draw(panel, "gray", 1.0)
    for y, x, k in [(8, 16, 0), (8, 48, 1), (24, 16, 2), (40, 48, 5)]:
        assert np.array_equal(drawn[2 * y, 2 * x], [round(k / 5 * 255)] * 3)


def test_an_enlarged_picture_is_the_picture() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), (0.0, 0.4, 1.0), dtype=np.float32)
    assert np.array_equal(np.unique(enlarge(flat).reshape(-1, 3), axis=0), [[0, 102, 255]])
    edge = np.zeros((8, 8, 3), dtype=np.float32)
    edge[:, 4:] = 1  # cubic interpolation overshoots here: clipped, not wrapped around
    large = enlarge(edge)
    assert large[:, :6].max() == 0 and large[:, 10:].min() == 255


def test_to_image_puts_the_channels_last() -> None:
    tensor = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    found = to_image(tensor)
    assert found.shape == (2, 4, 3) and found.flags.c_contiguous
    assert all(found[y, x, c] == tensor[c, y, x] for c, y, x in product(range(3), range(2), range(4)))


# interpolation


def torch_upsample(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(values.astype(np.float64))[None, None]
    return torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0].numpy()


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((7, 7), (224, 224)),
        ((7, 7), (448, 448)),
        ((8, 8), (520, 520)),
        ((14, 14), (448, 448)),
        ((112, 112), (448, 448)),
        ((5, 9), (33, 70)),
        ((1, 1), (20, 30)),
        ((1, 6), (20, 30)),
        ((7, 7), (7, 7)),
    ],
)
def test_upsampling_equals_torchs_bilinear(shape: tuple[int, int], size: tuple[int, int]) -> None:
    values = np.random.default_rng(2).random(shape, dtype=np.float32)
    values.setflags(write=False)
    found = upsample(values, size)
    assert found.shape == size and found.dtype == np.float32
    assert np.abs(found - torch_upsample(values, size)).max() <= 1e-6


def test_upsampling_keeps_what_is_constant_and_stays_in_range() -> None:
    assert np.array_equal(upsample(np.full((7, 7), 0.25, np.float32), (50, 60)), np.full((50, 60), 0.25))
    found = upsample(np.random.default_rng(3).random((7, 7), dtype=np.float32), (99, 50))
    assert found.min() >= 0 and found.max() <= 1


# colours


def test_colourise_takes_the_tables_entries() -> None:
    table = colour_table("viridis")
    found = colourise(np.array([[0.0, 1.0], [100 / 255, 0.5]], dtype=np.float32), "viridis")
    assert np.array_equal(found, [[table[0], table[255]], [table[100], table[128]]])
    assert found.dtype == np.uint8
    beyond = colourise(np.array([-0.5, 1.5], dtype=np.float32), "viridis")
    assert np.array_equal(beyond, [table[0], table[255]])


@pytest.mark.parametrize("name", list(COLOUR_MAPS))
def test_every_colour_map_offered_grows_lighter_evenly(name: str) -> None:
    table = colour_table(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    lightness = rgb2lab(table[None] / 255)[0, :, 0]
    steps = np.diff(lightness[::5])
    # A rainbow map rises and falls again, and has flat and steep stretches.
    assert steps.min() > 0 and steps.max() < 3.5 * steps.mean()


def test_no_rainbow_is_offered_and_the_default_is() -> None:
    assert set(COLOUR_MAPS).isdisjoint({"jet", "rainbow", "gist_rainbow", "hsv", "turbo", "nipy_spectral"})
    assert next(iter(COLOUR_MAPS)) == "inferno"


def test_the_rainbow_would_not_pass() -> None:
    lightness = rgb2lab(colour_table("jet")[None] / 255)[0, :, 0]
    assert np.diff(lightness[::5]).min() < 0


# borders


def bordered(labels: np.ndarray) -> np.ndarray:
    """Pixels with a differing neighbour above, below, left or right."""
    height, width = labels.shape
    found = np.zeros(labels.shape, dtype=bool)
    for y, x in product(range(height), range(width)):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width and labels[v, u] != labels[y, x]:
                found[y, x] = True
    return found


def beside(mask: np.ndarray) -> np.ndarray:
    """The mask and the pixels around it, corners too."""
    height, width = mask.shape
    found = mask.copy()
    for y, x in zip(*np.nonzero(mask), strict=True):
        found[max(y - 1, 0) : min(y + 2, height), max(x - 1, 0) : min(x + 2, width)] = True
    return found


@pytest.mark.parametrize("level", [0, 128, 255])
def test_outlines_are_drawn_on_the_borders_and_nowhere_else(level: int) -> None:
    labels = np.zeros((12, 16), dtype=np.int32)
    labels[3:9, 4:10] = 1
    labels[5:12, 8:] = 2
    labels[0, 15] = 3
    picture = np.full((24, 32, 3), level, dtype=np.uint8)
    drawn = outline(picture, labels)
    assert np.all(picture == level), "the picture itself is left alone"
    line = bordered(np.kron(labels, np.ones((2, 2), dtype=np.int32)))
    rim = beside(line) & ~line
    assert np.all(drawn[~line & ~rim] == level)
    # Light on dark: whatever the picture, line and rim differ by much.
    assert drawn[line].min() >= 200 and drawn[rim].max() <= 90
    assert line.any() and rim.any()


def test_one_segment_has_no_outline() -> None:
    picture = np.full((8, 8, 3), 77, dtype=np.uint8)
    assert np.array_equal(outline(picture, np.zeros((4, 4), dtype=np.int32)), picture)


# differences


def test_no_difference_is_neutral() -> None:
    drawn = draw_difference(np.zeros((7, 7), np.float32), (HEIGHT, WIDTH), np.zeros((HEIGHT, WIDTH), np.int32), [])
    assert drawn.shape == (2 * HEIGHT, 2 * WIDTH, 3) and drawn.dtype == np.uint8
    colours = np.unique(drawn.reshape(-1, 3), axis=0).astype(int)
    assert len(colours) == 1
    assert np.ptp(colours[0]) <= 3 and colours[0].min() >= 240, "near white, no hue"


def test_gains_and_losses_have_colours_of_their_own_and_of_equal_weight() -> None:
    delta = np.repeat(np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]], np.float32), 5, axis=0)
    drawn = draw_difference(delta, (50, 50), np.zeros((50, 50), np.int32), []).astype(int)
    loss, some_loss, none, some_gain, gain = drawn[50, [5, 30, 50, 70, 95]]
    table = colour_table(DIVERGING)
    assert np.array_equal(loss, table[0]) and np.array_equal(gain, table[255])
    assert gain[0] > gain[2] + 80, "gains are warm"
    assert loss[2] > loss[0] + 20, "losses are cool"
    lightness = rgb2lab(np.array([[loss, some_loss, none, some_gain, gain]], np.uint8))[0, :, 0]
    assert lightness[0] < lightness[1] < lightness[2] > lightness[3] > lightness[4]


def test_the_sign_is_the_maps_own() -> None:
    delta = np.zeros((4, 4), np.float32)
    delta[0, 0], delta[3, 3] = 1, -1
    drawn = draw_difference(delta, (40, 40), np.zeros((40, 40), np.int32), []).astype(int)
    assert drawn[2, 2, 0] > drawn[2, 2, 2], "top left gained"
    assert drawn[77, 77, 2] > drawn[77, 77, 0], "bottom right lost"


def test_marked_segments_get_their_border_and_number_and_others_none() -> None:
    labels = np.zeros((60, 90), dtype=np.int32)
    labels[:, 30:60], labels[:, 60:] = 1, 2
    delta = np.zeros((7, 7), np.float32)
    plain = draw_difference(delta, (60, 90), labels, [])
    marked = draw_difference(delta, (60, 90), labels, [(2, "1")])
    changed = (plain != marked).any(axis=2)
    assert not changed[:, :117].any(), "nothing near the other segments"
    assert changed[:, 119:122].all(axis=0).any(), "a line along the border"
    inside = changed[20:100, 130:170]
    assert inside.any(), "a number inside"
    assert np.array_equal(draw_difference(delta, (60, 90), labels, [(0, "1"), (2, "2")]).shape, plain.shape)


def test_numbers_differ() -> None:
    labels = np.zeros((60, 60), dtype=np.int32)
    delta = np.zeros((7, 7), np.float32)
    drawn = [draw_difference(delta, (60, 60), labels, [(0, number)]) for number in ("1", "2", "3")]
    assert not np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[1], drawn[2])


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_borders_and_numbers_are_readable_on_both_ends_of_the_colours(value: float) -> None:
    labels = np.zeros((60, 60), dtype=np.int32)
    labels[15:45, 15:45] = 1
    drawn = draw_difference(np.full((7, 7), value, np.float32), (60, 60), labels, [(1, "8")])
    light, dark = np.all(drawn >= 250, axis=2), np.all(drawn <= 45, axis=2)
    plain = colourise(np.array([(value + 1) / 2], np.float32), DIVERGING)[0]
    for part in (
        np.s_[22:38, 22:98],
        np.s_[45:75, 45:75],
    ):  # across the upper border; where the number stands
        assert dark[part].sum() > 20
        # Every dark pixel has light ones or neutral ground next to it, never just the dark end of the colours.
        assert light[part].sum() > 20
    assert np.array_equal(drawn[5, 5], plain)


def test_the_number_stands_inside_a_segment_of_any_shape() -> None:
    labels = np.zeros((100, 100), dtype=np.int32)
    labels[:20, :], labels[:, :20] = 1, 1  # an L: its centre of mass is not in it
    delta = np.ones((7, 7), np.float32)
    without = draw_difference(delta, (100, 100), labels, [(1, "")]).astype(int)
    changed = np.abs(draw_difference(delta, (100, 100), labels, [(1, "3")]) - without).max(axis=2) > 20
    rows, columns = np.nonzero(changed)
    assert len(rows) > 50
    assert labels[int(np.median(rows)) // 2, int(np.median(columns)) // 2] == 1
    assert np.mean(labels[rows // 2, columns // 2] == 1) > 0.95


# files


def test_a_png_holds_the_same_pixels() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    data = encode_png(picture)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), picture)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None and np.array_equal(decoded, picture)


def figure_panels(title: str = "Original") -> list[tuple[str, str, Bytes]]:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(3)]
    return [(title, f"{title}\n1", pictures[0]), ("Noisy", "2", pictures[1]), ("Difference", "", pictures[2])]


# An even number of $: mathematics, were it parsed.
NASTY = r"$\frac{ $x^ <img src=x onerror=alert(1)> & <b>bold</b> x_{1} \textbf{a} $5 % $"


@pytest.fixture(scope="module")
def figure() -> bytes:
    return panels_figure(figure_panels(), "inferno", "two lines\nof caption")


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def colours_below(data: bytes) -> set[int]:
    """Colours in the lower part of a figure, where the bars are, as whole numbers."""
    pixels = decoded(data).astype(np.int64)
    pixels = pixels[2 * len(pixels) // 3 :]
    return set(np.unique(pixels @ [65536, 256, 1]).tolist())


def bar_colours(name: str) -> set[int]:
    return set((colour_table(name)[::16].astype(np.int64) @ [65536, 256, 1]).tolist())


def test_the_figure_is_a_png_of_three_panels_side_by_side(figure: bytes) -> None:
    pixels = decoded(figure)
    height, width, _ = pixels.shape
    assert 1200 < width < 2600 and 400 < height < 1200
    assert np.all(pixels[:5] == 255) and np.all(pixels[:, :5] == 255), "a white frame"
    # Noise in three separate blocks of columns, white between them.
    busy = (pixels[height // 3 : height // 2].std(axis=(0, 2)) > 20).astype(int)
    assert np.count_nonzero(np.diff(np.concatenate([[0], busy, [0]])) == 1) == 3


def test_the_figure_is_the_same_each_time(figure: bytes) -> None:
    assert panels_figure(figure_panels(), "inferno", "two lines\nof caption") == figure


def test_titles_are_drawn_as_they_stand_and_the_bar_has_the_colours_in_use(figure: bytes) -> None:
    other = panels_figure(figure_panels(NASTY), "cividis", NASTY)
    assert decoded(other).shape[1] < 3000
    for data, used, unused in ((figure, "inferno", "cividis"), (other, "cividis", "inferno")):
        colours = colours_below(data)
        assert len(colours & bar_colours(used)) >= 14
        assert len(colours & bar_colours(unused)) <= 5
        assert len(colours & bar_colours(DIVERGING)) >= 14


def test_a_data_url_holds_the_png_file() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    start, _, file = data_url(picture).partition(",")
    assert start == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(file)))), picture)
