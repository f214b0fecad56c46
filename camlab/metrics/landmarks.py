"""Points of reference along the severities, and the floor that says how alike unrelated maps are."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from camlab.metrics.pixels import is_constant
from camlab.metrics.similarity import Comparison, similarity, unit_scale


def breaks_at(
    severities: Sequence[float], mean_similarity: Sequence[float | None], floor: float | None
) -> float | None:
    """Return the severity at which the map breaks, or None.

    That is the first severity with mean similarity below halfway between 1 and the floor, (1 + floor)/2,
    that stays below at the next one; the last severity counts when it is below. Severities without a value
    are passed over. mean_similarity and floor on the scale of C (``unit_scale``); floor None: no answer.
    """
    if floor is None:
        return None
    return _first_lasting(severities, mean_similarity, lambda value: value < (1 + floor) / 2)


def flips_at(severities: Sequence[float], flip_rate: Sequence[float | None]) -> float | None:
    """Return the first severity where most draws flip (over one half) and still do at the next, or None.

    The last severity counts when most flip there; severities without a value are passed over.
    """
    return _first_lasting(severities, flip_rate, lambda value: value > 0.5)


def other_picture_floor(
    clean_map: NDArray[np.floating],
    other_maps: NDArray[np.floating],
    comparison: Comparison,
    name: str = "rbo",
) -> float | None:
    """Return the mean similarity of a map with the maps of other pictures, on this picture's segments.

    clean_map: (h, w); other_maps: (M, h, w), best 20 or more, same method and layer; on the scale of C
    (``unit_scale``). Constant maps are left out; None where nothing is left to compare.
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
    known = sorted(
        (s, v) for s, v in zip(severities, values, strict=True) if v is not None and not np.isnan(v)
    )
    states = [holds(value) for _, value in known]
    for i, (severity, _) in enumerate(known):
        if states[i] and (i + 1 == len(states) or states[i + 1]):
            return float(severity)
    return None
