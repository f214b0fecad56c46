"""The local backend: worker processes with one thread each, which compute chunks of units in turn."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from camlab.common.errors import BadSetting, CamLabError
from camlab.common.subprocesses import Child, News
from camlab.common.threads import processors
from camlab.models import pick_device
from camlab.study.prepare import THREADS, Prepared
from camlab.study.run.control import environment
from camlab.study.run.progress import Progress

#: The number of tries for a chunk whose worker dies.
TRIES = 3
STOP_WITHIN = 20.0  # seconds for the current batch to end
CHECK_EVERY = 0.2  # seconds between two checks for the user's requests

Chunk = tuple[int, ...]


def default_workers(device: str = "auto") -> int:
    """Return one worker per processor that this process may use, or one per GPU."""
    place = pick_device(device)
    if place.type == "cuda":
        return torch.cuda.device_count() if place.index in (None, 0) and device == "auto" else 1
    if place.type != "cpu":
        return 1
    return processors()


class _Worker(Child):
    """One worker process, and the chunk that it computes."""

    def __init__(self, folder: Path, number: int, messages: queue.Queue[tuple[_Worker, News | None]]) -> None:
        self.chunk: Chunk | None = None
        env = environment(THREADS)
        # Each worker sees one GPU, in turn.
        shown = [each for each in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        if shown:
            env["CUDA_VISIBLE_DEVICES"] = shown[number % len(shown)]
        elif torch.cuda.is_available():
            env["CUDA_VISIBLE_DEVICES"] = str(number % torch.cuda.device_count())
        super().__init__(
            "camlab.study.run.worker",
            [str(folder)],
            env,
            on_message=lambda news: messages.put((self, news)),
            quiet=False,  # its stderr goes to the study's log
            cwd=None,  # relative paths of image sets count from here
        )

    def give(self, chunk: Chunk) -> None:
        """Send the worker a chunk to compute."""
        self.chunk = chunk
        self.send(do=list(chunk))


class LocalPool:
    """Workers on this machine, which start at once and import their modules while the study is being prepared."""

    def __init__(self, folder: Path, workers: int) -> None:
        if workers < 1:
            raise BadSetting(f"A study cannot run on {workers} workers; choose 1 or more.")
        self._folder = folder
        self._messages: queue.Queue[tuple[_Worker, News | None]] = queue.Queue()
        self.size = workers
        self._workers = [_Worker(folder, i, self._messages) for i in range(workers)]

    def run(
        self,
        prepared: Prepared,
        chunks: Sequence[Chunk],
        progress: Progress,
        look: Callable[[], bool],
    ) -> None:
        """Compute all chunks on the workers; ``look`` returns whether to pause, and raises Cancelled to end the run.

        Raises CamLabError with a worker's error, or if workers keep dying.
        """
        waiting = deque(chunks)
        tries = Counter[Chunk]()
        paused = False
        for worker in self._workers:
            self._next(worker, waiting)
        while any(worker.chunk for worker in self._workers):
            if (wanted := look()) != paused:
                paused = wanted
                for worker in self._workers:
                    worker.send(pause=paused)
            progress.say("paused" if paused else "running")
            try:
                worker, message = self._messages.get(timeout=CHECK_EVERY)
            except queue.Empty:
                continue
            if message is None:
                self._replace(worker, waiting, tries, paused)
            elif "error" in message:
                raise CamLabError(str(message["error"]))
            elif "done" in message:
                for unit, rows, seconds, skipped in message["done"]:
                    progress.add(int(unit), int(rows), float(seconds), str(skipped))
                worker.chunk = None
                self._next(worker, waiting)

    def _next(self, worker: _Worker, waiting: deque[Chunk]) -> None:
        if waiting:
            worker.give(waiting.popleft())

    def _replace(self, dead: _Worker, waiting: deque[Chunk], tries: Counter[Chunk], paused: bool) -> None:
        """Replace a dead worker, and compute its chunk next."""
        place = self._workers.index(dead)
        if dead.chunk is not None:
            tries[dead.chunk] += 1
            if tries[dead.chunk] >= TRIES:
                raise CamLabError(
                    f"A worker died {TRIES} times on the same pictures, perhaps out of memory; "
                    "use fewer workers or a smaller batch."
                )
            waiting.appendleft(dead.chunk)
        elif not waiting:
            return
        fresh = self._workers[place] = _Worker(self._folder, place, self._messages)
        fresh.send(pause=paused)
        self._next(fresh, waiting)

    def close(self) -> None:
        """End all workers after their current batch, and kill those that take too long."""
        for worker in self._workers:
            worker.send(stop=True)
        until = time.monotonic() + STOP_WITHIN
        for worker in self._workers:
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
