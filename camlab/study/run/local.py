"""The workers of this machine: processes with one thread each, handed one chunk of units after the other."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from camlab.common.errors import BadSetting, CamLabError, Cancelled
from camlab.common.threads import processors
from camlab.study.prepare import THREADS, Prepared
from camlab.study.run.control import environment
from camlab.study.run.progress import Progress

#: How often a chunk is tried again whose worker has died.
TRIES = 3
STOP_WITHIN = 20.0  # seconds that a batch under way may take to end
_LOOK = 0.2  # seconds between two looks at what is asked of the run

Chunk = tuple[int, ...]


def default_workers(device: str = "auto") -> int:
    """One worker a processor that this process may use, or one a GPU."""
    from camlab.models import pick_device

    place = pick_device(device)
    if place.type == "cuda":
        import torch

        return torch.cuda.device_count() if place.index in (None, 0) and device == "auto" else 1
    if place.type != "cpu":
        return 1
    return processors()


class _Worker:
    """One process and what it is at."""

    def __init__(self, folder: Path, number: int, heard: queue.Queue[tuple[_Worker, Any]]) -> None:
        self.chunk: Chunk | None = None
        env = environment(THREADS)
        # Each worker sees one GPU, in turn; where there is none this says nothing.
        shown = [each for each in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        if shown:
            env["CUDA_VISIBLE_DEVICES"] = shown[number % len(shown)]
        elif gpus := _gpus():
            env["CUDA_VISIBLE_DEVICES"] = str(number % gpus)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "camlab.study.run.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()

    def _listen(self, heard: queue.Queue[tuple[_Worker, Any]]) -> None:
        stream: IO[str] | None = self.process.stdout
        assert stream is not None
        for line in stream:
            try:
                heard.put((self, json.loads(line)))
            except ValueError:  # cut off in the middle
                break
        heard.put((self, None))

    def tell(self, **what: Any) -> None:
        """Say something to the process; one that has died is noticed by its silence."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            pass

    def give(self, chunk: Chunk) -> None:
        """Have a chunk computed."""
        self.chunk = chunk
        self.tell(do=list(chunk))


class LocalPool:
    """Workers on this machine. They start at once and import what they need while the study is being prepared."""

    def __init__(self, folder: Path, workers: int) -> None:
        if workers < 1:
            raise BadSetting(f"A study cannot be run by {workers} workers; choose 1 or more.")
        self._folder = folder
        self._heard: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
        self.size = workers
        self._workers = [_Worker(folder, i, self._heard) for i in range(workers)]

    def run(
        self,
        prepared: Prepared,
        chunks: Sequence[Chunk],
        progress: Progress,
        look: Callable[[], bool],
    ) -> None:
        """Have all chunks computed; ``look`` says whether to hold on, and raises Cancelled to end.

        Raises CamLabError with what a worker could not do, or where workers keep dying.
        """
        waiting = deque(chunks)
        tries: dict[Chunk, int] = {}
        paused = False
        for worker in self._workers:
            self._next(worker, waiting)
        while any(worker.chunk for worker in self._workers):
            if (wanted := look()) != paused:
                paused = wanted
                for worker in self._workers:
                    worker.tell(pause=paused)
            progress.say("paused" if paused else "running")
            try:
                worker, said = self._heard.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if said is None:
                self._replace(worker, waiting, tries, paused)
            elif "error" in said:
                raise CamLabError(str(said["error"]))
            elif "done" in said:
                for unit, rows, seconds, skipped in said["done"]:
                    progress.add(int(unit), int(rows), float(seconds), str(skipped))
                worker.chunk = None
                self._next(worker, waiting)

    def _next(self, worker: _Worker, waiting: deque[Chunk]) -> None:
        if waiting:
            worker.give(waiting.popleft())

    def _replace(self, dead: _Worker, waiting: deque[Chunk], tries: dict[Chunk, int], paused: bool) -> None:
        """Another worker for one that has died, with its work first."""
        place = self._workers.index(dead)
        if dead.chunk is not None:
            tries[dead.chunk] = tries.get(dead.chunk, 0) + 1
            if tries[dead.chunk] >= TRIES:
                raise CamLabError(
                    f"A worker ended {TRIES} times over the same pictures, perhaps for want of memory; "
                    "use fewer workers or a smaller batch."
                )
            waiting.appendleft(dead.chunk)
        elif not waiting:
            return
        fresh = self._workers[place] = _Worker(self._folder, place, self._heard)
        fresh.tell(pause=paused)
        self._next(fresh, waiting)

    def close(self) -> None:
        """End all workers: each within its batch, one that takes too long at once."""
        for worker in self._workers:
            worker.tell(stop=True)
        until = time.monotonic() + STOP_WITHIN
        for worker in self._workers:
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        continue


def _gpus() -> int:
    torch = sys.modules.get("torch")  # whoever starts workers on a GPU has asked it already
    return int(torch.cuda.device_count()) if torch is not None and torch.cuda.is_available() else 0


__all__ = ["Cancelled", "Chunk", "LocalPool", "default_workers"]
