"""The severities at which maps break and predictions flip, and the similarity floor of unrelated pictures' maps."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from camlab.metrics.pixels import is_constant
from camlab.metrics.similarity import Comparison, similarity, unit_scale


def breaks_at(
    severities: Sequence[float], mean_similarity: Sequence[float | None], floor: float | None
) -> float | None:
    """Return the severity at which the map breaks, or None.

    That is the first severity whose mean similarity is below (1 + floor)/2 and still is at the next severity; the last
    severity needs no next one. Severities without a value are skipped. mean_similarity and floor are on the scale of
    C (``unit_scale``); None for a floor of None.
    """
    if floor is None:
        return None
    return _first_lasting(severities, mean_similarity, lambda value: value < (1 + floor) / 2)


def flips_at(severities: Sequence[float], flip_rate: Sequence[float | None]) -> float | None:
    """Return the first severity where over half of the draws flip and still do at the next, or None.

    The last severity needs no next one; severities without a value are skipped.
    """
    return _first_lasting(severities, flip_rate, lambda value: value > 0.5)


def other_picture_floor(
    clean_map: NDArray[np.floating],
    other_maps: NDArray[np.floating],
    comparison: Comparison,
    name: str = "rbo",
) -> float | None:
    """Return the mean similarity of a map with the maps of other pictures, on this picture's segments.

    clean_map: (h, w); other_maps: (M, h, w), preferably 20 or more, of the same method and layer. The result is on
    the scale of C (``unit_scale``). Constant maps are left out; None if no map is left.
    """
    others = other_maps[~is_constant(other_maps)] if len(other_maps) else other_maps
    if not len(others) or is_constant(clean_map[None])[0]:
        return None
    values = unit_scale(name, similarity(name, clean_map[None], others, comparison))
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _first_lasting(
    severities: Sequence[float], values: Sequence[float | None], holds: Callable[[float], bool]
) -> float | None:
    known = sorted((s, v) for s, v in zip(severities, values, strict=True) if v is not None and not np.isnan(v))
    states = [holds(value) for _, value in known]
    for i, (severity, _) in enumerate(known):
        if states[i] and (i + 1 == len(states) or states[i + 1]):
            return float(severity)
    return None
