"""What can be chosen, as rows of plain data straight from the registries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camlab.registry import Registry

Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """One kind of choice: ``rows`` makes the rows, of which a text output shows the fields in ``columns``."""

    rows: Callable[[], list[Row]]
    columns: tuple[str, ...]


#: The registries are imported by the rows' functions: some of them take seconds.
LISTS: Registry[Listing] = Registry("list")


def _listing(name: str, *columns: str) -> Callable[[Callable[[], list[Row]]], Callable[[], list[Row]]]:
    def register(rows: Callable[[], list[Row]]) -> Callable[[], list[Row]]:
        LISTS.add(name, Listing(rows, columns))
        return rows

    return register


@_listing("models", "name", "title", "summary")
def _models() -> list[Row]:
    from camlab.models import MODELS

    return fields(MODELS)


@_listing("images", "id", "title", "label", "licence", "author")
def _images() -> list[Row]:
    from camlab.images import IMAGE_SETS

    return [
        {
            "id": picture.id,
            "set": picture.image_set,
            "title": picture.title,
            "label": picture.label,
            "author": picture.author,
            "licence": picture.licence,
        }
        for image_set in IMAGE_SETS.values()
        for picture in image_set.pictures
    ]


@_listing("methods", "name", "title", "summary")
def _methods() -> list[Row]:
    from camlab.cams import CAMS

    return fields(CAMS)


@_listing("noises", "name", "title", "family", "summary")
def _noises() -> list[Row]:
    from camlab.noise import NOISES

    return fields(NOISES)


@_listing("similarities", "name", "title", "summary")
def _similarities() -> list[Row]:
    from camlab.metrics import SIMILARITIES

    return fields(SIMILARITIES)


def fields(registry: Mapping[str, Any]) -> list[Row]:
    """The fields of every entry, in the registry's order, without those that hold a function."""
    hidden = {
        f.name
        for entry in registry.values()
        for f in dataclasses.fields(entry)
        if callable(getattr(entry, f.name))
    }
    return [
        {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in hidden}
        for entry in registry.values()
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text with the cells of each column below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
