"""Background work: fair, polite, cancelled within a step, and not brought down by an error."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import camlab.common.jobs
from camlab.common.errors import BadSetting, Cancelled
from camlab.common.jobs import ABANDONED_AFTER, Job, Resumable, Steps, Worker, run_apart

PATIENCE = 30.0  # seconds until a test gives up on a thread; never waited for where the code works


def counting(job: Job, steps: int, log: list[str] | None = None) -> Steps:
    job.total = steps
    for _ in range(steps):
        if log is not None:
            log.append(job.title)
        job.advance()
        yield


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.002)
    return False


class Clock:
    """Stands in for the time module: time goes on only where a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def module(self) -> SimpleNamespace:
        return SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(camlab.common.jobs, "time", clock.module())
    return clock


class Gate:
    """Work whose every step waits to be let through, so that a test knows where it stands."""

    def __init__(self) -> None:
        self.started = 0
        self._begun = threading.Semaphore(0)
        self._through = threading.Semaphore(0)

    def work(self, job: Job) -> Iterator[None]:
        while True:
            self.started += 1
            self._begun.release()
            assert self._through.acquire(timeout=PATIENCE)
            job.advance()
            yield

    def wait_until_a_step_begins(self) -> None:
        assert self._begun.acquire(timeout=PATIENCE)

    def let_it_through(self) -> None:
        self._through.release()


# one job


def test_a_job_runs_to_its_end_one_step_at_a_time() -> None:
    log: list[str] = []
    job = Job("a", lambda job: counting(job, 3, log))
    assert job.running and job.done == 0
    for done in (1, 2, 3):
        job.step()
        assert (job.done, job.total, len(log)) == (done, 3, done)
        assert job.running
    job.step()
    assert (job.finished, job.running, job.cancelled) == (True, False, False)
    assert job.error is None and len(log) == 3


def test_nothing_of_the_work_happens_before_the_first_step() -> None:
    log: list[str] = []

    def work(job: Job) -> Steps:
        log.append("made")
        return counting(job, 1)

    job = Job("a", work)
    assert log == []
    job.step()
    assert log == ["made"]


def test_every_step_and_every_advance_shows_in_the_version() -> None:
    job = Job("a", lambda job: counting(job, 2))
    seen = [job.version]
    for _ in range(3):
        job.step()
        seen.append(job.version)
    assert seen == [0, 2, 4, 5]


def test_advance_counts_several_steps() -> None:
    job = Job("a", lambda job: counting(job, 1))
    job.advance(4)
    job.advance()
    assert job.done == 5


def test_cancelled_before_it_began_it_never_does() -> None:
    log: list[str] = []
    job = Job("a", lambda job: counting(job, 3, log))
    job.cancel()
    assert not job.running
    job.step()
    assert log == [] and job.cancelled and not job.finished


def test_cancelled_between_steps_no_further_step_is_taken() -> None:
    log: list[str] = []
    job = Job("a", lambda job: counting(job, 3, log))
    job.step()
    job.cancel()
    job.step()
    assert log == ["a"] and job.error is None


def test_check_stops_the_work_inside_a_step_and_is_no_error() -> None:
    reached: list[int] = []

    def work(job: Job) -> Steps:
        for chunk in range(10):
            job.check()
            reached.append(chunk)
            if chunk == 3:
                job.cancel()
        yield

    job = Job("a", work)
    job.step()
    assert reached == [0, 1, 2, 3]
    assert job.cancelled and not job.running and job.error is None


def test_check_is_silent_while_nobody_cancels() -> None:
    job = Job("a", lambda job: counting(job, 1))
    job.check()
    job.cancel()
    with pytest.raises(Cancelled):
        job.check()


def failing(error: Exception) -> Callable[[Job], Steps]:
    def work(job: Job) -> Steps:
        yield
        raise error

    return work


def test_an_error_for_the_user_is_kept_as_it_stands() -> None:
    job = Job("a", failing(BadSetting("Severity 9 is out of range; choose a number from 0 to 5.")))
    job.step()
    assert job.running
    job.step()
    assert job.error == "Severity 9 is out of range; choose a number from 0 to 5."
    assert job.finished and not job.running


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("/secret/path <b>"), "ValueError"),
        (MemoryError(), "MemoryError"),
        (StopIteration(), "RuntimeError"),
    ],
)
def test_a_bug_becomes_a_sentence_without_its_innards(error: Exception, name: str) -> None:
    job = Job("a", failing(error))
    job.step()
    job.step()
    assert job.error == f"The computation stopped unexpectedly ({name}); change a setting to retry."
    assert job.finished


