"""The number of usable processors, and matrix products limited to one thread."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_changing = threading.Lock()
_inside = 0  # callers inside `one_blas_thread`, which share _limit
_limit: Any = None


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # slow: inspects all loaded libraries


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run NumPy's and SciPy's matrix products on the calling thread alone.

    Beside other computing processes, as in a study, the threads of one product wait for one another: a product of
    2,000 × 240 × 240 then takes five times as long. torch's threads are unaffected. The limit holds for the whole
    process: the first caller sets it, and the last one to leave removes it. Results do not change.
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
