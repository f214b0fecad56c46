"""Who runs a study: a lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from camlab.common.errors import BadStudy

_NAME = "run.lock"


def _try(handle: int) -> bool:
    """Take the lock of an open file if nobody has it."""
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
    """Whether a process runs the study at this moment."""
    try:
        handle = os.open(folder / _NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try(handle)
    finally:
        os.close(handle)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only one that runs the study. Raises BadStudy where somebody else does."""
    handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # Somebody who only looks has it for a moment, too.
        for _ in range(10):
            if _try(handle):
                break
            time.sleep(0.05)
        else:
            raise BadStudy("This study is running already; wait for it, or cancel it first.")
        yield
    finally:
        os.close(handle)
