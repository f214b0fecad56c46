"""The memory cache of results by content key: bounded in bytes, thread-safe, in front of a store on disk."""

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
    """Return the hex digest of everything that decides a value; parts that differ in value or type never collide.

    Parts must have a `repr` that determines them: strings, numbers, None and tuples of these.
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


def pixel_digest(pixels: np.ndarray) -> str:
    """Return the hex digest of a contiguous array's numbers; the caller adds shape and type.

    Processors have instructions for SHA-256, so on a whole picture it takes half of BLAKE2's time.
    """
    return hashlib.sha256(pixels.data).hexdigest()


@dataclass(frozen=True)
class CacheStats:
    """Hits (`from_disk` of them from the store), misses, and the memory in use (bytes of `limit`)."""

    hits: int
    misses: int
    entries: int
    bytes: int
    limit: int
    from_disk: int = 0


class Store(Protocol):
    """The store behind the memory. Its methods never raise; a failure stores nothing."""

    def get(self, key: str) -> np.ndarray | None:
        """Return the read-only array under the key, or None."""
        ...

    def add(self, key: str, value: np.ndarray) -> None:
        """Store the sound, read-only array if the key is free, now or soon."""
        ...

    def discard(self, key: str) -> None:
        """Forget the key."""
        ...


class MapCache:
    """Maps, probabilities and segments by content key, at most `limit` bytes of them in memory.

    Look-ups that miss the memory go to `store`, and `put` writes to both. An entry that is not `sound`, or not
    of the requested shape and type, is broken: it is dropped, so that it is computed again.
    Arrays that the cache returns are read-only.
    """

    def __init__(self, limit: int = 256 * 2**20, store: Store | None = None) -> None:
        """Keep results in `store` beyond the process; without one, in memory only."""
        self.store = store
        self._lock = threading.Lock()
        self._entries: LRUCache[str, np.ndarray] = LRUCache(limit, getsizeof=_size)
        self._hits = 0
        self._misses = 0
        self._from_disk = 0

    def get(self, key: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> np.ndarray | None:
        """Return the array of this shape and type under the key, or None."""
        with self._lock:
            found = self._sound(key, shape, np.dtype(dtype))
        # Read outside the lock, so that hits in memory never wait for the disk.
        stored = self._stored(key, shape, np.dtype(dtype)) if found is None else None
        with self._lock:
            if stored is not None:
                # Another thread may have been faster.
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
        """Store a read-only copy and return it; if the key is taken, return the stored array.

        The first array wins, so that two threads which compute the same result at once get the same bits. An array
        larger than `limit` is returned without being kept in memory.
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
        """Drop everything in memory; the store and the counts of hits and misses stay."""
        with self._lock:
            self._entries.clear()

    def stats(self) -> CacheStats:
        """Return hits, misses, entries and bytes at one moment."""
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
        """Return the entry if it is valid and drop a broken one. The caller holds the lock."""
        found = self._entries.get(key)
        if found is not None and not (found.shape == shape and found.dtype == dtype and sound(found)):
            del self._entries[key]
            return None
        return found

    def _stored(self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
        """Return the store's entry if it has this shape and type, else discard it; the store checks soundness."""
        if self.store is None:
            return None
        found = self.store.get(key)
        if found is None or (found.shape == shape and found.dtype == dtype):
            return found
        self.store.discard(key)
        return None


def _size(value: np.ndarray) -> int:
    return value.nbytes + ENTRY_OVERHEAD
