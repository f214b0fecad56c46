"""No file that anybody can upload does worse than one clear sentence, and what is accepted keeps its pixels."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from camlab.common.errors import BadImage
from camlab.images import (
    decode,
    find_picture,
    picture_from_bytes,
    picture_from_path,
)
from camlab.images.builtin import ROOT
from camlab.images.decode import clean_name, decode_image, title_from

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
# A picture whose four quarters differ, so that any turn or mirror shows.
QUARTERS = np.zeros((16, 24, 3), np.uint8)
QUARTERS[:8, :12], QUARTERS[:8, 12:], QUARTERS[8:, :12] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encode(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def pixels(data: bytes, name: str = "x") -> np.ndarray:
    image = decode_image(data, name)
    assert image.mode == "RGB"
    assert type(image) is Image.Image  # on its own, no longer tied to the file
    assert not image.info
    return np.asarray(image)


def refusal(data: bytes, name: str = "cat.png") -> str:
    """The message of the refusal, checked to be one sentence fit to be shown."""
    with pytest.raises(BadImage) as caught:
        decode_image(data, name)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 300
    assert not any(word in text for word in ("Traceback", "Error", "Pillow", "PIL", "0x"))
    return text


# --- the user's own pictures ---


def test_thumbnail_is_the_centre_as_a_square() -> None:
    picture = picture_from_bytes(encode(np.repeat(QUARTERS, 20, axis=1), "PNG"), "wide.png")
    small = picture.thumbnail(32)
    assert small.size == (32, 32)
    # 480 × 16: the centred 16 × 16 straddles the border between the left and the right half
    assert np.asarray(small)[4, 4].tolist() == [255, 0, 0]
    assert np.asarray(small)[4, 27].tolist() == [0, 255, 0]
    assert find_picture("photos/bison").thumbnail().size == (96, 96)


def test_upload_and_file_of_the_same_picture(tmp_path: Path) -> None:
    data = encode(NOISE, "PNG")
    path = tmp_path / "my cat.png"
    path.write_bytes(data)
    upload, file = picture_from_bytes(data, "my cat.png"), picture_from_path(path)
    assert upload.id == f"upload/{upload.digest[:12]}"
    assert file.id == f"file/{file.digest[:12]}"
    assert upload.title == file.title == "my cat"
    assert upload.digest == file.digest == picture_from_bytes(encode(NOISE, "BMP"), "other.bmp").digest
    assert np.array_equal(np.asarray(upload.load()), NOISE)
    assert upload.mask() is None
    assert upload.label is None and upload.label_index is None
    assert str(tmp_path) not in repr(file)
    again = pickle.loads(pickle.dumps(file))
    assert np.array_equal(np.asarray(again.load()), NOISE)


def test_digest_tells_pixels_and_shape_apart() -> None:
    def digest(array: np.ndarray) -> str:
        return picture_from_bytes(encode(array, "PNG"), "x.png").digest

    changed = NOISE.copy()
    changed[0, 0, 0] ^= 1
    assert len({digest(NOISE), digest(changed), digest(NOISE.reshape(40, 24, 3))}) == 3


def test_a_file_that_changes_or_goes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(NOISE, "PNG"))
    picture = picture_from_path(str(path))
    path.write_bytes(encode(255 - NOISE, "PNG"))
    with pytest.raises(BadImage, match="has changed"):
        picture.load()
    path.unlink()
    with pytest.raises(BadImage, match="no file"):
        picture.load()


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "no.png", "/dev/zero", "a\0b.png"):
        with pytest.raises(BadImage, match=r"no file .*\.$"):
            picture_from_path(wrong)
    big = tmp_path / "big.png"
    with big.open("wb") as stream:
        stream.truncate(decode.MAX_BYTES + 1)
    with pytest.raises(BadImage, match="MB"):
        picture_from_path(big)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("bison.jpg", "bison"),
        ("C:\\Users\\me\\bison.JPG", "bison"),
        ("../../etc/passwd", "passwd"),
        ("a\x00b\n\tc\u202egpj.png", "a b c gpj"),
        ("holiday.2024", "holiday.2024"),
        ("x" * 500 + ".png", "x" * 60),
        ("", "picture"),
        ("/", "picture"),
        ("\ud800...", "picture"),
        ("\ud800.png", "png"),
        ("Füchse und Wölfe.webp", "Füchse und Wölfe"),
    ],
)
def test_titles_from_untrusted_names(name: str, title: str) -> None:
    assert title_from(name) == title


@given(st.text())
def test_any_name_becomes_a_clean_one(name: str) -> None:
    for clean in (clean_name(name), title_from(name)):
        assert 0 < len(clean) <= 60
        assert clean.isprintable()
        assert "/" not in clean
        assert "\\" not in clean


# --- what is accepted ---


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_come_back_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(pixels(encode(NOISE, kind, **options), f"a.{kind.lower()}"), NOISE)
    assert np.array_equal(pixels(encode(NOISE, kind, **options), "no extension"), NOISE)


def test_jpeg_comes_back_nearly() -> None:
    for options in ({}, {"progressive": True}):
        data = encode(np.repeat(QUARTERS, 4, 0), "JPEG", quality=95, subsampling=0, **options)
        assert np.abs(pixels(data, "a.JPG").astype(int) - np.repeat(QUARTERS, 4, 0)).mean() < 2
    assert pixels(encode(NOISE[..., 0], "JPEG"), "grey.jpeg").shape == NOISE.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    # What a viewer must do to the stored picture, tag by tag, in numpy's words.
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    found = pixels(encode(QUARTERS, kind, exif=exif, **options.get(kind, {})))
    expected = turns[orientation](QUARTERS)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 10


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_data_says_nothing() -> None:
    data = encode(QUARTERS, "JPEG", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(range(40)))
    assert pixels(data, "a.jpg").shape == QUARTERS.shape


INK = np.zeros((16, 16, 4), np.uint8)
INK[..., 0] = 255  # full cyan
CYAN = [0, 255, 255]


def test_cmyk_jpeg_with_and_without_adobes_marker() -> None:
    marked = encode(Image.fromarray(INK, "CMYK"), "JPEG", quality=100)
    at = marked.index(b"\xff\xee\x00\x0eAdobe")
    assert np.abs(pixels(marked)[5, 5].astype(int) - CYAN).max() <= 3
    # Without the marker the very same numbers are ink as it is: 0 cyan, full magenta, yellow and black.
    plain = marked[:at] + marked[at + 16 :]
    assert pixels(plain)[5, 5].max() <= 3
    upside_down = encode(Image.fromarray(255 - INK, "CMYK"), "JPEG", quality=100)
    at = upside_down.index(b"\xff\xee\x00\x0eAdobe")
    assert np.abs(pixels(upside_down[:at] + upside_down[at + 16 :])[5, 5].astype(int) - CYAN).max() <= 3


def test_cmyk_tiff() -> None:
    assert pixels(encode(Image.fromarray(INK, "CMYK"), "TIFF"))[5, 5].tolist() == CYAN


def palette_image() -> Image.Image:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    image.paste(1, (8, 0, 16, 16))
    return image


def test_palette_with_and_without_transparency() -> None:
    plain = pixels(encode(palette_image(), "PNG"))
    assert plain[0, [0, 15]].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert pixels(encode(palette_image(), "BMP"))[0, 15].tolist() == [0, 0, 255]
    for transparency in (1, b"\xff\x00"):  # an index; one alpha an entry
        found = pixels(encode(palette_image(), "PNG", transparency=transparency))
        assert found[0, [0, 15]].tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[..., 0], rgba[4:, :, 3], rgba[8:, :, 3] = 200, 128, 255
    found = pixels(encode(rgba, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert found[0, 0].tolist() == [255, 255, 255]
    half = 200 * 128 / 255 + 127, 127, 127
    assert np.abs(found[5, 0] - np.array(half)).max() <= 1
    assert found[12, 0].tolist() == [200, 0, 0]


def test_grey_with_alpha_and_colour_keys() -> None:
    la = np.zeros((16, 16, 2), np.uint8)
    la[..., 0], la[8:, :, 1] = 90, 255
    assert pixels(encode(Image.fromarray(la, "LA"), "PNG"))[[0, 15], 0].tolist() == [[255] * 3, [90] * 3]
    grey = np.full((16, 16), 7, np.uint8)
    grey[8:] = 9
    assert pixels(encode(grey, "PNG", transparency=7))[[0, 15], 0].tolist() == [[255] * 3, [9] * 3]
    keyed = encode(QUARTERS, "PNG", transparency=(255, 0, 0))
    assert pixels(keyed)[0, [0, 23]].tolist() == [[255, 255, 255], [0, 255, 0]]


def test_one_bit_and_grey() -> None:
    bits = np.zeros((16, 16), bool)
    bits[8:] = True
    for kind in ("PNG", "TIFF", "BMP"):
        assert pixels(encode(bits, kind))[[0, 15], 0].tolist() == [[0] * 3, [255] * 3]
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for kind in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(pixels(encode(ramp, kind))[..., 1], ramp)


RAMP16 = np.linspace(0, 65535, 1024).astype(np.uint16).reshape(32, 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    found = pixels(encode(RAMP16, kind))
    assert np.array_equal(found[..., 0], np.round(RAMP16 / 257).astype(np.uint8))
    assert np.array_equal(found[..., 0], found[..., 2])


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_is_scaled_not_clipped(extension: str, channels: int) -> None:
    values = np.stack([RAMP16, RAMP16[::-1], RAMP16.T, np.full_like(RAMP16, 65535)][:channels], axis=-1)
    found = pixels(cv2.imencode(extension, values)[1].tobytes(), f"a{extension}")[..., ::-1]  # OpenCV: BGR
    assert np.array_equal(found, np.floor(values[..., :3] / 257 + 0.5))


def test_16_bit_grey_png_with_a_colour_key() -> None:
    data = encode(RAMP16, "PNG")
    key = struct.pack(">I4sH", 2, b"tRNS", int(RAMP16[3, 3]))
    key += struct.pack(">I", zlib.crc32(key[4:]))
    at = data.index(b"IDAT") - 4
    found = pixels(data[:at] + key + data[at:])
    assert found[3, 3].tolist() == [255] * 3
    assert found[3, 4].tolist() == [round(RAMP16[3, 4] / 257)] * 3


def test_16_bit_tiff_with_white_as_zero() -> None:
    assert np.array_equal(
        pixels(encode(RAMP16, "TIFF", tiffinfo={262: 0}))[..., 0],
        255 - np.round(RAMP16 / 257).astype(np.uint8),
    )


def test_a_cameras_second_view_is_ignored() -> None:
    first, second = Image.fromarray(NOISE), Image.fromarray(255 - NOISE)
    data = encode(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.array_equal(pixels(data, "IMG_1.JPG"), pixels(encode(first, "JPEG"), "a.jpg"))
    assert pixels(encode(first, "JPEG") + b"\xff\xda trailing data", "a.jpg").shape == NOISE.shape


# --- what is refused ---


def test_empty_and_oversized() -> None:
    assert "“cat.png” is empty (0 bytes)" in refusal(b"")
    assert "at most 30 MB" in refusal(encode(NOISE, "PNG") + bytes(decode.MAX_BYTES))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 5_001), (10_000, 9_000), (20_000, 20_000), (2_000_000_000, 2_000_000_000)])
def test_too_many_pixels_are_refused_from_the_header(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = refusal(bomb(*size))
    assert "megapixels" in text
    assert "at most 50" in text


def test_too_many_pixels_in_the_other_formats() -> None:
    huge = Image.new("1", (10_000, 6_000))
    for kind in ("TIFF", "BMP"):
        assert "60 megapixels (10000×6000)" in refusal(encode(huge, kind), "x")
    jpeg = bytearray(encode(NOISE, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    assert "3600 megapixels" in refusal(bytes(jpeg), "x.jpg")
    webp = bytearray(encode(NOISE, "WEBP", save_all=True, append_images=[Image.fromarray(255 - NOISE)]))
    at = webp.index(b"VP8X") + 12
    webp[at : at + 6] = b"\xff\x3f\x00\xff\x3f\x00"  # 16384 × 16384
    assert "megapixels" in refusal(bytes(webp), "x.webp")


def test_the_limit_itself_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 24 * 40)
    assert pixels(encode(NOISE, "PNG")).shape == NOISE.shape
    monkeypatch.setattr(decode, "MAX_PIXELS", 24 * 40 - 1)
    refusal(encode(NOISE, "PNG"))


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_too_small(size: tuple[int, int]) -> None:
    assert f"only {size[0]}×{size[1]} pixels" in refusal(encode(Image.new("RGB", size), "PNG"))
    assert pixels(encode(Image.new("RGB", (8, 8)), "PNG")).shape == (8, 8, 3)


FILES = {
    "jpg": encode(NOISE, "JPEG"),
    "png": encode(NOISE, "PNG"),
    "webp": encode(NOISE, "WEBP"),
    "bmp": encode(NOISE, "BMP"),
    "tif": encode(NOISE, "TIFF"),
}


@pytest.mark.parametrize("extension", FILES)
def test_truncated_files(extension: str) -> None:
    data = FILES[extension]
    for kept in (len(data) // 10, len(data) // 2, len(data) - 20):
        text = refusal(data[:kept], f"cat.{extension}")
        assert "cut off" in text or "not a picture" in text
    assert "cut off" in refusal(data[: len(data) // 2], f"cat.{extension}")
    for missing in range(1, 40):  # down to the last byte: a half-copied end is no picture either
        refusal(data[:-missing], f"cat.{extension}")


def test_a_jpeg_cut_after_its_preview_is_cut() -> None:
    thumbnail = encode(NOISE, "JPEG")
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    data = encode(NOISE, "JPEG", exif=exif)
    assert pixels(data, "a.jpg").shape == NOISE.shape
    assert "cut off" in refusal(data[:-2], "a.jpg")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF document"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        ("Das ist ein Text über Füchse.".encode(), "text"),
        (b"a" * 4094 + "ü".encode() * 9, "text"),
        (encode(NOISE, "GIF"), "a GIF"),
        (encode(NOISE, "ICO"), "an icon"),
        (encode(NOISE, "JPEG2000"), "a JPEG 2000 picture"),
        (encode(NOISE, "AVIF"), "an AVIF picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"PK\x03\x04" + bytes(99), "an archive"),
        (b"8BPS\0\x01" + bytes(99), "a Photoshop document"),
        (bytes(range(256)), "not a picture in a known format"),
        (b"\0", "not a picture in a known format"),
        (encode(NOISE, "PPM"), "a PPM or PGM picture"),
        (b"P5\n# a camera's\n8 8\n4095\n" + bytes(128), "a PPM or PGM picture"),
    ],
)
@pytest.mark.parametrize("name", ["cat.png", "cat"])
def test_what_is_not_a_picture_is_called_by_its_name(data: bytes, what: str, name: str) -> None:
    text = refusal(data, name)
    assert f"“{name}” is {what}" in text
    assert "choose a JPEG, PNG, WebP, BMP or TIFF picture" in text


def test_animations_and_pages() -> None:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    for kind in ("PNG", "WEBP", "TIFF"):
        text = refusal(encode(frames[0], kind, save_all=True, append_images=frames[1:]), "cat")
        assert "animated or has several pages" in text
    assert pixels(encode(frames[0], "TIFF", save_all=True), "cat.tif").shape == NOISE.shape


@pytest.mark.parametrize("holds", FILES)
@pytest.mark.parametrize("called", [*FILES, "gif", "txt", "PDF"])
def test_the_content_decides_and_not_the_name(holds: str, called: str) -> None:
    assert np.array_equal(pixels(FILES[holds], f"cat.{called}"), pixels(FILES[holds], "cat"))


def test_numbers_without_a_range_are_refused_by_name() -> None:
    for kind, words in (
        (np.float32, "floating-point numbers"),
        (np.int32, "signed numbers"),
    ):
        text = refusal(encode(np.zeros((16, 16), kind), "TIFF"), "a.tif")
        assert f"stores {words}" in text and "8 or 16 bits" in text
    colour = np.zeros((16, 16, 3), np.float32)
    assert "floating-point numbers" in refusal(cv2.imencode(".tiff", colour)[1].tobytes(), "a.tif")


def test_the_message_shows_no_path_and_no_control_characters() -> None:
    text = refusal(b"", "/home/somebody/secret/\u202ecat\n\x1b[31m.png")
    assert "secret" not in text
    assert text.isprintable()


def test_an_endless_chain_of_pages_is_refused_at_once() -> None:
    data = bytearray(encode(np.zeros((16, 16), np.uint8), "TIFF"))
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    data[start + 2 + 12 * count : start + 6 + 12 * count] = struct.pack("<I", start)  # the next page: this one
    image = pixels_or_refusal(bytes(data), "a.tif")
    assert image is None or image.shape == (16, 16, 3)


# --- whatever comes ---


def pixels_or_refusal(data: bytes, name: str) -> np.ndarray | None:
    """The pixels, or None for a proper refusal; any other exception is the test's failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = decode_image(data, name)
        except BadImage as error:
            assert str(error).endswith(".")
            return None
    assert image.mode == "RGB"
    assert min(image.size) >= 8
    return np.asarray(image)


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
STARTS = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x10\0\0\0WEBP",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"GIF89a",
]


