"""The store behind the memory: written in the background, and where the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import camlab
from camlab.common.errors import BadSetting
from camlab.engine.cache import disk as module
from camlab.engine.cache.database import DEFAULT_BYTES, Database
from camlab.engine.cache.disk import DiskStore, cache_directory, cache_limit, open_database, shared_store
from camlab.engine.cache.memory import MapCache
from camlab.engine.shared import shared_cache

ROOT = Path(camlab.__file__).parent.parent


def array(value: float, count: int = 100) -> np.ndarray:
    return np.full(count, value, dtype=np.float32)


class Gated(Database):
    """A database that writes when it is told to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.gate, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[str]] = []

    def add(self, entries: Mapping[str, np.ndarray]) -> None:
        self.begun.set()
        assert self.gate.wait(30)
        self.batches.append(list(entries))
        super().add(entries)


def test_what_waits_to_be_written_is_found_and_written_together(tmp_path: Path) -> None:
    database = Gated(tmp_path)
    store = DiskStore(database)
    store.add("first", array(0))
    assert database.begun.wait(30)
    for i in range(50):
        store.add(str(i), array(i / 50))
    store.add("first", array(1))  # first come, first kept, also while it is being written
    store.add("3", array(1))
    assert not store.flush(0.01)
    for key, value in (("first", 0.0), ("3", 3 / 50)):
        found = store.get(key)
        assert found is not None and found[0] == np.float32(value)
    store.discard("4")
    database.gate.set()
    assert store.flush()
    assert database.batches == [["first"], [str(i) for i in range(50) if i != 4]]
    assert store.get("3") is not None and store.get("4") is None
    fresh = Database(tmp_path).get("3")
    assert fresh is not None and fresh[0] == np.float32(3 / 50)


def test_what_waits_is_bounded_and_what_is_too_much_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_BYTES", 4000)
    database = Gated(tmp_path)
    store = DiskStore(database)
    for i in range(30):
        store.add(str(i), array(0.5))
    database.gate.set()
    assert store.flush()
    assert sum(map(len, database.batches)) == 10
    store.add("later", array(0.5))  # there is room again
    assert store.flush() and store.get("later") is not None


def test_the_thread_goes_when_there_is_nothing_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.01)
    store = DiskStore(Database(tmp_path))
    for key in ("a", "b"):
        store.add(key, array(1))
        assert store.flush()
        thread = store._thread
        if thread is not None:
            thread.join(10)
        assert store._thread is None and store.get(key) is not None


def test_the_end_of_the_program_waits_until_all_is_written(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from camlab.engine.cache.memory import MapCache\n"
        "from camlab.engine.cache.database import Database\n"
        "from camlab.engine.cache.disk import DiskStore\n"
        "cache = MapCache(store=DiskStore(Database(Path(sys.argv[1]))))\n"
        "for i in range(3000): cache.put(str(i), np.full(500, i / 3000, np.float32))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    checked = Database(tmp_path).verify()
    assert (checked.sound, checked.broken) == (3000, 0)


def test_two_processes_share_what_either_computed(tmp_path: Path) -> None:
    one, two = (MapCache(store=DiskStore(Database(tmp_path))) for _ in range(2))
    assert two.get("a", (100,)) is None
    one.put("a", array(0.5))
    assert isinstance(one.store, DiskStore) and one.store.flush()
    found = two.get("a", (100,))
    assert found is not None and np.array_equal(found, array(0.5))


def test_the_environment_says_where_and_how_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMLAB_CACHE_DIR", str(tmp_path / "here"))
    assert cache_directory() == tmp_path / "here"
    monkeypatch.setenv("CAMLAB_CACHE_DIR", "~/there")
    assert cache_directory() == Path.home() / "there"
    for off in ("off", " OFF "):
        monkeypatch.setenv("CAMLAB_CACHE_DIR", off)
        assert cache_directory() is None and open_database() is None and shared_store() is None
    monkeypatch.delenv("CAMLAB_CACHE_BYTES", raising=False)
    assert cache_limit() == DEFAULT_BYTES == 2 * 2**30
    monkeypatch.setenv("CAMLAB_CACHE_BYTES", "1000000")
    assert cache_limit() == 1_000_000
    monkeypatch.setenv("CAMLAB_CACHE_DIR", str(tmp_path))
    store = shared_store()
    assert store is not None and store.database.limit == 1_000_000
    for bad in ("2GB", "-1", "1.5", "²"):
        monkeypatch.setenv("CAMLAB_CACHE_BYTES", bad)
        with pytest.raises(BadSetting, match="CAMLAB_CACHE_BYTES must be a whole number of bytes"):
            cache_limit()
        assert shared_store() is None  # results can still be computed


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/a/place", "/a/place/camlab"),
        ("linux", "XDG_CACHE_HOME", "relative", "~/.cache/camlab"),
        ("linux", "XDG_CACHE_HOME", "", "~/.cache/camlab"),
        ("darwin", "XDG_CACHE_HOME", "/a/place", "~/Library/Caches/camlab"),
        ("win32", "LOCALAPPDATA", "/a/place", "/a/place/camlab"),
        ("win32", "LOCALAPPDATA", "", "~/.cache/camlab"),
    ],
)
def test_each_system_has_its_own_place_for_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, value: str, expected: str
) -> None:
    monkeypatch.delenv("CAMLAB_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, value)
    assert cache_directory() == Path(expected).expanduser()


def test_nobody_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CAMLAB_CACHE_DIR")
    with pytest.raises(BadSetting, match="no home directory; set CAMLAB_CACHE_DIR"):
        cache_directory()
    assert shared_store() is None


def test_the_tests_leave_the_users_cache_alone() -> None:
    assert os.environ["CAMLAB_CACHE_DIR"] == "off"
    assert shared_cache().store is None
