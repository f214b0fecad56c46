"""Simulate many visitors on one engine; check that answers are right, waits are fair and memory does not grow.

    python -m benchmarks.visitors                       # 10 visitors at once, then 1,000 interactions
    python -m benchmarks.visitors --visitors 20 --drags 30 --interactions 5000

Each visitor has a picture, a method and a noise type, drags the severity, and has a sweep computed in the background,
as on the Explore page. One thread alone then computes every answer again for comparison. Exits with 1 if an answer is
wrong or the network was modified.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from camlab.cams import CAMS
from camlab.common.jobs import Worker
from camlab.engine.cache.memory import MapCache
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.inputs import Inputs
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from camlab.images import Picture, built_in_pictures
from camlab.models import load_classifier
from camlab.models.classifier import Classifier
from camlab.noise import NOISES, no_companion

#: Largest accepted difference of a map value or probability: other batches round differently.
CLOSE = 1e-4
SMALL_CACHE = 4 * 2**20  # bytes: full after a few hundred interactions, as a server's is after some hours
LIGHT = [name for name, method in CAMS.items() if method.cost == "shared"]
#: One expensive method is included, because it occupies the device for long.
METHODS = [*LIGHT, "ablationcam"]


@dataclasses.dataclass
class Visitor:
    """A scene, the severities to show, and for each the answer and its wait (seconds)."""

    scene: Scene
    severities: list[float]
    answers: list[Shown] = dataclasses.field(default_factory=list)
    waits: list[float] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Crowd:
    """The results: answers and wrong ones, each visitor's mean wait (seconds), passes and requests."""

    answers: int
    wrong: list[str]
    left_behind: list[str]
    mean_waits: list[float]
    batches: int
    requests: int
    swept: int

    @property
    def unfairness(self) -> float:
        """The longest mean wait of a visitor over the mean of all."""
        return max(self.mean_waits) / float(np.mean(self.mean_waits))


def visitors(
    engine: Engine,
    count: int,
    drags: int,
    methods: Sequence[str],
    seed: int = 0,
    pictures: Sequence[Picture] | None = None,
) -> list[Visitor]:
    """Make visitors with random choices; pictures: default, all built-in ones."""
    chance = random.Random(seed)
    pictures = pictures or built_in_pictures()
    # Noise types without needs: there is no second picture, and attacks amplify rounding differences.
    noises = [name for name, kind in NOISES.items() if not kind.needs]
    made = []
    for i in range(count):
        state = dataclasses.replace(
            ExploreState(),
            method=methods[i % len(methods)],
            noise=chance.choice(noises),
            seed=chance.randrange(1000),
            draws=4,
        )
        steps = [chance.randint(1, 20) / 4 for _ in range(drags)]
        made.append(Visitor(Scene(engine, chance.choice(pictures), state), steps))
    return made


def crowd(classifier: Classifier, count: int, drags: int, methods: Sequence[str] = METHODS) -> Crowd:
    """Let all visitors drag at once, then compare every answer with that of a single thread."""
    before = numbers(classifier)
    engine = Engine(classifier, MapCache(SMALL_CACHE), queue=DeviceQueue())
    people = visitors(engine, count, drags, methods)
    start, worker = threading.Barrier(count), Worker()

    def drag(visitor: Visitor) -> int:
        start.wait()
        sweep = Sweep(visitor.scene, visitor.severities[0])
        worker.submit(sweep.job)
        for severity in visitor.severities:
            sweep.focus = severity
            began = time.perf_counter()
            with worker.foreground():
                visitor.answers.append(visitor.scene.shown(severity, visitor.scene.state.seed))
            visitor.waits.append(time.perf_counter() - began)
        sweep.job.cancel()
        return len(sweep.frame())

    try:
        with ThreadPoolExecutor(count) as pool:
            swept = sum(pool.map(drag, people))
    finally:
        worker.stop()
    alone = Engine(classifier, MapCache(), queue=DeviceQueue())
    return Crowd(
        sum(len(v.answers) for v in people),
        [problem for v in people for problem in mistakes(v, alone)],
        left_behind(classifier, before),
        [float(np.mean(v.waits)) for v in people],
        engine.queue.batches,
        engine.queue.requests,
        swept,
    )


def mistakes(visitor: Visitor, alone: Engine) -> list[str]:
    """Describe each answer that differs from that of a single thread."""
    scene = Scene(alone, visitor.scene.picture, visitor.scene.state)
    found = []
    for severity, answer in zip(visitor.severities, visitor.answers, strict=True):
        expected = scene.shown(severity, scene.state.seed)
        for ours, right in ((answer.clean, expected.clean), (answer.perturbed, expected.perturbed)):
            map_gap = float(np.abs(ours.maps[scene.method.name] - right.maps[scene.method.name]).max())
            gap = max(map_gap, float(np.abs(ours.probabilities - right.probabilities).max()))
            if gap > CLOSE or ours.target != right.target:
                found.append(f"{scene.picture.id} {scene.method.name} {severity:g}: off by {gap:.2g}")
        if not np.array_equal(answer.perturbed_input, expected.perturbed_input):
            found.append(f"{scene.picture.id} {severity:g}: another picture")
    return found


