"""Read BMP files whose pixels are cut into colours by bit masks, such as 5-6-5; Pillow knows a few masks only.

Pillow reads all other BMP files.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from camlab.images.samples import StoredValues

_FIELDS = struct.Struct("<IiiHHI")  # header size, width, height, planes, bits, compression: from byte 14 on
_CORE = struct.Struct("<IHHHH")  # the same of the oldest header, without a compression
_CORE_SIZE = 12
_MASKS = 54  # where the masks stand, in every version of the header
_PLAIN, _RUNS_8, _RUNS_4, _BY_MASKS = range(4)
_WITH_ALPHA = 56  # bytes of the first header that has a mask for alpha
_RGB_555 = (0x7C00, 0x3E0, 0x1F)


def problem(data: bytes) -> str:
    """Return what it is in the file that cannot be read, in words; empty if all can."""
    bits, compression = _stored(data)
    if bits not in (1, 4, 8, 16, 24, 32):
        return f"pixels of {bits} bits"
    if compression not in (_PLAIN, _RUNS_8, _RUNS_4, _BY_MASKS):
        return f"pixels compressed by method {compression}"
    return ""


def masked(data: bytes) -> bool:
    """Return whether bit masks cut the pixels into colours; without masks of its own, 16 bits are cut 5-5-5."""
    bits, compression = _stored(data)
    return (bits == 16 and compression == _PLAIN) or (bits in (16, 32) and compression == _BY_MASKS)


def _stored(data: bytes) -> tuple[int, int]:
    """Return the bits of a pixel and the number of the compression."""
    if int.from_bytes(data[14:18], "little") == _CORE_SIZE:
        return int(_CORE.unpack_from(data, 14)[4]), _PLAIN
    return int(_FIELDS.unpack_from(data, 14)[4]), int(_FIELDS.unpack_from(data, 14)[5])


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height of a file with masks."""
    _, width, height, *_ = _FIELDS.unpack_from(data, 14)
    return width, abs(height)


def read_masked(data: bytes) -> StoredValues:
    """Return the values of a file with masks, scaled to 8 bits. Raises ValueError if pixels are missing."""
    header, width, height, _, bits, compression = _FIELDS.unpack_from(data, 14)
    start = int.from_bytes(data[10:14], "little")
    row = -(-width * bits // 32) * 32 // bits  # rows end at a multiple of four bytes
    pixels = np.frombuffer(data, f"<u{bits // 8}", row * abs(height), start).reshape(abs(height), row)[:, :width]
    masks: tuple[int, ...] = _RGB_555
    if compression == _BY_MASKS:
        masks = struct.unpack_from("<4I" if header >= _WITH_ALPHA else "<3I", data, _MASKS)
    values = np.stack([_cut(pixels, mask) for mask in masks], axis=2)
    # Many programs reserve the bits of an alpha channel and leave them at zero: such a picture is opaque.
    alpha = len(masks) == 4 and bool(masks[3]) and bool(values[..., 3].any())
    values = values[..., : 4 if alpha else 3]
    return StoredValues(values if height < 0 else values[::-1], 8, "RGB", alpha)


def _cut(pixels: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    """Return the bits under a mask, scaled to 0 … 255 and rounded."""
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    found = (pixels.astype(np.uint64) & np.uint64(mask)) >> np.uint64(shift)
    scaled: NDArray[np.uint8] = ((found * np.uint64(510) + np.uint64(top)) // np.uint64(2 * top)).astype(np.uint8)
    return scaled
