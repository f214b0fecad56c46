"""The store on disk behind the memory cache: directory, size, and writing in the background."""

import atexit
import os
import re
import threading
from pathlib import Path

import numpy as np

from camlab.common.directories import user_directory
from camlab.common.errors import BadSetting
from camlab.engine.cache.database import DEFAULT_BYTES, DIRECTORY_VARIABLE, Database

BYTES_VARIABLE = "CAMLAB_CACHE_BYTES"
QUEUE_BYTES = 64 * 2**20  # arrays waiting to be written; further ones stay in memory only
IDLE = 5.0  # seconds without work after which the writing thread ends
STOP_WITHIN = 10.0  # seconds that the exiting program waits for the last writes


class DiskStore:
    """A database that is read directly and written in the background, all waiting arrays in one transaction.

    Writing arrays one by one would take longer than computing some of the maps.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._queue: dict[str, np.ndarray] = {}
        self._writing: dict[str, np.ndarray] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._registered = False

    def get(self, key: str) -> np.ndarray | None:
        """Return the read-only array under the key, also while it waits to be written, or None."""
        with self._changed:
            found = self._queue.get(key, self._writing.get(key))
        return self.database.get(key) if found is None else found

    def add(self, key: str, value: np.ndarray) -> None:
        """Queue a sound read-only array; it is stored if the key is free by then."""
        with self._changed:
            if self._bytes + value.nbytes > QUEUE_BYTES or key in self._queue or key in self._writing:
                return
            self._queue[key] = value
            self._bytes += value.nbytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="camlab-cache", daemon=True)
                self._thread.start()
            if not self._registered:
                self._registered = True
                atexit.register(self.flush)
            self._changed.notify_all()

    def discard(self, key: str) -> None:
        """Forget the key."""
        with self._changed:
            if (dropped := self._queue.pop(key, None)) is not None:
                self._bytes -= dropped.nbytes
        self.database.discard(key)

    def flush(self, seconds: float = STOP_WITHIN) -> bool:
        """Wait up to `seconds` until everything is written, and return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._writing, seconds)

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._queue, IDLE):
                    self._thread = None
                    return
                self._queue, self._writing = {}, self._queue
            try:
                self.database.add(self._writing)
            finally:
                with self._changed:
                    self._bytes -= sum(value.nbytes for value in self._writing.values())
                    self._writing = {}
                    self._changed.notify_all()


# location


def cache_directory() -> Path | None:
    """Return the directory of results: CAMLAB_CACHE_DIR (None for "off"), else the user's cache directory.

    Raises BadSetting for a value that names no directory.
    """
    if os.environ.get(DIRECTORY_VARIABLE, "").strip().lower() == "off":
        return None
    return user_directory(DIRECTORY_VARIABLE, "camlab")


def cache_limit() -> int:
    """Return the bytes that the store may take: CAMLAB_CACHE_BYTES, else 2 GiB. Raises BadSetting."""
    named = os.environ.get(BYTES_VARIABLE, "").strip()
    if not named:
        return DEFAULT_BYTES
    if not re.fullmatch(r"[0-9]{1,15}", named):
        raise BadSetting(
            f"{BYTES_VARIABLE} must be a whole number of bytes, such as {DEFAULT_BYTES}, not {named[:40]!r}."
        )
    return int(named)


def open_database() -> Database | None:
    """Open the user's database as the environment names it; None if it is off. Raises BadSetting."""
    directory, limit = cache_directory(), cache_limit()
    return None if directory is None else Database(directory, limit)


def shared_store() -> DiskStore | None:
    """Return the store that app, command line and notebooks share; None if it is off or misconfigured."""
    try:
        database = open_database()
    except BadSetting:  # `camlab cache info` reports it; everything else works without a store
        return None
    return None if database is None else DiskStore(database)
