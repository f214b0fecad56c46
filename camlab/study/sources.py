"""The pictures of a study, and the order in which they are gone through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from camlab.common.errors import BadImage
from camlab.images import IMAGE_SETS, SHAPES, shape_scenes
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.find import image_set_named
from camlab.images.folders import open_folder
from camlab.images.picture import ImageSet, Picture
from camlab.images.scenes.scenes import HELD_OUT_SEED
from camlab.models import MODELS, find_model
from camlab.study.plan import ALL, StudyPlan

#: A study of more units than this puts several into a part, so that a folder never holds too many files.
MAX_PARTS = 2000
#: Models beyond those that come along are large: each is kept for so many pictures of a set before the next.
ROUND = 8


@dataclass(frozen=True)
class Source:
    """One image set of a plan: the label that rows carry, and the pictures that are used, best spread first.

    known: these pictures, place and id, where a manifest has them already.
    """

    label: str
    given: str
    image_set: ImageSet
    limit: int | None
    known: tuple[tuple[int, str], ...] | None = None

    @property
    def count(self) -> int:
        """How many pictures are used."""
        if self.known is not None:
            return len(self.known)
        every = len(self.image_set.pictures)
        return every if self.limit is None else min(self.limit, every)

    @cached_property
    def pictures(self) -> tuple[tuple[int, str], ...]:
        """Place and id of the used pictures, so ordered that any first few are spread over all of the set."""
        if self.known is not None:
            return self.known
        picks = np.linspace(0, len(self.image_set.pictures) - 1, self.count).round().astype(int)
        places = [int(picks[i]) for i in spread(self.count)]
        return tuple((place, self.image_set.pictures[place].id) for place in places)


@dataclass(frozen=True)
class Unit:
    """One picture under one model: all of its pairs are computed together."""

    number: int
    model: str
    image_set: str
    place: int
    image: str


def spread(count: int) -> list[int]:
    """0 … count − 1 in the order of van der Corput's sequence: the first few are far from one another."""
    bits = max(1, (count - 1).bit_length())
    mirrored = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [i for i in mirrored if i < count]


def open_sets(plan: StudyPlan) -> dict[str, Source]:
    """The plan's image sets by label. Raises UnknownName, BadSource."""
    found: dict[str, Source] = {}
    for given in plan.image_sets:
        image_set = _open(given, plan)
        label = image_set.name
        if label == "folder":
            label = f"folder/{image_set.title}"
            while label in found:
                label += "+"
        found[label] = Source(label, given, image_set, plan.limit)
    return found


def _open(given: str, plan: StudyPlan) -> ImageSet:
    if given == SHAPES:
        # The scenes that no network was trained on.
        count = len(shape_scenes(HELD_OUT_SEED).pictures) if plan.limit is None else plan.limit
        return shape_scenes(HELD_OUT_SEED, count)
    if plan.confined and given not in IMAGE_SETS and given not in DATASETS:
        # Relative paths, too: they count from the allowed folders, never from where this program happens to run.
        return open_folder(given)
    return image_set_named(given)


def fits(model: str, label: str) -> bool:
    """Whether a model may know the classes of a set: ShapeScenes and the networks trained on them go together."""
    return (find_model(model).family == "ShapeScenes") == (label == SHAPES)


def paired(plan: StudyPlan, sets: Mapping[str, Source]) -> list[tuple[str, str]]:
    """Which model is run on which set, by label."""
    return [
        (model, label) for model in plan.models for label in sets if plan.pairing == ALL or fits(model, label)
    ]


def units_of(plan: StudyPlan, sets: Mapping[str, Source]) -> list[Unit]:
    """All units. The first few are a fair part of the whole: a picture of every set for every model in turn."""
    pairs = paired(plan, sets)
    total = sum(sets[label].count for _, label in pairs)
    size = per_part(total)
    step = size if all(model in MODELS for model in plan.models) else max(size, ROUND)
    units: list[Unit] = []
    for start in range(0, max((source.count for source in sets.values()), default=0), step):
        for model, label in pairs:
            for i in range(start, min(start + step, sets[label].count)):
                units.append(Unit(len(units), model, label, *sets[label].pictures[i]))
    return units


def per_part(units: int) -> int:
    """How many units one part holds."""
    return max(1, -(-units // MAX_PARTS))


def picture_of(source: Source, unit: Unit) -> Picture:
    """The unit's picture. Raises BadImage where its set does not have it any more."""
    pictures = source.image_set.pictures
    found = pictures[unit.place] if unit.place < len(pictures) else None
    if found is None or found.id != unit.image:
        found = source.image_set.find(unit.image)
    if found is None:
        raise BadImage("The picture has gone or changed since the study was planned; restore it.")
    return found
