"""Memoised values, bounded in bytes and shared by threads."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")

#: Bytes of an entry besides its value: key, object, dictionary slots (measured, rounded up).
ENTRY_OVERHEAD = 512


class Memo(Generic[Value]):
    """A least-recently-used cache of at most ``limit`` bytes, as ``size`` counts them, for several threads.

    The last used value stays however large it is. Threads never compute the same value twice at once.
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
        """Bytes of all values, each counted as ``limit`` at most."""
        return int(self._entries.currsize)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value under the key; if it is missing, make and keep it."""
        with self._lock:
            if key not in self._entries:
                self._entries[key] = make()
            return self._entries[key]

    def peek(self, key: Hashable) -> Value | None:
        """Return the value under the key, which counts as use; None if there is none."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Set the value under the key."""
        with self._lock:
            self._entries[key] = value

    def discard(self, key: Hashable) -> None:
        """Remove the key and its value."""
        with self._lock:
            self._entries.pop(key, None)
