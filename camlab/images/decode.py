"""Safe decoding of pictures from untrusted bytes.

Every fault of an upload raises BadImage, whose text is one sentence. The first bytes decide a file's format, and
its size is read from its header before any pixel is decoded.

Colours: transparent pixels are blended with white; 16-bit values are scaled to 8 bits (never clipped); an embedded
colour profile is ignored, as in the training of common networks.
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
    ("a JPEG 2000 picture", lambda d: d[4:8] == b"jP  " or d[:4] == b"\xff\x4f\xff\x51"),
    ("a Photoshop document", lambda d: d[:4] == b"8BPS"),
    ("a PDF document", lambda d: b"%PDF-" in d[:1024]),
    ("a PostScript document", lambda d: d[:4] in (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    ("an SVG drawing", lambda d: b"<svg" in d[:4096].lower()),
    ("an archive or an office document", lambda d: d[:2] == b"PK"),
    ("text", lambda d: _is_text(d[:4096])),
)

# Extensions that must agree with the content; any other ("holiday.2024", "cat.final") is ignored.
_OTHER_EXTENSIONS = (
    "gif ico icns svg pdf txt heic heif avif jp2 j2k psd eps tga ppm pgm pnm csv html htm doc docx xls xlsx "
    "ppt pptx zip gz tar mp3 mp4 mov avi mkv raw dng cr2 nef json xml md py exe npy"
)
_CHECKED_EXTENSIONS = frozenset(_OTHER_EXTENSIONS.split()).union(*(kind.extensions for kind in FORMATS))

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _BITS, _PHOTOMETRIC = 0x0112, 258, 262  # EXIF and TIFF tags


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode a JPEG, PNG, WebP, BMP or TIFF file to an upright RGB picture.

    ``name`` is the file's name; its extension must not contradict the content. Raises BadImage, with one sentence,
    for a file that is empty, over 30 MB or 50 megapixels, under 8 pixels on a side, damaged, animated, of another
    format, or whose pixels have no fixed range (float, 32-bit integers).
    """
    shown = f"“{clean_name(name)}”"
    if not data:
        raise BadImage(f"{shown} is empty (0 bytes); {_CHOOSE}.")
    if len(data) > MAX_BYTES:
        raise BadImage(f"{shown} is {len(data) / 2**20:.0f} MB; choose a file of at most {MAX_BYTES >> 20} MB.")
    kind = _recognise(data, name, shown)
    if kind.end not in data:
        raise BadImage(f"{shown} is cut off: its end is missing; copy or save it again.")
    try:
        return _decode(data, kind, shown)
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
    stem = PurePosixPath(clean).stem if _extension(clean) in _CHECKED_EXTENSIONS else clean
    return stem.strip(". ") or "picture"


def _recognise(data: bytes, name: str, shown: str) -> ImageFormat:
    kind = next((kind for kind in FORMATS if kind.starts(data)), None)
    if kind is None:
        other = next((other for other, fits in _OTHERS if fits(data)), None)
        raise BadImage(f"{shown} is {other or 'not a picture in a known format'}; {_CHOOSE}.")
    extension = _extension(name)
    if extension in _CHECKED_EXTENSIONS and extension not in kind.extensions:
        raise BadImage(
            f"{shown} is called .{extension} but holds a {kind.name} picture; "
            f"rename it to .{kind.extensions[0]} and choose it again."
        )
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


def _decode(data: bytes, kind: ImageFormat, shown: str) -> Image.Image:
    image = _open(data, kind)
    width, height = image.size
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
    if _has_more_pages(data, kind, image):
        raise BadImage(f"{shown} is animated or has several pages; save one frame or page as a picture.")
    image.load()
    return _to_rgb(_upright(image), kind, image, shown)


def _has_more_pages(data: bytes, kind: ImageFormat, image: Image.Image) -> bool:
    if kind.plugin == "JPEG":
        return False  # cameras append a preview or a second view; the first picture counts
    if kind.plugin != "TIFF":
        return int(getattr(image, "n_frames", 1)) > 1
    with contextlib.suppress(EOFError):  # n_frames would read all pages of a hostile file
        _open(data, kind).seek(1)
        return True
    return False


def _upright(image: Image.Image) -> Image.Image:
    """Rotate the picture according to its EXIF data, if that is readable."""
    turn = None
    with contextlib.suppress(Exception):
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, kind: ImageFormat, opened: Image.Image, shown: str) -> Image.Image:
    """Convert any mode to plain RGB without metadata; ``opened`` still has the file's tags."""
    transparent = opened.info.get("transparency")
    if image.mode.startswith("I;16"):
        return _from_16_bit(image, opened, transparent)
    if image.mode in ("F", "I"):
        raise BadImage(
            f"{shown} holds numbers without a fixed range (floating point or 32-bit integers); "
            "save it with 8 or 16 bits per channel."
        )
    if image.mode == "CMYK" and kind.plugin == "JPEG" and "adobe" not in opened.info:
        # Adobe stores inverted ink and leaves its marker; Pillow treats every CMYK JPEG as Adobe's.
        image = Image.fromarray(255 - np.asarray(image), "CMYK")
    if image.has_transparency_data:
        on_white = Image.new("RGBA", image.size, "white")
        on_white.alpha_composite(image.convert("RGBA"))
        image = on_white
    rgb = image.convert("RGB")
    return Image.frombytes("RGB", rgb.size, rgb.tobytes())  # drops EXIF, profile and file handle


def _from_16_bit(image: Image.Image, opened: Image.Image, transparent: object) -> Image.Image:
    values = np.asarray(image).astype(np.uint32)
    tags = getattr(opened, "tag_v2", {})
    bits = tags.get(_BITS, (16,))
    top = (1 << min(int(bits[0] if isinstance(bits, tuple) else bits), 16)) - 1  # 12-bit TIFFs also come here
    grey = np.minimum((values * 255 + top // 2) // top, 255).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero: Pillow inverts 8-bit pictures of this kind, not 16-bit ones
        grey = 255 - grey
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return Image.fromarray(grey, "L").convert("RGB")


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
