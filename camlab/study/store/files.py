"""Files that are written atomically, and the lock of the single process that writes a study."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from camlab.common.errors import BadStudy

#: Prefix of files that are still being written; readers of a folder skip them.
UNDER_WAY = ".tmp-"
MAX_JSON = 64 * 2**20  # bytes of a manifest: the ids of a million pictures fit


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside ``path`` by ``write``, sync it to the disk and rename it to ``path``. Raises OSError."""
    half = path.with_name(f"{UNDER_WAY}{secrets.token_hex(6)}-{path.name}")
    try:
        write(half)
        with half.open("rb+") as stream:
            os.fsync(stream.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders, and keeps names in its journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all. Raises OSError."""
    text = json.dumps(value, indent=1, allow_nan=False)
    write_whole(path, lambda half: half.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Read the object in a JSON file; None without a file. Raises BadStudy for anything but an object."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise BadStudy(f"The file {path.name} of this study is too large; CAM Lab did not write it.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise BadStudy(f"The file {path.name} of this study cannot be read; use a copy of the study.") from error
    if not isinstance(value, dict):
        raise BadStudy(f"The file {path.name} of this study has no JSON object; use a copy of the study.")
    return value


def sweep(folder: Path) -> None:
    """Remove unfinished files from a folder; the caller must be its only writer."""
    for left in folder.glob(f"{UNDER_WAY}*"):
        left.unlink(missing_ok=True)


_LOCK = "run.lock"


def _lock(handle: int) -> bool:
    """Take the lock of an open file if it is free; the system frees it whenever the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(folder: Path) -> bool:
    """Return whether a process is running the study."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of the process that runs the study. Raises BadStudy if another process holds it."""
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # `is_held` in another process takes the lock for a moment, too.
        for _ in range(10):
            if _lock(handle):
                break
            time.sleep(0.05)
        else:
            raise BadStudy("This study is running already; wait for it, or cancel it first.")
        yield
    finally:
        os.close(handle)
