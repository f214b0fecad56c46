"""``camlab list``: list models, pictures, methods, noise types …, as rows of plain data from the registries."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camlab.cli.terminal import dump, note, say
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.wording import table

if TYPE_CHECKING:
    from camlab.images.picture import ImageSet

NAME = "list"
HELP = "list models, pictures, methods, noise types …"

Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """One list: ``rows`` returns its rows, and ``columns`` are those of the text output.

    ``search`` returns the rows that match a text, best first; None for lists too short to need a search.
    """

    rows: Callable[[], list[Row]]
    columns: tuple[str, ...]
    search: Callable[[str], list[Row]] | None = None


#: The functions below import their registries themselves: some imports take seconds.
LISTS: Registry[Listing] = Registry("list")


def _listing(name: str, *columns: str) -> Callable[[Callable[[], list[Row]]], Callable[[], list[Row]]]:
    return LISTS.adding(name, lambda rows: Listing(rows, columns))


@_listing("models", "name", "title", "summary")
def _models() -> list[Row]:
    from camlab.models import MODELS

    return fields(MODELS)


def _catalogue_rows(text: str = "") -> list[Row]:
    from camlab.models.hub.catalogue import SHELF, badges, search

    found = search(text)
    where = badges(found)
    return [
        {
            "name": row.id,
            "family": row.family,
            "parameters": row.parameters,
            "input_size": row.input_size,
            "input": f"{row.input_size[0]} × {row.input_size[1]}",
            "size": f"{row.parameters / 1e6:.1f} M",
            "classes": row.classes,
            "licence": row.licence,
            "weights": where[row.name].value,
            "summary": SHELF.get(row.name, ""),
        }
        for row in found
    ]


LISTS.add(
    "catalogue",
    Listing(_catalogue_rows, ("name", "family", "size", "input", "classes", "weights", "summary"), _catalogue_rows),
)


@_listing("images", "id", "title", "label", "licence", "author")
def _images() -> list[Row]:
    from camlab.images import IMAGE_SETS

    return [row for image_set in IMAGE_SETS.values() for row in image_rows(image_set)]


def image_rows(image_set: ImageSet) -> list[Row]:
    """Return one row per picture of the set."""
    return [
        {
            "id": picture.id,
            "set": picture.image_set,
            "title": picture.title,
            "label": picture.label,
            "author": picture.author,
            "licence": picture.licence,
        }
        for picture in image_set.pictures
    ]


@_listing("datasets", "name", "title", "pictures", "megabytes", "licence", "here")
def _datasets() -> list[Row]:
    from camlab.images.datasets.catalogue import DATASETS, is_here

    return [
        {
            "name": dataset.name,
            "title": dataset.title,
            "summary": dataset.summary,
            "pictures": dataset.count,
            "classes": dataset.classes,
            "megabytes": dataset.megabytes,
            "author": dataset.author,
            "licence": dataset.licence,
            "licence_url": dataset.licence_url,
            "source": dataset.source,
            "here": is_here(dataset.name),
        }
        for dataset in DATASETS.values()
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
    """Return the fields of every entry in the registry's order, except those that hold a function."""
    hidden = {
        f.name for entry in registry.values() for f in dataclasses.fields(entry) if callable(getattr(entry, f.name))
    }
    return [
        {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in hidden}
        for entry in registry.values()
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("what", metavar="WHAT", help=", ".join(LISTS))
    parser.add_argument(
        "--set", metavar="SET", help="images only: those of a built-in set, a downloaded data set or a folder"
    )
    parser.add_argument("--search", metavar="TEXT", help="catalogue only: the rows that match, best first")
    parser.add_argument("--json", action="store_true", help="print all fields as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print a list, or the rows that match a search."""
    listing = LISTS[arguments.what]
    if arguments.set is not None and arguments.what != "images":
        raise BadSetting("--set goes with `list images` only; leave it out.")
    if arguments.set is not None:
        from camlab.images.find import image_set_named, meant_set
        from camlab.images.folders import FolderPictures

        image_set = image_set_named(meant_set(arguments.set))
        if isinstance(image_set.pictures, FolderPictures):
            note(image_set.summary)
        rows = image_rows(image_set)
    elif arguments.search is None:
        rows = listing.rows()
    elif listing.search is None:
        raise BadSetting(f"The list of {arguments.what} is short and cannot be searched; leave --search out.")
    else:
        rows = listing.search(arguments.search)
        if not rows and not arguments.json:
            raise BadSetting(f"Nothing in the {arguments.what} matches {arguments.search!r}; use fewer words.")
    if arguments.json:
        dump(rows)
    else:
        cells = [["" if (value := row[name]) is None else str(value) for name in listing.columns] for row in rows]
        say("\n".join(table(cells)))
