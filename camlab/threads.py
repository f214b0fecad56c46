"""Small products of matrices on one thread: there, handing out parts costs more than it saves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_limiting = threading.Lock()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through the loaded libraries, which takes a while


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's and SciPy's products of matrices run on the calling thread alone.

    Where others compute beside it, as a study does, the threads of a product wait for one another: one of
    2,000 × 240 × 240 then takes five times as much. torch's threads are not concerned. The limit is the
    process's, so only one caller at a time sets it, and takes it back; it only ever changes how long
    something takes.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()
