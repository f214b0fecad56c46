"""Shared code of the commands: results on stdout, notes and progress on stderr, and types of arguments."""

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TextIO

from camlab.common.errors import BadSetting

WIDTH = 24  # characters of the progress bar


class Command(Protocol):
    """A module that is a command."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's options."""

    def run(self, arguments: argparse.Namespace) -> int | None:
        """Run the command and return its exit code, None for 0; raise CamLabError for what the user can fix."""


# --- output


def note(message: str) -> None:
    """Print a remark to stderr."""
    print("note:", message, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print a result, replacing characters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def dump(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2, allow_nan=False))


class Bar:
    """A progress bar on a terminal, plain lines elsewhere; a context manager that clears the bar at the end."""

    def __init__(self, total: int, out: TextIO) -> None:
        """``total``: the number of steps, 0 if unknown."""
        self.total = total
        self.begun = 0
        self._out = out
        self._lively = out.isatty()

    def step(self, text: str) -> None:
        """Announce the step that begins now; all steps before it are done."""
        done, self.begun = self.begun, self.begun + 1
        if self._lively:
            self._draw(done, f"{done} of {self.total}  {text}")
        else:
            self._line(f"{self.begun} of {self.total}: {text}")

    def reach(self, done: int, total: int, text: str) -> None:
        """Show the progress of work without steps, such as bytes; elsewhere at most one line per tenth."""
        before, self.begun = self.begun, 10 * done // max(1, total)
        self.total = total
        if self._lively:
            self._draw(done, text)
        elif self.begun > before:
            self._line(text)

    def _draw(self, done: int, text: str) -> None:
        filled = WIDTH * min(done, self.total) // max(1, self.total)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {text}"
        # Return and clear the line; a line that wraps could not be cleared.
        room = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[2K{line[:room]}")
        self._out.flush()

    def _line(self, text: str) -> None:
        self._out.write(f"note: {text}\n")
        self._out.flush()

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the bar."""
        if self._lively:
            self._out.write("\r\x1b[2K")
            self._out.flush()


# --- arguments


def number(kind: str = "a number") -> Callable[[str], float]:
    """Return an argument type for floats; ``kind`` names the expected value. Ranges are checked where it is used."""

    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not {kind}") from None

    return parse


def whole_number(low: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers from ``low`` (0 or 1) on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from {low} on")
        return int(text)

    return parse


def names_in(texts: Sequence[str]) -> list[str]:
    """Return the comma-separated names in several texts."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def writable(folder: Path) -> Path:
    """Make a folder and check that it can be written to, before anything is computed. Raises BadSetting."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise BadSetting(f"Nothing can be saved in {str(folder)!r} ({why}); name another folder.") from error
