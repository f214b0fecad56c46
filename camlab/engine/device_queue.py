"""The queue of a device: urgent requests run first, and compatible ones run as one batch."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from camlab.cams.base import Explainable, SharedPass, never, shared_pass
from camlab.common.jobs import in_background

#: Seconds between two checks whether a waiting request was cancelled.
CHECK_EVERY = 0.05


@dataclass(frozen=True)
class PassRequest:
    """The arguments of `shared_pass`: pictures (N, 3, H, W) in [0, 1], a target and a content key for each."""

    classifier: Explainable
    layer: str
    pictures: Tensor
    targets: Sequence[int | None]
    keys: Sequence[str]
    gradients: bool
    check: Callable[[], None] = never
    chunk: int = 16

    def fits(self, other: PassRequest) -> bool:
        """Return whether two requests can share a batch: the same network, layer and kind of pass."""
        return (
            self.classifier is other.classifier
            and self.layer == other.layer
            and self.gradients == other.gradients
            and self.pictures.shape[1:] == other.pictures.shape[1:]
        )


@dataclass(eq=False)
class Ticket:
    """A place in the queue; another thread may serve its request, if any, in its own turn."""

    urgent: bool
    request: PassRequest | None = None
    taken: bool = False
    result: SharedPass | None = None
    error: BaseException | None = None

    @property
    def served(self) -> bool:
        """Whether the request has been computed, or has failed."""
        return self.result is not None or self.error is not None


class DeviceQueue:
    """The queue for one device, without its own thread: the thread in turn also runs compatible waiting requests.

    Urgent requests precede background ones; otherwise first come, first served.
    """

    def __init__(self, limit: int = 16) -> None:
        """Batch requests of different callers up to `limit` pictures."""
        self.limit = limit
        self.batches = 0  # passes run, and requests served by them
        self.requests = 0
        self._waiting: list[Ticket] = []
        self._busy = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """The number of tickets waiting for their turn."""
        with self._changed:
            return len(self._waiting)

    def run(self, request: PassRequest) -> SharedPass:
        """Run a shared pass in its turn, together with compatible requests of other callers; return its own part.

        Raises what the pass raises, and what `request.check` raises while it waits. If a batch of several
        requests fails, each runs again alone, so that no caller gets another's error.
        """
        ticket = Ticket(not in_background.get(), request)
        self._wait(ticket, request.check)
        if not ticket.served:
            self._lead(ticket)
        if ticket.error is not None:
            error, ticket.error = ticket.error, None  # a ticket in the traceback would keep the tensors alive
            try:
                raise error
            finally:
                del error
        if ticket.result is None:
            raise RuntimeError("a served request has no result")
        return ticket.result

    @contextmanager
    def turn(self, check: Callable[[], None] = never) -> Iterator[Callable[[], None]]:
        """Hold the device alone; the yielded check, called between steps, lets more urgent requests go first.

        Raises what `check` raises, also while waiting.
        """
        urgent = not in_background.get()
        held = False

        def acquire() -> None:
            nonlocal held
            self._wait(Ticket(urgent), check)
            held = True

        def release() -> None:
            nonlocal held
            held = False
            self._release()

        def step_aside() -> None:
            check()
            if self._wanted(urgent):
                release()
                acquire()

        acquire()
        try:
            yield step_aside
        finally:
            if held:
                release()

    def _wanted(self, urgent: bool) -> bool:
        """Return whether a waiting ticket may go before one that has already run a step."""
        with self._changed:
            return any(ticket.urgent or not urgent for ticket in self._waiting)

    def _wait(self, ticket: Ticket, check: Callable[[], None]) -> None:
        """Wait until the ticket is served or its turn comes, which marks the device as busy."""
        with self._changed:
            self._waiting.append(ticket)
            try:
                while not ticket.served:
                    if not self._busy and not ticket.taken and self._first() is ticket:
                        self._busy = True
                        return
                    self._changed.wait(CHECK_EVERY)
                    check()
            finally:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                self._changed.notify_all()

    def _first(self) -> Ticket | None:
        return next((t for t in self._waiting if t.urgent), self._waiting[0] if self._waiting else None)

    def _release(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _lead(self, ticket: Ticket) -> None:
        """Run this ticket's request and compatible ones, then free the device."""
        group = [ticket, *self._companions(ticket)]
        try:
            _serve(group)
            self.batches += 1
            self.requests += len(group)
        finally:
            for each in group:
                if not each.served:
                    each.error = RuntimeError("the batch was interrupted")
            self._release()

    def _companions(self, ticket: Ticket) -> list[Ticket]:
        """Take compatible waiting requests that are at least as urgent from the queue, up to the limit."""
        request = _request(ticket)
        room = self.limit - len(request.pictures)
        chosen = []
        with self._changed:
            for other in sorted(self._waiting, key=lambda t: not t.urgent):
                if other.request is None or not request.fits(other.request):
                    continue
                if ticket.urgent and not other.urgent:
                    continue  # every further picture would delay the urgent one
                if len(other.request.pictures) <= room:
                    room -= len(other.request.pictures)
                    chosen.append(other)
            for other in chosen:
                other.taken = True
                self._waiting.remove(other)
        return chosen


@cache
def device_queue(device: str) -> DeviceQueue:
    """Return the queue that all engines on a device share."""
    return DeviceQueue()


def _serve(group: Sequence[Ticket]) -> None:
    """Run one pass and give each ticket its part of the result, or its own error."""
    if len(group) > 1:
        try:
            for ticket, part in zip(group, _together([_request(t) for t in group]), strict=True):
                ticket.result = part
            return
        except Exception:  # run the requests one by one, so that only the faulty one fails
            for ticket in group:
                ticket.result = None
    for ticket in group:
        try:
            ticket.result = _together([_request(ticket)])[0]
        except Exception as error:  # raised in the thread that asked
            # Free the memory of the failed pass for the next one.
            traceback.clear_frames(error.__traceback__)
            ticket.error = error


def _request(ticket: Ticket) -> PassRequest:
    if ticket.request is None:
        raise RuntimeError("a ticket without a request cannot be batched")
    return ticket.request


def _together(requests: Sequence[PassRequest]) -> list[SharedPass]:
    first = requests[0]
    whole = shared_pass(
        first.classifier,
        first.layer,
        torch.cat([r.pictures for r in requests]) if len(requests) > 1 else first.pictures,
        [target for r in requests for target in r.targets],
        [key for r in requests for key in r.keys],
        gradients=first.gradients,
    )
    parts, start = [], 0
    for request in requests:
        rows = slice(start, start + len(request.pictures))
        start = rows.stop
        parts.append(whole.rows(rows, request.check, request.chunk))
    return parts
