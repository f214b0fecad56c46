"""The database of results that a user's processes share: bounded in size, checked on reading, never fatal."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import diskcache
import numpy as np

from camlab.common.errors import BadSetting
from camlab.engine.cache.entries import pack, unpack

T = TypeVar("T")

DIRECTORY_VARIABLE = "CAMLAB_CACHE_DIR"
DEFAULT_BYTES = 2 * 2**30
WAIT = 2.0  # seconds that a write waits for another process's write; reading never waits
OPEN_WAIT = 0.5  # seconds that opening waits, because a user may be waiting too
PAUSE = 30.0  # seconds without the disk after a failure, so that not every map fails again
DATABASE = "cache.db"  # diskcache's name; its other two files end in "-wal" and "-shm"


_MISSING: Any = object()  # the result of a look-up without an entry, not even a broken one


class _Bytes(diskcache.Disk):  # type: ignore[misc]  # the library carries no types
    """Stores bytes under text keys inside the database only: it unpickles nothing and touches no other file.

    By default the library unpickles any row that claims to be a pickle, even a damaged or forged one.
    """

    def put(self, key: str) -> tuple[str, bool]:
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        return key if isinstance(key, str) else ""

    def store(self, value: bytes, read: bool, key: Any = None) -> tuple[int, int, None, memoryview]:
        return 0, diskcache.core.MODE_RAW, None, memoryview(value)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        return value if mode == diskcache.core.MODE_RAW and filename is None else None

    def remove(self, file_path: str) -> None:
        """Do nothing, because no entry has its own file."""


@dataclass(frozen=True)
class CacheInfo:
    """A store's directory, number of entries, size in bytes and largest allowed size."""

    directory: str
    entries: int
    bytes: int
    limit: int


@dataclass(frozen=True)
class Checked:
    """The number of sound entries, and of broken ones that were removed."""

    sound: int
    broken: int
    rebuilt: bool = False


