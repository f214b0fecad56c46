"""Downloading the weights of a timm model, with progress, and so that it can be stopped at any moment.

The work is done by a process of its own (`camlab.models.hub.fetch_process`): whatever hangs there is ended, and what was half-written
is removed. Files lie where every other program on this machine looks for them, in the Hugging Face cache; its
environment variables (HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN and the proxies') count here, too.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camlab.common.errors import DownloadFailed
from camlab.common.jobs import Job, Steps
from camlab.common.subprocesses import Child
from camlab.common.wording import megabytes
from camlab.models.hub.catalogue import WEIGHTS, CatalogueRow, cached_weights, catalogue_row
from camlab.models.hub.fetch_process import ANSWER_WITHIN

Progress = Callable[[int, int], None]

READY_WITHIN = 30.0  # seconds for slow imports, once the hub has answered
STALLED_AFTER = 90.0  # seconds without a single byte; shorter breaks are bridged by the library
_STOP_WITHIN = 3.0  # seconds for the other process to clean up after itself
_STEP = 0.02  # seconds that a step waits for news

#: What to say about a problem that `camlab.models.hub.fetch_process` names.
_SENTENCES = {
    "offline": "The Hugging Face hub cannot be reached, so {model} was not downloaded; "
    "check the connection and try again.",
    "offline_mode": "HF_HUB_OFFLINE is set, so {model} was not downloaded; unset it and try again.",
    "not_found": "The hub has no weights for {model} at {hub_id}; choose another model.",
    "no_permission": "The hub does not give out {model} without permission; accept its terms at "
    "https://huggingface.co/{hub_id} and set HF_TOKEN to a token of yours.",
    "disk_full": "The disk has no room for {model}: it takes {size} and {room} are free; make room in {cache} "
    "and try again.",
    "not_writable": "{model} cannot be stored in {cache} ({why}); make it writable or name another folder in HF_HOME.",
    "checksum": "What arrived of {model} is damaged and was removed; try again.",
    "stalled": "The download of {model} stopped moving and was ended; try again later.",
    "refused": "{model} could not be downloaded ({why}); try again later.",
}


def download(name: str, progress: Progress | None = None, check: Callable[[], None] | None = None) -> Path:
    """The path of the weights of ``timm/NAME``, downloaded where they are not on this machine.

    ``progress`` gets the bytes so far and in all, ``check`` is called some fifty times a second and stops the download
    by raising (`Job.check` raises Cancelled). Raises UnknownName, BadSetting for a model whose pictures cannot be
    prepared, and DownloadFailed with a sentence, within 5 seconds where there is no network; nothing half-written
    stays behind.
    """
    steps = fetching(name, progress)
    try:
        for _ in steps:
            if check is not None:
                check()
    finally:
        steps.close()  # type: ignore[attr-defined]
    path = cached_weights(catalogue_row(name))
    if path is None:  # removed by somebody a moment ago
        raise DownloadFailed(f"The weights of {name} are gone again; download them once more.")
    return path


def download_job(name: str, present: Callable[[], bool] = lambda: True) -> Job:
    """The same as a job for a `Worker`; ``done`` and ``total`` count bytes, ``present`` is the job's."""

    def work(job: Job) -> Steps:
        def show(done: int, total: int) -> None:
            job.total = total
            job.advance(done - job.done)

        return fetching(name, show)

    return Job(f"Download of {name}", work, present)


def fetching(name: str, progress: Progress | None = None) -> Steps:
    """The download in short steps; closing the iterator stops it. See ``download``."""
    row = catalogue_row(name)
    tell = progress or (lambda done, total: None)
    while (path := cached_weights(row)) is None:
        mine = _Transfer(row)
        with _starting:
            running = _running.setdefault(row.hub_id, mine)
        if running is not mine:  # somebody else's download of the same weights: watch it, then look again
            yield from _watch(running, tell)
            continue
        try:
            yield from mine.run(tell)
        finally:
            mine.stop()
            with _starting:
                del _running[row.hub_id]
    size = path.stat().st_size
    tell(size, size)


