"""Every layout of pixels that TIFF, PNG and BMP know is read right, or refused by its name.

The files are written from the specifications (`tests.brought.picture_files`), the right pixels are computed from the
values that went in, and tifffile confirms the files that it can read.
"""

from __future__ import annotations

import io
import itertools
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from camlab.cli.main import main
from camlab.common.errors import BadImage
from camlab.images import find_picture, picture_from_bytes, picture_from_path
from camlab.images.archives import Collected, collect
from camlab.images.decode import decode, decode_image
from camlab.images.loading import upload_set
from camlab.images.photo_pairs import paired
from camlab.images.picture import as_stored, mask_from_bytes
from tests.brought.case import BroughtCase
from tests.brought.picture_files import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    CHANNELS,
    CMYK,
    COLOUR,
    COLOUR_ALPHA,
    FLOAT,
    GREY,
    GREY_ALPHA,
    INDEXED,
    LAB,
    MASK,
    PALETTE,
    RGB,
    SIGNED,
    UNASSOCIATED,
    UNSIGNED,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    YCBCR,
    Bmp,
    Tiff,
    eight_bit,
    png_file,
    samples,
)
from tests.material import array, encoded, known, png, zipped

WIDTH, HEIGHT = 9, 8
EXACT = 0.5 + 1e-6  # of 255: the rounding to 8 bits


def palette(bits: int) -> np.ndarray:
    """Colours of 8 bits, (3, entries)."""
    return np.random.default_rng(3).integers(0, 256, (3, 1 << bits))


def off(data: bytes, right: np.ndarray, bits: int | None = None) -> float:
    """The largest distance of the decoded pixels from the right ones, of 255."""
    return float(np.abs(np.asarray(decode_image(data, "a", bits)).astype(float) - right).max())


def refusal(data: bytes) -> str:
    with pytest.raises(BadImage, match=r"^“a” [^\n]*\.$") as caught:
        decode_image(data, "a")
    return str(caught.value)


def on_white(rgb: np.ndarray, alpha: np.ndarray, multiplied: bool = False) -> np.ndarray:
    blended: np.ndarray = (rgb if multiplied else rgb * alpha) + 1 - alpha
    return blended


# --- TIFF ---

COLOURS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    WHITE_IS_ZERO: lambda c: np.repeat(1 - c, 3, -1),
    BLACK_IS_ZERO: lambda c: np.repeat(c, 3, -1),
    RGB: lambda c: c,
    CMYK: lambda c: (1 - c[..., :3]) * (1 - c[..., 3:]),
}
COUNTS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
EXTRAS: dict[int, tuple[tuple[int, ...], ...]] = {
    WHITE_IS_ZERO: ((), (UNSPECIFIED,), (UNASSOCIATED,)),
    BLACK_IS_ZERO: ((), (UNSPECIFIED,), (ASSOCIATED,), (UNASSOCIATED,)),
    RGB: ((), (UNSPECIFIED,), (ASSOCIATED,), (UNASSOCIATED,), (UNSPECIFIED, UNASSOCIATED)),
    PALETTE: ((), (UNSPECIFIED,), (UNASSOCIATED,)),
    CMYK: ((), (UNSPECIFIED,), (UNASSOCIATED,)),
}
DEPTHS = (
    *((bits, UNSIGNED) for bits in (1, 2, 4, 6, 8, 10, 12, 14, 16, 32)),
    *((bits, SIGNED) for bits in (8, 16, 32)),
    *((bits, FLOAT) for bits in (16, 32, 64)),
)
PACKED = ((1, 1), (5, 1), (8, 1), (32946, 1), (32773, 1), (5, 2), (8, 2))  # compression and predictor
CUT: tuple[dict[str, Any], ...] = ({}, {"rows": 3}, {"tile": 16}, {"rows": 2, "reverse": True}, {"big": True})


