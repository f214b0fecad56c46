"""The queue of a device: order, common batches, errors and cancelling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from camlab.cams import SharedPass, shared_pass
from camlab.common.errors import Cancelled
from camlab.common.jobs import Job, Worker, in_background
from camlab.engine.device_queue import DeviceQueue, PassRequest, Ticket, device_queue
from tests.cams import stub as stubs
from tests.cams.stub import Stub, random_pictures
from tests.rounding import DOUBLE, apart

POISON = 0.123456  # a picture whose first pixel is this makes the stub's head fail


def signed_stub(seed: int = 0) -> Stub:
    """In float64, so that a pass in another batch is the same to 12 digits."""
    return stubs.signed_stub(seed).double()


class Watched(Stub):
    """A stub that remembers what went through its head, and fails on poisoned pictures or too many of them."""

    @classmethod
    def of(cls, stub: Stub, room: int = 99) -> Watched:
        watched = cls.__new__(cls)
        watched.__dict__.update(stub.__dict__, batches=[], room=room)
        return watched

    batches: list[int]
    room: int

    def head(self, z: Tensor, layer: str) -> Tensor:
        self.batches.append(len(z))
        if len(z) > self.room:
            raise RuntimeError("CUDA out of memory")
        if bool(torch.isclose(z[:, 0, 0, 0], self.normalise(torch.tensor(POISON))).any()):
            raise ValueError("poisoned")
        return super().head(z, layer)


class Desk:
    """A queue whose device is busy until the desk opens, and threads that wait there in a known order."""

    def __init__(self, queue: DeviceQueue) -> None:
        self.queue = queue
        self._pool = ThreadPoolExecutor(16)
        self._open = threading.Event()
        self._holder = self._pool.submit(self._hold)
        _until(lambda: queue._busy)

    def _hold(self) -> None:
        with self.queue.turn():
            assert self._open.wait(20)

    def ask(self, work: Callable[[], Any], background: bool = False) -> Future[Any]:
        """Start work in a thread of its own and return when it waits."""
        known = self.queue.waiting

        def run() -> Any:
            in_background.set(background)
            return work()

        asked = self._pool.submit(copy_context().run, run)
        _until(lambda: self.queue.waiting > known)
        return asked

    def open(self) -> None:
        self._open.set()
        self._holder.result(20)

    def close(self) -> None:
        self._open.set()
        self._pool.shutdown()


@contextmanager
def desk(limit: int = 16) -> Iterator[Desk]:
    made = Desk(DeviceQueue(limit))
    try:
        yield made
    finally:
        made.close()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.001)


def request(
    stub: Stub, count: int = 1, seed: int = 0, targets: list[int | None] | None = None, **options: Any
) -> PassRequest:
    pictures = random_pictures(count, seed=seed)
    keys = [f"{seed}.{i}" for i in range(count)]
    return PassRequest(stub, "cut", pictures, targets or [None] * count, keys, True, **options)


def alone(asked: PassRequest) -> SharedPass:
    return shared_pass(asked.classifier, asked.layer, asked.pictures, asked.targets, asked.keys)


def assert_same(ours: SharedPass, theirs: SharedPass) -> None:
    for name in ("inputs", "activations", "gradients", "logits"):
        wanted = getattr(theirs, name)
        assert wanted.dtype == torch.float64
        assert apart(getattr(ours, name), wanted).max() <= DOUBLE * float(wanted.abs().max()), name
    assert torch.equal(ours.targets, theirs.targets) and tuple(ours.keys) == tuple(theirs.keys)


def test_one_caller_gets_the_very_pass() -> None:
    queue, asked = DeviceQueue(), request(signed_stub(), 3, targets=[None, 2, 0])
    assert_same(queue.run(asked), alone(asked))
    assert (queue.batches, queue.requests, queue.waiting) == (1, 1, 0)


def test_what_waits_and_fits_is_one_batch_and_everybody_gets_their_own_part() -> None:
    stub = Watched.of(signed_stub())
    asked = [request(stub, 1 + i % 3, seed=i, targets=[i % 5, None, 1][: 1 + i % 3]) for i in range(6)]
    with desk() as here:
        answers = [here.ask(partial(here.queue.run, a)) for a in asked]
        here.open()
        found = [answer.result(20) for answer in answers]
    assert stub.batches == [12] and here.queue.batches == 1 and here.queue.requests == 6
    for a, part in zip(asked, found, strict=True):
        assert_same(part, alone(a))
        assert part.check is a.check and part.chunk == a.chunk


def test_a_batch_grows_to_the_limit_and_no_further() -> None:
    stub = Watched.of(signed_stub())
    with desk(limit=5) as here:
        answers = [here.ask(partial(here.queue.run, request(stub, 2, seed=i))) for i in range(5)]
        here.open()
        for i, answer in enumerate(answers):
            assert_same(answer.result(20), alone(request(signed_stub(), 2, seed=i)))
    assert stub.batches == [4, 4, 2]


def test_another_network_layer_or_kind_of_pass_is_another_batch() -> None:
    one, other = Watched.of(signed_stub()), Watched.of(signed_stub(1))
    base = request(one)
    different = [
        request(other),
        PassRequest(one, "", base.pictures, [None], ["k"], True),
        PassRequest(one, "cut", base.pictures, [None], ["k"], False),
        PassRequest(one, "cut", random_pictures(1, (14, 10)), [None], ["k"], False),
    ]
    assert base.fits(request(one, 5, seed=3))
    assert not any(base.fits(each) for each in different)
    with desk() as here:
        answers = [here.ask(partial(here.queue.run, a)) for a in (base, *different[:3], base)]
        here.open()
        without = [answer.result(20).gradients is None for answer in answers]
    assert without == [False, False, False, True, False]
    assert one.batches == [2, 1, 1] and other.batches == [1]


def test_who_is_waited_for_goes_first_and_among_equals_who_came_first() -> None:
    order: list[str] = []
    with desk(limit=1) as here:

        def work(name: str) -> Callable[[], None]:
            def run() -> None:
                with here.queue.turn():
                    order.append(name)

            return run

        calls = [("b1", True), ("f1", False), ("b2", True), ("f2", False), ("f3", False)]
        answers = [here.ask(work(name), background) for name, background in calls]
        here.open()
        for answer in answers:
            answer.result(20)
    assert order == ["f1", "f2", "f3", "b1", "b2"]


def test_the_worker_works_in_the_background_and_pages_do_not() -> None:
    seen: list[bool] = []

    def work(job: Job) -> Iterator[None]:
        seen.append(in_background.get())
        yield

    worker = Worker()
    job = worker.submit(Job("look", work))
    _until(lambda: not job.running)
    worker.stop()
    assert seen == [True] and not in_background.get()


def test_nobody_urgent_takes_the_background_along() -> None:
    stub = Watched.of(signed_stub())
    with desk() as here:
        calls = [(4, True), (1, False), (1, False)]
        answers = [here.ask(partial(here.queue.run, request(stub, n)), background) for n, background in calls]
        here.open()
        for answer in answers:
            answer.result(20)
    assert stub.batches == [2, 4]


def test_the_background_takes_along_who_is_waited_for() -> None:
    stub, queue = Watched.of(signed_stub()), DeviceQueue()
    leader, urgent = Ticket(False, request(stub, 4)), Ticket(True, request(stub, 1, seed=2))
    queue._waiting, queue._busy = [urgent], True
    queue._lead(leader)
    assert stub.batches == [5] and not queue._busy and queue.waiting == 0
    assert leader.result is not None and urgent.result is not None
    assert_same(urgent.result, alone(request(signed_stub(), 1, seed=2)))


def test_cancelled_while_waiting_the_others_are_served() -> None:
    stub, off = Watched.of(signed_stub()), threading.Event()

    def check() -> None:
        if off.is_set():
            raise Cancelled

    with desk() as here:
        first = here.ask(lambda: here.queue.run(request(stub, seed=1)))
        second = here.ask(lambda: here.queue.run(request(stub, seed=2, check=check)))
        off.set()
        with pytest.raises(Cancelled):
            second.result(20)
        assert here.queue.waiting == 1
        here.open()
        assert_same(first.result(20), alone(request(signed_stub(), seed=1)))
    assert stub.batches == [1]


def test_a_failing_request_fails_alone() -> None:
    stub = Watched.of(signed_stub())
    bad = request(stub, seed=2)
    bad.pictures[0, 0, 0, 0] = POISON
    with desk() as here:
        asked = [request(stub, seed=1), bad, request(stub, seed=3)]
        answers = [here.ask(partial(here.queue.run, a)) for a in asked]
        here.open()
        with pytest.raises(ValueError, match="poisoned"):
            answers[1].result(20)
        for i in (0, 2):
            assert_same(answers[i].result(20), alone(request(signed_stub(), seed=i + 1)))
        assert here.queue.waiting == 0 and not here.queue._busy
    assert stub.batches == [3, 1, 1, 1]


def test_out_of_memory_together_is_tried_one_by_one() -> None:
    stub = Watched.of(signed_stub(), room=2)
    with desk() as here:
        answers = [here.ask(partial(here.queue.run, request(stub, 1 + i, seed=i))) for i in range(3)]
        here.open()
        for i in (0, 1):
            assert_same(answers[i].result(20), alone(request(signed_stub(), 1 + i, seed=i)))
        with pytest.raises(RuntimeError, match="out of memory"):
            answers[2].result(20)
    assert stub.batches == [6, 1, 2, 3]


def test_an_error_holds_on_to_no_tensors() -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        asked = request(Watched.of(signed_stub(), room=0), 2)
        kept = weakref.ref(asked.pictures)
        with pytest.raises(RuntimeError):
            DeviceQueue().run(asked)
        del asked
        assert kept() is None
    finally:
        gc.enable()


def test_a_long_turn_lets_others_in_between_its_steps() -> None:
    order: list[str] = []
    queue, started, asked = DeviceQueue(), threading.Event(), threading.Event()

    def long(name: str, background: bool) -> None:
        in_background.set(background)
        with queue.turn() as step_aside:
            for step in range(3):
                order.append(f"{name}{step}")
                started.set()
                assert asked.wait(20)
                step_aside()

    def short(background: bool) -> None:
        in_background.set(background)
        with queue.turn():
            order.append("short")

    for long_is_background, short_is_background, goes_between in (
        (True, False, True),
        (False, False, True),
        (True, True, True),
        (False, True, False),
    ):
        order.clear()
        started.clear()
        asked.clear()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(long, "long", long_is_background)
            assert started.wait(20)
            second = pool.submit(short, short_is_background)
            _until(lambda: queue.waiting == 1)
            asked.set()
            first.result(20)
            second.result(20)
        expected = ["long0", "long1", "long2"]
        expected.insert(1 if goes_between else 3, "short")
        assert order == expected


def test_a_turn_ends_with_an_error_inside_it_or_while_it_steps_aside() -> None:
    queue = DeviceQueue()
    with pytest.raises(KeyError), queue.turn():
        raise KeyError

    off = threading.Event()

    def check() -> None:
        if off.is_set():
            raise Cancelled

    with pytest.raises(Cancelled), queue.turn(check) as step_aside:
        step_aside()
        off.set()
        step_aside()
    assert not queue._busy and queue.waiting == 0
    with queue.turn():
        assert queue._busy


def test_engines_on_one_device_share_its_queue() -> None:
    assert device_queue("cpu") is device_queue("cpu") and device_queue("cpu") is not device_queue("cuda:0")
