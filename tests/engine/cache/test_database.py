"""The database of results: bounded, shared by processes, and never in the way."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import camlab
from camlab.common.errors import BadSetting
from camlab.engine.cache import database as module
from camlab.engine.cache.database import DATABASE, Checked, Database
from camlab.engine.cache.entries import pack

ROOT = Path(camlab.__file__).parent.parent


def array(value: float, count: int = 1000) -> np.ndarray:
    return np.full(count, value, dtype=np.float32)


def labels(count: int = 40) -> np.ndarray:
    return np.arange(count, dtype=np.int32).reshape(-1, 5)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "cache")


@contextlib.contextmanager
def raw(database: Database) -> Iterator[sqlite3.Connection]:
    """The file behind the database's back."""
    with contextlib.closing(sqlite3.connect(database.directory / DATABASE, isolation_level=None)) as found:
        yield found


def files(database: Database) -> list[str]:
    return sorted(path.name for path in database.directory.iterdir())


def test_what_is_added_is_found_by_another_process_too(database: Database) -> None:
    assert database.get("map") is None
    database.add({"map": array(0.25), "labels": labels()})
    code = (
        "import sys; from pathlib import Path; from camlab.engine.cache.database import Database\nfound = "
        "Database(Path(sys.argv[1]))\nprint(found.get('map').tobytes().hex(), found.get('labels').tolist(), "
        "found.get('nothing'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(database.directory)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told == f"{array(0.25).tobytes().hex()} {labels().tolist()} None\n"
    # Everything is in the one file: there is nothing else to clean up, or to delete by mistake.
    assert set(files(database)) <= {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
    assert database.directory.stat().st_mode & 0o077 == 0


def test_first_come_first_kept(database: Database) -> None:
    database.add({"a": array(0.25)})
    Database(database.directory).add({"a": array(0.75), "b": array(1)})
    assert np.array_equal(database.get("a"), array(0.25))  # type: ignore[arg-type]
    assert np.array_equal(database.get("b"), array(1))  # type: ignore[arg-type]


def test_stays_within_its_bytes_and_forgets_what_was_stored_first(tmp_path: Path) -> None:
    database = Database(tmp_path, limit=2**20)
    rng = np.random.default_rng(0)
    for i in range(60):
        # First small ones, then large ones: as many bytes must go as come, however many entries that takes.
        sizes = [5] * 200 if i < 20 else [20_000] * 3
        database.add({f"{i}.{j}": rng.random(n, dtype=np.float32) for j, n in enumerate(sizes)})
        with raw(database) as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            assert pages * connection.execute("PRAGMA page_size").fetchone()[0] <= 2**20
    assert database.problem is None
    assert database.get("59.0") is not None and database.get("0.0") is None
    found = database.info()
    assert 3 <= found.entries < 40 * 3 and found.limit == 2**20
    assert found.bytes < 2**20 + 6 * 2**20  # the log, emptied now and then, comes on top


def test_one_entry_never_drives_out_all_others(tmp_path: Path) -> None:
    database = Database(tmp_path, limit=2**20)
    database.add({"small": array(1)})
    database.add({"huge": np.random.default_rng(0).random(40_000, dtype=np.float32)})
    assert database.get("huge") is None and database.get("small") is not None


DAMAGES: dict[str, Callable[[bytes], Any]] = {
    "a flipped bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "nothing": lambda data: None,
    "text": lambda data: "text",
    "a number": lambda data: 3,
    "another entry": lambda data: pack("another", array(1)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_broken_entry_is_none_and_makes_room(database: Database, damage: Callable[[bytes], Any]) -> None:
    def spoil() -> None:
        with raw(database) as connection:
            data = connection.execute("SELECT value FROM Cache WHERE key = 'a'").fetchone()[0]
            connection.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (damage(data),))

    database.add({"a": array(0.5), "b": array(1)})
    spoil()
    assert database.get("a") is None
    database.add({"a": array(0.75)})
    assert np.array_equal(database.get("a"), array(0.75))  # type: ignore[arg-type]
    spoil()
    assert database.verify() == Checked(sound=1, broken=1)
    assert database.verify() == Checked(sound=1, broken=0)
    assert database.get("b") is not None and database.problem is None


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["value", "file", "key"])
def test_nothing_is_ever_unpickled(database: Database, tmp_path: Path, where: str) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    database.add({"a": array(1)})
    with raw(database) as connection:
        if where == "value":
            connection.execute("UPDATE Cache SET mode = 4, value = ?", (trap,))
        elif where == "file":
            (database.directory / "trap").write_bytes(trap)
            connection.execute("UPDATE Cache SET mode = 4, value = NULL, filename = 'trap'")
        else:
            connection.execute("UPDATE Cache SET key = ?, raw = 0", (trap,))
    assert database.get("a") is None
    database.verify()
    database.clear()
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()  # the trap was set


def test_a_file_that_a_row_names_is_not_touched(database: Database, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    database.add({"a": array(1)})
    with raw(database) as connection:
        connection.execute("UPDATE Cache SET filename = '../mine', mode = 2, value = NULL")
    assert database.verify() == Checked(sound=0, broken=1)
    assert (tmp_path / "mine").read_text() == "mine"


def scribble(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def scribble_inside(path: Path) -> None:
    """Leave the first page as it is, so that it looks like a database."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + np.random.default_rng(0).bytes(len(data) - 4096))


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [scribble, scribble_inside, shorten], ids=lambda f: f.__name__)
@pytest.mark.parametrize("in_use", [False, True], ids=["before", "in use"])
def test_a_damaged_database_is_replaced(
    database: Database, damage: Callable[[Path], None], in_use: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    database.add({str(i): array(i / 200) for i in range(200)})
    with raw(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    later = database if in_use else Database(database.directory)
    damage(database.directory / DATABASE)
    for i in range(200):
        found = later.get(str(i))
        assert found is None or np.array_equal(found, array(i / 200))
    for _ in range(3):  # the damage may show only now
        later.add({"new": array(0.5)})
    if damage is scribble and not in_use:
        assert later.get("new") is not None, "nobody should have to call verify"
    if later.get("new") is None:  # damage that no reader or writer has met yet
        assert later.verify().rebuilt
        later.add({"new": array(0.5)})
    assert np.array_equal(later.get("new"), array(0.5))  # type: ignore[arg-type]
    later.verify()
    assert later.verify() == Checked(later.info().entries, 0)


def test_a_database_that_somebody_removes_comes_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    database.add({"a": array(1)})

    def elsewhere() -> None:  # another thread has a connection of its own, to what is there now
        for _ in range(2):
            database.add({"b": array(0.5)})

    for path in list(database.directory.iterdir()):
        path.unlink()
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    found = Database(database.directory).get("b")
    assert found is not None and np.array_equal(found, array(0.5))


def test_a_locked_database_is_read_and_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT", 0.05)
    monkeypatch.setattr(module, "OPEN_WAIT", 0.05)
    database.add({"a": array(1)})
    with raw(database) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as patched:
            # Opened by the library, a locked database would be waited for up to a minute.
            patched.delattr("camlab.engine.cache.database.diskcache.Cache")
            late = Database(database.directory)
            assert late.get("a") is None
        database.add({"b": array(1)})
        assert database.get("b") is None
        assert database.get("a") is not None
        problem = late.problem
        assert problem is not None and "locked" in problem
        with pytest.raises(BadSetting, match=r"locked.*CAMLAB_CACHE_DIR"):
            late.info()
    monkeypatch.setattr(late, "_resume", 0.0)
    assert late.get("a") is not None and late.problem is None
    database.add({"b": array(1)})
    assert database.get("b") is not None


def test_a_full_disk_stores_nothing_and_reads_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.add({"a": array(1)})
    pages = database._database._sql("PRAGMA page_count").fetchone()[0]
    database._database._sql(f"PRAGMA max_page_count = {pages}")
    database.add({str(i): array(i / 100) for i in range(100)})
    assert database.problem is not None and "full" in database.problem
    # Nothing half-written stays, and nobody is locked out.
    other = Database(database.directory)
    assert [other.get(str(i)) for i in range(100)] == [None] * 100
    other.add({"b": array(1)})
    assert other.get("a") is not None and other.get("b") is not None
    assert database.get("a") is None  # it pauses
    monkeypatch.setattr(database, "_resume", 0.0)
    assert database.get("a") is not None and database.problem is None


@pytest.mark.parametrize("below", ["", "below"])
def test_a_directory_that_cannot_be_used(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(tmp_path / "file" / below)
    database.add({"a": array(1)})
    assert database.get("a") is None
    for ask in (database.info, database.clear, database.verify):
        with pytest.raises(BadSetting, match=r"^The cache directory .* cannot be used .*memory only"):
            ask()
    assert (tmp_path / "file").read_text() == "in the way"


def test_trouble_is_met_once_and_not_for_every_map(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(database, "_open", fail)
    for i in range(50):
        assert database.get(str(i)) is None
    assert len(tries) == 1
    monkeypatch.setattr(database, "_resume", 0.0)
    database.get("a")
    assert len(tries) == 2


def test_clear_empties_the_file_too(database: Database) -> None:
    database.add({str(i): array(i / 500) for i in range(500)})
    full = database.info()
    assert full.entries == 500 and full.bytes > 500 * 4000
    assert database.clear() == 500
    empty = database.info()
    assert empty.entries == 0 and empty.bytes < full.bytes / 10
    assert database.get("1") is None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from camlab.engine.cache.database import Database

database, name = Database(Path(sys.argv[1])), sys.argv[2]
rng = np.random.default_rng(int(name))
for key in [*(f"shared {i}" for i in rng.permutation(40)), *(f"{name} {i}" for i in range(20))]:
    # What a key means is the same for all: whoever finds another value has found a mixed-up entry.
    value = np.full(300, sum(key.encode()) % 97 / 97, np.float32)
    while (found := database.get(key)) is None:
        database.add({key: value, key + " too": value})
    assert np.array_equal(found, value), key
print("done")
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, str(n)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]  # fmt: skip
    for writer in writers:
        out, err = writer.communicate(timeout=120)
        assert (writer.returncode, out, err) == (0, "done\n", "")
    assert Database(tmp_path).verify() == Checked(sound=2 * (40 + 4 * 20), broken=0)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from camlab.engine.cache.database import Database

database = Database(Path(sys.argv[1]))
database.add({"whole": np.ones(10, np.float32)})
add = database._database.add
def add_and_die(key, data):
    add(key, data)
    if key == "50":
        os.kill(os.getpid(), signal.SIGKILL)
database._database.add = add_and_die
database.add({str(i): np.ones(1000, np.float32) for i in range(100)})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system that can kill a process at once")
def test_a_process_that_dies_while_it_writes_leaves_nothing_half_done(database: Database) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(database.directory)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert database.verify() == Checked(sound=1, broken=0)
    database.add({"0": array(0.5)})
    assert np.array_equal(database.get("0"), array(0.5))  # type: ignore[arg-type]


def test_many_threads(database: Database) -> None:
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            rng = np.random.default_rng(seed)
            for _ in range(100):
                i = int(rng.integers(30))
                found = database.get(str(i))
                if found is None:
                    database.add({str(i): array(i / 30)})
                else:
                    assert np.array_equal(found, array(i / 30))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and database.problem is None
    assert database.verify() == Checked(sound=30, broken=0)