_running: dict[str, _Transfer] = {}
_starting = threading.Lock()


def _watch(running: _Transfer, tell: Progress) -> Steps:
    while _running.get(running.row.hub_id) is running:
        if running.total:
            tell(running.done, running.total)
        time.sleep(_STEP)
        yield
    if running.problem is not None:
        raise running.problem


class _Transfer:
    """One process that fetches one row's weights."""

    def __init__(self, row: CatalogueRow) -> None:
        from huggingface_hub import constants

        self.row = row
        self.done = self.total = 0
        self.problem: DownloadFailed | None = None
        self._cache = Path(constants.HF_HUB_CACHE)
        self._folder = self._cache / f"models--{row.hub_id.replace('/', '--')}"
        self._before = self._half_written()
        self._child: Child | None = None

    def run(self, tell: Progress) -> Steps:
        """Steps until the file is there. Raises DownloadFailed."""
        # With what the process needs to start: this is how long somebody waits who is offline.
        deadline, late = time.monotonic() + ANSWER_WITHIN, "offline"
        self._child = child = self._start()
        while True:
            try:
                line = child.news(_STEP)
            except queue.Empty:
                if time.monotonic() > deadline:
                    child.kill()  # what hangs in a name lookup hears nothing; waiting for it takes seconds
                    raise self._failed(late) from None
                yield
                continue
            if line is None:
                raise self._failed("refused", why="the process that downloads ended")
            if "problem" in line:
                raise self._failed(**line)
            if "path" in line:
                return
            if "reached" in line:
                deadline = time.monotonic() + READY_WITHIN
            elif "ready" in line:
                deadline = time.monotonic() + ANSWER_WITHIN
            else:
                # Only now, as its imports are slow: that the hub is away is said sooner.
                if late != "stalled":
                    _check_usable(self.row)
                deadline, late = time.monotonic() + STALLED_AFTER, "stalled"
                self.done, self.total = line.get("done", 0), line.get("total", self.total)
                tell(self.done, self.total)
            yield

    def stop(self) -> None:
        """End the process where it still runs, and remove what it has half-written."""
        if self._child is not None and self._child.stop(_STOP_WITHIN) != 0:
            self._tidy()

    def _start(self) -> Child:
        # Its fast protocol reports nothing for long stretches, and cannot be interrupted.
        environment = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_CACHE": str(self._cache)}
        return Child("camlab.models.hub.fetch_process", [self.row.hub_id, WEIGHTS], environment)

    def _failed(self, problem: str, **details: Any) -> DownloadFailed:
        values = {
            "model": self.row.id,
            "hub_id": self.row.hub_id,
            "cache": self._cache,
            "size": megabytes(self.total),
            "room": megabytes(details.pop("free", 0)),
            **details,
        }
        self.problem = DownloadFailed(_SENTENCES[problem].format(**values))
        return self.problem

    def _half_written(self) -> set[Path]:
        return set(self._folder.glob("blobs/*.incomplete"))

    def _tidy(self) -> None:
        for path in self._half_written() - self._before:
            path.unlink(missing_ok=True)
        # Empty folders would say that this machine knows the model. Another program's download has a file in them.
        if not any(p.is_file() for part in ("blobs", "snapshots") for p in self._folder.glob(f"{part}/**/*")):
            shutil.rmtree(self._folder, ignore_errors=True)
            shutil.rmtree(self._cache / ".locks" / self._folder.name, ignore_errors=True)


def _check_usable(row: CatalogueRow) -> None:
    """Raise BadSetting for a model whose pictures cannot be prepared, before its weights are fetched."""
    from timm.models import get_pretrained_cfg

    from camlab.models.preprocessing import Preprocessing

    config: Any = get_pretrained_cfg(row.name)
    if config is not None:  # what this timm does not know is said when it is loaded
        Preprocessing.from_timm(config.to_dict())
