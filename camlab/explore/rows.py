"""Compare versions of a picture with the clean one: predictions, similarities, floors, and causes of a map's move."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.engine.spec import CLEAN, Explained, Spec
from camlab.explore.results import Floors
from camlab.metrics import SIMILARITIES, Comparison, other_picture_floor, similarity
from camlab.models import short_name

Maps = NDArray[np.float32]
Values = NDArray[np.float64]


#: Explains versions of one picture on one layer by methods: one target per version, None for its own prediction.
Explain = Callable[[Sequence[Spec], Sequence[int | None], Sequence[str]], list[Explained]]
#: Compares one map (h, w) with others (N, h, w): (N,), nan where there is no value.
MapSimilarity = Callable[[Maps, Maps], Values]


def predictions(clean: Explained, versions: Sequence[Explained], class_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the columns about predictions, one value per version.

    ``near``: flipped to another of the clean picture's five most probable classes. The values do not depend on
    the CAM method.
    """
    index = np.array([version.index for version in versions], dtype=np.int32)
    flipped = index != clean.index
    return {
        "clean_index": np.full(len(versions), clean.index, dtype=np.int32),
        "clean_prob": np.full(len(versions), clean.probability),
        "perturbed_index": index,
        "perturbed_prob": np.array([version.probability for version in versions], dtype=np.float64),
        "perturbed_label": np.array([short_name(class_names[i]) for i in index], dtype=object),
        "clean_class_prob": np.array([v.probabilities[clean.index] for v in versions], dtype=np.float64),
        "flipped": flipped,
        "near": flipped & np.isin(index, [top for top, _ in clean.top(5)]),
    }


def degenerate_pairs(clean: Maps, others: Maps) -> NDArray[np.bool_]:
    """Flag (N,) the maps of others (N, h, w) that are degenerate (all zeros), or all if the clean one (h, w) is."""
    return np.logical_or(~others.any(axis=(1, 2)), not clean.any())


def similarities(names: Iterable[str], clean: Maps, others: Maps, comparison: Comparison) -> dict[str, Values]:
    """Return raw similarities (N,) of a map (h, w) with others (N, h, w), by measure; nan for degenerate pairs."""
    empty = degenerate_pairs(clean, others)
    return {name: np.where(empty, np.nan, similarity(name, clean[None], others, comparison)) for name in names}


def decompose(
    explain: Explain,
    specs: Sequence[Spec],
    clean: Explained,
    versions: Sequence[Explained],
    methods: Sequence[str],
    compare: MapSimilarity,
) -> dict[str, tuple[Values, Values]]:
    """Return, by method, the similarity to the clean map after changing only the class, and only the noise.

    ``versions`` explain their own predictions. Class only: the clean picture explained for each version's class.
    Noise only: each version explained for the clean picture's class. Both have one value per version.
    """
    flips = [i for i, version in enumerate(versions) if version.index != clean.index]
    classes = sorted({versions[i].index for i in flips})
    place = [classes.index(v.index) + 1 if v.index != clean.index else 0 for v in versions]
    # The map of a method that ignores the class is the same for every class.
    asked = [method for method in methods if CAMS[method].class_specific] if flips else []
    by_class = explain([CLEAN] * len(classes), classes, asked) if asked else []
    noisy = explain([specs[i] for i in flips], [clean.index] * len(flips), asked) if asked else []
    moved = {}
    for method in methods:
        class_only = [clean.maps[method]]
        noise_only = [version.maps[method] for version in versions]
        if method in asked:
            class_only += [explained.maps[method] for explained in by_class]
            for i, explained in zip(flips, noisy, strict=True):
                noise_only[i] = explained.maps[method]
        else:
            class_only *= 1 + len(classes)
        alone = compare(clean.maps[method], np.stack(class_only))
        moved[method] = alone[place], compare(clean.maps[method], np.stack(noise_only))
    return moved


def random_floor(comparison: Comparison, name: str) -> float | None:
    """Return the similarity of two unrelated random rankings; None if the measure has no formula for it."""
    formula = SIMILARITIES[name].random_floor
    return None if formula is None else formula(comparison)


def similarity_floors(
    clean: Explained, others: Sequence[Explained], method: str, comparison: Comparison, name: str
) -> Floors:
    """Return the floors of a similarity for a clean map; ``others`` explain other pictures on the same layer."""
    maps = [other.maps[method] for other in others if not other.degenerate[method]]
    lowest = random_floor(comparison, name)
    if clean.degenerate[method] or not maps:
        return Floors(lowest, None, 0)
    return Floors(lowest, other_picture_floor(clean.maps[method], np.stack(maps), comparison, name), len(maps))
