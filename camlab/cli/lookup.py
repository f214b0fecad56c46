"""Find the pictures and the class that a command line names."""

import contextlib
import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from camlab.cli.terminal import note
from camlab.common.errors import BadSetting, BadSource, UnknownName
from camlab.images import Picture, built_in_pictures, find_picture, picture_from_path
from camlab.images.find import SET
from camlab.images.picture import narrow_of, read_as


def picture_named(name: str) -> Picture:
    """Return a built-in or generated picture by its id, else a file by its path; ``set:ID`` is always an id.

    Raises UnknownName, BadImage, and BadSetting for an id that is also the path of a file.
    """
    is_file = os.path.lexists(name) and not Path(name).is_dir()
    with contextlib.suppress(UnknownName, BadSource):
        found = find_picture(name.removeprefix(SET))
        if is_file:
            raise BadSetting(
                f"{name!r} is a picture of CAM Lab and also a file here; write ./{name} for the file or "
                f"{SET}{name} for the picture."
            )
        return found
    if is_file:
        return picture_from_path(name)
    # "bison" without its set is close enough to suggest "photos/bison".
    known = {part: each.id for each in built_in_pictures() for part in (each.id.partition("/")[2], each.id)}
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = f"did you mean {known[near[0]]!r}?" if near else "check the path, or see `camlab list images`."
    raise UnknownName(f"There is no picture file and no built-in picture called {name[:200]!r}; {hint}")


def at_depth(bits: int | None, *pictures: Picture) -> list[Picture]:
    """Return the pictures, files of 16 bits per value read as numbers of ``bits`` bits; remark on nearly black ones.

    Raises BadSetting if none of the files has 16 bits, and BadImage if a file holds larger values.
    """
    if bits is None:
        enough = narrow_of(pictures)
        for picture in pictures if enough is not None else ():
            if (clause := picture.dim) is not None:
                note(f"{clause}; add --bits {enough} to stretch it.")
        return list(pictures)
    if all(picture.depth[0] != 16 for picture in pictures):
        raise BadSetting("--bits stretches a picture file of 16 bits per value, and this is none; leave --bits out.")
    found = read_as(bits, pictures)
    for picture in found:
        picture.load()  # says now whether a file holds larger values
    return found


def find_class(class_names: Sequence[str], text: str) -> int:
    """Return the index of a class given by its index, its name ("tabby, tabby cat") or a synonym ("tabby").

    Case does not matter; a whole or first name takes precedence over a later synonym. An index is returned as it
    is: its range is checked where the class is used. Raises UnknownName if no class or several classes match.
    """
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    wanted = text.strip().casefold()
    first: list[int] = []
    later: list[int] = []
    known: dict[str, None] = {}
    for index, name in enumerate(class_names):
        synonyms = [part.strip().casefold() for part in name.split(",")]
        known |= dict.fromkeys(synonyms)
        if wanted in (name.casefold(), synonyms[0]):
            first.append(index)
        elif wanted in synonyms:
            later.append(index)
    found = first or later
    if len(found) == 1:
        return found[0]
    if found:
        meant = " or ".join(f"{index} ({class_names[index]})" for index in found)
        raise UnknownName(f"Several classes are called {text[:60]!r}; give the index: {meant}.")
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give a name, or an index up to {len(class_names) - 1}."
    raise UnknownName(f"There is no class called {text[:60]!r}; {hint}")
