"""Work in a process of its own, so that it can be ended wherever it hangs: a name lookup, a silent server.

It tells what happens in lines of JSON on stdout, and ends when its stdin is closed: also where its parent has died.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from camlab.common.directories import IMPORT_ROOT

News = dict[str, Any]


class Child:
    """A running ``python -m MODULE ARGUMENTS``; ``environment`` replaces variables of the parent's."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._news: queue.Queue[News | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            cwd=IMPORT_ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
        )
        assert self.process.stdout is not None
        threading.Thread(target=_read, args=(self.process.stdout, self._news), daemon=True).start()

    def news(self, seconds: float) -> News | None:
        """What it says next; None where it has ended. Raises queue.Empty where it says nothing for so long."""
        return self._news.get(timeout=seconds)

    def kill(self) -> None:
        """End it at once, without giving it time to clean up."""
        self.process.kill()

    def stop(self, within: float) -> int:
        """End it where it still runs, by force after so many seconds; its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # asks it to stop
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode


def tell(**what: Any) -> None:
    """Say something to the parent; in the process itself."""
    print(json.dumps(what), flush=True)


def await_the_parent() -> None:
    """Return when the parent closes the pipe, or has died; in the process itself, on a thread of its own."""
    while os.read(0, 1024):  # it writes nothing
        pass


def _read(stream: IO[str], news: queue.Queue[News | None]) -> None:
    with stream:
        for line in stream:
            if line.startswith("{"):
                news.put(json.loads(line))
    news.put(None)
