"""Download data sets: complete or not at all, stoppable at any moment, with an early error if offline.

torchvision's own download waits forever for a silent server, cannot be stopped or watched, and leaves partial files.
Here a child process (`camlab.common.fetch_files`) does the work.
"""

import contextlib
import dataclasses
import json
import math
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from camlab.common.downloads import (
    ANSWER_WITHIN,
    Check,
    Patience,
    Problem,
    Progress,
    Wanted,
    finish,
    follow,
    make_room,
)
from camlab.common.errors import BadSource
from camlab.common.jobs import Steps
from camlab.common.subprocesses import Child, News
from camlab.images.datasets import hub
from camlab.images.datasets.base import DIRECTORY_VARIABLE, OFFLINE_ADVICE, Dataset, data_directory
from camlab.images.datasets.catalogue import DATASETS, is_here

SILENCE = 20.0  # seconds without a byte after which the child gives up
STALE_AFTER = 86_400.0  # seconds after which the leftovers of a killed process are removed

_PART = ".part"
_STOP_WITHIN = 1.0  # seconds for the child to end by itself
_under_way: set[Path] = set()
_lock = threading.Lock()


def download(name: str, root: Path | None = None, check: Check | None = None, progress: Progress | None = None) -> Path:
    """Fetch a data set into ``root`` (default: ``data_directory()``) unless it is there, and return its folder.

    ``check`` is called about fifty times a second and may raise (Cancelled) to stop; ``progress`` gets the bytes
    fetched and the registry's total. No partial file stays behind. Raises UnknownName, BadSetting, and BadSource
    if no server answers within ANSWER_WITHIN seconds, the disk lacks room or the files arrive damaged.
    """
    root = root or data_directory()
    finish(fetching(name, root, progress), check)
    return root / DATASETS[name].name


def fetching(name: str, root: Path | None = None, progress: Progress | None = None) -> Steps:
    """Download in short steps; closing the iterator stops it within two seconds. See ``download``."""
    dataset, root = DATASETS[name], root or data_directory()
    folder = root / dataset.name
    if is_here(name, root):
        return
    with _alone(folder, dataset), _sentences(dataset, root):
        root.mkdir(parents=True, exist_ok=True)
        _remove_stale(root)
        make_room(root, dataset.room * 10**6)
        part = Path(tempfile.mkdtemp(prefix=f".{dataset.name}-", suffix=_PART, dir=root))
        try:
            yield from _fetched(dataset, part, progress)
            if name.startswith(hub.PREFIX):
                (part / hub.ABOUT).write_text(hub.about(dataset), encoding="utf-8")
            try:
                part.rename(folder)
            except OSError:
                if not folder.is_dir():  # another process may have finished first
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _fetched(dataset: Dataset, part: Path, progress: Progress | None) -> Steps:
    """Step until all files are in ``part``. Raises Problem."""
    listing = part.with_suffix(".json")  # a command line cannot hold thousands of files
    archives = [dataclasses.asdict(each) for each in dataset.archives]
    order = {"archives": archives, "silence": SILENCE, "room": dataset.room * 10**6}
    listing.write_text(json.dumps(order), encoding="utf-8")

    def on_message(news: News) -> Patience:
        if progress is not None and "done" in news:
            progress(news["done"], max(news["done"], dataset.megabytes * 10**6))
        # From now on the child itself gives up on a silent server; unpacking may take any time.
        return Patience(math.inf)

    child = Child("camlab.common.fetch_files", [str(part), str(listing)])
    try:
        yield from follow(child, ANSWER_WITHIN, on_message)
    finally:
        child.stop(_STOP_WITHIN)
        listing.unlink(missing_ok=True)


def failure(dataset: Dataset, root: Path, problem: Problem) -> BadSource:
    """Return the error for a problem."""
    url = str(problem.details.get("url") or dataset.archives[0].url)
    wanted = Wanted(
        subject=dataset.title,
        source=urlsplit(url).hostname or url,
        folder=root,
        variable=DIRECTORY_VARIABLE,
        offline_advice=OFFLINE_ADVICE,
    )
    return BadSource(wanted.sentence(problem, dataset.room * 10**6))


@contextlib.contextmanager
def _alone(folder: Path, dataset: Dataset) -> Iterator[None]:
    with _lock:
        if folder in _under_way:
            raise BadSource(f"{dataset.title} is already being downloaded; wait for it.")
        _under_way.add(folder)
    try:
        yield
    finally:
        with _lock:
            _under_way.discard(folder)


@contextlib.contextmanager
def _sentences(dataset: Dataset, root: Path) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        raise failure(dataset, root, problem) from problem
    except OSError as error:
        raise failure(dataset, root, Problem.of_disk(error)) from error


def _remove_stale(root: Path) -> None:
    for left in (*root.glob(f".*{_PART}"), *root.glob(".*.json")):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_AFTER:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()
