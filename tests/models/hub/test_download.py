"""Downloads from a stand-in for the hub: progress, cancelling, every failure as a sentence, nothing half-written."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from camlab.common import downloads, fetch_weights
from camlab.common.downloads import ANSWER_WITHIN, Problem, make_room
from camlab.common.errors import BadSetting, Cancelled, DownloadFailed, UnknownName
from camlab.common.subprocesses import Child
from camlab.models.hub import download as hub
from camlab.models.hub.catalogue import Badge, badge, cached_weights, catalogue_row
from camlab.models.hub.download import download, download_job, fetching
from tests.models.hub.stand_in import StandIn, fill_cache, stand_in

NAME = "timm/resnet18.a1_in1k"
ADDRESS = f"/{NAME}/resolve/main/model.safetensors"
CONTENT = os.urandom(3 << 20)


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """What a download imports once the hub has answered takes seconds: a short one would be over by then."""
    hub._check_usable(catalogue_row(NAME))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, where the hub's library and its child process look."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in that has one model."""
    with stand_in() as running:
        running.files[ADDRESS] = CONTENT
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in ("CACHEDIR.TAG",)]


def test_a_download_arrives_whole_and_is_then_read_without_network(server: StandIn, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    assert badge(NAME) is Badge.DOWNLOAD
    path = download(NAME, lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path == cached_weights(catalogue_row(NAME))
    assert badge(NAME) is Badge.CACHED
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({done for done, _ in told}) > 4
    assert not list(cache.rglob("*.incomplete"))

    server.asked.clear()
    assert download(NAME) == path
    assert not server.asked


def test_a_filled_cache_needs_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill_cache(cache, NAME, b"weights")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert download(NAME) == path
    assert badge(NAME) is Badge.CACHED


@pytest.mark.parametrize("kill", [False, True])
def test_cancelling_leaves_nothing_half_written(
    server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch, kill: bool
) -> None:
    server.pause = 0.05
    if kill:  # a process that cleans up nothing, because it is given no time to
        monkeypatch.setattr(hub, "_STOP_WITHIN", 0.0)
    seen: list[int] = []

    def check() -> None:
        if seen and seen[-1] > 0:
            assert list(cache.rglob("*.incomplete"))
            raise Cancelled

    with pytest.raises(Cancelled):
        download(NAME, lambda done, _: seen.append(done), check)
    assert 0 < seen[-1] < len(CONTENT)
    assert not files(cache)
    assert badge(NAME) is Badge.DOWNLOAD
    server.pause = 0.0
    assert download(NAME).read_bytes() == CONTENT


def test_a_stopped_download_spares_what_others_have(server: StandIn, cache: Path) -> None:
    folder = cache / f"models--{NAME.replace('/', '--')}"
    other, theirs = folder / "snapshots" / "old" / "config.json", folder / "blobs" / "ab.123.incomplete"
    for path in (other, theirs):
        path.parent.mkdir(parents=True)
        path.touch()
    steps = fetching(NAME)
    server.pause = 0.05
    while not set(cache.rglob("*.incomplete")) - {theirs}:
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert other.exists()
    assert list(cache.rglob("*.incomplete")) == [theirs]


def test_as_a_job_it_counts_bytes_and_can_be_cancelled(server: StandIn, cache: Path) -> None:
    server.pause = 0.02
    job = download_job(NAME)
    while not job.done:
        job.step()
    assert job.total == len(CONTENT)
    job.cancel()
    job.step()
    assert not job.running
    assert job.error is None
    assert not files(cache)

    server.pause = 0.0
    job = download_job(NAME)
    while job.running:
        job.step()
    assert job.error is None
    assert job.done == job.total == len(CONTENT)


def test_two_who_want_the_same_share_one_download(server: StandIn, cache: Path) -> None:
    server.pause = 0.01
    first = fetching(NAME)
    next(first)
    told: list[int] = []
    second = threading.Thread(target=lambda: download(NAME, lambda done, _: told.append(done)))
    second.start()
    for _ in first:
        pass
    second.join(30)
    assert told[-1] == len(CONTENT)
    assert server.asked.count(f"GET {ADDRESS}") == 1


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "does not have the weights of timm/resnet18"),
        (403, "HF_TOKEN"),
        (400, "status 400"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(server: StandIn, cache: Path, status: int, sentence: str) -> None:
    server.status = status
    with pytest.raises(DownloadFailed, match=sentence):
        download(NAME)
    assert not files(cache)


def test_a_repository_that_is_not_there(server: StandIn, cache: Path) -> None:
    server.files.clear()
    with pytest.raises(DownloadFailed, match="does not have the weights"):
        download(NAME)
    assert not files(cache)


def test_a_silent_hub_is_given_up(server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ANSWER_WITHIN <= 4
    monkeypatch.setattr("camlab.models.hub.download.ANSWER_WITHIN", 0.5)
    server.silent = True
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        download(NAME)
    assert not files(cache)


def test_what_hangs_where_no_signal_is_heard_is_not_waited_for(
    server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "ANSWER_WITHIN", 0.5)
    server.silent = True
    processes = []
    start = hub._Transfer._start

    def watched(self: hub._Transfer) -> Child:
        child = start(self)
        processes.append(child.process)
        return child

    monkeypatch.setattr(hub._Transfer, "_start", watched)
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        download(NAME)
    # Ended at once: one that was asked first, and given seconds to answer, would end with a code of its own.
    assert [process.returncode for process in processes] == [-signal.SIGKILL]


def test_that_the_hub_is_away_is_said_before_anything_slow_is_imported(
    server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Imports that never end hold up nobody who is offline: nothing of the hub's library is needed for that."""
    (tmp_path / "huggingface_hub.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        download(NAME)
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    server.silent = True
    monkeypatch.setattr(hub, "ANSWER_WITHIN", 0.5)
    monkeypatch.setattr(hub, "READY_WITHIN", 1e9)
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        download(NAME)
    assert len(server.asked) <= 1 and not files(cache)


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(
        DownloadFailed,
        match=r"cannot be reached \(connection refused\), so the weights of timm/resnet18\.a1_in1k could not",
    ):
        download(NAME)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="unset it"):
        download(NAME)
    assert not files(cache)


def test_a_download_that_stalls_is_ended(server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "STALLED_AFTER", 1.0)
    server.pause = 30
    with pytest.raises(DownloadFailed, match="received no data"):
        download(NAME)
    assert not files(cache)


def test_damaged_bytes_are_removed(server: StandIn, cache: Path) -> None:
    server.spoil = True
    with pytest.raises(DownloadFailed, match="damaged"):
        download(NAME)
    assert badge(NAME) is Badge.DOWNLOAD
    assert not files(cache)


def test_a_full_disk_is_noticed_before(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cache.parent)
    make_room(cache, usage.free // 2)
    with pytest.raises(Problem) as caught:
        make_room(cache / "a" / "b", usage.free * 2)
    assert caught.value.name == "disk_full"
    sentence = str(hub._Transfer(catalogue_row(NAME)).failure(caught.value))
    assert str(cache) in sentence
    free = re.search(r"([\d,]+) MB are free", sentence)
    assert free is not None and free[1] != "0"


def test_every_problem_has_a_sentence(cache: Path) -> None:
    for problem in downloads._SENTENCES:
        sentence = str(hub._Transfer(catalogue_row(NAME)).failure(Problem(problem, why="because")))
        assert "{" not in sentence
        assert sentence.endswith(".")
    assert fetch_weights.problem_of(PermissionError(13, "no")).name == "not_writable"
    odd = fetch_weights.problem_of(RuntimeError("odd"))
    assert (odd.name, odd.details) == ("refused", {"why": "RuntimeError: odd"})


def test_what_cannot_be_used_is_not_downloaded(server: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.models import get_pretrained_cfg

    row = catalogue_row(NAME)
    published = get_pretrained_cfg(row.name)
    assert published is not None
    config = dataclasses.replace(published, crop_mode="border")
    monkeypatch.setattr("timm.models.get_pretrained_cfg", lambda *_, **__: config)
    server.files[f"/{row.hub_id}/resolve/main/model.safetensors"] = CONTENT
    server.pause = 0.05
    with pytest.raises(BadSetting):
        download(row.id)
    assert not files(cache)
    with pytest.raises(UnknownName):
        download("timm/nobody.knows")
