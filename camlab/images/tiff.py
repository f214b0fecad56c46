"""Read the values that a TIFF file stores, in every layout of its specification that holds a picture.

Pillow reads many layouts, but decodes some wrongly without a word (planes of 16 bits, planes with alpha, signed
values) and keeps only 8 of 16 bits of colours. So Pillow's decoders only unpack here: they get the file with another
directory, which calls it grey with 8 bits, each "pixel" one stored byte. This module reads the layout of bits, planes
and colours. Files compressed as JPEG or fax, whose codes describe pixels and not bytes, are left to Pillow.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from camlab.images.samples import COLOURS, StoredValues, Values

MAX_CHANNELS = 8
MAX_STORED = 400 * 10**6  # bytes, unpacked: 50 megapixels of four channels of 16 bits

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 317, 320, 322, 323, 324, 325
_INK_SET, _DOT_RANGE, _EXTRA, _FORMAT, _WEIGHTS, _SUBSAMPLING, _REFERENCE = 332, 336, 338, 339, 529, 530, 532

#: The meaning of the values, by the number in the file.
_MEANINGS = {0: "inverted grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
_OTHER_MEANINGS = {
    4: "a transparency mask",
    9: "ICC L*a*b* colours",
    10: "ITU L*a*b* colours",
    32803: "the raw values of a camera",
    34892: "the raw values of a camera",
    32844: "logarithmic brightness",
    32845: "logarithmic colours",
}
_KINDS = {2: "signed numbers", 3: "floating-point numbers", 5: "complex numbers", 6: "complex numbers"}
_BYTEWISE = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, deflate, PackBits, deflate, LZMA, Zstandard
_FAX = {2, 3, 4, 32771}
_JPEG = 7
_OTHER_COMPRESSIONS = {6: "old-style JPEG", 50001: "WebP", 33003: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC"}
_ALPHA = {1, 2, 999}  # associated, unassociated, Corel's number for the latter


@dataclass(frozen=True)
class TiffLayout:
    """How the first page of a TIFF file stores a picture; ``pages``: whether more pages follow it."""

    width: int
    height: int
    tags: Mapping[int, Any]
    order: str
    pages: bool

    @property
    def orientation(self) -> int:
        """The number of the turn that puts the picture upright, as in EXIF."""
        return self._one(_ORIENTATION, 1)

    @property
    def meaning(self) -> str:
        """What the values are: a name of COLOURS, "palette" or "CIELab"; empty if it is none of these."""
        return _MEANINGS.get(self._one(_PHOTOMETRIC, -1), "")

    @property
    def bits(self) -> int:
        """The bits of each value."""
        return self._all(_BITS, (1,))[0]

    @property
    def channels(self) -> int:
        """The number of values of each pixel."""
        return self._one(_SAMPLES, 1)

    @property
    def coloured(self) -> int:
        """The number of channels that hold colour; the others are extra."""
        counts = {"palette": 1, "CIELab": 3}
        return counts.get(self.meaning) or COLOURS[self.meaning].count

    @property
    def bytewise(self) -> bool:
        """Whether this module unpacks the file; Pillow reads the others."""
        return self._one(_COMPRESSION, 1) in _BYTEWISE

    @property
    def planar(self) -> bool:
        """Whether each channel is stored for itself."""
        return self._one(_PLANAR, 1) == 2 and self.channels > 1

    @property
    def extra(self) -> tuple[int, ...]:
        """The meaning of each extra channel, as stored; an unnamed fourth one beside RGB is alpha, as is the custom."""
        missing = self.channels - self.coloured
        stored = self._all(_EXTRA, ())[:missing]
        if not stored and missing == 1 and self.meaning == "RGB":
            return (2,)
        return stored + (0,) * (missing - len(stored))

    def _one(self, tag: int, default: int) -> int:
        return self._all(tag, (default,))[0]

    def _all(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        return _listed(self.tags.get(tag, default))

    @property
    def problem(self) -> str:
        """What it is that cannot be read, in words; empty if all can."""
        photometric = self._one(_PHOTOMETRIC, -1)
        if not self.meaning:
            return _OTHER_MEANINGS.get(photometric, f"colours of an unknown kind ({photometric})")
        if self.channels > MAX_CHANNELS or self.channels < self.coloured:
            return f"{self.channels} channels"
        kinds = set(self._all(_FORMAT, (1,)))
        depths = set(self._all(_BITS, (1,)))
        if len(kinds) > 1 or len(depths) > 1:
            return "channels of different types"
        if kinds != {1}:
            return _KINDS.get(kinds.pop(), "numbers of an unknown type")
        if not 1 <= self.bits <= 16:
            return f"whole numbers of {self.bits} bits"
        if self.width * self.height * self.channels * self.bits > 8 * MAX_STORED:
            return f"over {MAX_STORED // 10**6} MB of values"
        if self.meaning.endswith("grey") and 0 in self.extra:
            return f"{self.channels} channels without saying what they show"
        return self._compression() or self._colours()

    def _compression(self) -> str:
        compression, bits, channels = self._one(_COMPRESSION, 1), self.bits, self.channels
        if compression in _FAX:
            return "" if (bits, channels) == (1, 1) and "grey" in self.meaning else "colours compressed as a fax"
        if compression == _JPEG:
            usual = self.meaning in ("grey", "RGB", "YCbCr", "CMYK") and channels == self.coloured
            return "" if usual and bits == 8 and not self.planar else "values in an unusual kind of JPEG compression"
        if compression not in _BYTEWISE:
            return f"values compressed by {_OTHER_COMPRESSIONS.get(compression, f'method {compression}')}"
        predictor = self._one(_PREDICTOR, 1)
        if predictor != 1 and (predictor != 2 or bits not in (8, 16)):
            return f"{bits}-bit values with predictor {predictor}"
        return ""

    def _colours(self) -> str:
        if self.meaning == "palette" and (self.bits > 8 or len(self._all(_PALETTE, ())) != 3 << self.bits):
            return f"a palette of {self.bits} bits"
        if self.meaning == "CIELab" and (self.bits != 8 or self.extra):
            return f"{self.bits}-bit CIELab colours" + " with more channels" * bool(self.extra)
        top = (1 << self.bits) - 1
        if self.meaning == "CMYK":
            dots = self._all(_DOT_RANGE, (0, top))
            if self._one(_INK_SET, 1) != 1 or set(dots[::2]) != {0} or set(dots[1::2]) != {top}:
                return "inks other than plain CMYK"
        if self.meaning == "YCbCr" and self.bytewise:
            if self._all(_SUBSAMPLING, (2, 2)) != (1, 1) or self.bits != 8:
                return "YCbCr colours at a lower resolution"
            weights = [float(each) for each in self.tags.get(_WEIGHTS, (0.299, 0.587, 0.114))]
            reference = [float(each) for each in self.tags.get(_REFERENCE, (0, 255, 128, 255, 128, 255))]
            if not np.allclose(weights, (0.299, 0.587, 0.114), atol=1e-3) or reference != [0, 255, 128, 255, 128, 255]:
                return "YCbCr colours with weights or a range of their own"
        return ""


def _listed(found: Any) -> tuple[int, ...]:
    """Return a tag's whole numbers; Pillow gives a single one without its tuple."""
    return tuple(int(each) for each in found) if isinstance(found, tuple) else (int(found),)


