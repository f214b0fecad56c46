"""What ``python -m camlab cache`` takes and does."""

from __future__ import annotations

import argparse

from camlab.cli.terminal import dump, say

NAME = "cache"
HELP = "look after the results kept on disk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    parser.description = (
        "info: where they are and how many; clear: remove them; verify: read them all, remove the "
        "broken and end with code 1 where there were any."
    )
    parser.epilog = (
        "CAMLAB_CACHE_DIR names the directory (off: none), CAMLAB_CACHE_BYTES the most it may hold."
    )
    parser.add_argument("what", metavar="WHAT", help="info, clear or verify")
    parser.add_argument("--json", action="store_true", help="print the fields as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for and print what came of it; 1 where something was broken."""
    from camlab.engine.cache.upkeep import upkeep

    outcome = upkeep(arguments.what)
    if arguments.json:
        dump(outcome.record)
    else:
        say("\n".join(outcome.lines))
    return outcome.code
