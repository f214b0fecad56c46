"""Similarity of two maps: one registered function per measure, for batches of pairs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.metrics.pixels import (
    DECIMALS,
    SSIM_RADIUS,
    Floats,
    inner,
    is_constant,
    mean_weights,
    products,
    smoothers,
    top_part,
    top_places,
    upsample,
)
from camlab.metrics.ranking import TIE_VARIANTS, average_ranks, random_ranking_floor, rbo
from camlab.metrics.segments import Labels, kept_matrix, pool

TOP_PART = 5  # the hottest fifth
PIXELS_AT_ONCE = 1 << 18
"""Pixels of upsampled maps processed at once: a dozen arrays of 2 MB stay in a processor's cache."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The input of a measure besides the maps.

    labels: int32 (H, W), segments of the clean picture, 0..n-1; size: (H, W), the model's input size; p and ties:
    RBO's persistence and tie variant. Threads may share it. Raises BadSetting if labels and size do not match or
    p and ties are invalid.
    """

    labels: Labels
    size: tuple[int, int]
    p: float = 0.9
    ties: str = "a"
    _matrices: dict[tuple[int, int], Floats] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.shape != tuple(self.size):
            raise BadSetting(
                f"The segments cover {self.labels.shape} pixels but the model sees {tuple(self.size)}; "
                "cut the picture at the model's input size."
            )
        if not 0.0 < self.p < 1.0:
            raise BadSetting(f"RBO's persistence p must lie strictly between 0 and 1, not {self.p:g}.")
        TIE_VARIANTS[self.ties]

    @property
    def n_segments(self) -> int:
        """The number of segments."""
        return int(self.labels.max()) + 1

    def means(self, maps: NDArray[np.floating]) -> Floats:
        """Return the segment means (N, n), rounded to 1e-6, of maps (N, h, w); the pooling matrix is cached."""
        shape = (maps.shape[1], maps.shape[2])
        if shape not in self._matrices:
            self._matrices[shape] = kept_matrix(self.labels, *shape)
        return pool(maps, self._matrices[shape])


SimilarityFn = Callable[[Floats, Floats, Comparison], Floats]


@dataclass(frozen=True)
class Similarity:
    """A measure of the similarity of two maps.

    low, high: its range on maps in [0, 1]; identical: its value for two identical, non-constant maps (``summary``
    states further conditions); apply: (N, h, w), (N, h, w), Comparison -> (N,), nan where undefined. One side may hold
    a single map, which is compared with all maps of the other. random_floor: the mean value for two independent
    random rankings, if a formula exists.
    """

    name: str
    title: str
    summary: str
    low: float
    high: float
    identical: float
    apply: SimilarityFn
    random_floor: Callable[[Comparison], float] | None = None

    @property
    def scored_title(self) -> str:
        """The name of the value that C, R and RM use: if the range is [−1, 1], (1 + v) / 2 of it."""
        return self.title + (", as (1 + v) / 2" if self.low < 0 else "")


SIMILARITIES: Registry[Similarity] = Registry("similarity measure")


def similarity_measure(
    name: str,
    title: str,
    summary: str,
    low: float,
    high: float = 1.0,
    identical: float = 1.0,
    random_floor: Callable[[Comparison], float] | None = None,
) -> Callable[[SimilarityFn], SimilarityFn]:
    """Register the decorated function as a similarity measure."""
    return SIMILARITIES.adding(
        name, lambda apply: Similarity(name, title, summary, low, high, identical, apply, random_floor)
    )


@similarity_measure(
    "rbo",
    "Rank-biased overlap (RBO)",
    "Do both maps rank the segments alike, the top ones counting most? From 0 to 1; identical maps give 1, "
    "less where segments tie.",
    low=0.0,
    random_floor=lambda comparison: random_ranking_floor(comparison.n_segments, comparison.p),
)
def _rbo(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    return rbo(comparison.means(a), comparison.means(b), p=comparison.p, ties=comparison.ties)


@similarity_measure(
    "spearman",
    "Spearman's ρ",
    "Correlation of the two rankings of the segments, all ranks counting alike. From −1 to 1; identical "
    "maps give 1; undefined where all segments of a map tie.",
    low=-1.0,
)
def _spearman(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    x, y = average_ranks(comparison.means(a)), average_ranks(comparison.means(b))
    middle = (x.shape[1] + 1) / 2
    x, y = x - middle, y - middle
    return _ratio(np.sum(x * y, axis=1), np.sum(x * x, axis=1), np.sum(y * y, axis=1))


@similarity_measure(
    "ssim",
    "Structural similarity (SSIM)",
    "Mean local agreement of level, contrast and pattern (Gaussian window, σ 1.5). From −1 to 1; identical "
    "maps give 1.",
    low=-1.0,
)
def _ssim(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    """Wang et al. 2004, eq. 13, averaged where the 11-pixel window fits; nan for pictures smaller than it.

    The upsampled map is bilinear, so the products that SSIM smooths are sums of products of neighbouring cells.
    Smoothing therefore acts on small matrices, and two thin matrix products fill the pixel grid.
    """
    height, width = comparison.size
    if min(height, width) < 2 * SSIM_RADIUS + 1:
        return np.full(max(len(a), len(b)), np.nan)
    down, down_square = smoothers(height, a.shape[1])
    across, across_square = smoothers(width, a.shape[2])

    def spread(small: Floats, rows: Floats, cols: Floats) -> Floats:
        spread_out: Floats = np.matmul(np.matmul(rows, small), cols.T)
        return spread_out

    mean_a, mean_b = spread(a, down, across), spread(b, down, across)
    var_a = spread(products(a, a), down_square, across_square) - mean_a * mean_a
    var_b = spread(products(b, b), down_square, across_square) - mean_b * mean_b
    covariance = spread(products(a, b), down_square, across_square) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    value /= (mean_a * mean_a + mean_b * mean_b + c1) * (var_a + var_b + c2)
    result: Floats = value.mean(axis=(1, 2))
    return result


@similarity_measure(
    "pearson",
    "Pearson's r",
    "Linear correlation of the two maps, pixel by pixel. From −1 to 1; identical maps give 1; undefined "
    "for a constant map.",
    low=-1.0,
)
def _pearson(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    size = comparison.size
    weight = mean_weights(size, a.shape[1:])
    # Subtracting the mean before the product keeps nearly constant maps precise; upsampling preserves constants.
    x = a - np.sum(a * weight, axis=(1, 2), keepdims=True)
    y = b - np.sum(b * weight, axis=(1, 2), keepdims=True)
    value = _ratio(inner(x, y, size), inner(x, x, size), inner(y, y, size))
    return np.where(is_constant(a) | is_constant(b), np.nan, value)


@similarity_measure(
    "cosine",
    "Cosine similarity",
    "Cosine of the angle between the two maps, pixel by pixel. From 0 to 1, as maps hold no negative value; "
    "identical maps give 1; undefined for an empty map.",
    low=0.0,
)
def _cosine(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    size = comparison.size
    return _ratio(inner(a, b, size), inner(a, a, size), inner(b, b, size))


@similarity_measure(
    "iou_top20",
    "Overlap of the top 20 %",
    "Shared area of the hottest 20 % of both maps, divided by their joint area. From 0 to 1; identical maps give 1.",
    low=0.0,
)
def _iou_top20(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    x, y = (top_part(maps, comparison.size, TOP_PART) for maps in (a, b))
    shared = x.shared(y)
    # Both parts have the same size, so their union is twice that size minus the shared part.
    return shared / (2 * top_places(comparison.size, TOP_PART) - shared)


@similarity_measure(
    "l1",
    "1 − mean absolute difference",
    "One minus the mean absolute difference of the pixels. From 0 to 1; identical maps give 1; two nearly "
    "empty maps come close to 1 too.",
    low=0.0,
)
def _l1(a: Floats, b: Floats, comparison: Comparison) -> Floats:
    # Upsampling is linear, so upsample the difference once instead of both maps.
    result: Floats = 1.0 - np.abs(upsample(a - b, comparison.size)).mean(axis=(1, 2))
    return result


def similarity(
    name: str,
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    comparison: Comparison,
    chunk: int | None = None,
) -> Floats:
    """Compare N pairs of maps.

    name: a measure of SIMILARITIES; a, b: (N, h, w) in [0, 1], at the layer's own resolution (one side may be
    (1, h, w)). Segment measures use the segments' mean values, the others the maps upsampled to the model's input
    size. chunk: pairs processed at once; it does not change the value. Returns raw values (N,), nan where the measure
    is undefined. The caller must leave out pairs with a degenerate map. Raises BadSetting, UnknownName.
    """
    entry = SIMILARITIES[name]
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:] or 0 in a.shape[1:]:
        raise BadSetting(f"Maps to compare need one shape (number, height, width), not {a.shape} and {b.shape}.")
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise BadSetting(f"Maps are compared pair by pair; give equally many, not {len(a)} and {len(b)}.")
    count = min(len(a), len(b)) and max(len(a), len(b))
    x, y = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    rows = max(1, chunk or PIXELS_AT_ONCE // math.prod(comparison.size))
    result = np.empty(count)
    for begin in range(0, count, rows):
        block = slice(begin, begin + rows)
        left, right = (x if len(x) == 1 else x[block]), (y if len(y) == 1 else y[block])
        result[block] = entry.apply(left, right, comparison)
    return result


def rbo_cells(a: NDArray[np.floating], b: NDArray[np.floating], p: float = 0.9, ties: str = "a") -> Floats:
    """Compute the RBO of the rankings of the maps' own cells, without segments.

    a, b: (N, h, w) or (1, h, w); values are rounded to 1e-6 before ranking. Returns (N,) in [0, 1].
    """
    x = np.round(a.reshape(len(a), -1).astype(np.float64), DECIMALS)
    y = np.round(b.reshape(len(b), -1).astype(np.float64), DECIMALS)
    return rbo(x, y, p=p, ties=ties)


def unit_scale(name: str, values: NDArray[np.floating]) -> Floats:
    """Convert raw values to the scale of C, R and RM: (1 + v)/2 if a measure ranges from −1 to 1, else v."""
    raw = np.asarray(values, dtype=np.float64)
    return (1.0 + raw) / 2 if SIMILARITIES[name].low == -1.0 else raw


def _ratio(product: Floats, square_a: Floats, square_b: Floats) -> Floats:
    """Return product / √(square_a·square_b) in [−1, 1]; nan where a square is 0."""
    scale = np.sqrt(square_a) * np.sqrt(square_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Floats = np.clip(np.where(scale > 0, product / scale, np.nan), -1.0, 1.0)
    return value
