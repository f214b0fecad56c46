"""Safe decoding of pictures from untrusted bytes.

Every fault of an upload raises BadImage, whose text is one sentence. The first bytes decide a file's format, and
its size is read from its header before any pixel is decoded.

Colours: transparent pixels are blended with white; 16-bit values are scaled to 8 bits (never clipped); an embedded
colour profile or gamma is ignored, as in the training of common networks. A layout of pixels that is not read is
refused by its name. If a file has several pictures for one, as a camera's previews, the first counts.
"""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from camlab.common.errors import BadImage
from camlab.images import bitmap
from camlab.images.png import depth_of, read_deep_png
from camlab.images.samples import StoredValues
from camlab.images.tiff import layout_of, read_tiff

MAX_BYTES = 30 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 8
MAX_NAME = 60

_CHOOSE = "choose a JPEG, PNG, WebP, BMP or TIFF picture"


@dataclass(frozen=True)
class ImageFormat:
    """One accepted format: its first bytes, its extensions (the usual one first), its last bytes."""

    name: str
    plugin: str
    starts: Callable[[bytes], bool]
    extensions: tuple[str, ...]
    end: bytes = b""


FORMATS = (
    ImageFormat("JPEG", "JPEG", lambda d: d[:3] == b"\xff\xd8\xff", ("jpg", "jpeg", "jpe", "jfif", "mpo")),
    # Pillow accepts a PNG without its end, as long as all pixels are there; it reads the other formats to their ends.
    ImageFormat("PNG", "PNG", lambda d: d[:8] == b"\x89PNG\r\n\x1a\n", ("png", "apng"), b"IEND\xaeB`\x82"),
    ImageFormat("WebP", "WEBP", lambda d: d[:4] == b"RIFF" and d[8:12] == b"WEBP", ("webp",)),
    ImageFormat("BMP", "BMP", lambda d: d[:2] == b"BM", ("bmp", "dib")),
    ImageFormat("TIFF", "TIFF", lambda d: d[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ("tif", "tiff")),
)

# Guesses for the message about a refused file; the first match counts.
_OTHERS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("a GIF", lambda d: d[:4] == b"GIF8"),
    ("an icon file", lambda d: d[:4] in (b"\0\0\1\0", b"\0\0\2\0", b"icns")),
    (
        "a HEIC picture",
        lambda d: d[4:8] == b"ftyp" and d[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"),
    ),
    ("an AVIF picture", lambda d: d[4:8] == b"ftyp" and d[8:12] in (b"avif", b"avis")),
    ("a video", lambda d: d[4:8] == b"ftyp"),
    ("a PPM or PGM picture", lambda d: d[:1] == b"P" and d[1:2] in b"123456" and d[2:3].isspace()),
    ("a JPEG 2000 picture", lambda d: d[4:8] == b"jP  " or d[:4] == b"\xff\x4f\xff\x51"),
    ("a Photoshop document", lambda d: d[:4] == b"8BPS"),
    ("a PDF document", lambda d: b"%PDF-" in d[:1024]),
    ("a PostScript document", lambda d: d[:4] in (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    ("an SVG drawing", lambda d: b"<svg" in d[:4096].lower()),
    ("an archive or an office document", lambda d: d[:2] == b"PK"),
    ("text", lambda d: _is_text(d[:4096])),
)

# Extensions that a title leaves out; any other ("holiday.2024", "cat.final") is part of the name.
_OTHER_EXTENSIONS = (
    "gif ico icns svg pdf txt heic heif avif jp2 j2k psd eps tga ppm pgm pnm csv html htm doc docx xls xlsx "
    "ppt pptx zip gz tar mp3 mp4 mov avi mkv raw dng cr2 nef json xml md py exe npy"
)
_EXTENSIONS = frozenset(_OTHER_EXTENSIONS.split()).union(*(kind.extensions for kind in FORMATS))

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # EXIF tag
_BIG_ENDIAN_BIGTIFF = b"MM\0+"  # Pillow reads its numbers wrongly


@dataclass(frozen=True)
class Decoded:
    """A picture file's upright RGB picture.

    ``stored``: bits of each value in the file, if they were unpacked at full depth, else 8. ``narrow``: the least
    usual depth (8, 10, 12 or 14 bits) that holds all values of a file of 16 bits, which is then nearly black.
    """

    image: Image.Image
    stored: int = 8
    narrow: int | None = None


def decode_image(data: bytes, name: str, bits: int | None = None) -> Image.Image:
    """Decode a JPEG, PNG, WebP, BMP or TIFF file to an upright RGB picture; see ``decode``."""
    return decode(data, name, bits).image


def decode(data: bytes, name: str, bits: int | None = None) -> Decoded:
    """Decode a JPEG, PNG, WebP, BMP or TIFF file; its first bytes decide which, whatever its name says.

    ``bits`` stretches a file of 16 bits: its values are read as numbers of so many bits, as cameras and microscopes
    store them. Raises BadImage, with one sentence, for a file that is empty, over 30 MB or 50 megapixels, under 8
    pixels on a side, damaged, animated, of another format, whose pixels have no fixed range (float, signed, 32-bit
    integers) or are stored in a way that is not read, and if ``bits`` does not fit the file.
    """
    shown = f"“{clean_name(name)}”"
    if not data:
        raise BadImage(f"{shown} is empty (0 bytes); {_CHOOSE}.")
    if len(data) > MAX_BYTES:
        raise BadImage(f"{shown} is {len(data) / 2**20:.0f} MB; choose a file of at most {MAX_BYTES >> 20} MB.")
    kind = _recognise(data, shown)
    if kind.end not in data:
        raise BadImage(f"{shown} is cut off: its end is missing; copy or save it again.")
    try:
        return _decode(data, kind, shown, bits)
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage(f"{shown} is too large; reduce it to at most {MAX_PIXELS // 10**6} megapixels.") from None
    # Decoders raise many kinds of errors on hostile bytes (OSError, SyntaxError, struct.error, KeyError, …).
    except Exception as error:
        raise BadImage(
            f"{shown} is cut off, damaged or stored in an unusual way; save it again as an ordinary {kind.name} file."
        ) from error


def clean_name(name: str) -> str:
    """Return a file name for display: no folders, printable characters, single spaces, 60 characters at most."""
    base = re.split(r"[/\\]", str(name))[-1]
    # isprintable() rejects control characters, lone surrogates and marks that reverse the text.
    printable = "".join(c if c.isprintable() else " " for c in base)
    return " ".join(printable.split())[:MAX_NAME].strip() or "picture"


def title_from(name: str) -> str:
    """Return a picture's title: its file's clean name without the extension."""
    clean = clean_name(name)
    stem = PurePosixPath(clean).stem if _extension(clean) in _EXTENSIONS else clean
    return stem.strip(". ") or "picture"


def _recognise(data: bytes, shown: str) -> ImageFormat:
    kind = next((kind for kind in FORMATS if kind.starts(data)), None)
    if kind is None:
        other = next((other for other, fits in _OTHERS if fits(data)), None)
        raise BadImage(f"{shown} is {other or 'not a picture in a known format'}; {_CHOOSE}.")
    return kind


def _extension(name: str) -> str:
    return PurePosixPath(str(name).strip()).suffix[1:].lower()


def _is_text(start: bytes) -> bool:
    with contextlib.suppress(UnicodeDecodeError):
        # The cut may split a character: ignore up to three bytes at the end.
        return not re.search(r"[\x00-\x08\x0e-\x1f]", start[: max(1, len(start) - 3)].decode("utf-8", "strict"))
    return False


def _open(data: bytes, kind: ImageFormat) -> Image.Image:
    """Read the header with the decoder of the format; Image.open would add its own warnings about size."""
    Image.preinit()
    if kind.plugin not in Image.OPEN:
        Image.init()
    return Image.OPEN[kind.plugin][0](io.BytesIO(data), "")


def _decode(data: bytes, kind: ImageFormat, shown: str, bits: int | None) -> Decoded:
    found, turn = _READERS.get(kind.plugin, _by_pillow)(data, kind, shown)
    if isinstance(found, StoredValues):
        decoded = _from_samples(found, shown, bits)
    elif bits is not None:
        raise _not_deep(shown, 8)
    else:
        decoded = Decoded(found)
    upright = decoded.image if turn is None else decoded.image.transpose(turn)
    return Decoded(upright, decoded.stored, decoded.narrow)


def _from_samples(samples: StoredValues, shown: str, bits: int | None) -> Decoded:
    if bits is None:
        return Decoded(samples.image(samples.bits, shown), samples.bits, samples.narrow)
    if samples.bits != 16:
        raise _not_deep(shown, samples.bits)
    if not 1 <= bits <= 16:
        raise BadImage(f"{shown} has 16 bits per value, so it cannot be read as {bits} bits; choose 1 to 16.")
    return Decoded(samples.image(bits, shown), 16)


def _not_deep(shown: str, bits: int) -> BadImage:
    return BadImage(f"{shown} has {bits} bits per value, and only files of 16 bits can be stretched; read it as it is.")


_Found = tuple[Image.Image | StoredValues, Image.Transpose | None]


def _check_size(width: int, height: int, shown: str) -> None:
    if width * height > MAX_PIXELS:
        raise BadImage(
            f"{shown} has {width * height / 1e6:.0f} megapixels ({width}×{height}); "
            f"reduce it to at most {MAX_PIXELS // 10**6} megapixels."
        )
    if min(width, height) < MIN_SIDE:
        raise BadImage(
            f"{shown} is only {width}×{height} pixels, too small to explain; "
            f"choose one with at least {MIN_SIDE} pixels on each side."
        )


def _by_pillow(data: bytes, kind: ImageFormat, shown: str) -> _Found:
    image = _open(data, kind)
    _check_size(*image.size, shown)
    # Cameras append a preview or a second view to a JPEG: the first picture counts.
    if kind.plugin not in ("JPEG", "TIFF") and int(getattr(image, "n_frames", 1)) > 1:
        raise _several(shown)
    image.load()
    return _to_rgb(image, kind, data), _turn(image)


def _several(shown: str) -> BadImage:
    return BadImage(f"{shown} is animated or has several pages; save one frame or page as a picture.")


def _tiff(data: bytes, kind: ImageFormat, shown: str) -> _Found:
    if data[:4] == _BIG_ENDIAN_BIGTIFF:
        raise _not_read(shown, "a big-endian BigTIFF directory")
    layout = layout_of(data)
    _check_size(layout.width, layout.height, shown)
    if layout.pages:
        raise _several(shown)
    if layout.problem:
        raise _not_read(shown, layout.problem)
    if not layout.bytewise:
        return _by_pillow(data, kind, shown)
    found = read_tiff(data, layout, shown)
    return found.convert("RGB") if isinstance(found, Image.Image) else found, _UPRIGHT.get(layout.orientation)


def _not_read(shown: str, what: str) -> BadImage:
    return BadImage(
        f"{shown} stores {what}, which CAM Lab does not read; save it in grey or RGB with 8 or 16 bits per channel."
    )


def _bmp(data: bytes, kind: ImageFormat, shown: str) -> _Found:
    if what := bitmap.problem(data):
        raise _not_read(shown, what)
    if not bitmap.masked(data):
        return _by_pillow(data, kind, shown)
    _check_size(*bitmap.size_of(data), shown)
    return bitmap.read_masked(data), None


def _png(data: bytes, kind: ImageFormat, shown: str) -> _Found:
    image, turn = _by_pillow(data, kind, shown)
    if depth_of(data) != 16:
        return image, turn
    key = _open(data, kind).info.get("transparency")
    return read_deep_png(data, (key,) if isinstance(key, int) else key), turn


_READERS: dict[str, Callable[[bytes, ImageFormat, str], _Found]] = {"TIFF": _tiff, "BMP": _bmp, "PNG": _png}


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the turn that puts the picture upright according to its EXIF data, if that is readable."""
    with contextlib.suppress(Exception):
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return None


def _to_rgb(image: Image.Image, kind: ImageFormat, data: bytes) -> Image.Image:
    """Convert any mode of at most 8 bits to plain RGB without metadata."""
    if image.mode == "CMYK" and kind.plugin == "JPEG" and "adobe" not in image.info:
        # Adobe stores inverted ink and leaves its marker; Pillow treats every CMYK JPEG as Adobe's.
        image = Image.fromarray(255 - np.asarray(image), "CMYK")
    key = image.info.get("transparency")
    if kind.plugin == "PNG" and image.mode == "L" and isinstance(key, int) and (depth := depth_of(data)) < 8:
        # Pillow spreads the values of 2 and 4 bits to 8, but not their transparent one.
        image.info["transparency"] = key * 255 // ((1 << depth) - 1)
    if image.has_transparency_data:
        return StoredValues(np.asarray(image.convert("RGBA")), 8, "RGB", alpha=True).image(8, "")
    rgb = image.convert("RGB")
    return Image.frombytes("RGB", rgb.size, rgb.tobytes())  # drops EXIF, profile and file handle


def read_bytes(path: Path) -> bytes:
    """Read an ordinary file, at most one byte more than the size limit. Raises BadImage."""
    shown = clean_name(path.name)
    try:
        if not path.is_file():  # missing, a folder or a device
            raise BadImage(f"There is no file “{shown}” at this path; check the path.")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise BadImage(f"The file “{shown}” cannot be read; check its permissions.") from error
