"""Digital noise: resizing and compression. Levels and rules are ImageNet-C's (arXiv 1903.12261)."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from camlab.noise.base import Pixels, Streams, each_picture, noise_type


@noise_type(
    "pixelate",
    title="Pixelation",
    family="Digital",
    summary="Shrinks the picture and enlarges it again into visible blocks.",
    parameters=("remaining side",),
    levels=((1.0,), (0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    stochastic=False,
)
def pixelate(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Shrink to ⌊side·c⌋ pixels and enlarge back, both by Pillow's box filter, in floating point.

    The number of blocks is whole, so the slider jumps from grid to grid; a blend would show neither grid.
    """
    return each_picture(x, parameters, streams, _pixelate)


def _pixelate(picture: Pixels, _: np.random.Generator, share: float) -> Pixels:
    height, width = picture.shape[1:]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    box = Image.Resampling.BOX
    return np.stack(
        [np.asarray(Image.fromarray(plane).resize(small, box).resize((width, height), box)) for plane in picture]
    )


@noise_type(
    "jpeg_compression",
    title="JPEG compression",
    family="Digital",
    summary="Saves the picture as a small JPEG file and reads it back.",
    parameters=("quality",),
    levels=((100.0,), (25.0,), (18.0,), (15.0,), (10.0,), (7.0,)),
    stochastic=False,
)
def jpeg_compression(x: Tensor, parameters: Tensor, streams: Streams) -> Tensor:
    """Encode as JPEG at the quality, rounded to a whole number, with Pillow's default subsampling (4:2:0).

    The codec takes bytes, so the picture is rounded to 256 levels first, except at severity 0.
    """
    return each_picture(x, parameters, streams, _jpeg)


def _jpeg(picture: Pixels, _: np.random.Generator, quality: float) -> NDArray[np.float32]:
    pixels = np.rint(picture.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=math.floor(quality + 0.5))
    decoded = np.asarray(Image.open(buffer), dtype=np.float32)
    return decoded.transpose(2, 0, 1) / np.float32(255)
