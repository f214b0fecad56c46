"""Read the 16-bit values of a PNG file; Pillow keeps only 8 bits of colours and of grey with alpha.

OpenCV reads all 16. It gets the header and the pixels alone, because its decoder prints warnings about colour profiles
and because no other chunk may change a value. Pillow has read the file before, so it is known to be whole.
"""

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadImage
from camlab.images.samples import StoredValues

_SIGNATURE = 8  # bytes; the depth and the colour type stand at fixed places behind it
_KEPT = (b"IHDR", b"IDAT", b"IEND")
_GREY, _COLOUR, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 4, 6


def depth_of(data: bytes) -> int:
    """Return the bits of each value in a PNG file."""
    return data[24]


def read_deep_png(data: bytes, key: tuple[int, ...] | None) -> StoredValues:
    """Return the values of a 16-bit PNG file; ``key`` is its transparent colour. Raises BadImage if it is damaged."""
    import cv2

    kind = data[25]
    found = cv2.imdecode(np.frombuffer(_pixels_only(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise BadImage("The pixels of this PNG file cannot be read; save it again.")
    channels = {  # of OpenCV's order
        _GREY: [0],
        _GREY_ALPHA: [0, 3],
        _COLOUR: [2, 1, 0],
        _COLOUR_ALPHA: [2, 1, 0, 3],
    }[kind]
    values: NDArray[np.uint16] = found.astype(np.uint16, copy=False).reshape(*found.shape[:2], -1)[..., channels]
    return StoredValues(
        values, 16, "grey" if len(channels) < 3 else "RGB", alpha=kind in (_GREY_ALPHA, _COLOUR_ALPHA), key=key
    )


def _pixels_only(data: bytes) -> bytes:
    kept, at = [data[:_SIGNATURE]], _SIGNATURE
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] in _KEPT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)
