"""What ``python -m camlab list`` takes and does."""

from __future__ import annotations

import argparse

from camlab.cli.listing import LISTS, image_rows
from camlab.cli.terminal import dump, say
from camlab.common.errors import BadSetting
from camlab.common.wording import table
from camlab.images.find import image_set_named

NAME = "list"
HELP = "list what can be chosen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    parser.add_argument("what", metavar="WHAT", help=", ".join(LISTS))
    parser.add_argument(
        "--set",
        metavar="SET",
        help="with images: those of one built-in set, of a downloaded data set or of a folder",
    )
    parser.add_argument("--search", metavar="TEXT", help="of the catalogue: what answers this, best first")
    parser.add_argument("--json", action="store_true", help="print all fields as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print a list, or what of it answers a search."""
    listing = LISTS[arguments.what]
    if arguments.set is not None and arguments.what != "images":
        raise BadSetting("--set goes with `list images` only; leave it out here.")
    if arguments.set is not None:
        rows = image_rows(image_set_named(arguments.set))
    elif arguments.search is None:
        rows = listing.rows()
    elif listing.search is None:
        raise BadSetting(f"The list of {arguments.what} is short and cannot be searched; leave --search out.")
    else:
        rows = listing.search(arguments.search)
        if not rows and not arguments.json:
            raise BadSetting(
                f"Nothing in the {arguments.what} answers {arguments.search!r}; use fewer words."
            )
    if arguments.json:
        dump(rows)
    else:
        cells = [
            ["" if (value := row[name]) is None else str(value) for name in listing.columns] for row in rows
        ]
        say("\n".join(table(cells)))