def left_behind(classifier: Classifier, before: dict[str, torch.Tensor]) -> list[str]:
    """Describe what a run left in the shared network: hooks, gradients, training mode, changed values."""
    found = []
    for name, module in modules(classifier):
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            found.append(f"{name or 'network'} has hooks")
        if module.training:
            found.append(f"{name or 'network'} is in training mode")
        if any(p.grad is not None or p.requires_grad for p in module.parameters(recurse=False)):
            found.append(f"{name or 'network'} takes gradients")
    after = numbers(classifier)
    found += [f"{name} has changed" for name, value in before.items() if not torch.equal(after[name], value)]
    return found


def modules(classifier: Classifier) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield every module of the original network and of the copy that runs, with names."""
    yield from classifier.module.named_modules()
    for stage in classifier._stages:
        yield from stage.module.named_modules(prefix=f"running {stage.name}")


def numbers(classifier: Classifier) -> dict[str, torch.Tensor]:
    """Copy every tensor of these modules, by name."""
    return {
        f"{name}.{key}": value.clone()
        for name, module in modules(classifier)
        for key, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    }


def soak(
    classifier: Classifier,
    interactions: int,
    mark: int,
    methods: Sequence[str] = LIGHT,
    threads: int = 4,
    pictures: Sequence[Picture] | None = None,
    progress: Callable[[int, int, int], None] = lambda *_: None,
) -> list[dict[str, int]]:
    """Run many interactions with random choices; record the memory after every `mark` of them.

    A record holds the interactions so far, and the bytes of resident memory, of live tensors and of the cache.
    """
    engine = Engine(classifier, MapCache(SMALL_CACHE), queue=DeviceQueue())
    # Limit the perturbed pictures that the engine keeps, so that they are full after a few interactions.
    engine.pictures = Inputs(classifier, engine.queue, no_companion, SMALL_CACHE)
    counter, records = itertools.count(), []

    def interact(_: int) -> None:
        turn = next(counter)
        (visitor,) = visitors(engine, 1, 1, [methods[turn % len(methods)]], turn, pictures)
        visitor.scene.shown(visitor.severities[0], visitor.scene.state.seed)

    with ThreadPoolExecutor(threads) as pool:
        for done in range(mark, interactions + 1, mark):
            list(pool.map(interact, range(mark)))
            gc.collect()
            record = {
                "interactions": done,
                "resident": resident(),
                "tensors": live_tensor_bytes(),
                "cache": engine.cache.stats().bytes,
            }
            records.append(record)
            progress(done, record["resident"], record["tensors"])
    return records


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def live_tensor_bytes() -> int:
    """Return the bytes of all live tensors."""
    storages = {}
    for each in gc.get_objects():
        # Check the type only: isinstance would load lazy objects.
        if issubclass(type(each), torch.Tensor):
            storage = each.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=ExploreState().model)
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--drags", type=int, default=20, help="severities per visitor")
    parser.add_argument("--interactions", type=int, default=1000)
    options = parser.parse_args(arguments)
    classifier = load_classifier(options.model)
    crowd(classifier, 2, 2)  # warm up
    found = crowd(classifier, options.visitors, options.drags)
    print(
        f"{options.visitors} visitors at once, {found.answers} answers: {len(found.wrong)} wrong; "
        f"mean wait {np.mean(found.mean_waits) * 1000:.0f} ms, the slowest visitor {found.unfairness:.2f} × that; "
        f"{found.requests} requests in {found.batches} batches; {found.swept} draws in the background"
    )
    records = (
        []
        if not options.interactions
        else soak(classifier, options.interactions, max(1, options.interactions // 10), progress=_print)
    )
    # By the first record, the cache and the allocators' pools are full.
    if records:
        growth = records[-1]["resident"] - records[0]["resident"]
        print(
            f"resident memory from interaction {records[0]['interactions']} to {records[-1]['interactions']}: "
            f"{growth / 2**20:+.0f} MiB"
        )
    for problem in [*found.wrong, *found.left_behind]:
        print(problem, file=sys.stderr)
    return 1 if found.wrong or found.left_behind else 0


def _print(done: int, in_memory: int, tensors: int) -> None:
    print(f"{done:6} interactions: {in_memory / 2**20:7.0f} MiB resident, {tensors / 2**20:6.0f} MiB of tensors")


if __name__ == "__main__":
    sys.exit(main())
