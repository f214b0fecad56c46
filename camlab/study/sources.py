"""The pictures of a study and the order in which it computes them; the check of a plan."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from camlab.cams import CAMS
from camlab.common.errors import BadImage, BadSetting
from camlab.common.memo import Memo
from camlab.images import IMAGE_SETS, SHAPES, shape_scenes
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.find import image_set_named
from camlab.images.folders import FolderPictures, open_folder
from camlab.images.picture import ImageSet, Picture
from camlab.images.scenes.scenes import HELD_OUT_SEED
from camlab.models import MODELS, find_model
from camlab.noise import NOISES, parameters_at
from camlab.study.folders import known_picture
from camlab.study.plan import ALL, FITTING, MAX_SEEDS, StudyPlan

#: The largest number of parts: with more units, a part holds several, so that no folder has too many files.
MAX_PARTS = 2000
#: Pictures of a set that a non-bundled model computes before the next model, as loading such models is slow.
ROUND = 8
#: Pictures of a folder that are decoded for a plan, to say whether they are nearly black.
LOOKED = 3
#: What was found, by the pictures' ids, as a page asks at every run.
_dim_clauses: Memo[str] = Memo(100_000, lambda clause: len(clause) + 1)


@dataclass(frozen=True)
class PlannedSet:
    """One image set of a plan: the label that its rows carry, and the pictures that the study uses.

    given: the name in the plan. known: place and id of the pictures, if a manifest lists them already. files: path and
    digest of their files by id, for the pictures of a folder.
    """

    label: str
    given: str
    image_set: ImageSet
    limit: int | None
    known: tuple[tuple[int, str], ...] | None = None
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of pictures that the study uses."""
        if self.known is not None:
            return len(self.known)
        every = len(self.image_set.pictures)
        return every if self.limit is None else min(self.limit, every)

    @cached_property
    def pictures(self) -> tuple[tuple[int, str], ...]:
        """Place and id of the used pictures, ordered so that the first few spread over the whole set."""
        if self.known is not None:
            return self.known
        picks = np.linspace(0, len(self.image_set.pictures) - 1, self.count).round().astype(int)
        places = [int(picks[i]) for i in spread(self.count)]
        return tuple((place, self.image_set.pictures[place].id) for place in places)


@dataclass(frozen=True)
class Unit:
    """One picture under one model, whose pairs are computed together."""

    number: int
    model: str
    image_set: str
    place: int
    image: str


def spread(count: int) -> list[int]:
    """Return 0 … count − 1 in the order of van der Corput's sequence, so that successive numbers lie far apart."""
    bits = max(1, (count - 1).bit_length())
    mirrored = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [i for i in mirrored if i < count]


def open_sets(plan: StudyPlan) -> dict[str, PlannedSet]:
    """Open the plan's image sets, by label. Raises UnknownName, BadSource."""
    found: dict[str, PlannedSet] = {}
    for given in plan.image_sets:
        image_set = open_given(given, plan)
        label = image_set.name
        if label == "folder":
            label = f"folder/{image_set.title}"
            while label in found:
                label += "+"
        found[label] = PlannedSet(label, given, image_set, plan.limit)
    return found


def folder_remarks(plan: StudyPlan) -> list[str]:
    """Say how the plan's folders were read, what is left out of them, and whether their pictures are nearly black.

    Raises what `open_sets` raises.
    """
    remarks = []
    for label, source in open_sets(plan).items():
        if isinstance(source.image_set.pictures, FolderPictures):
            remarks.append(f"{label}: {source.image_set.summary}")
            pictures = source.image_set.sample(LOOKED)
            key = tuple(picture.id for picture in pictures)
            if clause := _dim_clauses.get(key, partial(_dim_clause, pictures)):
                remarks.append(f"{label}: {clause}; a study reads files as they are, so stretch them first.")
    return remarks


def _dim_clause(pictures: Sequence[Picture]) -> str:
    """Return why the first nearly black picture is so; the study itself counts unreadable ones."""
    for picture in pictures:
        with contextlib.suppress(BadImage):
            if (clause := picture.dim) is not None:
                return clause
    return ""


