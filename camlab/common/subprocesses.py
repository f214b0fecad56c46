"""Child processes that report in lines of JSON on stdout, so that blocking work can be killed at any time.

A child ends when its stdin is closed, which the system also does when the parent dies.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from camlab.common.directories import IMPORT_ROOT

News = dict[str, Any]


class Child:
    """A running ``python -m MODULE ARGUMENTS``; ``environment`` overrides variables of the parent.

    on_message: called with every message, and with None at the end, instead of `news`. quiet: discard its stderr.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        on_message: Callable[[News | None], object] | None = None,
        quiet: bool = True,
        cwd: Path | None = IMPORT_ROOT,
    ) -> None:
        self._news: queue.Queue[News | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
        )
        on_message = on_message or self._news.put
        threading.Thread(target=_read, args=(self.process.stdout, on_message), daemon=True).start()

    def news(self, seconds: float) -> News | None:
        """Return the next message, None once the child has ended. Raises queue.Empty after ``seconds``."""
        return self._news.get(timeout=seconds)

    def send(self, **message: Any) -> None:
        """Send a message to the child; a dead child is noticed by the end of its messages."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.write(json.dumps(message) + "\n")
                self.process.stdin.flush()

    def kill(self) -> None:
        """Kill the child at once, without time to clean up."""
        self.process.kill()

    def stop(self, within: float) -> int:
        """Ask the child to end, kill it after ``within`` seconds, and return its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode


def send_to_parent(**message: Any) -> None:
    """Send a message to the parent (called in the child)."""
    print(json.dumps(message), flush=True)


def await_the_parent() -> None:
    """Block until the parent closes the pipe or dies (called in the child, on a separate thread)."""
    while os.read(0, 1024):  # the parent writes nothing
        pass


def _read(stream: IO[str], on_message: Callable[[News | None], object]) -> None:
    # A killed child may leave half a line.
    with stream, contextlib.suppress(ValueError):
        for line in stream:
            if line.startswith("{"):
                on_message(json.loads(line))
    on_message(None)
