"""How many threads there may be, and small products of matrices on one: there, parts cost more than they save."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_changing = threading.Lock()
_inside = 0  # callers that want the limit at the moment, and the limit while there are any
_limit: Any = None


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through the loaded libraries, which takes a while


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's and SciPy's products of matrices run on the calling thread alone.

    Where others compute beside it, as a study does, the threads of a product wait for one another: one of
    2,000 × 240 × 240 then takes five times as much. torch's threads are not concerned. The limit is the
    process's: the first caller sets it, and the last one to leave takes it back. It only ever changes how long
    something takes.
    """
    global _inside, _limit
    with _changing:
        if not _inside:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _changing:
            _inside -= 1
            if not _inside:
                _limit.restore_original_limits()
                _limit = None
