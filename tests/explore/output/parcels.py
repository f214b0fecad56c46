"""Read parcels of frames as the browser does."""

import json
import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.explore.output.frames import LEVELS, MAGIC, PREFIX


def restore(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Decode what `quantise` encoded, to within half of 1/65535. Raises BadSetting for another size."""
    if len(data) != 2 * int(np.prod(shape)):
        raise BadSetting(f"{len(data)} bytes cannot hold values of shape {shape}; send the map again.")
    return np.frombuffer(data, "<u2").reshape(shape) / LEVELS


def unpack(data: bytes) -> tuple[str, int, dict[str, Any], list[bytes]]:
    """Unpack strip, parcel, header and blobs. Raises BadSetting for damaged or other data."""
    try:
        magic, strip, parcel, _, length = PREFIX.unpack_from(data)
        header = json.loads(data[PREFIX.size : PREFIX.size + length])
        lengths = [int(n) for n in header.pop("blobs")]
    except (struct.error, ValueError, KeyError, AttributeError, TypeError):
        raise BadSetting("These bytes are not a parcel of frames; send it again.") from None
    start = PREFIX.size + length
    if magic != MAGIC or min(lengths, default=0) < 0 or len(data) != start + sum(lengths):
        raise BadSetting("This parcel of frames is damaged; send it again.")
    ends = np.cumsum([start, *lengths]).tolist()
    return strip.decode(), parcel, header, [data[a:b] for a, b in pairwise(ends)]
