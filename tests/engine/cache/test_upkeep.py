"""``camlab cache``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camlab.engine.cache.database import Database
from camlab.engine.cache.disk import DiskStore
from camlab.engine.cache.upkeep import UPKEEP
from camlab.engine.shared import engine_for, shared_cache
from tests.cli.test_main import Ran, python, refused, run


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with 20 entries, which the environment names."""
    place = tmp_path / "cache"
    Database(place).add({str(i): np.full(1000, i / 20, dtype=np.float32) for i in range(20)})
    monkeypatch.setenv("CAMLAB_CACHE_DIR", str(place))
    return place


def spoil(directory: Path) -> None:
    with sqlite3.connect(directory / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = x'00' WHERE key IN ('3', '4')")


def test_info(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMLAB_CACHE_BYTES", "5000000")
    found = run("cache", "info", "--json").json
    assert found.pop("bytes") > 20 * 4000
    assert found == {"directory": str(directory), "entries": 20, "limit": 5_000_000, "problem": None}
    lines = dict(line.split(None, 1) for line in run("cache", "info").out.splitlines())
    assert lines["directory"] == str(directory) and lines["entries"] == "20"
    assert lines["limit"] == "5,000,000" and int(lines["bytes"].replace(",", "")) > 20 * 4000


def test_clear(directory: Path) -> None:
    assert run("cache", "clear") == Ran(0, "20 entries removed\n", "")
    assert run("cache", "info", "--json").json["entries"] == 0
    assert run("cache", "clear", "--json").json == {
        "directory": str(directory),
        "removed": 0,
        "problem": None,
    }


def test_verify_removes_what_is_broken_and_says_so(directory: Path) -> None:
    assert run("cache", "verify") == Ran(0, "20 entries sound, 0 broken and removed\n", "")
    spoil(directory)
    ran = run("cache", "verify", "--json")
    assert ran.code == 1
    assert ran.json == {
        "directory": str(directory), "sound": 18, "broken": 2, "rebuilt": False, "problem": None
    }  # fmt: skip
    assert run("cache", "verify") == Ran(0, "18 entries sound, 0 broken and removed\n", "")


def test_verify_replaces_a_database_that_is_none(directory: Path) -> None:
    for path in directory.iterdir():
        path.write_bytes(b"no database" * 1000)
    ran = run("cache", "verify")
    assert ran.code == 1
    assert ran.out.startswith("the database itself was damaged") and "0 entries sound" in ran.out
    assert run("cache", "verify").code == 0


@pytest.mark.parametrize("what", list(UPKEEP))
def test_where_there_is_no_cache_one_sentence_says_why(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMLAB_CACHE_DIR", "off")
    ran = run("cache", what)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "The cache on disk is off (CAMLAB_CACHE_DIR=off): results are kept in memory only.\n"
    assert run("cache", what, "--json").json == {"directory": None, "problem": ran.out.strip()}
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CAMLAB_CACHE_DIR", str(tmp_path / "file"))
    ran = run("cache", what)
    assert (ran.code, ran.err, ran.out.count("\n")) == (0, "", 1)
    assert str(tmp_path / "file") in ran.out and "kept in memory only" in ran.out
    assert run("cache", what, "--json").json == {
        "directory": str(tmp_path / "file"), "problem": ran.out.strip()
    }  # fmt: skip


def test_bad_input_is_one_line(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean 'info'?" in refused(run("cache", "infos"))
    refused(run("cache"))
    refused(run("cache", "info", "--nope"))
    monkeypatch.setenv("CAMLAB_CACHE_BYTES", "2GB")
    assert "CAMLAB_CACHE_BYTES" in refused(run("cache", "info"))


def test_it_starts_fast_and_its_help_names_everything(directory: Path) -> None:
    code = """
import sys
from camlab.cli.main import main
assert main(["cache", "info"]) == 0
assert "torch" not in sys.modules
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    told = run("cache", "--help").out
    for word in (*UPKEEP, "--json", "CAMLAB_CACHE_DIR", "CAMLAB_CACHE_BYTES"):
        assert word in told


@pytest.fixture
def fresh_engines() -> Iterator[None]:
    """Engines and their cache are made anew, as in a new process."""
    for made in (engine_for, shared_cache):
        made.cache_clear()
    yield
    for made in (engine_for, shared_cache):
        made.cache_clear()


def test_an_explanation_is_found_by_the_next_process(directory: Path, fresh_engines: None) -> None:
    command = ("explain", "shapes/0-0", "--model", "shapes_vgg", "--no-floor", "--json", "--method", "gradcam")
    first = run(*command)
    store = shared_cache().store
    assert (first.code, first.err) == (0, "") and isinstance(store, DiskStore) and store.flush()
    entries = run("cache", "info", "--json").json["entries"]
    assert entries >= 20 + 5
    # It finds the maps of the first method, and at its end has written those of the second one.
    again = python("-m", "camlab", *command, "--method", "eigencam")
    assert (again.returncode, again.stderr) == (0, "")
    assert json.loads(again.stdout)[0] == first.json[0]
    assert run("cache", "info", "--json").json["entries"] == entries + 2
    assert run("cache", "verify").code == 0