def test_work_that_cannot_even_be_made_is_an_error_too() -> None:
    def work(job: Job) -> Steps:
        raise BadSetting("Nothing to do here; choose a picture.")

    job = Job("a", work)
    job.step()
    assert job.error == "Nothing to do here; choose a picture." and job.finished


def test_time_left_goes_by_the_pace_so_far(clock: Clock) -> None:
    def work(job: Job) -> Steps:
        job.total = 5
        for seconds in (2.0, 4.0, 0.0, 0.0, 0.0):
            clock.now += seconds
            job.advance()
            yield

    job = Job("a", work)
    unknown = job.seconds_left
    assert unknown is None
    job.step()
    assert job.elapsed == 2.0 and job.seconds_left == 8.0
    clock.now += 20.0  # waiting for its turn is not work
    job.step()
    assert job.elapsed == 6.0 and job.seconds_left == 9.0
    job.step()
    assert job.seconds_left == 4.0
    job.step()
    job.step()
    assert job.done == job.total and job.seconds_left is None


def test_steps_that_count_nothing_say_nothing_about_the_pace(clock: Clock) -> None:
    def work(job: Job) -> Steps:
        job.total = 3
        for counted, seconds in ((1, 2.0), (0, 50.0), (1, 4.0), (1, 0.0)):
            clock.now += seconds
            if counted:
                job.advance()
            yield

    job = Job("a", work)
    job.step()
    job.step()
    assert job.elapsed == 52.0 and job.seconds_left == 4.0
    job.step()
    assert job.seconds_left == 3.0


def test_a_job_that_nobody_looks_at_stops(clock: Clock) -> None:
    log: list[str] = []
    job = Job("a", lambda job: counting(job, 9, log))
    clock.now += ABANDONED_AFTER
    job.step()
    assert (job.running, len(log)) == (True, 1)
    clock.now += 0.5
    job.step()
    assert job.cancelled and not job.running and len(log) == 1


def test_a_job_that_somebody_looks_at_goes_on(clock: Clock) -> None:
    job = Job("a", lambda job: counting(job, 9))
    for done in range(1, 6):
        clock.now += ABANDONED_AFTER - 1
        job.touch()
        clock.now += 2
        job.step()
        assert job.running and job.done == done


def test_a_job_on_a_thread_of_its_own_runs_to_its_end() -> None:
    log: list[str] = []
    job = Job("a", lambda job: counting(job, 3, log))
    thread = run_apart(job)
    assert thread is not threading.current_thread() and thread.daemon
    thread.join(PATIENCE)
    assert job.finished and job.error is None and len(log) == 3


# the worker


def test_two_jobs_take_turns() -> None:
    worker = Worker()
    log: list[str] = []
    with worker.foreground():  # both are queued before the first step
        jobs = [worker.submit(Job(name, lambda job: counting(job, 6, log))) for name in "ab"]
    assert eventually(lambda: not any(job.running for job in jobs))
    assert sorted(log) == list("aaaaaabbbbbb")
    turns = list(zip(log[::2], log[1::2], strict=True))
    assert set(turns) in ({("a", "b")}, {("b", "a")})


def test_a_late_job_does_not_wait_for_the_end_of_an_earlier_one() -> None:
    worker, gate = Worker(), Gate()
    endless = worker.submit(Job("endless", gate.work))
    gate.wait_until_a_step_begins()
    log: list[str] = []
    late = worker.submit(Job("late", lambda job: counting(job, 3, log)))
    gate.let_it_through()
    for _ in range(4):
        gate.wait_until_a_step_begins()
        gate.let_it_through()
    assert eventually(lambda: late.finished) and len(log) == 3
    assert endless.running
    endless.cancel()
    gate.let_it_through()


def test_submitting_returns_the_job_at_once_and_runs_it_elsewhere() -> None:
    threads: list[str] = []

    def work(job: Job) -> Steps:
        threads.append(threading.current_thread().name)
        yield

    worker = Worker()
    job = Job("a", work)
    assert worker.submit(job) is job
    assert eventually(lambda: job.finished)
    assert threads == ["camlab-worker"]


def test_while_somebody_waits_no_new_step_begins() -> None:
    worker, gate = Worker(), Gate()
    job = worker.submit(Job("a", gate.work))
    gate.wait_until_a_step_begins()
    with worker.foreground():
        gate.let_it_through()
        assert eventually(lambda: job.done == 1), "the step under way comes to its end"
        with worker.foreground():
            pass
        time.sleep(0.05)  # room for a step that must not begin, also not after an inner one has left
        assert gate.started == 1
    gate.wait_until_a_step_begins()
    assert gate.started == 2
    job.cancel()
    gate.let_it_through()


