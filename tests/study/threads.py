"""A local pool's workers as threads of this process, which need not import everything again.

They get the orders, and send the news, that worker processes do. Real processes are tested in ``run/test_run.py``.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from camlab.study.run import local
from camlab.study.run.worker import Orders, serve


class ThreadWorker:
    """A worker that computes on a thread of its own; what it sends and receives is JSON, as between processes."""

    def __init__(self, folder: Path, number: int, messages: queue.Queue[tuple[Any, dict[str, Any] | None]]) -> None:
        self.chunk: local.Chunk | None = None
        self._orders = Orders()

        def tell(**news: Any) -> None:
            messages.put((self, json.loads(json.dumps(news))))

        def work() -> None:
            serve(folder, self._orders, tell)
            messages.put((self, None))

        thread = threading.Thread(target=work, daemon=True)

        def wait(seconds: float) -> None:
            thread.join(seconds)
            assert not thread.is_alive(), "the worker goes on although it was stopped"

        self.process = SimpleNamespace(wait=wait, stdin=None, stdout=None)
        thread.start()

    def give(self, chunk: local.Chunk) -> None:
        self.chunk = chunk
        self.send(do=list(chunk))

    def send(self, **order: Any) -> None:
        self._orders.take(json.loads(json.dumps(order)))


@contextlib.contextmanager
def workers_as_threads(deaths: int = 0) -> Iterator[None]:
    """Let local pools compute on threads; the first ``deaths`` chunks kill the workers that get them."""
    left = deaths

    class Mortal(ThreadWorker):
        def give(self, chunk: local.Chunk) -> None:
            nonlocal left
            if left:
                left -= 1
                self.chunk = chunk
                self.send(stop=True)  # the pool hears of the end of its process, and of no result
            else:
                super().give(chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_Worker", Mortal if deaths else ThreadWorker)
        yield
