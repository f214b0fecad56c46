"""Results kept in memory: least recently used first out, bounded in bytes, safe for many threads."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

#: Bytes that an entry takes beside its numbers: key, array object, dictionary slots (measured, rounded up).
_OVERHEAD = 512


def content_key(*parts: object) -> str:
    """A digest (hex) of everything that decides a value; parts that differ in value or type never collide.

    Parts must have a `repr` that says all about them: strings, numbers, None and tuples of these.
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


@dataclass(frozen=True)
class CacheStats:
    """How the cache did so far, and how full it is (bytes of `limit`)."""

    hits: int
    misses: int
    entries: int
    bytes: int
    limit: int


class MapCache:
    """Maps and probabilities by content key, at most `limit` bytes of them.

    An entry is a float32 array with values in [0, 1]; one that is not, or not of the shape asked for, is
    broken: it is forgotten, so that it is computed again. Arrays that the cache returns are read-only.
    """

    def __init__(self, limit: int = 256 * 2**20) -> None:
        self._lock = threading.Lock()
        self._entries: LRUCache[str, np.ndarray] = LRUCache(limit, getsizeof=_size)
        self._hits = 0
        self._misses = 0

    def get(self, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """The array of this shape stored under the key, or None."""
        with self._lock:
            found = self._sound(key, shape)
            self._hits += found is not None
            self._misses += found is None
            return found

    def put(self, key: str, value: np.ndarray) -> np.ndarray:
        """Store a read-only copy and return it; where the key is taken, return what is there already.

        First come, first kept: two threads that computed the same thing at once go on with the same bits.
        An array larger than the whole cache is returned and not stored.
        """
        kept = np.array(value)
        kept.setflags(write=False)
        with self._lock:
            found = self._sound(key, kept.shape)
            if found is not None:
                return found
            if _size(kept) <= self._entries.maxsize:
                self._entries[key] = kept
        return kept

    def clear(self) -> None:
        """Forget everything; the counts of hits and misses go on."""
        with self._lock:
            self._entries.clear()

    def stats(self) -> CacheStats:
        """Hits, misses, entries and bytes, all of one moment."""
        with self._lock:
            entries = self._entries
            return CacheStats(
                self._hits, self._misses, len(entries), int(entries.currsize), int(entries.maxsize)
            )

    def _sound(self, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """An entry that can be what was stored; a broken one is dropped. Called under the lock."""
        found = self._entries.get(key)
        if found is not None and not (
            found.shape == shape and found.dtype == np.float32 and bool(((found >= 0) & (found <= 1)).all())
        ):
            del self._entries[key]
            return None
        return found


def _size(value: np.ndarray) -> int:
    return value.nbytes + _OVERHEAD
