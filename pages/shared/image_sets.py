"""The image sets that a visitor can choose, and the visitor's own pictures."""

import dataclasses

import streamlit as st

from camlab.common.errors import BadSetting, CamLabError
from camlab.explore.state import ExploreState
from camlab.images import IMAGE_SETS, SHAPES, ImageSet, Picture, find_picture, set_of, shape_scenes
from camlab.images.datasets.catalogue import DATASETS, is_here, open_dataset
from camlab.images.loading import FOLDER, UPLOAD, with_picture
from camlab.images.photo_pairs import OwnPair, companion_of, forget_companion, paired, set_companion
from camlab.images.scenes.image_set import DEFAULT_COUNT, MAX_COUNT, scene_numbers
from camlab.noise import NOISES
from pages.shared.page_state import Choices

PRIVATE = (UPLOAD, FOLDER)  # names of sets that only one visitor has
#: The size and the seed of the generated set.
shapes = Choices("shapes", {"count": DEFAULT_COUNT, "seed": 0})

#: The reason why a link cannot show a visitor's own picture, by the name of the picture's set.
ELSEWHERE = {
    "upload": "This state shows an uploaded picture; upload the same file to see it (both files of a pair).",
    "folder": "This state shows a picture in a folder that is not open, or a file that has changed; "
    "open the folder to see it.",
    "file": "This state shows a picture file named on the command line; upload that file to see it here.",
}


def own() -> dict[str, ImageSet]:
    """Return the image sets that only this visitor has, by name: uploaded pictures, an opened folder."""
    found: dict[str, ImageSet] = st.session_state.setdefault("sets", {})
    return found


def pairs() -> dict[str, Picture]:
    """Return the noisy pictures of this visitor's own pairs, by the id of the clean picture."""
    found: dict[str, Picture] = st.session_state.setdefault("pairs", {})
    return found


def titles() -> dict[str, str]:
    """Return the titles of all sets by name: built in, generated, data sets on this machine, the visitor's own."""
    found = {name: each.title for name, each in IMAGE_SETS.items()}
    found |= {name: DATASETS[name].title for name in downloaded()}
    found |= {name: f"Folder “{each.title}”" if name == FOLDER else each.title for name, each in own().items()}
    return found


def downloaded() -> list[str]:
    """Return the data sets on this machine; none if their configured directory cannot be used."""
    try:
        return [name for name in DATASETS if is_here(name)]
    except BadSetting:  # the download dialog shows this error
        return []


def image_set(name: str) -> ImageSet:
    """Return a set by its name. Raises UnknownName, and BadSource for a data set that is missing or damaged."""
    if name in own():
        return own()[name]
    if name == SHAPES:
        return shape_scenes(*shapes_options())
    return open_dataset(name) if name in DATASETS else IMAGE_SETS[name]


def shapes_options() -> tuple[int, int]:
    """Return seed and number of the generated pictures."""
    return shapes.chosen("seed"), shapes.chosen("count")


def follow(picture_id: str) -> None:
    """Set seed and count so that the generated set contains this picture; in a callback or before they are drawn."""
    numbers = scene_numbers(picture_id)
    if numbers is not None:
        seed, index = numbers
        shapes.choose("seed", seed)
        shapes.choose("count", min(max(shapes_options()[1], index + 1), MAX_COUNT))


def picture(picture_id: str) -> Picture:
    """Return a picture of any set that this visitor has. Raises UnknownName, and BadSource for a missing data set."""
    mine = own().get(set_of(picture_id))
    found = find_picture(picture_id, [] if mine is None else [mine])
    noisy = pairs().get(picture_id)
    if noisy is not None and companion_of(found.digest) is None:  # the process remembers only the latest pairs
        set_companion(found, noisy)
    return found


def add_pair(clean: Picture, noisy: Picture) -> tuple[Picture, OwnPair]:
    """Add a pair of the visitor's own pictures. Raises BadImage if they do not fit together."""
    found = paired(clean, noisy)
    pair = set_companion(found, noisy)
    pairs()[found.id] = noisy
    keep_uploads(with_picture(found, own().get(UPLOAD), "Your clean picture, paired with your noisy one."))
    return found, pair


def keep_uploads(uploaded: ImageSet) -> None:
    """Replace the set of uploaded pictures, and forget the pairs whose clean picture it lacks."""
    own()[UPLOAD] = uploaded
    here = {each.id for each in uploaded.pictures}
    for gone in [clean for clean in pairs() if clean not in here]:
        del pairs()[gone]


def forget_uploads() -> None:
    """Forget this visitor's uploaded pictures, including the noisy ones of pairs."""
    uploaded = own().pop(UPLOAD, None)
    for clean in pairs():
        if uploaded is not None and (found := uploaded.find(clean)) is not None:
            forget_companion(found.digest)
    pairs().clear()


def reachable(state: ExploreState, current: str) -> tuple[ExploreState, list[str]]:
    """Replace a picture or noise type that this visitor does not have; return the state and a sentence for each.

    ``current`` is the picture to show if the state's is unavailable.
    """
    problems = []
    default = ExploreState()
    try:
        shown = picture(state.image)
    except CamLabError as error:
        shown = _usable(current, default.image)
        why = ELSEWHERE.get(set_of(state.image), str(error))
        problems.append(f"{why} Until then, CAM Lab shows “{shown.title}”.")
        state = dataclasses.replace(state, image=shown.id)
    noise = NOISES[state.noise]
    if noise.needs == "companion" and shown.id not in pairs():
        problems.append(
            f"The noise type “{noise.title}” needs a pair of pictures; add your own under “More pictures”. "
            f"Until then, CAM Lab uses {NOISES[default.noise].title}."
        )
        state = dataclasses.replace(state, noise=default.noise)
    return state, problems


def _usable(*ids: str) -> Picture:
    for each in ids[:-1]:
        try:
            return picture(each)
        except CamLabError:
            continue
    return picture(ids[-1])
