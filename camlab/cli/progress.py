"""A progress bar for the terminal, and plain lines where the output is no terminal."""

from __future__ import annotations

import shutil
from typing import Self, TextIO

WIDTH = 24


class Bar:
    """How far work of a known number of steps is; each step is told when it begins. Goes when its block ends."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total = total
        self.begun = 0
        self._out = out
        self._lively = out.isatty()

    def step(self, what: str) -> None:
        """Say what begins now; everything before it is done."""
        done, self.begun = self.begun, self.begun + 1
        if self._lively:
            self._draw(done, f"{done} of {self.total}  {what}")
        else:
            self._line(f"{self.begun} of {self.total}: {what}")

    def reach(self, done: int, total: int, what: str) -> None:
        """Say how far work is that has no steps, such as bytes; ``what`` says it in words, a line a tenth at most."""
        before, self.begun = self.begun, 10 * done // max(1, total)
        self.total = total
        if self._lively:
            self._draw(done, what)
        elif self.begun > before:
            self._line(what)

    def _draw(self, done: int, what: str) -> None:
        filled = WIDTH * min(done, self.total) // max(1, self.total)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {what}"
        # Back to the start of the line, which is cleared; one that wraps could not be.
        room = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[2K{line[:room]}")
        self._out.flush()

    def _line(self, what: str) -> None:
        self._out.write(f"note: {what}\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lively:
            self._out.write("\r\x1b[2K")
            self._out.flush()
