"""Run long work in small steps on one background thread, in turn between jobs, behind foreground work."""

from __future__ import annotations

import atexit
import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from camlab.common.errors import CamLabError, Cancelled

Steps = Iterator[None]

#: Whether this thread's work may wait until no foreground work needs the device.
in_background: ContextVar[bool] = ContextVar("in_background", default=False)

# Seconds without a request for the job's progress. Browsers let a background page ask once a minute.
ABANDONED_AFTER = 180.0
# Seconds without the visitor; a browser that lost its connection for a moment is back by then.
GONE_AFTER = 1.5
STOP_WITHIN = 20.0  # seconds that the program's end waits for the current step


class Job:
    """One piece of long work, a generator of short steps, and its outcome.

    ``done`` and ``total`` count steps as the work reports them with ``advance``. A job stops by itself when it has
    not been touched (``touch``) for ABANDONED_AFTER seconds, or its visitor not ``present`` for GONE_AFTER seconds.
    """

    def __init__(self, title: str, work: Callable[[Job], Steps], present: Callable[[], bool] = lambda: True) -> None:
        self.title = title
        self.done = 0
        self.total = 0
        self.error: str | None = None
        self.finished = False
        self.cancelled = False
        self.version = 0
        self.elapsed = 0.0
        self._advancing = 0.0  # the part of `elapsed` spent in counted steps
        self._work = work
        self._steps: Steps | None = None
        self._present = present
        self._seen = self._last_present = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether steps are still to come."""
        return not (self.finished or self.cancelled)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds left, from the pace of counted steps; None before the first of them."""
        if not self.done or self.total <= self.done:
            return None
        return self._advancing / self.done * (self.total - self.done)

    def touch(self) -> None:
        """Record that a user still waits for this job."""
        self._seen = time.monotonic()

    def cancel(self) -> None:
        """Ask the job to stop; it does so before its next step, or inside one through ``check``."""
        self.cancelled = True

    def check(self) -> None:
        """Raise Cancelled if the job must stop; passed to the functions that compute inside a step."""
        now = time.monotonic()
        if self._present():
            self._last_present = now
        elif now - self._last_present > GONE_AFTER:
            self.cancel()
        if self.cancelled:
            raise Cancelled

    def advance(self, steps: int = 1) -> None:
        """Add finished steps to ``done``."""
        self.done += steps
        self.version += 1

    def show(self, done: int, total: int) -> None:
        """Set ``done`` and ``total``, for work that does its own counting."""
        self.total = total
        self.advance(done - self.done)

    def step(self) -> None:
        """Run one step in the calling thread; an error ends the job and stays in ``error`` as a sentence."""
        if time.monotonic() - self._seen > ABANDONED_AFTER:
            self.cancel()
        start, done = time.perf_counter(), self.done
        try:
            self.check()
            if self._steps is None:
                self._steps = self._work(self)
            next(self._steps)
        except StopIteration:
            self.finished = True
        except Cancelled:
            self.cancelled = True
        except CamLabError as error:
            self.error, self.finished = str(error), True
        except Exception as error:  # a bug in one job must not end the worker and all other jobs
            self.error = f"The computation stopped unexpectedly ({type(error).__name__}); change a setting to retry."
            self.finished = True
        finally:
            took = time.perf_counter() - start
            self.elapsed += took
            self._advancing += took if self.done > done else 0.0
            self.version += 1
            if not self.running:
                # The work refers to its results and these to the job; break the cycle, so that memory is freed at once.
                self._work, self._steps = lambda _: iter(()), None


class Resumable(ABC):
    """Results that a job fills in; after a stop, ``resume`` gives a new job for those still missing."""

    def __init__(self, title: str) -> None:
        """``title``: what the job is called."""
        self.job = Job(title, self._work)

    @abstractmethod
    def _work(self, job: Job) -> Steps:
        """Compute the missing results in short steps."""

    def resume(self) -> Job:
        """Return a new job for the missing results."""
        self.job = Job(self.job.title, self._work)
        return self.job


def run_apart(job: Job) -> threading.Thread:
    """Run a job with long steps on its own thread and return the thread.

    Such steps use no network (they download, list, decode), and the program's end does not wait for them.
    """

    def run() -> None:
        while job.running:
            job.step()

    thread = threading.Thread(target=run, name="camlab-apart", daemon=True)
    thread.start()
    return thread


class Worker:
    """A daemon thread that runs jobs in turn, step by step, and pauses between steps for foreground work."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._wake = threading.Condition()
        self._foreground = 0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> Job:
        """Queue a job and return it at once; after ``stop`` it is returned cancelled."""
        with self._wake:
            if self._stopped:
                job.cancel()
                return job
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="camlab-worker", daemon=True)
                self._thread.start()
                atexit.register(self.stop)
            self._wake.notify_all()
        return job

    def cancel(self) -> None:
        """Cancel every job; new ones can be submitted."""
        with self._wake:
            for job in self._jobs:
                job.cancel()

    def stop(self) -> None:
        """Cancel all jobs and wait for the current step; called when the program ends.

        A thread still inside native code when the interpreter ends would abort the process.
        """
        with self._wake:
            self._stopped = True
            self.cancel()
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN)

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Keep new background steps from starting while a user waits for an answer."""
        with self._wake:
            self._foreground += 1
        try:
            yield
        finally:
            with self._wake:
                self._foreground -= 1
                self._wake.notify_all()

    def _run(self) -> None:
        in_background.set(True)
        for turn in itertools.count():
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or (self._jobs and not self._foreground))
                if self._stopped:
                    return
                job = self._jobs[turn % len(self._jobs)]
            job.step()
            if not job.running:
                with self._wake:
                    self._jobs.remove(job)