class Database:
    """Arrays by content key in a database of at most `limit` bytes, evicted in the order of storing.

    Processes and threads may use one directory at once. While the directory is unusable, the database locked or the
    disk full, nothing is stored or found; `problem` says why in a sentence, and the store tries again after PAUSE
    seconds. A damaged database is replaced by an empty one.
    """

    def __init__(self, directory: Path, limit: int = DEFAULT_BYTES) -> None:
        self.directory, self.limit = directory, limit
        self.problem: str | None = None
        self._database: Any = None
        self._lock = threading.Lock()
        self._resume = float("-inf")

    def get(self, key: str) -> np.ndarray | None:
        """Return the read-only array under the key, or None. A broken entry is removed."""
        data = self._use(lambda database: database.get(key, _MISSING), _MISSING)
        if data is _MISSING:
            return None
        found = unpack(key, data)
        if found is None:
            self.discard(key)
        return found

    def add(self, entries: Mapping[str, np.ndarray]) -> None:
        """Store the sound arrays whose key is free, in one transaction."""
        # One large entry must not evict all others.
        packed = {key: data for key, value in entries.items() if len(data := pack(key, value)) <= self.limit // 8}

        def work(database: Any) -> None:
            with database.transact():
                for key, data in packed.items():
                    database.add(key, data)
            # The library evicts ten entries at a time, which may be much smaller than the new ones.
            if database.volume() > self.limit:
                database.cull()

        self._use(work, None)

    def discard(self, key: str) -> None:
        """Forget the key."""
        self._use(lambda database: database.delete(key), None)

    def info(self) -> CacheInfo:
        """Count entries and bytes. Raises BadSetting if the directory cannot be used."""
        entries = self._insist(len)
        files = [Path(f"{self.directory / DATABASE}{end}") for end in ("", "-wal", "-shm")]
        taken = sum(file.stat().st_size for file in files if file.exists())
        return CacheInfo(str(self.directory), entries, taken, self.limit)

    def clear(self) -> int:
        """Remove every entry and return how many there were. Raises BadSetting as `info` does."""

        def work(database: Any) -> int:
            with database.transact():
                return int(database.clear())

        removed = self._insist(work)
        self._insist(_give_back)
        return removed

    def verify(self) -> Checked:
        """Read every entry and remove the broken ones; a damaged database is replaced by an empty one.

        Raises BadSetting as `info` does.
        """
        rebuilt = self._rebuild_damaged()

        def read_all(database: Any) -> Iterator[bool]:
            for key in database:
                data = database.get(key, _MISSING)
                if data is _MISSING:  # removed meanwhile
                    continue
                whole = unpack(key, data) is not None
                if not whole:
                    database.delete(key)
                yield whole

        found = self._insist(lambda database: list(read_all(database)))
        return Checked(found.count(True), found.count(False), rebuilt)

    # access to the database

    def _use(self, work: Callable[[Any], T], otherwise: T) -> T:
        """Run the work on the database; return `otherwise` if anything goes wrong."""
        if time.monotonic() < self._resume:
            return otherwise
        try:
            return work(self._opened())
        except diskcache.Timeout:  # another process is writing; the next try may succeed
            return otherwise
        # A damaged file raises many kinds of errors (a row of the wrong length, for example).
        except Exception as error:
            self._fail(error)
            return otherwise

    def _insist(self, work: Callable[[Any], T]) -> T:
        """Run the work on the database. Raises BadSetting if anything goes wrong."""
        try:
            return work(self._opened())
        except Exception as error:
            self._fail(error)
            raise BadSetting(self.problem or str(error)) from error

    def _opened(self) -> Any:
        with self._lock:
            if self._database is None:
                self._database = self._open()
                self.problem = None
            return self._database

    def _open(self) -> Any:
        # Private: the results show which pictures the user looked at.
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The library waits up to a minute to open a locked database: check first.
        with contextlib.closing(sqlite3.connect(self.directory / DATABASE, OPEN_WAIT)) as probe:
            probe.isolation_level = None
            probe.execute("BEGIN IMMEDIATE")
            probe.execute("ROLLBACK")
        return diskcache.Cache(
            str(self.directory),
            timeout=WAIT,
            disk=_Bytes,
            size_limit=self.limit,
            # Eviction by use would turn each look-up into a write, and processes would wait for each other.
            eviction_policy="least-recently-stored",
            # If a mapped file is truncated, the process that maps it is killed. Each thread has its own connection.
            sqlite_mmap_size=0,
            sqlite_cache_size=512,
            sqlite_journal_size_limit=2**22,
        )

    def _fail(self, error: Exception) -> None:
        with self._lock:
            database, self._database = self._database, None
            self._resume = time.monotonic() + PAUSE
            self.problem = (
                f"The cache directory {str(self.directory)!r} cannot be used ({_reason(error)}): results are "
                f"kept in memory only; set {DIRECTORY_VARIABLE} to another directory, or to off."
            )
        if database is not None:
            with contextlib.suppress(Exception):
                database.close()  # an open transaction would lock all other processes out
        if type(error) is sqlite3.DatabaseError and self._rebuild_damaged():
            self._resume = float("-inf")

    def _rebuild_damaged(self) -> bool:
        """Remove the database if it is damaged, and return whether it was.

        The check is repeated here, because another process may have rebuilt the database. A process that still has the
        old files open uses them until it ends.
        """
        path = self.directory / DATABASE
        with self._lock:
            try:
                with contextlib.closing(sqlite3.connect(path, WAIT)) as connection:
                    rows = connection.execute("PRAGMA quick_check(1)").fetchall()
                damaged = rows != [("ok",)]
            except sqlite3.Error as error:
                damaged = type(error) is sqlite3.DatabaseError
            if not damaged:
                return False
            try:
                for end in ("-wal", "-shm", ""):
                    Path(f"{path}{end}").unlink(missing_ok=True)
            except OSError:
                return False
            self._database = None
            return True


def _give_back(database: Any) -> None:
    """Empty the write-ahead log after a large removal; while another process works, that happens later."""
    with contextlib.closing(sqlite3.connect(Path(database.directory) / DATABASE, WAIT)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _reason(error: Exception) -> str:
    if isinstance(error, diskcache.Timeout):
        return "another process is writing to it"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
