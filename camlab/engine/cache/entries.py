"""The arrays that can be cached, and their bytes on disk."""

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class StoredType:
    """A storable number type: its valid values, its code on disk, whether it is compressed."""

    dtype: np.dtype[Any]
    holds: Callable[[np.ndarray], bool]
    code: bytes
    deflated: bool


STORED_TYPES: dict[np.dtype[Any], StoredType] = {
    kind.dtype: kind
    for kind in (
        # Maps and probabilities; NaN fails both comparisons. They hardly compress.
        StoredType(np.dtype(np.float32), lambda a: bool(((a >= 0) & (a <= 1)).all()), b"f", False),
        # Labels of segments: long runs of equal numbers, which shrink a hundredfold.
        StoredType(np.dtype(np.int32), lambda a: bool((a >= 0).all()), b"i", True),
    )
}


def sound(value: np.ndarray) -> bool:
    """Return whether an array can be stored: float32 in [0, 1] or int32 ≥ 0, of any shape."""
    kind = STORED_TYPES.get(value.dtype)
    return kind is not None and kind.holds(value)


_MAGIC = b"CLa1"
_DIGEST = 16
_BY_CODE = {kind.code: kind for kind in STORED_TYPES.values()}


def pack(key: str, value: np.ndarray) -> bytes:
    """Encode a sound array: digest of the key and the rest, magic number, type, shape, little-endian numbers."""
    kind = STORED_TYPES[value.dtype]
    head = _MAGIC + kind.code + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
    body = value.astype(value.dtype.newbyteorder("<")).tobytes()
    rest = head + (zlib.compress(body, 1) if kind.deflated else body)
    return _digest(key, rest) + rest


def unpack(key: str, data: object) -> np.ndarray | None:
    """Decode the bytes that `pack` made under this key to a read-only array; None for any other bytes."""
    if not isinstance(data, bytes) or len(data) < _DIGEST + len(_MAGIC) + 2:
        return None
    rest = data[_DIGEST:]
    if data[:_DIGEST] != _digest(key, rest) or not rest.startswith(_MAGIC):
        return None
    # The digest matches, so the bytes come from `pack`, but perhaps from another version of it.
    try:
        kind, dimensions = _BY_CODE[rest[4:5]], rest[5]
        start = 6 + 4 * dimensions
        shape = struct.unpack(f"<{dimensions}I", rest[6:start])
        size = math.prod(shape) * kind.dtype.itemsize
        body = rest[start:]
        if kind.deflated:
            body = zlib.decompressobj().decompress(body, size + 1)
        if len(body) != size:
            return None
        array = np.frombuffer(body, kind.dtype.newbyteorder("<")).reshape(shape).astype(kind.dtype)
    except (KeyError, struct.error, zlib.error, ValueError, OverflowError):
        return None
    array.setflags(write=False)
    return array if sound(array) else None


def _digest(key: str, rest: bytes) -> bytes:
    # The key is included, so that an entry stored under another key is detected like a flipped bit.
    return hashlib.blake2b(key.encode() + b"\0" + rest, digest_size=_DIGEST).digest()
