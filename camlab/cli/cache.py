"""``camlab cache``: inspect, clear or verify the results kept on disk."""

import argparse

from camlab.cli.terminal import dump, say

NAME = "cache"
HELP = "inspect, clear or verify the results kept on disk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "info: show where the results are and how many there are; clear: remove them; verify: read them all, "
        "remove broken ones, and exit with code 1 if there were any."
    )
    parser.epilog = "CAMLAB_CACHE_DIR names the directory (off: none), CAMLAB_CACHE_BYTES its largest size."
    parser.add_argument("what", metavar="WHAT", help="info, clear or verify")
    parser.add_argument("--json", action="store_true", help="print the fields as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the cache command and print its report; return 1 if an entry was broken."""
    from camlab.engine.cache.upkeep import upkeep

    outcome = upkeep(arguments.what)
    if arguments.json:
        dump(outcome.record)
    else:
        say("\n".join(outcome.lines))
    return outcome.code