def layout_of(data: bytes) -> TiffLayout:
    """Read the first directory of a TIFF file. Raises what Pillow raises for damaged bytes, and ValueError."""
    stream = io.BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(16 if data[2:3] == b"+" else 8))
    stream.seek(tags.next)
    tags.load(stream)
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    return TiffLayout(width, height, dict(tags), "<" if data[:2] == b"II" else ">", 0 < tags.next < len(data))


def read_tiff(data: bytes, layout: TiffLayout, shown: str) -> StoredValues | Image.Image:
    """Return the values of a file whose layout has no problem; for CIELab, the picture. Raises ValueError, OSError."""
    if layout.planar:
        planes = [_unpack(data, layout, plane) for plane in range(layout.channels)]
        values = np.concatenate(planes, axis=2)
    else:
        values = _unpack(data, layout, None)
    colours, bits, meaning = layout.coloured, layout.bits, layout.meaning
    alpha = next((i for i, kind in enumerate(layout.extra) if kind in _ALPHA), None)
    if meaning == "CIELab":
        return Image.frombytes("LAB", (layout.width, layout.height), values.tobytes())
    if alpha is not None:
        values = np.concatenate([values[..., :colours], values[..., [colours + alpha]]], axis=2)
    elif layout.channels > colours:
        values = values[..., :colours]
    multiplied = alpha is not None and layout.extra[alpha] == 1
    if meaning == "palette":
        values, bits, meaning = _through_palette(values, layout), 16, "RGB"
    return StoredValues(values, bits, meaning, alpha is not None, multiplied)