def test_the_foreground_is_left_also_by_an_error() -> None:
    worker = Worker()
    with pytest.raises(KeyError), worker.foreground():
        raise KeyError
    job = worker.submit(Job("a", lambda job: counting(job, 2)))
    assert eventually(lambda: job.finished)


def test_cancel_takes_effect_within_one_step() -> None:
    worker, gate = Worker(), Gate()
    job = worker.submit(Job("a", gate.work))
    gate.wait_until_a_step_begins()
    gate.let_it_through()
    gate.wait_until_a_step_begins()
    job.cancel()
    assert not job.running
    gate.let_it_through()
    after = worker.submit(Job("b", lambda job: counting(job, 2)))
    assert eventually(lambda: after.finished)
    assert gate.started == 2 and job.cancelled


def test_an_error_in_one_job_leaves_the_others_alone() -> None:
    worker = Worker()
    with worker.foreground():
        bad = worker.submit(Job("bad", failing(ValueError("x"))))
        good = worker.submit(Job("good", lambda job: counting(job, 5)))
    assert eventually(lambda: not (bad.running or good.running))
    assert bad.error is not None and good.error is None and good.done == 5
    later = worker.submit(Job("later", lambda job: counting(job, 2)))
    assert eventually(lambda: later.finished) and later.done == 2


def test_an_abandoned_job_leaves_the_worker_to_others(clock: Clock) -> None:
    worker = Worker()
    log: list[str] = []
    with worker.foreground():
        forgotten = worker.submit(Job("forgotten", lambda job: counting(job, 10**6, log)))
        clock.now += ABANDONED_AFTER + 1
        watched = worker.submit(Job("watched", lambda job: counting(job, 3)))
    assert eventually(lambda: watched.finished and not forgotten.running)
    assert log == [] and watched.done == 3


# the end


def test_stopping_cancels_all_jobs_and_waits_for_the_step_under_way() -> None:
    worker, gate = Worker(), Gate()
    running = worker.submit(Job("running", gate.work))
    queued = worker.submit(Job("queued", lambda job: counting(job, 3)))
    gate.wait_until_a_step_begins()
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    assert eventually(lambda: not running.running and not queued.running)
    assert stopper.is_alive(), "the step under way is waited for"
    gate.let_it_through()
    stopper.join(PATIENCE)
    assert not stopper.is_alive()
    assert running.cancelled and queued.cancelled and gate.started == 1 and queued.done == 0
    late = worker.submit(Job("late", lambda job: counting(job, 3)))
    assert late.cancelled and not late.running


def test_stopping_is_not_held_back_by_somebody_who_waits() -> None:
    idle = Worker()
    idle.stop()  # before the first job there is nothing to wait for
    worker = Worker()
    with worker.foreground():
        job = worker.submit(Job("a", lambda job: counting(job, 3)))
        worker.stop()
    assert job.cancelled and job.done == 0


PROGRAM = """
import time
import weakref
from camlab.common.jobs import Job, Worker
begun = []
def work(job):
    while True:
        begun.append(1)
        time.sleep(0.3)
        print("a whole step", flush=True)
        yield
Worker().submit(Job("endless", work))
while not begun:
    time.sleep(0.001)
print("the end of the program", flush=True)
"""


def test_a_program_ends_after_the_step_under_way_and_not_inside_it() -> None:
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines() == ["the end of the program", "a whole step"]


@pytest.mark.parametrize("end", ["finished", "cancelled", "failed"])
def test_a_job_that_has_ended_holds_on_to_nothing(end: str) -> None:
    class Owner:
        def __init__(self) -> None:
            self.job = Job("owned", self.work)

        def work(self, job: Job) -> Steps:
            yield
            if end == "failed":
                raise ValueError

    owner = Owner()
    job, kept = owner.job, weakref.ref(owner)
    job.step()
    if end == "cancelled":
        job.cancel()
    job.step()
    assert not job.running
    gc.disable()
    try:
        del owner
        assert kept() is None
    finally:
        gc.enable()
    job.step()  # nothing is left to do
    assert not job.running


def test_resuming_gives_a_new_job_of_the_same_title_for_what_is_missing() -> None:
    class Squares(Resumable):
        def __init__(self) -> None:
            super().__init__("Squares")
            self.found: dict[int, int] = {}

        def _work(self, job: Job) -> Steps:
            while len(self.found) < 3:
                self.found[len(self.found)] = len(self.found) ** 2
                job.advance()
                yield

    squares = Squares()
    squares.job.step()
    squares.job.cancel()
    squares.job.step()
    assert squares.found == {0: 0}
    job = squares.resume()
    assert job is squares.job and job.title == "Squares" and not job.cancelled
    while job.running:
        job.step()
    assert squares.found == {0: 0, 1: 1, 2: 4} and job.done == 2
