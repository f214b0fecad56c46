"""Download the weights of a timm model, with progress; it can be stopped at any moment.

A child process (`camlab.common.fetch_weights`) does the work, and partial files are removed. Files go into the
Hugging Face cache, which all programs on this machine share; its environment variables (HF_HOME, HF_HUB_OFFLINE,
HF_ENDPOINT, HF_TOKEN and those of proxies) apply.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camlab.common.downloads import (
    ANSWER_WITHIN,
    STEP,
    Check,
    Patience,
    Problem,
    Progress,
    Wanted,
    finish,
    follow,
)
from camlab.common.errors import DownloadFailed
from camlab.common.fetch_weights import Leftovers
from camlab.common.jobs import Job, Steps
from camlab.common.subprocesses import Child, News
from camlab.models.hub.catalogue import WEIGHTS, CatalogueRow, cached_weights, catalogue_row
from camlab.models.preprocessing import Preprocessing

READY_WITHIN = 30.0  # seconds for slow imports, once the hub has answered
STALLED_AFTER = 90.0  # seconds without a byte; the hub's library survives shorter breaks
_STOP_WITHIN = 3.0  # seconds for the child to end by itself


def download(name: str, progress: Progress | None = None, check: Check | None = None) -> Path:
    """Download the weights of ``timm/NAME`` unless they are on this machine, and return their path.

    ``progress`` gets the bytes so far and in total. ``check`` is called about fifty times a second and stops the
    download by raising (`Job.check` raises Cancelled). No partial file stays behind. Raises UnknownName, BadSetting
    for a model whose preprocessing is unsupported, and DownloadFailed, within 5 seconds if there is no network.
    """
    finish(fetching(name, progress), check)
    path = cached_weights(catalogue_row(name))
    if path is None:  # removed since the download ended
        raise DownloadFailed(f"The weights of {name} were removed again; download them once more.")
    return path


def download_job(name: str, present: Callable[[], bool] = lambda: True) -> Job:
    """Return the download as a job for a `Worker`; ``done`` and ``total`` count bytes, ``present`` is the job's."""
    return Job(f"Download of {name}", lambda job: fetching(name, job.show), present)


def fetching(name: str, progress: Progress | None = None) -> Steps:
    """Download in short steps; closing the iterator stops it. See ``download``."""
    row = catalogue_row(name)
    report = progress or (lambda done, total: None)
    while (path := cached_weights(row)) is None:
        mine = _Transfer(row)
        with _starting:
            running = _running.setdefault(row.hub_id, mine)
        if running is not mine:  # another thread downloads the same weights: watch it, then look again
            yield from _watch(running, report)
            continue
        try:
            yield from mine.run(report)
        finally:
            mine.stop()
            with _starting:
                del _running[row.hub_id]
    size = path.stat().st_size
    report(size, size)


_running: dict[str, _Transfer] = {}
_starting = threading.Lock()


def _watch(running: _Transfer, report: Progress) -> Steps:
    while _running.get(running.row.hub_id) is running:
        if running.total:
            report(running.done, running.total)
        time.sleep(STEP)
        yield
    if running.error is not None:
        raise running.error


class _Transfer:
    """One child process that fetches one row's weights."""

    def __init__(self, row: CatalogueRow) -> None:
        from huggingface_hub import constants

        self.row = row
        self.done = self.total = 0
        self.error: DownloadFailed | None = None
        self._cache = Path(constants.HF_HUB_CACHE)
        self._leftovers = Leftovers(self._cache, row.hub_id)
        self._child: Child | None = None

    def run(self, report: Progress) -> Steps:
        """Step until the file is in the cache. Raises DownloadFailed."""
        checked = False

        def on_message(news: News) -> Patience | None:
            nonlocal checked
            if "reached" in news:
                return Patience(READY_WITHIN)
            if "ready" in news:
                return Patience(ANSWER_WITHIN)
            if "result" in news:
                return None
            if not checked:  # only now, because its slow imports must not delay the error that there is no network
                _check_usable(self.row)
                checked = True
            self.done, self.total = news.get("done", 0), news.get("total", self.total)
            report(self.done, self.total)
            return Patience(STALLED_AFTER, "stalled")

        self._child = self._start()
        try:
            yield from follow(self._child, ANSWER_WITHIN, on_message)
        except Problem as problem:
            self.error = self.failure(problem)
            raise self.error from problem

    def stop(self) -> None:
        """End the child if it still runs, and remove its partial files."""
        if self._child is not None and self._child.stop(_STOP_WITHIN) != 0:
            self._leftovers.remove()

    def failure(self, problem: Problem) -> DownloadFailed:
        """Return the error for a problem."""
        wanted = Wanted(
            subject=f"the weights of {self.row.id}",
            source="The Hugging Face hub",
            folder=self._cache,
            variable="HF_HOME",
            page=f"https://huggingface.co/{self.row.hub_id}",
            missing_advice="choose another model",
        )
        return DownloadFailed(wanted.sentence(problem, self.total))

    def _start(self) -> Child:
        # The hub's fast protocol (Xet) reports no progress for long stretches and cannot be interrupted.
        environment = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_CACHE": str(self._cache)}
        return Child("camlab.common.fetch_weights", [self.row.hub_id, WEIGHTS], environment)


def _check_usable(row: CatalogueRow) -> None:
    """Raise BadSetting for a model whose preprocessing is unsupported."""
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(row.name)
    if config is not None:  # a model unknown to this timm is reported when it is loaded
        Preprocessing.from_timm(config.to_dict())