def right_tiff(values: np.ndarray, layout: Tiff) -> np.ndarray:
    """The right RGB, not rounded: 0 … 255."""
    top = (1 << layout.bits) - 1
    count = COUNTS[layout.photometric]
    if layout.photometric == PALETTE:
        rgb = np.array(layout.palette).reshape(3, -1).T[values[..., 0].astype(int)] / 65535
    else:
        rgb = COLOURS[layout.photometric](values[..., :count] / top)
    for place, kind in enumerate(layout.extra):
        if kind != UNSPECIFIED:
            rgb = on_white(rgb, values[..., [count + place]] / top, kind == ASSOCIATED)
    right: np.ndarray = rgb.clip(0, 1) * 255
    return right


def why_not(layout: Tiff) -> str:
    """The words of the refusal; none for what must be read."""
    if layout.big and layout.order == ">":
        return "a big-endian BigTIFF directory"
    if layout.form != UNSIGNED:
        return {SIGNED: "signed numbers", FLOAT: "floating-point numbers"}[layout.form or UNSIGNED]
    if layout.bits > 16:
        return "whole numbers of 32 bits"
    if layout.photometric == PALETTE and layout.bits > 8:
        return "a palette of"
    if layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and UNSPECIFIED in layout.extra:
        return "without saying what they show"
    return ""


def layouts(photometric: int) -> Iterator[Tiff]:
    """Each depth and alpha, in planes and not, in both byte orders; the other choices take turns."""
    turns = itertools.count()
    for extra, (bits, form), planar, order in itertools.product(EXTRAS[photometric], DEPTHS, (False, True), "<>"):
        turn = next(turns)
        compression, predictor = PACKED[turn % len(PACKED)]
        if bits not in (8, 16) or form == FLOAT:
            predictor = 1
        colours = tuple(palette(bits).ravel() * 257) if photometric == PALETTE and bits <= 8 else ()
        yield Tiff(
            bits=bits, photometric=photometric, extra=extra, form=form, planar=planar, order=order,
            compression=compression, predictor=predictor, palette=colours, **CUT[turn % len(CUT)],
        )  # fmt: skip


def stored(layout: Tiff) -> np.ndarray:
    channels = COUNTS[layout.photometric] + len(layout.extra)
    if layout.form == FLOAT:
        return np.random.default_rng(0).random((HEIGHT, WIDTH, channels))
    values = samples(WIDTH, HEIGHT, channels, layout.bits)
    if ASSOCIATED in layout.extra:
        values[..., :-1] = np.minimum(values[..., :-1], values[..., -1:])
    return values


def faults(layout: Tiff) -> str:
    """What is wrong about how CAM Lab takes the file; nothing if all is right."""
    values = stored(layout)
    data = layout.write(values)
    if words := why_not(layout):
        text = refusal(data)
        return "" if words in text and "stores" in text else text
    try:
        distance = off(data, right_tiff(values, layout))
    except BadImage as error:
        return str(error)
    return "" if distance <= EXACT else f"{distance:.0f} of 255"


@pytest.mark.parametrize("photometric", EXTRAS)
def test_every_layout_of_tiff_is_read_right_or_refused_by_name(photometric: int) -> None:
    wrong = {layout: found for layout in layouts(photometric) if (found := faults(layout))}
    assert wrong == {}


@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
def test_16_bits_in_every_packing(photometric: int) -> None:
    wrong = {}
    in_planes = (False, True) if photometric == RGB else (False,)
    for (compression, predictor), cut, planar, order in itertools.product(PACKED, CUT, in_planes, "<>"):
        layout = Tiff(16, photometric, planar, order, UNSIGNED, compression, predictor, **cut)
        if found := faults(layout):
            wrong[layout] = found
    assert wrong == {}


def test_tifffile_reads_the_same_values() -> None:
    """A second witness for the writer of these files; without further packages, it knows no LZW and no packed bits."""
    count = 0
    for photometric in (BLACK_IS_ZERO, RGB, CMYK):
        for layout in layouts(photometric):
            if layout.compression == 5 or layout.bits not in (8, 16) or layout.form != UNSIGNED or layout.tile:
                continue
            values = stored(layout)
            found = tifffile.imread(io.BytesIO(layout.write(values)))
            channels = values.shape[2]
            if layout.planar:
                found = np.moveaxis(found.reshape(channels, HEIGHT, WIDTH), 0, -1)
            assert np.array_equal(found.reshape(values.shape), values), layout
            count += 1
    assert count > 40


