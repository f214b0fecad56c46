"""A memo holds what was used last, within its bytes, and makes no value twice at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from camlab.common.memo import ENTRY_OVERHEAD, Memo


def test_a_memo_is_bounded_in_bytes_and_keeps_what_was_used_last() -> None:
    memo: Memo[bytes] = Memo(3 * (1000 + ENTRY_OVERHEAD), len)
    made: list[int] = []

    def make(key: int, size: int = 1000) -> bytes:
        made.append(key)
        return bytes(size)

    for key in (1, 2, 3, 1, 4, 1, 2):  # 2 is the one unused for longest when 4 comes
        assert memo.get(key, partial(make, key)) == bytes(1000)
    assert made == [1, 2, 3, 4, 2] and memo.bytes == 3 * (1000 + ENTRY_OVERHEAD)
    memo.put(5, bytes(2000))  # takes the place of two
    assert [memo.peek(key) is not None for key in (1, 2, 4, 5)] == [False, True, False, True]
    assert len(memo.get(6, lambda: make(6, 10**6))) == 10**6  # larger than all: it stays alone
    assert len(memo) == 1 and memo.peek(6) is not None
    memo.discard(6)
    memo.discard(6)
    assert memo.peek(6) is None and memo.bytes == 0
    with pytest.raises(ZeroDivisionError):
        memo.get(7, lambda: bytes(1 // 0))
    assert memo.get(7, lambda: b"7") == b"7"


def test_threads_that_want_the_same_value_get_one() -> None:
    memo: Memo[bytes] = Memo(10**6, len)
    start = threading.Barrier(4)
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return bytes(10)

    def want(_: int) -> bytes:
        start.wait()
        return memo.get("key", make)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(want, range(4)))
    assert made == [1] and all(value is found[0] for value in found)
