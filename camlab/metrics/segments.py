"""Segments of a picture, and the mean of a map over each segment."""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.metrics.pixels import DECIMALS, Floats, bilinear_weights

Labels = NDArray[np.int32]
#: Bytes of cached pooling matrices. One has n × h·w numbers: 20 kB on a 7 × 7 map, megabytes on early layers.
MATRICES = 32 * 2**20
SegmentFn = Callable[[Floats, Mapping[str, float]], NDArray[np.integer]]


@dataclass(frozen=True)
class Parameter:
    """One setting of a segmentation: its default, its range (both ends included) and its step."""

    name: str
    title: str
    default: float
    low: float
    high: float
    step: float
    help: str

    @property
    def whole(self) -> bool:
        """Whether the setting takes only whole numbers."""
        return float(self.step).is_integer() and float(self.default).is_integer()


@dataclass(frozen=True)
class Segmentation:
    """A method of cutting a picture into segments."""

    name: str
    title: str
    summary: str
    parameters: tuple[Parameter, ...]
    apply: SegmentFn


SEGMENTATIONS: Registry[Segmentation] = Registry("segmentation")


def segmentation(
    name: str, title: str, summary: str, parameters: tuple[Parameter, ...]
) -> Callable[[SegmentFn], SegmentFn]:
    """Register the decorated function as a segmentation."""
    return SEGMENTATIONS.adding(name, lambda apply: Segmentation(name, title, summary, parameters, apply))


@segmentation(
    "quickshift",
    "Quickshift superpixels",
    "Groups neighbouring pixels of similar colour; segments differ in size and follow the edges.",
    (
        Parameter(
            "kernel_size",
            "Kernel size",
            4,
            1,
            12,
            1,
            "Smoothing in pixels; larger values give fewer segments.",
        ),
        Parameter("max_dist", "Largest distance", 200, 1, 500, 1, "Largest jump; larger values give fewer segments."),
        Parameter("ratio", "Colour versus position", 0.2, 0.0, 1.0, 0.05, "Weight of colour versus position."),
        Parameter("rng", "Seed", 42, 0, 9999, 1, "Seed of the random numbers that break exact ties."),
    ),
)
def _quickshift(image: Floats, settings: Mapping[str, float]) -> NDArray[np.integer]:
    from skimage import segmentation as skimage

    # Any: scikit-image's signatures carry no types.
    quickshift: Any = skimage.quickshift
    labels: NDArray[np.integer] = quickshift(
        image,
        kernel_size=settings["kernel_size"],
        max_dist=settings["max_dist"],
        ratio=settings["ratio"],
        rng=int(settings["rng"]),
    )
    return labels


@segmentation(
    "slic",
    "SLIC superpixels",
    "Cuts the picture into patches of about the same size that follow the edges.",
    (
        Parameter("n_segments", "Number of segments", 50, 4, 400, 1, "A target: there may be fewer."),
        Parameter("compactness", "Compactness", 10.0, 0.1, 100.0, 0.1, "Higher values give squarer segments."),
    ),
)
def _slic(image: Floats, settings: Mapping[str, float]) -> NDArray[np.integer]:
    from skimage import segmentation as skimage

    slic: Any = skimage.slic
    labels: NDArray[np.integer] = slic(
        image, n_segments=int(settings["n_segments"]), compactness=settings["compactness"], start_label=0
    )
    return labels


@segmentation(
    "cells",
    "Regular cells",
    "Cuts the picture into a regular grid, whatever it shows.",
    (
        Parameter("rows", "Rows", 7, 1, 64, 1, "Cells from top to bottom."),
        Parameter("cols", "Columns", 7, 1, 64, 1, "Cells from left to right."),
    ),
)
def _cells(image: Floats, settings: Mapping[str, float]) -> NDArray[np.integer]:
    height, width = image.shape[:2]
    rows, cols = int(settings["rows"]), int(settings["cols"])
    if rows > height or cols > width:
        raise BadSetting(
            f"A picture of {height}×{width} pixels has no room for {rows}×{cols} cells; choose fewer cells."
        )
    down = np.arange(height) * rows // height
    across = np.arange(width) * cols // width
    return np.asarray(down[:, None] * cols + across[None, :])


