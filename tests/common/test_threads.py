from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from camlab.common.threads import one_blas_thread


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in ThreadpoolController().info() if each["user_api"] == "blas"}


def test_the_limit_holds_inside_and_no_longer() -> None:
    assert np.ones((2, 2)).sum() == 4  # its library is loaded
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before
    with pytest.raises(RuntimeError), one_blas_thread():
        raise RuntimeError
    assert blas_threads() == before


def test_callers_that_overlap_leave_nothing_behind() -> None:
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(20)

    first = threading.Thread(target=other)
    first.start()
    assert inside.wait(20)
    with one_blas_thread():
        leave.set()
        first.join()
        assert blas_threads() == {1}, "who is still inside keeps the limit"
    assert blas_threads() == before
    with one_blas_thread():
        assert blas_threads() == {1}