def test_ycbcr_and_cielab() -> None:
    values = samples(WIDTH, HEIGHT, 3, 8)
    y, blue, red = (values[..., i].astype(float) for i in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1).clip(0, 255)
    for planar, compression in itertools.product((False, True), (1, 5, 8)):
        plain = Tiff(photometric=YCBCR, planar=planar, compression=compression, subsampling=(1, 1))
        assert off(plain.write(values), rgb) <= 0.51
    assert "YCbCr colours at a lower resolution" in refusal(Tiff(photometric=YCBCR).write(values))
    own = Tiff(photometric=YCBCR, subsampling=(1, 1), more=((532, "I", (16, 235, 128, 240, 128, 240)),))
    assert "a range of their own" in refusal(own.write(values))
    lightness = np.array([0, 25, 50, 75, 100, 60, 60, 60, 30])
    a, b = np.array([0, 0, 0, 0, 0, 40, -40, 20, 5]), np.array([0, 0, 0, 0, 0, 30, 30, -50, 5])
    lab = np.stack([np.rint(lightness * 2.55), a % 256, b % 256], -1).astype(int)[None].repeat(HEIGHT, 0)
    for planar in (False, True):
        assert off(Tiff(photometric=LAB, planar=planar).write(lab), srgb(lightness, a, b)) <= 1.01
    assert "16-bit CIELab colours" in refusal(Tiff(16, LAB).write(lab))


def srgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """sRGB of CIELab under D50, adapted by Bradford's matrix (Lindbloom)."""
    y = (lightness + 16) / 116
    spread = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = np.where(spread > 6 / 29, spread**3, 3 * (6 / 29) ** 2 * (spread - 4 / 29)) * (0.96422, 1, 0.82521)
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.033454],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = (xyz @ np.array(matrix).T).clip(0, 1)
    found: np.ndarray = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return found


