"""Sort the paths of many files into pictures, classes and outlines, and count the files left out.

Only names are read, so archives, uploads of many files and folders of 50,000 follow the same rules.

- **classes**: the folders of `camlab.images.class_folders`. Pictures outside them have no class.
- **outlines**: ``bison.mask.png`` or ``bison_mask.png`` beside ``bison.jpg``, or a file of that stem in a folder
  ``masks`` beside the picture or beside its folder. A folder ``masks`` in which no file belongs to a picture
  holds pictures.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from camlab.images.class_folders import IGNORED, read_folders
from camlab.images.decode import FORMATS

EXTENSIONS = frozenset(extension for kind in FORMATS for extension in kind.extensions)
MAX_NAME_LENGTH = 1024

_BESIDE = re.compile(r"(?s)(.+)[._]mask\.png", re.IGNORECASE)
_SYSTEM = {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"}

#: The reasons why files are left out, each as words for one file and for several.
REASONS: dict[str, tuple[str, str]] = {
    "link": ("link", "links"),
    "outside": (
        "link that leads out of the folders that may be opened",
        "links that lead out of the folders that may be opened",
    ),
    "broken": ("link that leads nowhere", "links that lead nowhere"),
    "circle": ("link to a folder that is listed already", "links to folders that are listed already"),
    "special": ("special file", "special files"),
    "encrypted": ("encrypted file", "encrypted files"),
    "unsafe": ("unsafe path", "unsafe paths"),
    "long_name": ("over-long name", "over-long names"),
    "nested": ("archive inside the archive", "archives inside the archive"),
    "bomb": ("file that unpacks to a suspicious size", "files that unpack to a suspicious size"),
    "method": ("file with an unusual compression", "files with an unusual compression"),
    "large": ("file over 30 MB", "files over 30 MB"),
    "archive": ("archive that cannot be read", "archives that cannot be read"),
    "limit": ("file beyond the limit of one upload", "files beyond the limit of one upload"),
    "other": ("file that is not a picture", "files that are not pictures"),
    "damaged": ("damaged or unusable picture", "damaged or unusable pictures"),
    "duplicate": ("duplicate", "duplicates"),
    "hidden": ("hidden or system file", "hidden or system files"),
    "unreadable": ("unreadable folder", "unreadable folders"),
    "orphan": ("mask without a picture", "masks without a picture"),
    "mask": ("mask that cannot be read", "masks that cannot be read"),
    "mask_size": ("mask of another size", "masks of another size"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture's path, its class and the path of its outline; None if there is none."""

    path: str
    label: str | None
    mask: str | None


@dataclass(frozen=True)
class SortedPaths:
    """Pictures in the order of their paths, their classes, outlines without a picture, and how folders were read.

    notes: clauses about folders that are no classes, and pictures without a class.
    """

    entries: tuple[Entry, ...]
    labels: tuple[str, ...]
    orphans: tuple[str, ...]
    notes: tuple[str, ...] = ()


def arrange(paths: Iterable[str]) -> SortedPaths:
    """Sort the paths of picture files, relative and with forward slashes, into pictures and outlines."""
    ordered = sorted(set(paths))
    masks, orphans = _masks(ordered)
    outlines = {mask for of_one in masks.values() for mask in of_one}.union(orphans)
    pictures = [path for path in ordered if path not in outlines]
    read = read_folders(pictures)
    entries = tuple(
        Entry(path, label, next(iter(masks.get(_key(path), ())), None))
        for path, label in zip(pictures, read.labels, strict=True)
    )
    labels = tuple(sorted({label for label in read.labels if label}))
    return SortedPaths(entries, labels, tuple(orphans), read.notes)


def is_picture(path: str) -> bool:
    """Return whether the path has the extension of a picture file."""
    return path.rpartition("/")[2].rpartition(".")[2].lower() in EXTENSIONS


def is_hidden(path: str) -> bool:
    """Return whether the path contains a hidden or system name (.DS_Store, __MACOSX, Thumbs.db)."""
    return any(part.startswith(".") or part.casefold() in _SYSTEM for part in path.split("/"))


def account(taken: int, skipped: Mapping[str, int], classes: int = 0, notes: Sequence[str] = ()) -> str:
    """Return one sentence about the pictures taken, how their folders were read, and the files left out by reason."""
    text = f"{taken:,} {'picture' if taken == 1 else 'pictures'}"
    if classes:
        text += f" in {classes:,} classes"
    named = [
        f"{count:,} {REASONS[reason][count != 1]}"
        for reason in sorted(REASONS, key=lambda reason: -skipped.get(reason, 0))
        if (count := skipped.get(reason, 0))
    ]
    parts = [text, *dict.fromkeys(notes), *([f"skipped: {', '.join(named)}"] if named else [])]
    return f"{'; '.join(parts)}."


def _stem(path: str) -> str:
    """Return the path without its extension."""
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else name}"


def _key(path: str) -> str:
    """Return the key that a picture shares with its outline: the stem without folders called ``images``."""
    stem = _stem(path)
    if f"{IGNORED}/" not in stem.casefold():
        return stem
    *folders, name = stem.split("/")
    return "/".join([*(each for each in folders if each.casefold() != IGNORED), name])


def _masks(paths: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the outlines by the key of their pictures, and the outlines without a picture."""
    # Folder of outlines -> its files, each with the path where its picture would be.
    in_folders: dict[str, list[tuple[str, str]]] = {}
    plain = []
    for path in paths:
        folders = path.split("/")[:-1] if "masks/" in path.casefold() else []
        places = [i for i, folder in enumerate(folders) if folder.casefold() == "masks"]
        if not places:
            plain.append(path)
            continue
        at = places[-1]
        parts = path.split("/")
        folder = "/".join(parts[: at + 1])
        in_folders.setdefault(folder, []).append((path, "/".join(parts[:at] + parts[at + 1 :])))
    keys = {_key(path) for path in plain}
    found: dict[str, list[str]] = {}
    for path in plain:
        beside = _BESIDE.fullmatch(path)
        if beside and (key := _key(f"{beside[1]}.png")) in keys:
            found.setdefault(key, []).append(path)
    orphans: list[str] = []
    for files in in_folders.values():
        lost, paired = [], False
        for path, belongs in files:
            beside = _BESIDE.fullmatch(belongs)
            named = [_key(belongs), *([_key(f"{beside[1]}.png")] if beside else [])]
            key = next((each for each in named if each in keys), "")
            if key:
                paired = True
                found.setdefault(key, []).append(path)
            else:
                lost.append(path)
        orphans += lost if paired else []
    return found, sorted(orphans)
