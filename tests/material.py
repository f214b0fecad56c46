"""Small picture files and archives, made for a test."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from PIL import Image

Value = TypeVar("Value")


def known(value: Value | None) -> Value:
    """The value, which is there."""
    assert value is not None
    return value


def array(seed: int, width: int = 16, height: int = 12) -> np.ndarray:
    """Random pixels, (height, width, 3) uint8: another seed, another picture."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """The pixels as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def png(seed: int, width: int = 16, height: int = 12) -> bytes:
    """A PNG file of ``array``."""
    return encoded(array(seed, width, height))


def outline(width: int = 16, height: int = 12, white: int = 255) -> np.ndarray:
    """A mask whose left half is the object, (height, width) uint8."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, : width // 2] = white
    return pixels


def zipped(
    files: Mapping[str, bytes] | Mapping[str | zipfile.ZipInfo, bytes],
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """A ZIP archive; an entry's name may be a ZipInfo with whatever is to be odd about it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()
