"""Memoised values, bounded in bytes and shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")

#: Bytes that an entry takes beside its value: key, object, dictionary slots (measured, rounded up).
ENTRY_OVERHEAD = 512


class Memo(Generic[Value]):
    """Values that are costly to make, by key, at most ``limit`` bytes of them by the count of ``size``.

    The one used last always stays, however large. Threads share it, and two never make one twice.
    """

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._lock = threading.RLock()
        self._entries: LRUCache[Hashable, Value] = LRUCache(
            limit, getsizeof=lambda value: min(size(value) + ENTRY_OVERHEAD, limit)
        )

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the values take, each counted as ``limit`` at most."""
        return int(self._entries.currsize)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value under the key, made where it is not there."""
        with self._lock:
            if key not in self._entries:
                self._entries[key] = make()
            return self._entries[key]

    def peek(self, key: Hashable) -> Value | None:
        """The value under the key, which counts as used; None where there is none."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Set the value under the key."""
        with self._lock:
            self._entries[key] = value

    def discard(self, key: Hashable) -> None:
        """Forget the key."""
        with self._lock:
            self._entries.pop(key, None)
