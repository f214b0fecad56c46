"""Properties of a model-input picture that may influence the similarity of its maps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LUMA = np.array([0.2125, 0.7154, 0.0721])
"""Luminance of red, green and blue (ITU-R BT.709), as in scikit-image's ``rgb2gray``."""

EDGE_SIGMA, EDGE_LOW, EDGE_HIGH = 1.0, 0.11, 0.27

PropertyFn = Callable[[Floats, Mask | None], float]


@dataclass(frozen=True)
class Property:
    """A property of a picture.

    apply: luminance (H, W) in [0, 1] and the object's mask (H, W) or None -> the value, nan if there is
    none; low, high: its range, high None if it is unbounded in practice.
    """

    name: str
    title: str
    summary: str
    low: float
    high: float | None
    apply: PropertyFn


PROPERTIES: Registry[Property] = Registry("property of a picture")


def picture_property(
    name: str, title: str, summary: str, low: float = 0.0, high: float | None = 1.0
) -> Callable[[PropertyFn], PropertyFn]:
    """Register the decorated function as a property of a picture."""
    return PROPERTIES.adding(name, lambda apply: Property(name, title, summary, low, high, apply))


@picture_property(
    "object_share",
    "Size of the object",
    "Share of the picture that its object covers; not known without a mask.",
)
def _object_share(luminance: Floats, mask: Mask | None) -> float:
    return float("nan") if mask is None else float(mask.mean())


@picture_property(
    "clutter", "Clutter", "Edge density: the share of pixels on an edge. From 0 for an even surface; photographs "
    "have 0.05 to 0.25."
)  # fmt: skip
def _clutter(luminance: Floats, mask: Mask | None) -> float:
    """Compute the share of edge pixels (Mack & Oliva 2004; Rosenholtz, Li & Nakano 2007, Journal of Vision 7(2):17).

    As there, Canny's edges at σ = 1, with thresholds 0.11 and 0.27 of the picture's largest gradient.
    """
    from scipy.ndimage import gaussian_filter, sobel
    from skimage.feature import canny

    # Canny's thresholds are absolute: repeat its smoothing and gradient to find the maximum.
    smooth = gaussian_filter(luminance, EDGE_SIGMA, mode="nearest")
    steepest = float(np.hypot(sobel(smooth, axis=0), sobel(smooth, axis=1)).max())
    # Rounding errors of an even surface are no edges.
    if steepest < 1e-6:
        return 0.0
    low, high = EDGE_LOW * steepest, EDGE_HIGH * steepest
    edges = canny(luminance, EDGE_SIGMA, low, high, mode="nearest")
    return float(edges.mean())


@picture_property(
    "contrast", "Contrast", "RMS contrast: the standard deviation of the luminance. From 0 for an even surface to "
    "0.5 for half black, half white.", high=0.5
)  # fmt: skip
def _contrast(luminance: Floats, mask: Mask | None) -> float:
    """Compute the RMS contrast (Peli 1990, Journal of the Optical Society of America A 7, 2032–2040)."""
    return float(luminance.std())


@picture_property(
    "sharpness", "Sharpness", "Variance of the Laplacian of the luminance: how much the finest detail varies. From "
    "0 for an even surface; blur lowers it.", high=None
)  # fmt: skip
def _sharpness(luminance: Floats, mask: Mask | None) -> float:
    """Compute the variance of the Laplacian (Pech-Pacheco et al. 2000, ICPR): 4-neighbour kernel, mirrored borders."""
    from scipy.ndimage import laplace

    return float(np.var(laplace(luminance, mode="mirror")))


def properties_of(pixels: NDArray[np.floating], mask: Mask | None = None) -> dict[str, float]:
    """Return every property of a model-input picture, by name.

    pixels: (3, H, W) in [0, 1]; mask: (H, W), true on the object, or None. nan if a property needs a mask
    and there is none. Raises BadSetting for other shapes.
    """
    if pixels.ndim != 3 or pixels.shape[0] != 3 or (mask is not None and mask.shape != pixels.shape[1:]):
        shapes = f"{pixels.shape}" + ("" if mask is None else f" with a mask of {mask.shape}")
        raise BadSetting(f"Properties need a picture of shape (3, height, width), not {shapes}.")
    luminance: Floats = np.tensordot(LUMA, np.asarray(pixels, dtype=np.float64), axes=1)
    return {name: entry.apply(luminance, mask) for name, entry in PROPERTIES.items()}
