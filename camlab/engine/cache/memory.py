"""Results by content key: in memory, bounded in bytes and safe for many threads, in front of a store on disk."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from cachetools import LRUCache
from numpy.typing import DTypeLike

from camlab.common.memo import ENTRY_OVERHEAD
from camlab.engine.cache.entries import sound


def content_key(*parts: object) -> str:
    """A digest (hex) of everything that decides a value; parts that differ in value or type never collide.

    Parts must have a `repr` that says all about them: strings, numbers, None and tuples of these.
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


def pixel_digest(pixels: np.ndarray) -> str:
    """A digest (hex) of the numbers of a contiguous array; its shape and type are the caller's to add.

    SHA-256, for which processors have instructions: on a whole picture it takes half of BLAKE2's time.
    """
    return hashlib.sha256(pixels.data).hexdigest()


@dataclass(frozen=True)
class CacheStats:
    """How the cache did so far, and how full its memory is (bytes of `limit`); `from_disk` of the `hits`."""

    hits: int
    misses: int
    entries: int
    bytes: int
    limit: int
    from_disk: int = 0


class Store(Protocol):
    """What stands behind the memory. Its methods never raise: what does not work leaves nothing stored."""

    def get(self, key: str) -> np.ndarray | None:
        """The read-only array under the key, or None."""
        ...

    def add(self, key: str, value: np.ndarray) -> None:
        """Store the sound, read-only array where the key is free, at once or soon."""
        ...

    def discard(self, key: str) -> None:
        """Forget the key."""
        ...


class MapCache:
    """Maps, probabilities and segments by content key, at most `limit` bytes of them in memory.

    What is not in memory is looked for in `store`, and what is put goes into both. An entry that is not
    `sound`, or not of the shape and type asked for, is broken: it is forgotten, so that it is computed again.
    Arrays that the cache returns are read-only.
    """

    def __init__(self, limit: int = 256 * 2**20, store: Store | None = None) -> None:
        """`store`: what outlives the process; without one, results are kept in memory only."""
        self.store = store
        self._lock = threading.Lock()
        self._entries: LRUCache[str, np.ndarray] = LRUCache(limit, getsizeof=_size)
        self._hits = 0
        self._misses = 0
        self._from_disk = 0

    def get(self, key: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> np.ndarray | None:
        """The array of this shape and type stored under the key, or None."""
        with self._lock:
            found = self._sound(key, shape, np.dtype(dtype))
        # Outside the lock: threads that find their results in memory do not wait for the disk.
        stored = self._stored(key, shape, np.dtype(dtype)) if found is None else None
        with self._lock:
            if stored is not None:
                # Another thread may have been first.
                found = self._sound(key, shape, np.dtype(dtype))
                if found is None:
                    found = stored
                    if _size(stored) <= self._entries.maxsize:
                        self._entries[key] = stored
                self._from_disk += 1
            self._hits += found is not None
            self._misses += found is None
        return found

    def put(self, key: str, value: np.ndarray) -> np.ndarray:
        """Store a read-only copy and return it; where the key is taken, return what is there already.

        First come, first kept: two threads that computed the same thing at once go on with the same bits.
        An array larger than the whole memory is returned and not kept there.
        """
        kept = np.array(value)
        kept.setflags(write=False)
        with self._lock:
            found = self._sound(key, kept.shape, kept.dtype)
            if found is not None:
                return found
            if _size(kept) <= self._entries.maxsize:
                self._entries[key] = kept
        if self.store is not None and sound(kept):
            self.store.add(key, kept)
        return kept

    def clear(self) -> None:
        """Forget everything in memory; the store and the counts of hits and misses go on."""
        with self._lock:
            self._entries.clear()

    def stats(self) -> CacheStats:
        """Hits, misses, entries and bytes, all of one moment."""
        with self._lock:
            entries = self._entries
            return CacheStats(
                self._hits,
                self._misses,
                len(entries),
                int(entries.currsize),
                int(entries.maxsize),
                self._from_disk,
            )

    def _sound(self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        """An entry that can be what was stored; a broken one is dropped. Called under the lock."""
        found = self._entries.get(key)
        if found is not None and not (found.shape == shape and found.dtype == dtype and sound(found)):
            del self._entries[key]
            return None
        return found

    def _stored(self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        """The same from the store, which checks by itself that an entry is sound."""
        found = None if self.store is None else self.store.get(key)
        if found is None or (found.shape == shape and found.dtype == dtype):
            return found
        assert self.store is not None
        self.store.discard(key)
        return None


def _size(value: np.ndarray) -> int:
    return value.nbytes + ENTRY_OVERHEAD
