"""Picture files of every layout, written from their specifications and not with a picture library."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8  # TIFF photometric
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # TIFF sample formats
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # TIFF extra samples


def samples(width: int, height: int, channels: int, bits: int, seed: int = 1) -> np.ndarray:
    """Values over the whole range, (height, width, channels) uint64: black and white are among each channel's."""
    top = (1 << bits) - 1
    drawn = np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype=np.uint64, endpoint=True)
    drawn[0, 0], drawn[-1, -1] = 0, top
    return drawn


def eight_bit(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale unsigned values of so many bits to 0 … 255, rounded half up."""
    top = (1 << bits) - 1
    return ((values.astype(object) * 510 + top) // (2 * top)).astype(np.uint8)


def packed(row: np.ndarray, bits: int, order: str, form: int) -> bytes:
    """One row's values as a file stores them: whole bytes in the file's order, or bits from the highest on."""
    if form == FLOAT:
        return row.astype(f"{order}f{bits // 8}").tobytes()
    if bits in (8, 16, 32, 64):
        return row.astype(np.uint64).astype(f"{order}u{bits // 8}").tobytes()
    text = "".join(f"{int(value):0{bits}b}" for value in row.ravel())
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def packbits(data: bytes) -> bytes:
    """Runs of equal bytes, and the others as they are."""
    out = bytearray()
    for value, group in itertools.groupby(data):
        count = len(list(group))
        while count > 1:
            out += bytes((257 - min(count, 128), value))
            count -= min(count, 128)
        if count:
            out += bytes((0, value))
    return bytes(out)


def lzw(data: bytes) -> bytes:
    """TIFF's LZW: strings from a growing table, the highest bit first."""

    def width() -> int:
        return next(size for size in (9, 10, 11, 12) if next_code <= (1 << size) - 1 or size == 12)

    bits, table, next_code = [f"{256:09b}"], {bytes((value,)): value for value in range(256)}, 258
    seen = b""
    for value in data:
        more = seen + bytes((value,))
        if more in table:
            seen = more
            continue
        bits.append(f"{table[seen]:0{width()}b}")
        table[more], next_code = next_code, next_code + 1
        seen = bytes((value,))
        if next_code >= 4094:
            bits.append(f"{256:0{width()}b}")
            table, next_code = {bytes((each,)): each for each in range(256)}, 258
    if seen:
        bits.append(f"{table[seen]:0{width()}b}")
        next_code += 1
    bits.append(f"{257:0{width()}b}")
    text = "".join(bits)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


COMPRESSIONS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda data: data,
    5: lzw,
    8: zlib.compress,
    32946: zlib.compress,
    32773: packbits,
}