def segment(image: NDArray[np.floating], name: str = "quickshift", **parameters: float) -> Labels:
    """Cut a picture into segments.

    image: (H, W, 3), RGB in [0, 1]. Returns int32 labels (H, W), contiguous from 0. Parameters left out
    take their defaults. Raises UnknownName for a segmentation and BadSetting for a parameter or a picture
    that cannot be used. Sources: quickshift, Vedaldi and Soatto 2008; SLIC, Achanta et al. 2012.
    """
    entry = SEGMENTATIONS[name]
    known = {parameter.name: parameter for parameter in entry.parameters}
    settings = {parameter.name: parameter.default for parameter in entry.parameters}
    for key, value in parameters.items():
        if key not in known:
            raise BadSetting(f"{entry.title} has no setting {key!r}; choose one of: {', '.join(known)}.")
        limits = known[key]
        # "not (low <= value)" also refuses NaN.
        if not limits.low <= value <= limits.high:
            raise BadSetting(
                f"{entry.title}: {limits.title.lower()} must lie between {limits.low:g} and "
                f"{limits.high:g}, not {value:g}."
            )
        if limits.whole and not float(value).is_integer():
            raise BadSetting(f"{entry.title}: {limits.title.lower()} must be a whole number, not {value:g}.")
        settings[key] = int(value) if limits.whole else float(value)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise BadSetting(f"A picture to be cut into segments has shape (height, width, 3), not {image.shape}.")
    # Always float64: in float32 quickshift gives different segments, in flat pictures several times as many.
    labels = entry.apply(np.ascontiguousarray(image, dtype=np.float64), settings)
    # Libraries may skip numbers, but all code here relies on 0..n-1 without holes.
    _, contiguous = np.unique(labels, return_inverse=True)
    return contiguous.reshape(labels.shape).astype(np.int32)


_matrices: LRUCache[tuple[int, int, int], tuple[weakref.ref[Labels], Floats]] = LRUCache(
    MATRICES, getsizeof=lambda kept: kept[1].nbytes
)
_matrices_lock = threading.Lock()


def kept_matrix(labels: Labels, h: int, w: int) -> Floats:
    """Return `pooling_matrix`, read-only; matrices of read-only labels are cached if they fit."""
    if labels.flags.writeable:
        return pooling_matrix(labels, h, w)
    key = (id(labels), h, w)
    with _matrices_lock:
        owner, matrix = _matrices.get(key, (None, None))
    # Python may reuse the id of a deleted array.
    if owner is None or matrix is None or owner() is not labels:
        matrix = pooling_matrix(labels, h, w)
        matrix.setflags(write=False)
        with _matrices_lock:
            if matrix.nbytes > MATRICES:
                return matrix
            _matrices[key] = (weakref.ref(labels), matrix)
    return matrix


def pooling_matrix(labels: Labels, h: int, w: int) -> Floats:
    """Return the linear map from a low-resolution map to its segment means.

    labels: (H, W), 0..n-1 without holes. Returns (n, h*w); row s holds each map cell's bilinear weight
    (align_corners=False), averaged over the pixels of segment s, so rows sum to 1. Raises BadSetting for labels with
    holes.
    """
    height, width = labels.shape
    flat = labels.astype(np.int64).ravel()
    pixels = np.bincount(flat) if flat.size and flat.min() >= 0 else np.zeros(1)
    if not pixels.all():
        raise BadSetting("Segment labels must count up from 0 without holes; cut the picture again.")
    n = len(pixels)
    down, across = bilinear_weights(height, h), bilinear_weights(width, w)
    # A pixel depends on at most two rows and two columns of the map: four weighted counts give the whole matrix.
    row, row_next, row_share = _two_weights(down)
    col, col_next, col_share = _two_weights(across)
    total = np.zeros(n * h * w)
    for rows, row_weight in ((row, 1.0 - row_share), (row_next, row_share)):
        for cols, col_weight in ((col, 1.0 - col_share), (col_next, col_share)):
            cell = flat.reshape(height, width) * (h * w) + rows[:, None] * w + cols[None, :]
            weight = row_weight[:, None] * col_weight[None, :]
            total += np.bincount(cell.ravel(), weight.ravel(), minlength=n * h * w)
    pooled: Floats = total.reshape(n, h * w) / pixels[:, None]
    return pooled


def _two_weights(weights: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return for each row of a bilinear matrix its first cell, the next one, and the weight of the next one."""
    first = np.argmax(weights > 0, axis=1)
    after = np.minimum(first + 1, weights.shape[1] - 1)
    share = np.where(after > first, weights[np.arange(len(weights)), after], 0.0)
    return first, after, share


def pool(maps: NDArray[np.floating], matrix: Floats) -> Floats:
    """Return segment means (N, n), rounded to 1e-6, of maps (N, h, w) through a pooling matrix (n, h*w)."""
    flat = maps.reshape(len(maps), -1).astype(np.float64, copy=False)
    # einsum without BLAS keeps a row's value independent of the batch it comes in.
    means: Floats = np.round(np.einsum("nc,sc->ns", flat, matrix, optimize=False), DECIMALS)
    return means


def segment_means(maps: NDArray[np.floating], labels: Labels) -> Floats:
    """Return the mean map value of every segment.

    maps: (N, h, w), at the layer's own resolution; labels: (H, W). Returns (N, n), rounded to 1e-6, so that
    equal values are ties. The means are those of the maps upsampled to (H, W), without upsampling them.
    """
    if maps.ndim != 3:
        raise BadSetting(f"Maps need the shape (number, height, width), not {maps.shape}.")
    return pool(maps, pooling_matrix(labels, maps.shape[1], maps.shape[2]))