def _through_palette(values: Values, layout: TiffLayout) -> Values:
    """Look the colours up; an alpha channel is scaled to the palette's 16 bits."""
    palette = np.array(layout.tags[_PALETTE], np.uint16).reshape(3, -1).T
    if int(palette.max()) < 256:  # some programs write entries of 8 bits
        palette = palette * np.uint16(257)
    top = (1 << layout.bits) - 1
    alpha = (values[..., 1:].astype(np.uint32) * 65535 // top).astype(np.uint16)
    return np.concatenate([palette[values[..., 0]], alpha], axis=2)


def _unpack(data: bytes, layout: TiffLayout, plane: int | None) -> Values:
    """Return the values of all channels, or of one plane, (height, width, channels)."""
    channels = 1 if plane is not None else layout.channels
    bits, width = layout.bits, layout.width
    raw = _stored_bytes(data, layout, plane, channels)
    if bits in (8, 16):
        kind = np.dtype(np.uint8 if bits == 8 else f"{layout.order}u2")
        values = raw.view(kind).reshape(layout.height, width, channels).astype(kind.newbyteorder("="), copy=False)
    else:
        values = np.empty((layout.height, width, channels), np.uint16)
        step = max(1, (1 << 20) // (width * channels))
        for start in range(0, layout.height, step):
            values[start : start + step] = _numbers(raw[start : start + step], bits, width, channels)
    if layout.tags.get(_PREDICTOR, 1) == 2:
        block = int(layout.tags.get(_TILE_WIDTH, width))
        parts = [values[:, left : left + block] for left in range(0, width, block)]
        values = np.concatenate([np.add.accumulate(part, axis=1, dtype=values.dtype) for part in parts], axis=1)
    return values


def _numbers(raw: NDArray[np.uint8], bits: int, width: int, channels: int) -> Values:
    """Cut rows of bytes into unsigned numbers of so many bits, the highest bit first."""
    every = np.unpackbits(raw, axis=1)[:, : width * channels * bits].reshape(-1, bits)
    padded = np.pad(every, ((0, 0), (16 - bits, 0)))
    return np.packbits(padded, axis=1).view(">u2").reshape(len(raw), width, channels)


def _stored_bytes(data: bytes, layout: TiffLayout, plane: int | None, channels: int) -> NDArray[np.uint8]:
    """Decompress the bytes of all rows, (height, bytes per row), by a directory that calls each byte a grey pixel."""
    tags = layout.tags

    def in_bytes(pixels: int) -> int:
        return -(-pixels * channels * layout.bits // 8)

    compression = int(tags.get(_COMPRESSION, 1))
    told: dict[int, tuple[int, ...]] = {
        _WIDTH: (in_bytes(layout.width),), _HEIGHT: (layout.height,), _BITS: (8,), _PHOTOMETRIC: (1,), _SAMPLES: (1,),
        _COMPRESSION: (compression,), _FILL_ORDER: (int(tags.get(_FILL_ORDER, 1)),),
    }  # fmt: skip
    if _TILE_OFFSETS in tags:
        side, rows, places = int(tags[_TILE_WIDTH]), int(tags[_TILE_HEIGHT]), (_TILE_OFFSETS, _TILE_COUNTS)
        told |= {_TILE_WIDTH: (in_bytes(side),), _TILE_HEIGHT: (rows,)}
        sizes = [in_bytes(side) * rows] * (-(-layout.width // side) * -(-layout.height // rows))
    else:
        rows, places = min(int(tags.get(_ROWS, layout.height)), layout.height), (_OFFSETS, _COUNTS)
        told[_ROWS] = (rows,)
        starts = range(0, layout.height, rows)
        sizes = [in_bytes(layout.width) * min(rows, layout.height - start) for start in starts]
    first = (plane or 0) * len(sizes)
    offsets, counts = (_listed(tags.get(place, ()))[first : first + len(sizes)] for place in places)
    if compression == 1:
        counts = tuple(sizes)  # some programs count wrongly, and nobody notices where nothing is compressed
    told |= dict(zip(places, (offsets, counts), strict=True))
    ends = map(sum, zip(offsets, counts, strict=True))
    if len(offsets) != len(sizes) or max(ends) > len(data):
        raise ValueError("The file does not hold all parts of the picture.")
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(_with_directory(data, told)))
    image.load()
    return np.asarray(image)


def _with_directory(data: bytes, tags: Mapping[int, tuple[int, ...]]) -> bytes:
    """Return the file with another directory at its end; the numbers in it are little-endian, of 32 bits."""
    place = len(data)
    lists = place + 2 + 12 * len(tags) + 4
    entries, outside = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, outside = struct.pack("<I", lists + len(outside)), outside + packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    directory = struct.pack("<H", len(tags)) + entries + bytes(4) + outside
    return b"II*\0" + struct.pack("<I", place) + data[8:] + directory
