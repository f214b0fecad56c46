"""A progress bar for the terminal, and plain lines where the output is no terminal."""

from __future__ import annotations

from typing import TextIO

WIDTH = 24


class Bar:
    """How far work of a known number of steps is; each step is told when it begins."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total = total
        self.begun = 0
        self._out = out
        self._lively = out.isatty()

    def step(self, what: str) -> None:
        """Say what begins now; everything before it is done."""
        done, self.begun = self.begun, self.begun + 1
        if self._lively:
            filled = WIDTH * min(done, self.total) // max(1, self.total)
            line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done} of {self.total}  {what}"
            self._out.write(f"\r\x1b[2K{line[:100]}")  # back to the start of the line, which is cleared
        else:
            self._out.write(f"note: {self.begun} of {self.total}: {what}\n")
        self._out.flush()

    def end(self) -> None:
        """Take the bar away."""
        if self._lively:
            self._out.write("\r\x1b[2K")
            self._out.flush()
