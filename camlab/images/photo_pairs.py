"""Pairs of a clean and a noisy photograph of one scene: another camera setting, a scan, rain.

The noisy picture is resized and cropped like the clean one, so that their pixels correspond. The shift between the
two is estimated and reported but never corrected, because maps are compared pixel by pixel.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camlab.common.errors import BadImage
from camlab.common.memo import Memo
from camlab.images.picture import Picture

if TYPE_CHECKING:
    from torch import Tensor

PAIR_NOISE, PAIR_SEVERITY = "captured", 5.0  # a new pair's settings: the noisy picture unchanged
ASPECT_TOLERANCE = 0.01
SHIFT_TOLERANCE = 0.01  # of the shorter side: two pixels of 224
# Pearson r of the band-passed pictures: at most .10 for 45 pairs of different built-in pictures, at least .40 for
# one under any noise type at severity 5 (.23 where patches cover most of the object).
ALIKE = 0.15
COMPANION_BYTES = 512 * 2**20  # of noisy pictures' files that the process keeps

_COMPARED_SIDE = 384  # pixels of the longer side when the two are compared
# Standard deviations in pixels there: noise hides finer structure, fog and lighting change coarser structure.
_FINE, _COARSE = 2.0, 8.0


@dataclass(frozen=True)
class OwnPair:
    """A clean and a noisy picture of the same aspect ratio; their sizes may differ. Made by ``own_pair``."""

    clean: Picture
    noisy: Picture

    @property
    def shift(self) -> tuple[float, float]:
        """The shift (down, right) of the noisy picture's content against the clean one's, in the clean one's pixels."""
        return self._compared[0]

    @property
    def likeness(self) -> float:
        """Pearson r in [−1, 1] of the two pictures in grey, band-passed and aligned; 0 if one is flat."""
        return self._compared[1]

    @property
    def warning(self) -> str | None:
        """One sentence saying why the comparison is doubtful, or None."""
        if self.likeness < ALIKE:
            return (
                f"The two pictures hardly look alike (correlation {self.likeness:.2f}); make sure that they show "
                "the same scene, or read the scores as those of two different pictures."
            )
        down, right = self.shift
        if max(abs(down), abs(right)) <= SHIFT_TOLERANCE * min(self.clean.load().size):
            return None
        places = [
            f"{abs(length):.0f} pixels {way[length > 0]}"
            for length, way in ((down, ("up", "down")), (right, ("left", "right")))
            if abs(length) >= 0.5
        ]
        return (
            f"The noisy picture is shifted by about {' and '.join(places)}; align the two, or a map that follows "
            "the object counts as a map that moved."
        )

    @cached_property
    def _compared(self) -> tuple[tuple[float, float], float]:
        return compare(self.clean.load(), self.noisy.load())


def own_pair(clean: Picture, noisy: Picture) -> OwnPair:
    """Pair two pictures. Raises BadImage if one cannot be read or their aspect ratios differ by over 1 %."""
    (width, height), (noisy_width, noisy_height) = clean.load().size, noisy.load().size
    ratio = (noisy_width * height) / (noisy_height * width)
    if max(ratio, 1 / ratio) > 1 + ASPECT_TOLERANCE:
        raise BadImage(
            f"The clean picture is {width}×{height} pixels and the noisy one {noisy_width}×{noisy_height}: their "
            "aspect ratios differ; crop both to the same part of the scene."
        )
    return OwnPair(clean, noisy)


def compare(clean: Image.Image, noisy: Image.Image) -> tuple[tuple[float, float], float]:
    """Return the shift (down, right) of ``noisy`` against ``clean``, in pixels of ``clean``, and their Pearson r.

    The shift comes from the cross-correlation of the band-passed pictures (Guizar-Sicairos et al., Opt. Lett. 33,
    2008), to about a pixel of the comparison, whose longer side is 384 pixels at most.
    """
    from scipy.ndimage import shift as moved
    from skimage.registration import phase_cross_correlation

    scale = max(1.0, max(clean.size) / _COMPARED_SIDE)
    size = max(1, round(clean.width / scale)), max(1, round(clean.height / scale))
    first, second = (_structure(_at_size(image, size)) for image in (clean, noisy))
    if min(first.std(), second.std()) < 1e-6:
        return (0.0, 0.0), 0.0
    # A taper hides the borders, which are a picture's strongest edges and never move.
    taper = np.outer(np.hanning(size[1] + 2)[1:-1], np.hanning(size[0] + 2)[1:-1])
    found, _, _ = phase_cross_correlation(
        *((each - each.mean()) * taper for each in (first, second)), upsample_factor=10, normalization=None
    )
    back = moved(second, found, order=1, mode="nearest")
    likeness = float(np.corrcoef(first.ravel(), back.ravel())[0, 1])
    down, right = (float(-each) * scale for each in found)
    return (down, right), likeness if np.isfinite(likeness) else 0.0


def _at_size(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _structure(image: Image.Image) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    grey = np.asarray(image.convert("L"), dtype=np.float64)
    band: NDArray[np.float64] = gaussian_filter(grey, _FINE) - gaussian_filter(grey, _COARSE)
    return band


#: The noisy picture and the clean one's size, by the clean one's digest.
_companions: Memo[tuple[Picture, tuple[int, int]]] = Memo(COMPANION_BYTES, lambda found: found[0].held)


def paired(clean: Picture, noisy: Picture) -> Picture:
    """Return the clean picture under a new digest that stands for both files.

    The same photograph alone, or paired with another one, therefore never gets this second picture.
    """
    both = hashlib.blake2b(f"{clean.digest}+{noisy.digest}".encode(), digest_size=16).hexdigest()
    found = dataclasses.replace(
        clean,
        id=f"{clean.image_set}/{both[:12]}",
        title=f"{clean.title} (pair)",
        held=clean.held + noisy.held,
        _decode=None,  # stretched, it would be another picture than the one that was paired
    )
    found.__dict__["digest"] = both
    return found


def set_companion(clean: Picture, noisy: Picture) -> OwnPair:
    """Remember the noisy picture under the clean one's digest, for the whole process, and return the pair.

    The most recently used ones stay, COMPANION_BYTES in all; a new noisy picture replaces the old one of the same
    clean picture. Raises BadImage as ``own_pair`` does, and then remembers nothing.
    """
    pair = own_pair(clean, noisy)
    _companions.put(clean.digest, (noisy, clean.load().size))
    return pair


def forget_companion(digest: str) -> None:
    """Forget the noisy picture of the clean one with this digest, if there is one."""
    _companions.discard(digest)


def companion_of(digest: str) -> Picture | None:
    """Return the noisy picture of the clean one with this digest; None if there is none (any more)."""
    found = _companions.peek(digest)
    return None if found is None else found[0]


def companion_input(digest: str, preprocess: Callable[[Image.Image], Tensor]) -> Tensor | None:
    """Return the noisy picture as a model's input, (3, H, W) in [0, 1], resized and cropped like the clean one.

    ``preprocess`` is the model's; None if there is no second picture. Raises BadImage if its file is missing.
    """
    found = _companions.peek(digest)
    return None if found is None else preprocess(_at_size(found[0].load(), found[1]))
