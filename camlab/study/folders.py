"""The folders of a study's pictures: their full paths in the plan, and where they are when the study is resumed.

A plan holds full paths, so that the study can be resumed from any directory. Its manifest also holds each folder's path
relative to the study, for a study that has moved together with its pictures, and where the user says a folder is now.
"""

import dataclasses
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from camlab.common.errors import BadImage, BadSource, BadStudy
from camlab.common.wording import listed
from camlab.images import IMAGE_SETS
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.find import is_folder
from camlab.images.folders import FolderPictures, find_folder, open_folder
from camlab.images.picture import ImageSet, Picture
from camlab.study.plan import StudyPlan

#: Entries of the manifest: each folder's path relative to the study, and the new places of folders.
BESIDE, MOVED = "folders", "moved"
#: The largest set whose files the manifest lists, so that it stays readable.
MAX_LISTED = 100_000

_TRIED = 5  # pictures that are looked for to recognise a folder


def with_full_paths(plan: StudyPlan) -> StudyPlan:
    """Return the plan with the full paths of its folders. Raises BadSource for a folder that may not be opened."""
    return dataclasses.replace(plan, image_sets=tuple(_full(given, plan) for given in plan.image_sets))


def _full(given: str, plan: StudyPlan) -> str:
    if given in IMAGE_SETS or given in DATASETS or not (plan.confined or is_folder(given)):
        return given
    return str(find_folder(given, confined=plan.confined))


def beside(plan: StudyPlan, study: Path) -> dict[str, str]:
    """Return the path of each folder of a plan relative to the study's folder, with forward slashes."""
    found: dict[str, str] = {}
    for given in plan.image_sets:
        if Path(given).is_absolute():
            try:
                found[given] = Path(os.path.relpath(given, study.resolve())).as_posix()
            except ValueError:  # on another drive of Windows
                found[given] = ""
    return found


def file_of(image_set: ImageSet, place: int) -> tuple[str, str]:
    """Return the relative path and the digest of a picture's file; empty for a set that is no folder.

    The digest is empty if the file cannot be read.
    """
    pictures = image_set.pictures
    if not isinstance(pictures, FolderPictures):
        return "", ""
    try:
        return pictures.path_at(place), pictures.file_digest(place)
    except BadImage:
        return pictures.path_at(place), ""


def known_picture(image_set: ImageSet, place: int, image: str, file: tuple[str, str] = ("", "")) -> Picture | None:
    """Return the planned picture at a place of a set, or wherever it is now; None if it is gone or has changed.

    ``file`` is what `file_of` returned: a copy may have the time of another change, and with it another id, but has the
    same path and bytes.
    """
    pictures = image_set.pictures
    found = pictures[place] if place < len(pictures) else None
    if found is None or found.id != image:
        found = image_set.find(image)
    if found is None and isinstance(pictures, FolderPictures):
        index = pictures.index_of(file[0])
        if index is not None and file[1] and file_of(image_set, index) == file:
            found = pictures[index]
    return found


def relocated(plan: StudyPlan, manifest: Mapping[str, Any]) -> StudyPlan:
    """Return the plan with the new places of folders that have moved."""
    moved = _texts(manifest.get(MOVED))
    return dataclasses.replace(plan, image_sets=tuple(moved.get(given, given) for given in plan.image_sets))


def settle(study: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with the present places of the folders. Raises BadStudy for one that is nowhere."""
    plan = StudyPlan.from_json(manifest["settings"])
    try:
        places = {given: _place(given, plan, study, manifest) for given in _folders(plan, manifest)}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadStudy("The manifest of this study cannot be read; start a new study.") from error
    moved = {given: place for given, place in places.items() if place != given}
    kept = {key: value for key, value in manifest.items() if key != MOVED}
    return {**kept, MOVED: moved} if moved else kept


def point_to(study: Path, manifest: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return the manifest with the new place of a folder. Raises BadStudy and BadSource if it is not that folder."""
    plan = StudyPlan.from_json(manifest["settings"])
    folders = _folders(plan, manifest)
    given = next((each for each in folders if each == old or Path(each) == Path(old).absolute()), None)
    if given is None:
        known = listed([f"“{each}”" for each in folders], "or")
        raise BadStudy(f"This study has no pictures in “{old}”; the folders of its plan are: {known}.")
    place = str(find_folder(new, confined=plan.confined))
    if not _holds(place, plan, _listed(given, manifest)):
        raise BadStudy(f"The folder “{place}” holds none of the study's pictures; name the folder that has them.")
    return {**manifest, MOVED: {**_texts(manifest.get(MOVED)), given: place}}


def _folders(plan: StudyPlan, manifest: Mapping[str, Any]) -> list[str]:
    """Return the folders of a plan as it names them; older plans have relative paths."""
    sets = manifest.get("image_sets")
    named = {str(each.get("given")) for label, each in (sets or {}).items() if str(label).startswith("folder/")}
    return [given for given in plan.image_sets if Path(given).is_absolute() or given in named]


def _place(given: str, plan: StudyPlan, study: Path, manifest: Mapping[str, Any]) -> str:
    """Return the first place where a folder may be that has the study's pictures, or the place in the plan."""
    known = _listed(given, manifest)
    candidates = list(dict.fromkeys(_candidates(given, plan, study, manifest)))
    found = next((each for each in candidates if _holds(each, plan, known)), None)
    if found is None and is_folder(candidates[0]):
        return candidates[0]  # its pictures have changed: each is reported when it is read
    if found is None:
        command = f"camlab study --resume --out {shlex.quote(str(study))} --moved {shlex.quote(given)} FOLDER"
        raise BadStudy(
            f"The study's pictures are neither in {given} nor in the same place beside the study; put the folder back, "
            f"or name its new place with `{command}`."
        )
    return found


def _candidates(given: str, plan: StudyPlan, study: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    moved, relative = _texts(manifest.get(MOVED)), _texts(manifest.get(BESIDE))
    if given in moved:
        yield moved[given]
    yield given
    if relative.get(given):
        yield os.path.normpath(study.resolve() / relative[given])
    if not Path(given).is_absolute() and not plan.confined:
        # The command was run in a folder above the study.
        yield from (str(above / given) for above in study.resolve().parents)


def _listed(given: str, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    sets = manifest.get("image_sets") or {}
    return next((each for each in sets.values() if each.get("given") == given), {})


def _holds(place: str, plan: StudyPlan, known: Mapping[str, Any]) -> bool:
    """Return whether there is a folder with pictures of the study, or any pictures before the study is prepared."""
    try:
        image_set = open_folder(place, confined=plan.confined)
    except BadSource:
        return False
    pictures: Sequence[Any] = known.get("pictures") or ()
    files: Sequence[Any] = known.get("files") or [("", "")] * len(pictures)
    tried = list(zip(pictures, files, strict=False))[:_TRIED]
    return not tried or any(
        known_picture(image_set, int(index), str(image), (str(file[0]), str(file[1]))) for (index, image), file in tried
    )


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(each) for key, each in value.items()} if isinstance(value, dict) else {}
