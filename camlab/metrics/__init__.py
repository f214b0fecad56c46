"""Segments, rankings, similarity of maps, and C, R and RM with intervals, floors and warnings.

``similarity`` and ``robustness`` are functions here; reach the modules of these names with ``from … import name``.
"""

from camlab.metrics.assess import Robustness
from camlab.metrics.intervals import Interval
from camlab.metrics.landmarks import breaks_at, flips_at, other_picture_floor
from camlab.metrics.pixels import upsample
from camlab.metrics.ranking import TIE_VARIANTS, floor_corrected, random_ranking_floor, rbo, rbo_lists
from camlab.metrics.robustness import macro, robustness, same_pictures, stratified
from camlab.metrics.segments import (
    SEGMENTATIONS,
    Parameter,
    Segmentation,
    pooling_matrix,
    segment,
    segment_means,
)
from camlab.metrics.similarity import SIMILARITIES, Comparison, Similarity, rbo_cells, similarity, unit_scale

__all__ = [
    "SEGMENTATIONS",
    "SIMILARITIES",
    "TIE_VARIANTS",
    "Comparison",
    "Interval",
    "Parameter",
    "Robustness",
    "Segmentation",
    "Similarity",
    "breaks_at",
    "flips_at",
    "floor_corrected",
    "macro",
    "other_picture_floor",
    "pooling_matrix",
    "random_ranking_floor",
    "rbo",
    "rbo_cells",
    "rbo_lists",
    "robustness",
    "same_pictures",
    "segment",
    "segment_means",
    "similarity",
    "stratified",
    "unit_scale",
    "upsample",
]
