"""How commands speak: results on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Protocol


class Command(Protocol):
    """What a module offers that is a command: its name, a line about it, its arguments and what it does.

    ``run`` returns the exit code, None for 0; what a user can put right it raises as a CamLabError.
    """

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> int | None: ...


def note(message: str) -> None:
    """Tell the user something beside the result."""
    print("note:", message, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print a result; a character that the terminal's encoding lacks must not end the program."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def dump(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2, allow_nan=False))


def names_in(texts: Sequence[str]) -> list[str]:
    """The names in texts that separate them with commas."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