def open_given(given: str, plan: StudyPlan) -> ImageSet:
    """Open one of a plan's image sets. Raises UnknownName, BadSource."""
    if given == SHAPES:
        # Scenes that no network was trained on.
        count = len(shape_scenes(HELD_OUT_SEED).pictures) if plan.limit is None else plan.limit
        return shape_scenes(HELD_OUT_SEED, count)
    if plan.confined and given not in IMAGE_SETS and given not in DATASETS:
        # A relative path, too, starts from the allowed folders, never from the working directory.
        return open_folder(given)
    return image_set_named(given)


def fits(model: str, label: str) -> bool:
    """Return whether a model may know a set's classes: ShapeScenes fit the networks trained on them only."""
    return (find_model(model).family == "ShapeScenes") == (label == SHAPES)


def paired(plan: StudyPlan, sets: Mapping[str, PlannedSet]) -> list[tuple[str, str]]:
    """List which model runs on which set, by label."""
    return [(model, label) for model in plan.models for label in sets if plan.pairing == ALL or fits(model, label)]


def count_pictures(plan: StudyPlan) -> dict[str, int]:
    """Count the pictures that each model sees. Raises what `open_sets` raises."""
    sets = open_sets(plan)
    found = dict.fromkeys(plan.models, 0)
    for model, label in paired(plan, sets):
        found[model] += sets[label].count
    return found


def count_pairs(plan: StudyPlan) -> int:
    """Count the pairs of a plan, including unusable methods. Raises what `open_sets` raises."""
    each = plan.versions() * len(plan.layers) * len(plan.methods)
    return sum(count_pictures(plan).values()) * each


def check_plan(plan: StudyPlan) -> None:
    """Raise UnknownName, BadSetting or BadSource for the first part of a plan that cannot run.

    Layers are checked when the study is prepared, because only a loaded model knows them.
    """
    for words, given in (
        ("model", plan.models),
        ("image set", plan.image_sets),
        ("CAM method", plan.methods),
        ("noise type", plan.noises),
        ("severity", plan.severities),
        ("layer", plan.layers),
    ):
        if not given:
            raise BadSetting(f"A study needs at least one {words}; name one.")
        if len(set(given)) < len(given):
            twice = next(each for each in given if given.count(each) > 1)
            raise BadSetting(f"The {words} {twice!r} is named twice; name it once.")
    for model in plan.models:
        find_model(model)
    for method in plan.methods:
        _ = CAMS[method]
    for noise in plan.noises:
        kind = NOISES[noise]
        if kind.needs == "companion":
            raise BadSetting(f"{kind.title} needs a second picture of each scene; leave it out of studies.")
        for severity in plan.severities:
            parameters_at(noise, severity)
            if not severity > 0:
                raise BadSetting("Severity 0 is the clean picture itself; choose severities over 0.")
        if not plan.levels(noise):
            raise BadSetting(f"{kind.title} has the levels 1 to 5 only; add one of them as a severity.")
    if not 1 <= plan.seeds <= MAX_SEEDS:
        raise BadSetting(f"The number of seeds must lie between 1 and {MAX_SEEDS:,}, not {plan.seeds}.")
    if plan.limit is not None and plan.limit < 1:
        raise BadSetting("A study needs at least one picture of each set; choose a limit of 1 or more.")
    if plan.pairing not in (FITTING, ALL):
        raise BadSetting(f"Models and sets are paired as {FITTING!r} or {ALL!r}, not {plan.pairing!r}.")
    pairs = paired(plan, open_sets(plan))
    for model in plan.models:
        if not any(model == each for each, _ in pairs):
            raise BadSetting(f"None of the image sets fits {model}; add one that does, or leave it out.")


def units_of(plan: StudyPlan, sets: Mapping[str, PlannedSet]) -> list[Unit]:
    """Return all units in an order whose beginning represents the whole: every set for every model in turn."""
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
    """Return the number of units in one part."""
    return max(1, -(-units // MAX_PARTS))


def picture_of(source: PlannedSet, unit: Unit) -> Picture:
    """Return the unit's picture. Raises BadImage if its set no longer has it."""
    found = known_picture(source.image_set, unit.place, unit.image, source.files.get(unit.image, ("", "")))
    if found is None:
        raise BadImage("The picture was removed or changed after the study was planned; restore it.")
    return found
