"""Prepare pictures of any size as a network's input. Imports torch only to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from camlab.common.errors import BadSetting

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

#: timm's ways to bring a picture to the input's proportions that `Preprocessing` supports.
CROP_MODES = ("center", "squash")
INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos")

# Pictures longer than this many times their shorter side are cut to the middle first; no more of them is used.
_WIDEST = 8


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a picture: resize to side / ``crop_pct``, then crop the centre.

    ``input_size`` is (height, width); ``mean`` and ``std`` are per channel, for values in [0, 1]. ``crop_mode``
    "center" resizes the shorter side to that length and keeps the proportions; "squash" resizes each side, so that
    nothing is cut off if ``crop_pct`` is 1.
    """

    input_size: tuple[int, int]
    crop_pct: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_mode: str = "center"

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read a timm configuration (``model.pretrained_cfg``). Raises BadSetting if it is unsupported."""
        channels, height, width = config["input_size"]
        crop_mode = str(config.get("crop_mode") or "center")
        if channels != 3 or crop_mode not in CROP_MODES:
            raise BadSetting(
                "This model needs another kind of input than a resized and cropped RGB picture; choose another model."
            )
        interpolation = str(config["interpolation"])
        if interpolation not in INTERPOLATIONS:
            raise BadSetting(
                f"This model needs {interpolation!r} resizing, which is not supported; choose another model."
            )
        mean, std = (tuple(float(v) for v in config[key]) for key in ("mean", "std"))
        return cls((height, width), float(config["crop_pct"]), interpolation, mean, std, crop_mode)  # type: ignore[arg-type]

    def apply(self, image: Image.Image) -> Tensor:
        """Convert a picture to a (3, H, W) float32 tensor in [0, 1], mean and std not yet applied."""
        import torch
        from PIL import Image as Pil

        height, width = self.input_size
        picture = image if image.mode == "RGB" else image.convert("RGB")
        if self.crop_mode != "squash":  # squash needs the whole picture
            picture = _middle(picture, max(width / height, height / width))
        # Both sides are rounded down to whole pixels.
        short = int(min(height, width) / self.crop_pct)
        if self.crop_mode == "squash":
            scale_w, scale_h = int(width / self.crop_pct), int(height / self.crop_pct)
        elif height == width:
            scale_w, scale_h = _shorter_side(picture.size, short)
        else:  # a non-square input: cover both sides
            wanted_w, wanted_h = int(width / self.crop_pct), int(height / self.crop_pct)
            ratio = min(picture.height / wanted_h, picture.width / wanted_w)
            scale_w, scale_h = round(picture.width / ratio), round(picture.height / ratio)
        picture = picture.resize((scale_w, scale_h), Pil.Resampling[self.interpolation.upper()])
        left, top = round((scale_w - width) / 2), round((scale_h - height) / 2)
        pixels = np.array(picture.crop((left, top, left + width, top + height)), dtype=np.uint8)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().to(torch.float32) / 255


def _shorter_side(size: tuple[int, int], short: int) -> tuple[int, int]:
    width, height = size
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def _middle(image: Image.Image, aspect: float) -> Image.Image:
    """Return the picture; of a very long one only the middle, as resizing all of it could take gigabytes."""
    width, height = image.size
    limit = int(min(width, height) * _WIDEST * aspect)
    cut_w, cut_h = (max(0, side - limit) // 2 for side in (width, height))
    return image.crop((cut_w, cut_h, width - cut_w, height - cut_h)) if cut_w or cut_h else image


class Normalising(Protocol):
    """The part of a classifier that applies its mean and standard deviation."""

    def normalise(self, x: Tensor) -> Tensor:
        """Return (x − mean) / std, per channel."""
        ...


def scale_and_shift(classifier: Normalising, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return a and b, each (1, 3, 1, 1), of ``normalise(x) = a · x + b``, on the device of the pictures."""
    black = pictures.new_zeros((1, pictures.shape[1], 1, 1))
    shift = classifier.normalise(black).to(pictures)
    return classifier.normalise(black + 1).to(pictures) - shift, shift


def mean_colour(classifier: Normalising, pictures: Tensor) -> Tensor:
    """Return the colour (1, 3, 1, 1) in [0, 1] that normalises to zero."""
    scale, shift = scale_and_shift(classifier, pictures)
    return -shift / scale
