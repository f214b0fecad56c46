"""Files that are there whole or not at all, whenever the power goes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camlab.common.errors import BadStudy

#: What the names of files under way begin with: whoever reads a folder passes over them.
UNDER_WAY = ".tmp-"
MAX_JSON = 64 * 2**20  # bytes of a manifest: the ids of a million pictures fit


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, bring it to the disk and give it its name. Raises OSError."""
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
    if os.name == "nt":  # which cannot open folders, and keeps names in its journal
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
    """The object in a JSON file, None where there is no file. Raises BadStudy for anything but an object."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise BadStudy(f"The file {path.name} of this study is too large; it is not one of CAM Lab's.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise BadStudy(
            f"The file {path.name} of this study cannot be read; use a copy of the study."
        ) from error
    if not isinstance(value, dict):
        raise BadStudy(f"The file {path.name} of this study holds no object; use a copy of the study.")
    return value


def sweep(folder: Path) -> None:
    """Remove what was left half-written in a folder; whoever calls this is its only writer."""
    for left in folder.glob(f"{UNDER_WAY}*"):
        left.unlink(missing_ok=True)
