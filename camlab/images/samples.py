"""Turn the stored values of a picture into RGB: one rule for all formats that this package unpacks itself.

Values are unsigned and of up to 16 bits. They are scaled to 0 … 255 and rounded once, after colours are converted and
transparent pixels are blended with white.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camlab.common.errors import BadImage

Values = NDArray[np.unsignedinteger]
Shares = NDArray[np.floating]  # values in [0, 1], or just outside

#: Depths of cameras and microscopes whose values are often stored in files of 16 bits without being scaled.
DEPTHS = (8, 10, 12, 14)

_BAND = 1 << 20  # pixels converted at a time: bounds the memory of the intermediate results


@dataclass(frozen=True)
class Colours:
    """One meaning of a pixel's values: their number, and their conversion from (…, count) to (…, 3), both in [0, 1].

    ``apart``: whether each value decides one brightness alone, so that a table can convert them.
    """

    count: int
    to_rgb: Callable[[Shares], Shares]
    apart: bool = False


def _ycbcr(shares: Shares) -> Shares:
    """Convert by ITU-R BT.601, the default of TIFF."""
    y, blue, red = shares[..., 0], shares[..., 1] - 128 / 255, shares[..., 2] - 128 / 255
    return np.stack([y + 1.402 * red, y - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587, y + 1.772 * blue], -1)


COLOURS = {
    "grey": Colours(1, lambda shares: np.repeat(shares, 3, -1), apart=True),
    "inverted grey": Colours(1, lambda shares: np.repeat(1 - shares, 3, -1), apart=True),
    "RGB": Colours(3, lambda shares: shares, apart=True),
    "CMYK": Colours(4, lambda shares: (1 - shares[..., :3]) * (1 - shares[..., 3:])),
    "YCbCr": Colours(3, _ycbcr),
}


@dataclass(frozen=True)
class StoredValues:
    """A picture's values (height, width, channels) in 0 … 2 ** ``bits`` − 1: those of ``colours``, then perhaps alpha.

    ``alpha``: whether it is there; ``multiplied``: whether the colours are already multiplied by it (associated alpha).
    ``key``: the colour whose pixels are transparent.
    """

    values: Values
    bits: int
    colours: str
    alpha: bool = False
    multiplied: bool = False
    key: tuple[int, ...] | None = None

    @property
    def narrow(self) -> int | None:
        """The least of DEPTHS that holds all values of a 16-bit picture; None if it uses more, or is black."""
        if self.bits != 16:
            return None
        used = int(self.values[..., : COLOURS[self.colours].count].max()).bit_length()
        return next((depth for depth in DEPTHS if 0 < used <= depth), None)

    def image(self, bits: int, shown: str) -> Image.Image:
        """Convert to RGB, reading the values as numbers of ``bits`` bits. Raises BadImage if one is larger."""
        top = (1 << bits) - 1
        most = int(self.values[..., : COLOURS[self.colours].count].max())
        if most > top:
            raise BadImage(
                f"{shown} holds values up to {most:,}, more than {bits} bits can ({top:,}); "
                f"read them as {most.bit_length()} bits or more."
            )
        height, width, channels = self.values.shape
        # A camera's 12 bits of colour come with an alpha channel of 12 bits, or of all 16.
        opaque = top if not self.alpha or int(self.values[..., -1].max()) <= top else (1 << self.bits) - 1
        rgb = np.empty((height, width, 3), np.uint8)
        if COLOURS[self.colours].apart and not self.alpha and self.key is None:
            every = np.repeat(np.arange(top + 1, dtype=np.uint16)[:, None], channels, axis=1)
            rgb[...] = self._band(every, top, top)[:, 0][self.values]
        else:
            rows = max(1, _BAND // width)
            for start in range(0, height, rows):
                rgb[start : start + rows] = self._band(self.values[start : start + rows], top, opaque)
        return Image.frombytes("RGB", (width, height), rgb.tobytes())

    def _band(self, values: Values, top: int, opaque: int) -> NDArray[np.uint8]:
        """Convert (…, channels) to (…, 3); single precision decides the rounding of 8 bits, as no value is a tie."""
        kind: type[np.floating] = np.float32 if self.bits <= 8 else np.float64
        colours = COLOURS[self.colours]
        shares: Shares = values[..., : colours.count].astype(kind)
        rgb = colours.to_rgb(shares / top)
        if self.alpha:
            alpha: Shares = values[..., colours.count :].astype(kind) / opaque
            rgb = (rgb if self.multiplied else rgb * alpha) + (1 - alpha)
        if self.key is not None:
            rgb[(values[..., : colours.count] == self.key).all(-1)] = 1
        scaled: NDArray[np.uint8] = np.floor(rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)
        return scaled
