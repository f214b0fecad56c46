"""Tell from the paths of pictures which folders are classes and which are splits of the set.

A level of folders is split into train and test, or into folds, where the names say so and no other folder beside them
contradicts it. Names alone do not tell part1 and part2 from classes: they are splits only if each holds the same
folders, which are then the classes. Without such names the folders are classes, and equal folders in each are reported.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from camlab.common.wording import listed, plural
from camlab.images.decode import clean_name

#: Folders between a class and its pictures that mean nothing.
IGNORED = "images"

_SHOWN = 4
_SPLIT = re.compile(
    r"(?:(?:train(?:ing|val)?|trn|val(?:id|idation)?|minival|test(?:ing)?|tst|dev|devel|development|eval|evaluation"
    r"|hold[ _-]?out|held[ _-]?out|unseen|query|gallery|support)"
    r"(?:[ _-]?(?:set|data|split|images|imgs|classes|fold|new|[0-9]{1,4}|[ab]))*"
    r"|(?:cv|(?:cv[ _-]?)?fold|k[ _-]?fold|split)s?[ _-]?[0-9]{1,4})",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:part|partition|batch|chunk|shard|subset|set|group|run|session|seed|round|trial|source|domain|site|camera)"
    r"s?[ _-]?(?:[0-9]{1,4}|[a-d])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FolderReading:
    """The class of each path, None for those outside the class folders, and clauses about how folders were read."""

    labels: tuple[str | None, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Level:
    """The folders at one depth: the places of the pictures in each, and the names of the folders in each."""

    pictures: Mapping[str, list[int]]
    inner: Mapping[str, frozenset[str]]

    @property
    def shared(self) -> frozenset[str]:
        """All names of folders in the folders."""
        return frozenset[str]().union(*self.inner.values())

    @property
    def alike(self) -> bool:
        """Whether each folder holds at least half of two or more folders that occur in them."""
        return len(self.shared) > 1 and all(2 * len(names) >= len(self.shared) for names in self.inner.values())


def read_folders(paths: Sequence[str]) -> FolderReading:
    """Read the classes of pictures from their relative paths, with forward slashes.

    Folders that all pictures share, folders called ``images`` and levels of splits are passed. The first other level is
    the classes, if it has two folders or more and holds at least as many pictures as lie outside.
    """
    folders = [[each for each in path.split("/")[:-1] if each.casefold() != IGNORED] for path in paths]
    labels: list[str | None] = [None] * len(paths)
    notes: list[str] = []
    inside, depth, split = list(range(len(paths))), 0, False
    while inside := [place for place in inside if len(folders[place]) > depth]:
        level = _level(folders, inside, depth)
        depth += 1
        if len(level.pictures) == 1:
            continue
        if _are_splits(level):
            notes.append(f"{_names(level)} are read as splits of the set, not as classes")
            split = True
            continue
        if not split and 2 * len(inside) < len(paths):  # a test split has often no classes
            notes.append(f"{_names(level)} are not read as classes, as most pictures lie outside them")
            break
        for name, places in level.pictures.items():
            for place in places:
                labels[place] = name
        notes += _doubts(level)
        if outside := len(paths) - len(inside):
            notes.append(f"{plural(outside, 'picture')} outside the folders of the classes {_has(outside)} no class")
        break
    return FolderReading(tuple(labels), tuple(notes))


def _level(folders: Sequence[Sequence[str]], inside: Sequence[int], depth: int) -> _Level:
    pictures: dict[str, list[int]] = {}
    inner: dict[str, set[str]] = {}
    for place in inside:
        name, *below = folders[place][depth:]
        pictures.setdefault(name, []).append(place)
        inner.setdefault(name, set()).update(below[:1])
    return _Level(pictures, {name: frozenset(names) for name, names in inner.items()})


def _are_splits(level: _Level) -> bool:
    named = {name for name in level.pictures if _SPLIT.fullmatch(name)}
    if len(named) == len(level.pictures):
        return True
    others = level.pictures.keys() - named
    classes = frozenset[str]().union(*(level.inner[name] for name in named))
    if len(classes) > 1:
        # Beside train and val: folders with the same classes, and, beside two such, folders without any.
        fits = [level.inner[name] <= classes and (level.inner[name] or len(named) > 1) for name in others]
        return all(fits)
    return level.alike and all(_PART.fullmatch(name) for name in others)


def _doubts(level: _Level) -> list[str]:
    """Return a clause if folders that are read as classes could also be splits."""
    if all(_SPLIT.fullmatch(name) for name in level.shared):
        alike = False
    else:
        alike = level.alike and len(set(level.inner.values())) == 1
    if alike:
        inner = _quoted(sorted(level.shared))
        return [
            f"{_names(level)} are read as classes; each holds {inner}, so if these are the classes, open one of them"
        ]
    if all(_PART.fullmatch(name) for name in level.pictures):
        return [
            f"{_names(level)} are read as classes; if they are parts of one set, put their pictures into one folder"
        ]
    return []


def _names(level: _Level) -> str:
    return f"the folders {_quoted(sorted(level.pictures))}"


def _quoted(names: Sequence[str]) -> str:
    shown = [f"“{clean_name(name)}”" for name in names[:_SHOWN]]
    return f"{', '.join(shown)} …" if len(names) > _SHOWN else listed(shown)


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