@dataclass(frozen=True)
class Tiff:
    """The layout of a TIFF file: how its values are stored."""

    bits: int = 8
    photometric: int = RGB
    planar: bool = False
    order: str = "<"
    form: int | None = UNSIGNED
    compression: int = 1
    predictor: int = 1
    extra: tuple[int, ...] = ()
    rows: int | None = None  # rows of a strip
    tile: int | None = None  # side of a tile
    reverse: bool = False  # FillOrder 2: the lowest bit first
    orientation: int | None = None
    palette: Sequence[int] = ()
    subsampling: tuple[int, int] | None = None
    big: bool = False
    more: tuple[tuple[int, str, tuple[int, ...]], ...] = ()

    def write(self, values: np.ndarray) -> bytes:
        """The file that holds values of shape (height, width, channels)."""
        height, width, channels = values.shape
        planes = [values[..., [c]] for c in range(channels)] if self.planar else [values]
        blocks = [block for plane in planes for block in self._blocks(plane)]
        compress = COMPRESSIONS[self.compression]
        stored = [compress(self._bytes(block)) for block in blocks]
        if self.reverse:
            stored = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in each) for each in stored]
        count = channels
        tags: dict[int, tuple[str, Sequence[int]]] = {
            256: ("I", (width,)), 257: ("I", (height,)), 258: ("H", (self.bits,) * count),
            259: ("H", (self.compression,)), 262: ("H", (self.photometric,)), 277: ("H", (count,)),
            284: ("H", (2 if self.planar else 1,)),
        }  # fmt: skip
        if self.form is not None:
            tags[339] = ("H", (self.form,) * count)
        if self.predictor != 1:
            tags[317] = ("H", (self.predictor,))
        if self.extra:
            tags[338] = ("H", self.extra)
        if self.reverse:
            tags[266] = ("H", (2,))
        if self.orientation:
            tags[274] = ("H", (self.orientation,))
        if self.palette:
            tags[320] = ("H", self.palette)
        if self.subsampling:
            tags[530] = ("H", self.subsampling)
        tags.update({number: (kind, content) for number, kind, content in self.more})
        if self.tile:
            tags |= {322: ("I", (self.tile,)), 323: ("I", (self.tile,))}
        else:
            tags[278] = ("I", (self.rows or height,))
        return self._file(tags, stored, (324, 325) if self.tile else (273, 279))

    def _blocks(self, plane: np.ndarray) -> list[np.ndarray]:
        height, width, _ = plane.shape
        if not self.tile:
            rows = self.rows or height
            return [plane[top : top + rows] for top in range(0, height, rows)]
        side = self.tile
        padded = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)))
        return [
            padded[top : top + side, left : left + side]
            for top in range(0, padded.shape[0], side)
            for left in range(0, padded.shape[1], side)
        ]

    def _bytes(self, block: np.ndarray) -> bytes:
        if self.predictor == 2:
            modulus = 1 << self.bits
            first = block.astype(np.int64)
            first[:, 1:] -= block.astype(np.int64)[:, :-1]
            block = (first % modulus).astype(np.uint64)
        return b"".join(packed(row.ravel(), self.bits, self.order, self.form or UNSIGNED) for row in block)

    def _file(self, tags: dict[int, tuple[str, Sequence[int]]], stored: list[bytes], places: tuple[int, int]) -> bytes:
        order, word = self.order, "Q" if self.big else "I"
        head = 16 if self.big else 8
        offsets = list(itertools.accumulate([len(each) + len(each) % 2 for each in stored], initial=head))
        tags = tags | {places[0]: ("I", offsets[:-1]), places[1]: ("I", [len(each) for each in stored])}
        body = b"".join(each + b"\0" * (len(each) % 2) for each in stored)
        start = head + len(body)
        entry_size, inline = (20, 8) if self.big else (12, 4)
        after = start + (8 if self.big else 2) + entry_size * len(tags) + struct.calcsize(order + word)
        entries, extra = b"", b""
        for number, (kind, content) in sorted(tags.items()):
            data = struct.pack(f"{order}{len(content)}{kind}", *content)
            if len(data) > inline:
                place = struct.pack(order + word, after + len(extra))
                extra += data + b"\0" * (len(data) % 2)
            else:
                place = data.ljust(inline, b"\0")
            entries += struct.pack(f"{order}HH{word}", number, {"B": 1, "H": 3, "I": 4}[kind], len(content)) + place
        mark = b"II" if order == "<" else b"MM"
        first = struct.pack(order + ("HHHQ" if self.big else "HI"), *((43, 8, 0, start) if self.big else (42, start)))
        count = struct.pack(order + ("Q" if self.big else "H"), len(tags))
        return mark + first + body + count + entries + struct.pack(order + word, 0) + extra


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


GREY, COLOUR, INDEXED, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6  # PNG colour types
CHANNELS = {GREY: 1, COLOUR: 3, INDEXED: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png_file(
    values: np.ndarray, bits: int, colour: int, *chunks: tuple[bytes, bytes], interlaced: bool = False, level: int = 6
) -> bytes:
    """The PNG file that holds values (height, width, channels); ``chunks`` stand before the pixels."""
    height, width, _ = values.shape
    parts = [values[y::down, x::right] for y, x, down, right in PASSES] if interlaced else [values]
    rows = (b"\0" + packed(row.ravel(), bits, ">", UNSIGNED) for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    stream = io.BytesIO()
    stream.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
    for kind, content in chunks:
        stream.write(chunk(kind, content))
    stream.write(chunk(b"IDAT", zlib.compress(b"".join(rows), level)) + chunk(b"IEND", b""))
    return stream.getvalue()


@dataclass(frozen=True)
class Bmp:
    """The layout of a BMP file."""

    bits: int
    compression: int = 0
    masks: tuple[int, ...] = ()
    header: int = 40
    down: bool = False  # rows from the top to the bottom
    palette: np.ndarray | None = None  # (3, entries)

    def write(self, values: np.ndarray) -> bytes:
        """The file that holds whole pixels (height, width), or places in the palette."""
        height, width = values.shape
        colours = b"" if self.palette is None else b"".join(bytes((*each[::-1], 0)) for each in self.palette.T.tolist())
        head = struct.pack(
            "<IiiHHIIiiII", self.header, width, -height if self.down else height, 1, self.bits, self.compression, 0,
            2835, 2835, len(colours) // 4, 0,
        )  # fmt: skip
        fields = struct.pack(f"<{len(self.masks)}I", *self.masks)
        # The oldest header is followed by its masks; the later ones hold them.
        head = head + fields if self.header == 40 else (head + fields).ljust(self.header, b"\0")
        rows = values if self.down else values[::-1]
        body = b"".join(self._row(row) for row in rows)
        start = 14 + len(head) + len(colours)
        return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + colours + body

    def _row(self, row: np.ndarray) -> bytes:
        data = packed(row, self.bits, "<", UNSIGNED) if self.bits != 24 else bytes(3 * len(row))
        return data + bytes(-len(data) % 4)
