"""The Ray backend: workers on a cluster, each of which keeps its model while that has pictures left.

A worker is an actor that receives chunks of units, two at a time, so that it loads a model and computes its reference
maps only once. A dead worker is replaced, and its chunks are tried again. Workers send their rows to this process,
which alone needs the study's folder.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from camlab.common.errors import BadSetting, CamLabError
from camlab.study.prepare import THREADS, Prepared, from_manifest, read_manifest
from camlab.study.rows import UnitWorker
from camlab.study.run.control import environment
from camlab.study.run.local import CHECK_EVERY, TRIES, Chunk
from camlab.study.run.progress import Progress
from camlab.study.run.worker import write_units
from camlab.study.store.own_models import offer_models, weights_of

#: Share of a GPU per worker: while one computes on it, others perturb pictures and compare maps on CPUs.
GPU_SHARE = 0.25
AHEAD = 2  # chunks that a worker has at once, so that it never waits for the next


def connect(address: str | None) -> Any:
    """Connect Ray to the cluster at an address, by default on this machine. Raises BadSetting."""
    try:
        import ray
    except ImportError as error:
        raise BadSetting(
            "The ray backend needs Ray; run `pip install -r requirements-cluster.txt`, or leave --backend out."
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(address=address or "auto", logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            where = f"at {address[:80]!r}" if address else "on this machine"
            raise BadSetting(
                f"No Ray cluster answers {where}; start one with `ray start --head`, or name its --address."
            ) from error
    return ray


class Station:
    """A worker on the cluster, which computes units of the study that the manifest describes."""

    def __init__(self, manifest: Mapping[str, Any], weights: Mapping[str, bytes]) -> None:
        """Prepare the study from its manifest and the weights of its own models; no folder is needed."""
        offer_models(manifest, weights.__getitem__)
        self._worker = UnitWorker(from_manifest(manifest), models=1)
        self._go = threading.Event()
        self._go.set()

    def hold(self, paused: bool) -> None:
        """Pause within a batch, or continue."""
        if paused:
            self._go.clear()
        else:
            self._go.set()

    def compute(self, numbers: Chunk) -> Any:
        """Compute the rows of some units, or return the error as a sentence."""
        torch.set_num_threads(THREADS)  # applies to the calling thread
        try:
            units = self._worker.prepared.units
            return [self._worker.compute(units[number], self._check) for number in numbers]
        except CamLabError as error:
            return str(error)

    def _check(self) -> None:
        self._go.wait()


class RayPool:
    """Workers on a Ray cluster: as many as it has room for, at most ``workers``."""

    def __init__(self, folder: Path, workers: int | None, device: str, address: str | None) -> None:
        """Connect to the cluster. Raises BadSetting without Ray, without a cluster or without room on it."""
        self._folder = folder
        self._ray = connect(address)
        room = self._ray.cluster_resources()
        gpus = 0.0 if device == "cpu" else float(room.get("GPU", 0.0))
        self._needs: dict[str, float] = {"num_cpus": THREADS} | ({"num_gpus": GPU_SHARE} if gpus else {})
        most = min(float(room.get("CPU", 0.0)) // THREADS, gpus // GPU_SHARE if gpus else float("inf"))
        if most < 1:
            raise BadSetting("The Ray cluster has no room for a worker; use a larger cluster, or the local backend.")
        self.size = int(most) if workers is None else min(workers, int(most))
        self._actors: list[Any] = []
        self._weights: Any = None

    def run(self, prepared: Prepared, chunks: Sequence[Chunk], progress: Progress, look: Callable[[], bool]) -> None:
        """Compute all chunks on the workers; see `LocalPool.run`."""
        ray, manifest = self._ray, read_manifest(self._folder)
        # Once for all workers, as own models may take gigabytes.
        self._weights = ray.put(weights_of(self._folder, manifest))
        wanted: dict[str, deque[Chunk]] = {}
        for chunk in chunks:
            wanted.setdefault(prepared.units[chunk[0]].model, deque()).append(chunk)
        count = min(self.size, len(chunks))
        self._actors = [self._station(manifest) for _ in range(count)]
        shifts: list[str | None] = [None] * count
        under_way: dict[Any, tuple[int, Chunk]] = {}
        tries = Counter[Chunk]()
        paused = False

        def hand_out(place: int) -> None:
            while sum(at == place for at, _ in under_way.values()) < AHEAD:
                if not wanted.get(shifts[place] or ""):
                    left = {model: len(queue) for model, queue in wanted.items() if queue}
                    if not left:
                        return
                    # Choose the model with the most chunks left per worker on it.
                    shifts[place] = max(left, key=lambda model: left[model] / (1 + shifts.count(model)))
                chunk = wanted[str(shifts[place])].popleft()
                under_way[self._actors[place].compute.remote(chunk)] = (place, chunk)

        for place in range(count):
            hand_out(place)
        while under_way:
            if (now := look()) != paused:
                paused = now
                for actor in self._actors:
                    actor.hold.remote(paused)
            progress.say("paused" if paused else "running")
            ready, _ = ray.wait(list(under_way), num_returns=1, timeout=CHECK_EVERY)
            for done in ready:
                if done not in under_way:
                    continue
                place, chunk = under_way.pop(done)
                try:
                    found = ray.get(done)
                except ray.exceptions.RayError as error:
                    lost = [chunk, *(c for at, c in under_way.values() if at == place)]
                    under_way = {ref: job for ref, job in under_way.items() if job[0] != place}
                    tries[chunk] += 1
                    if tries[chunk] >= TRIES:
                        raise CamLabError(
                            f"A worker of the cluster failed {TRIES} times on the same pictures "
                            f"({type(error).__name__}); check Ray's logs."
                        ) from error
                    wanted[prepared.units[chunk[0]].model].extendleft(reversed(lost))
                    ray.kill(self._actors[place])
                    self._actors[place] = self._station(manifest)
                    self._actors[place].hold.remote(paused)
                else:
                    self._keep(found, progress)
                hand_out(place)

    def _keep(self, found: Any, progress: Progress) -> None:
        """Write a worker's rows. Raises CamLabError with a worker's error."""
        if isinstance(found, str):
            raise CamLabError(found)
        write_units(self._folder, found)
        for each in found:
            progress.add(each.note.unit, each.note.rows, each.note.seconds, each.note.skipped)

    def _station(self, manifest: Mapping[str, Any]) -> Any:
        # One thread computes; another one receives requests to pause.
        env = {k: v for k, v in environment(THREADS).items() if k.endswith("_THREADS") or k == "PYTHONPATH"}
        actor = self._ray.remote(Station).options(max_concurrency=2, runtime_env={"env_vars": env}, **self._needs)
        return actor.remote(manifest, self._weights)

    def close(self) -> None:
        """End all workers; only their current chunks are lost."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