@pytest.mark.parametrize(
    ("layout", "channels", "words"),
    [
        (Tiff(photometric=MASK, bits=1), 1, "a transparency mask"),
        (Tiff(photometric=9), 3, "ICC L*a*b* colours"),
        (Tiff(photometric=32803, bits=16), 1, "the raw values of a camera"),
        (Tiff(photometric=BLACK_IS_ZERO), 12, "12 channels"),
        (Tiff(16, more=((256, "I", (8000,)), (257, "I", (6000,)), (277, "H", (8,)))), 3, "over 400 MB of values"),
        (Tiff(photometric=BLACK_IS_ZERO, form=5), 1, "complex numbers"),
        (Tiff(photometric=CMYK, more=((332, "H", (2,)),)), 4, "inks other than plain CMYK"),
        (Tiff(photometric=RGB, more=((259, "H", (34887,)),)), 3, "values compressed by LERC"),
        (Tiff(photometric=RGB, more=((259, "H", (6,)),)), 3, "values compressed by old-style JPEG"),
        (Tiff(photometric=RGB, more=((259, "H", (4,)),)), 3, "colours compressed as a fax"),
        (Tiff(photometric=RGB, more=((317, "H", (3,)),)), 3, "8-bit values with predictor 3"),
        (Tiff(photometric=RGB, more=((258, "H", (5, 6, 5)),)), 3, "channels of different types"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_else_a_tiff_may_hold_is_refused_by_name(layout: Tiff, channels: int, words: str) -> None:
    assert f"“a” stores {words}, which CAM Lab does not read; save it" in refusal(
        layout.write(samples(WIDTH, HEIGHT, channels, layout.bits))
    )


def test_tiff_in_jpeg_and_fax_codes() -> None:
    y, x = np.mgrid[:32, :48]
    smooth = np.stack([x * 5, y * 7, 255 - x * 2 - y * 3], -1).astype(np.uint8)
    for mode in ("L", "RGB", "YCbCr", "CMYK"):
        image = Image.fromarray(smooth).convert(mode)
        stream = io.BytesIO()
        image.save(stream, "TIFF", compression="jpeg", quality=100)
        assert off(stream.getvalue(), np.asarray(image.convert("RGB"), float)) <= 4
    two = Image.fromarray(smooth[..., 0] > 100)
    for compression, photometric in itertools.product(("tiff_ccitt", "group3", "group4"), (0, 1)):
        stream = io.BytesIO()
        two.save(stream, "TIFF", compression=compression, tiffinfo={262: photometric})
        assert off(stream.getvalue(), np.asarray(two.convert("RGB"), float)) == 0


# --- PNG ---

GAMMA = (
    (),
    ((b"gAMA", struct.pack(">I", 100_000)),),
    (
        (b"gAMA", struct.pack(">I", 45_455)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    ),
    ((b"sRGB", b"\0"),),
    ((b"iCCP", b"a\0\0broken"),),
)


KINDS = [(GREY, bits) for bits in (1, 2, 4, 8, 16)] + [(INDEXED, bits) for bits in (1, 2, 4, 8)]
KINDS += [(colour, bits) for colour in (COLOUR, GREY_ALPHA, COLOUR_ALPHA) for bits in (8, 16)]


@pytest.mark.parametrize(("colour", "bits"), KINDS)
def test_every_layout_of_png_is_read_right(colour: int, bits: int) -> None:
    top = (1 << bits) - 1
    for interlaced, keyed, more in itertools.product((False, True), (False, True), GAMMA):
        values = samples(WIDTH, HEIGHT, CHANNELS[colour], bits)
        rgb = values[..., :3] / top if colour in (COLOUR, COLOUR_ALPHA) else np.repeat(values[..., :1] / top, 3, -1)
        alpha = values[..., -1:] / top if colour in (GREY_ALPHA, COLOUR_ALPHA) else np.ones((HEIGHT, WIDTH, 1))
        chunks = list(more)
        if colour == INDEXED:
            chunks.append((b"PLTE", palette(bits).T.astype(np.uint8).tobytes()))
            rgb = palette(bits).T[values[..., 0].astype(int)] / 255
            if keyed:
                alphas = np.random.default_rng(6).integers(0, 256, 1 << bits)
                chunks.append((b"tRNS", alphas.astype(np.uint8).tobytes()))
                alpha = alphas[values[..., 0].astype(int)][..., None] / 255
        elif keyed and colour in (GREY, COLOUR):
            key = values[2, 2].copy()
            values[3, 3] = key
            values[4, 4] = key ^ np.uint64(1)  # nearly the same colour is not transparent
            chunks.append((b"tRNS", struct.pack(f">{len(key)}H", *map(int, key))))
            rgb = values / top if colour == COLOUR else np.repeat(values / top, 3, -1)
            alpha = 1.0 - (values == key).all(-1, keepdims=True)
        data = png_file(values, bits, colour, *chunks, interlaced=interlaced)
        assert off(data, on_white(rgb, alpha) * 255) <= EXACT, (interlaced, keyed, more)


# --- BMP ---

MASKS = {
    16: {
        "555": (0x7C00, 0x3E0, 0x1F), "565": (0xF800, 0x7E0, 0x1F), "565 BGR": (0x1F, 0x7E0, 0xF800),
        "444": (0xF00, 0xF0, 0xF), "1555": (0x7C00, 0x3E0, 0x1F, 0x8000), "4444": (0xF00, 0xF0, 0xF, 0xF000),
    },
    32: {
        "888": (0xFF0000, 0xFF00, 0xFF), "888 BGR": (0xFF, 0xFF00, 0xFF0000), "101010": (0x3FF00000, 0xFFC00, 0x3FF),
        "8888": (0xFF0000, 0xFF00, 0xFF, 0xFF000000), "8888 RGBA": (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        "2101010": (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000),
    },
}  # fmt: skip


def cut(values: np.ndarray, mask: int) -> np.ndarray:
    shift = (mask & -mask).bit_length() - 1
    shares: np.ndarray = ((values & np.uint64(mask)) >> np.uint64(shift)) / (mask >> shift)
    return shares


@pytest.mark.parametrize(("bits", "name"), [(bits, name) for bits, of_these in MASKS.items() for name in of_these])
def test_every_mask_of_bmp_is_read_right(bits: int, name: str) -> None:
    masks = MASKS[bits][name]
    values = samples(WIDTH, HEIGHT, 1, bits)[..., 0]
    rgb = np.stack([cut(values, mask) for mask in masks[:3]], -1)
    alpha = cut(values, masks[3])[..., None] if len(masks) == 4 else np.ones(1)
    headers = (56, 108, 124) if len(masks) == 4 else (40, 52, 56, 108, 124)
    for header, down in itertools.product(headers, (False, True)):
        data = Bmp(bits, 3, masks, header, down).write(values)
        # A channel of 10 bits is rounded before it is blended.
        assert off(data, on_white(rgb, alpha) * 255) <= (1 if len(masks) == 4 else EXACT)


def test_other_bmp_files() -> None:
    values = samples(WIDTH, HEIGHT, 1, 16)[..., 0]
    for down in (False, True):
        right = np.stack([cut(values, mask) for mask in MASKS[16]["555"]], -1) * 255
        assert off(Bmp(16, down=down).write(values), right) <= EXACT
        wide = samples(WIDTH, HEIGHT, 1, 32)[..., 0]
        right = np.stack([cut(wide, mask) for mask in MASKS[32]["888"]], -1) * 255
        assert off(Bmp(32, down=down).write(wide), right) <= EXACT
        for bits in (1, 4, 8):
            places = samples(WIDTH, HEIGHT, 1, bits)[..., 0]
            data = Bmp(bits, down=down, palette=palette(bits)).write(places)
            assert off(data, palette(bits).T[places.astype(int)]) == 0
    no_alpha = samples(WIDTH, HEIGHT, 1, 32)[..., 0] & np.uint64(0xFFFFFF)
    right = np.stack([cut(no_alpha, mask) for mask in MASKS[32]["888"]], -1) * 255
    assert off(Bmp(32, 3, MASKS[32]["8888"], 124).write(no_alpha), right) <= EXACT  # an alpha that nobody filled
    assert "stores pixels of 2 bits" in refusal(Bmp(2, palette=palette(2)).write(values % np.uint64(4)))
    assert "stores pixels compressed by method 4" in refusal(Bmp(24, 4).write(values))


# --- JPEG ---


def test_jpeg_in_four_colours() -> None:
    """Adobe's inverted CMYK, and YCCK: the colours are those of the ink, and OpenCV reads the same."""
    y, x = np.mgrid[:32, :48]
    ink = np.stack([x * 5, y * 7, 255 - x * 2 - y * 3, np.full_like(x, 40)], -1).astype(np.uint8)
    right = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:]) / 255

    def adobe(numbers: np.ndarray, transform: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(numbers, "CMYK").save(stream, "JPEG", quality=100, subsampling=0)
        data = bytearray(stream.getvalue())
        data[data.index(b"Adobe") + 11] = transform
        return bytes(data)

    assert off(adobe(ink, 0), right) <= 4
    # YCCK stores Y, Cb, Cr of the ink's colours, and inverted black; Pillow inverts what it writes.
    ycc = np.asarray(Image.fromarray(ink[..., :3]).convert("YCbCr"))
    ycck = adobe(np.concatenate([255 - ycc, ink[..., 3:]], -1), 2)
    assert off(ycck, right) <= 6
    other = known(cv2.imdecode(np.frombuffer(ycck, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]
    assert off(ycck, other.astype(float)) <= 6


# --- files of 16 bits that use fewer ---

DIM = samples(WIDTH, HEIGHT, 3, 12)
DIM_FILES = {
    "RGB TIFF in planes": (Tiff(16, planar=True).write(DIM), DIM),
    "grey TIFF by LZW": (Tiff(16, BLACK_IS_ZERO, compression=5).write(DIM[..., :1]), DIM[..., :1]),
    "RGB PNG": (png_file(DIM, 16, COLOUR), DIM),
    "grey PNG": (png_file(DIM[..., :1], 16, GREY), DIM[..., :1]),
}


@pytest.mark.parametrize("name", DIM_FILES)
def test_few_of_16_bits_are_said_and_stretched_exactly(name: str) -> None:
    data, values = DIM_FILES[name]
    decoded = decode(data, "a")
    assert (decoded.stored, decoded.narrow) == (16, 12)
    assert np.array_equal(np.asarray(decoded.image), eight_bit(values, 16).repeat(3 // values.shape[2], -1))
    for bits in (12, 13, 16):
        assert np.array_equal(
            np.asarray(decode_image(data, "a", bits)), eight_bit(values, bits).repeat(3 // values.shape[2], -1)
        )
    with pytest.raises(BadImage, match=r"holds values up to 4,095, more than 10 bits can \(1,023\); read .* 12 bits"):
        decode_image(data, "a", 10)


@pytest.mark.parametrize(("most", "narrow"), [(1, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (16383, 14)])
def test_the_least_usual_depth_that_suffices(most: int, narrow: int) -> None:
    values = np.zeros((HEIGHT, WIDTH, 1), np.uint64)
    values[2, 2] = most
    assert decode(Tiff(16, BLACK_IS_ZERO).write(values), "a").narrow == narrow
    # White is zero, and an alpha channel that uses all bits: only the colours count.
    with_alpha = np.concatenate([values, np.full_like(values, 65535)], -1)
    layout = Tiff(16, WHITE_IS_ZERO, extra=(UNASSOCIATED,))
    assert decode(layout.write(with_alpha), "a").narrow == narrow
    right = right_tiff(with_alpha, layout)
    assert off(layout.write(with_alpha), right) <= EXACT
    assert off(layout.write(with_alpha), (1 - values / ((1 << narrow) - 1)).repeat(3, -1) * 255, narrow) <= EXACT


def test_what_is_not_stretched() -> None:
    full = samples(WIDTH, HEIGHT, 1, 16)
    for data in (
        Tiff(16, BLACK_IS_ZERO).write(full),  # uses all bits
        Tiff(16, BLACK_IS_ZERO).write(full // np.uint64(2)),  # 15: dark, but no usual depth
        Tiff(16, BLACK_IS_ZERO).write(np.zeros_like(full)),  # black
        Tiff(12, BLACK_IS_ZERO).write(samples(WIDTH, HEIGHT, 1, 10)),  # said by the file: 12 bits
        png(1),
    ):
        assert decode(data, "a").narrow is None
    for data, bits in ((png(1), 8), (Tiff(12, BLACK_IS_ZERO).write(samples(WIDTH, HEIGHT, 1, 12)), 12)):
        with pytest.raises(BadImage, match=f"has {bits} bits per value, and only files of 16 bits can be stretched"):
            decode_image(data, "a", 12)
    for bits in (0, 17):
        with pytest.raises(BadImage, match="cannot be read as"):
            decode_image(Tiff(16, BLACK_IS_ZERO).write(full), "a", bits)


def test_a_stretched_picture_is_another_picture(tmp_path: Path) -> None:
    data, values = DIM_FILES["RGB PNG"]
    (tmp_path / "cell.png").write_bytes(data)
    for plain in (picture_from_bytes(data, "cell.png"), picture_from_path(tmp_path / "cell.png")):
        stretched = plain.stretched(12)
        assert plain.dim == "“cell” has 16 bits per value but uses only 12 of them, so it is nearly black"
        assert stretched.dim is None and stretched.title == "cell (12 bits)"
        assert (stretched.id, as_stored(stretched.id)) == (f"{plain.id}.12bit", (plain.id, 12))
        assert len({plain.digest, stretched.digest, plain.stretched(13).digest}) == 3
        assert plain.content != stretched.content
        assert np.array_equal(np.asarray(stretched.load()), eight_bit(values, 12))
        again = pickle.loads(pickle.dumps(stretched))
        assert again.digest == stretched.digest and plain.stretched(12) is stretched
    assert upload_set(Collected((plain,))).find(stretched.id) is stretched
    pair = paired(stretched, plain)
    assert pair.digest != paired(plain, plain).digest and pair.dim is None
    with pytest.raises(BadImage, match="only your own files"):
        find_picture("photos/bison").stretched(12)
    with pytest.raises(BadImage, match="more than 8 bits"):
        plain.stretched(8).load()


def explain(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    few = ("--model", "shapes_vgg", "--severity", "0", "--no-floor", "--json", "--device", "cpu")
    code = main(["explain", str(path), *few, *more])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_line_says_it_and_stretches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = samples(40, 32, 3, 12)
    path, plain, stretched = (tmp_path / name for name in ("cell.tif", "plain.png", "stretched.png"))
    path.write_bytes(Tiff(16).write(values))
    plain.write_bytes(encoded(eight_bit(values, 16)))
    stretched.write_bytes(encoded(eight_bit(values, 12)))
    code, out, err = explain(path, capsys)
    assert code == 0 and "uses only 12 of them, so it is nearly black; add --bits 12 to stretch it." in err
    assert out == explain(plain, capsys)[1]
    code, again, err = explain(path, capsys, "--bits", "12")
    assert code == 0 and "nearly black" not in err
    assert again == explain(stretched, capsys)[1] != out
    code, _, err = explain(path, capsys, "--bits", "10")
    assert code and "holds values up to 4,095, more than 10 bits" in err
    code, _, err = explain(plain, capsys, "--bits", "12")
    assert code and "--bits stretches a picture file of 16 bits" in err


def test_a_study_of_nearly_black_files_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    (tmp_path / "cell.tif").write_bytes(Tiff(16).write(samples(40, 32, 3, 12)))
    few = ("--model", "shapes_vgg", "--method", "gradcam", "--noise", "gaussian_noise", "--plan-only")
    assert main(["study", "--images", str(tmp_path), *few]) == 0
    assert "“cell” has 16 bits per value but uses only 12 of them" in capsys.readouterr().err


# --- what people brought, for the table in docs/images.md ---


def check_planes(folder: Path) -> None:
    values = samples(WIDTH, HEIGHT, 3, 16)
    assert off(Tiff(16, planar=True).write(values), values / 65535 * 255) <= EXACT


def check_packed_bits(folder: Path) -> None:
    for bits in (10, 12, 14):
        values = samples(WIDTH, HEIGHT, 1, bits)
        assert off(Tiff(bits, BLACK_IS_ZERO, order=">").write(values), values / ((1 << bits) - 1) * 255) <= EXACT


def check_no_range(folder: Path) -> None:
    values = samples(WIDTH, HEIGHT, 1, 16)
    assert "signed numbers" in refusal(Tiff(8, BLACK_IS_ZERO, form=SIGNED).write(values % np.uint64(256)))
    assert "floating-point numbers" in refusal(Tiff(32, BLACK_IS_ZERO, form=FLOAT).write(values / 65535))
    assert "whole numbers of 32 bits" in refusal(Tiff(32, BLACK_IS_ZERO).write(values))


def check_channels(folder: Path) -> None:
    data = Tiff(16, BLACK_IS_ZERO, planar=True, extra=(UNSPECIFIED,)).write(samples(WIDTH, HEIGHT, 2, 16))
    assert "stores 2 channels without saying what they show" in refusal(data)


def check_associated(folder: Path) -> None:
    layout = Tiff(16, extra=(ASSOCIATED,))
    assert off(layout.write(stored(layout)), right_tiff(stored(layout), layout)) <= EXACT


def check_dim(folder: Path) -> None:
    picture = picture_from_bytes(DIM_FILES["RGB TIFF in planes"][0], "a.tif")
    assert "uses only 12 of them" in (picture.dim or "") and picture.stretched(12).digest != picture.digest
    assert np.array_equal(np.asarray(picture.stretched(12).load()), eight_bit(DIM, 12))


def check_key(folder: Path) -> None:
    values = samples(WIDTH, HEIGHT, 3, 16)
    values[4, 4] = values[3, 3] ^ np.uint64(1)
    key = struct.pack(">3H", *map(int, values[3, 3]))
    found = np.asarray(decode_image(png_file(values, 16, COLOUR, (b"tRNS", key)), "a"))
    assert found[3, 3].tolist() == [255] * 3
    assert np.array_equal(found[4, 4], eight_bit(values[4, 4], 16))


def check_gamma(folder: Path) -> None:
    values = samples(WIDTH, HEIGHT, 3, 8)
    for chunks in GAMMA:
        assert np.array_equal(np.asarray(decode_image(png_file(values, 8, COLOUR, *chunks), "a")), values)


def check_name(folder: Path) -> None:
    (folder / "cat.jpg").write_bytes(png(1))
    assert np.array_equal(np.asarray(picture_from_path(folder / "cat.jpg").load()), array(1))


def check_masks(folder: Path) -> None:
    test_every_mask_of_bmp_is_read_right(16, "4444")


def check_ink(folder: Path) -> None:
    test_jpeg_in_four_colours()


def check_other_formats(folder: Path) -> None:
    for kind, name in (("GIF", "a GIF"), ("JPEG2000", "a JPEG 2000 picture"), ("AVIF", "an AVIF picture")):
        assert f"“a” is {name}; choose a JPEG, PNG" in refusal(encoded(array(1), kind))
    assert "is a PPM or PGM picture" in refusal(b"P5 8 8 4095\n" + bytes(128))


def check_pages(folder: Path) -> None:
    frames = [Image.fromarray(array(seed)) for seed in (1, 2)]
    for kind in ("TIFF", "WEBP", "PNG"):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        assert "animated or has several pages; save one" in refusal(stream.getvalue())


def check_backslashes(folder: Path) -> None:
    found = collect([("a.zip", zipped({"pets\\cat\\a.png": png(1), "pets\\dog\\b.png": png(2), "..\\c.png": png(3)}))])
    assert [picture.label for picture in found.pictures] == ["cat", "dog"]
    assert found.sentence == "2 pictures loaded; skipped: 1 unsafe path."


def check_flat(folder: Path) -> None:
    pixels = np.full((1000, 1000, 3), 77, np.uint8)
    data = zipped({"a.bmp": encoded(pixels, "BMP")})
    assert len(data) < 30_000
    found = collect([("a.zip", data)])
    assert found.sentence == "1 picture loaded."
    assert np.array_equal(np.asarray(found.pictures[0].load()), pixels)


def check_outline(folder: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH, 1), np.uint64)
    values[:, :4] = 1
    for data in (png_file(values, 16, GREY), Tiff(16, BLACK_IS_ZERO).write(values)):
        assert np.array_equal(mask_from_bytes(data, "mask.png"), values[..., 0] == 1)


CASES = (
    BroughtCase(
        "A TIFF of 16 bits whose colours are stored in planes", "It is read with the right colours.", check_planes
    ),
    BroughtCase("A TIFF of 10, 12 or 14 bits per value", "It is scaled by its own range.", check_packed_bits),
    BroughtCase(
        "A TIFF of signed, floating-point or 32-bit numbers",
        "It is refused by name: they have no fixed range.",
        check_no_range,
    ),
    BroughtCase("A microscope's TIFF with channels of no stated meaning", "It is refused by name.", check_channels),
    BroughtCase(
        "A TIFF whose colours are multiplied by alpha",
        "It is blended with white, multiplied only once.",
        check_associated,
    ),
    BroughtCase(
        "12-bit values in a file of 16 bits",
        "CAM Lab says that it is nearly black and stretches it on request; the result is another picture.",
        check_dim,
    ),
    BroughtCase(
        "A PNG of 16 bits with a transparent colour", "Only pixels of exactly this colour become white.", check_key
    ),
    BroughtCase("A PNG with a gamma or a colour profile", "Both are ignored, as in training.", check_gamma),
    BroughtCase("A PNG that is named .jpg", "It is read by its content.", check_name),
    BroughtCase("A BMP with bit masks of its own", "It is read with the right colours.", check_masks),
    BroughtCase("A CMYK or YCCK JPEG from Photoshop", "It is read with the colours of the ink.", check_ink),
    BroughtCase("A GIF, JPEG 2000, AVIF or PGM picture", "It is refused by name.", check_other_formats),
    BroughtCase("An animation, or a TIFF of several pages", "It is refused: save one page as a picture.", check_pages),
    BroughtCase(
        "A ZIP archive with backslashes in its paths", "They are folders; “..” is still left out.", check_backslashes
    ),
    BroughtCase(
        "A ZIP archive with a large flat BMP", "It is read; that it shrinks much makes it no bomb.", check_flat
    ),
    BroughtCase("A mask of 16 bits with the values 0 and 1", "It gives the outline.", check_outline),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_what_people_brought(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)