@FUZZ
@given(st.sampled_from(STARTS), st.binary(max_size=300), st.text(max_size=20))
def test_random_bytes_are_refused(start: bytes, rest: bytes, name: str) -> None:
    assert pixels_or_refusal(start + rest, name) is None


SOURCES = [
    *FILES.values(),
    encode(NOISE, "JPEG", progressive=True),
    encode(palette_image(), "PNG", transparency=1),
    encode(NOISE, "TIFF", compression="tiff_lzw"),
    encode(Image.fromarray(INK, "CMYK"), "JPEG"),
    Path(ROOT / "photos" / "bison.jpg").read_bytes(),
]


@FUZZ
@given(st.sampled_from(range(len(SOURCES))), st.floats(0, 1, exclude_max=True))
def test_truncation_anywhere(source: int, share: float) -> None:
    data = SOURCES[source]
    pixels_or_refusal(data[: int(share * len(data))], "cat")


@settings(FUZZ, max_examples=400)
@given(
    st.sampled_from(range(len(SOURCES))),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=8),
    st.booleans(),
)
def test_flipped_bits_anywhere(source: int, flips: list[tuple[float, int]], in_the_header: bool) -> None:
    data = bytearray(SOURCES[source])
    for place, bit in flips:
        data[int(place * (min(200, len(data)) if in_the_header else len(data)))] ^= 1 << bit
    pixels_or_refusal(bytes(data), "cat")
