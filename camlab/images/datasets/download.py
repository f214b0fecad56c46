"""Fetching a data set: it ends up whole or not at all, can be stopped, and says soon where there is no network.

The files are fetched here and not by torchvision, whose download waits without end for a server that is silent,
can neither be stopped nor watched, and leaves what it has behind. The work is done by a process of its own
(`camlab.images.datasets.fetch_process`): whatever hangs there is ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from camlab.common.errors import BadSource
from camlab.common.jobs import Steps
from camlab.common.subprocesses import Child
from camlab.images.datasets import hub
from camlab.images.datasets.base import Dataset, data_directory
from camlab.images.datasets.catalogue import DATASETS, is_here

REACH_WITHIN = 4.0  # seconds for a server to answer at all
SILENCE = 20.0  # seconds without a byte after which a download is given up
STALE_AFTER = 86_400.0  # seconds after which what a killed process left behind is removed

_PART = ".part"
_STEP = 0.02  # seconds that a step waits for news
_STOP_WITHIN = 1.0  # seconds for the other process to end by itself
_under_way: set[Path] = set()
_lock = threading.Lock()

Check = Callable[[], None]
Progress = Callable[[int, int], None]

#: What to say about a problem that `camlab.images.datasets.fetch_process` names.
_SENTENCES = {
    "offline": "{title} cannot be downloaded, as {host} cannot be reached ({why}); connect to the network, or use "
    "built-in pictures, uploads or a folder.",
    "refused": "{host} does not hand out {title} (HTTP status {why}); try again later.",
    "broken_off": "The connection to {host} broke off; try the download of {title} again.",
    "ended": "The download of {title} ended without a word; try again.",
    "checksum": "{title} came damaged or is another version than expected; try the download again later.",
    "not_unpacked": "{title} cannot be unpacked; try the download again later.",
    "disk_full": "{title} cannot be written to {root} (the disk is full); set CAMLAB_DATA_DIR to another folder.",
    "not_writable": "{title} cannot be written to {root} ({why}); set CAMLAB_DATA_DIR to another folder.",
}


def download(
    name: str,
    root: Path | None = None,
    check: Check = lambda: None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Fetch a data set into ``root`` (default: ``data_directory()``) and return its folder; at once if it is there.

    ``check`` is called some fifty times a second and may raise (Cancelled) to stop; ``progress`` is told the bytes
    fetched and those in all, by the registry's count. Whatever happens, nothing half done stays. Raises UnknownName,
    BadSetting, and BadSource where no server answers within REACH_WITHIN seconds, the disk lacks room or the files
    came damaged.
    """
    root = root or data_directory()
    steps = fetching(name, root, progress)
    try:
        check()
        for _ in steps:
            check()
    finally:
        steps.close()  # type: ignore[attr-defined]
    return root / DATASETS[name].name


def fetching(name: str, root: Path | None = None, progress: Progress = lambda done, total: None) -> Steps:
    """The download in short steps; closing the iterator stops it within two seconds. See ``download``."""
    dataset, root = DATASETS[name], root or data_directory()
    folder = root / dataset.name
    if is_here(name, root):
        return
    with _alone(folder, dataset), _disk_errors(dataset, root):
        root.mkdir(parents=True, exist_ok=True)
        _remove_stale(root)
        free = shutil.disk_usage(root).free
        if free < dataset.room * 10**6:
            raise BadSource(
                f"{dataset.title} needs {dataset.room:,} MB of disk space while it is unpacked, and "
                f"{free // 10**6:,} MB are free; make room, or set CAMLAB_DATA_DIR to another disk."
            )
        part = Path(tempfile.mkdtemp(prefix=f".{dataset.name}-", suffix=_PART, dir=root))
        try:
            yield from _fetched(dataset, part, root, progress)
            if name.startswith(hub.PREFIX):
                (part / hub.ABOUT).write_text(hub.about(dataset), encoding="utf-8")
            try:
                part.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _fetched(dataset: Dataset, part: Path, root: Path, progress: Progress) -> Steps:
    """Steps until all files are in ``part``. Raises BadSource."""
    what: dict[str, Any] = {
        "archives": [dataclasses.asdict(each) for each in dataset.archives],
        "silence": SILENCE,
    }
    what["room"] = dataset.room * 10**6
    # From here on, with what the process itself needs to start: this is how long somebody waits who is offline.
    deadline = time.monotonic() + REACH_WITHIN
    listing = part.with_suffix(".json")  # thousands of files are more than a command line takes
    listing.write_text(json.dumps(what), encoding="utf-8")
    child = Child("camlab.images.datasets.fetch_process", [str(part), str(listing)])
    late = {"problem": "offline", "why": f"no answer within {REACH_WITHIN:.0f} seconds"}
    try:
        while True:
            try:
                news = child.news(_STEP)
            except queue.Empty:
                if time.monotonic() > deadline:
                    child.kill()
                    raise _failed(dataset, root, late) from None
                yield
                continue
            news = {"problem": "ended"} if news is None else news
            if "problem" in news:
                raise _failed(dataset, root, news)
            if "path" in news:
                return
            # A server that falls silent now is given up by the process itself; unpacking takes what it takes.
            deadline = math.inf
            if "done" in news:
                progress(news["done"], max(news["done"], dataset.megabytes * 10**6))
            yield
    finally:
        child.stop(_STOP_WITHIN)
        listing.unlink(missing_ok=True)


def _failed(dataset: Dataset, root: Path, news: dict[str, Any]) -> BadSource:
    url = str(news.get("url") or dataset.archives[0].url)
    values = {
        "title": dataset.title,
        "host": urlsplit(url).hostname or url,
        "root": root,
        "why": news.get("why"),
    }
    return BadSource(_SENTENCES[str(news["problem"])].format(**values))


@contextlib.contextmanager
def _alone(folder: Path, dataset: Dataset) -> Iterator[None]:
    with _lock:
        if folder in _under_way:
            raise BadSource(f"{dataset.title} is being downloaded already; wait for it.")
        _under_way.add(folder)
    try:
        yield
    finally:
        with _lock:
            _under_way.discard(folder)


@contextlib.contextmanager
def _disk_errors(dataset: Dataset, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = "disk_full" if error.errno == errno.ENOSPC else "not_writable"
        why = str(error.strerror or error).lower()
        raise _failed(dataset, root, {"problem": problem, "why": why}) from error


def _remove_stale(root: Path) -> None:
    for left in (*root.glob(f".*{_PART}"), *root.glob(".*.json")):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_AFTER:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()
