"""A server on this machine stands in for the data sets' own: whole or nothing, stoppable, and soon told apart."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import io
import json
import os
import signal
import socket
import tarfile
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camlab.common.downloads import ANSWER_WITHIN, Problem, reach
from camlab.common.errors import BadSource, Cancelled, UnknownName
from camlab.common.subprocesses import Child
from camlab.images.datasets import download as module
from camlab.images.datasets.base import DIRECTORY_VARIABLE, Archive
from camlab.images.datasets.catalogue import DATASETS, is_here, open_dataset
from camlab.images.datasets.download import download
from camlab.images.loading import take_dataset
from tests.images.datasets.test_catalogue import WNIDS
from tests.material import array, encoded


class Server(http.server.ThreadingHTTPServer):
    """Hands out ``files`` by path; ``cut`` bytes are missing at each end.

    ``stall`` is waited for first, and ``hang`` after the first half.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut = 0
        self.stall = threading.Event()
        self.stall.set()
        self.hang = threading.Event()
        self.hang.set()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.stall.wait(10)
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        data = data[: len(data) - self.server.cut]
        with contextlib.suppress(OSError):  # the other side may go at any moment
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.server.hang.wait(30)
            self.wfile.write(data[len(data) // 2 :])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        found.stall.set()
        found.hang.set()
        found.shutdown()


def packed(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return stream.getvalue()


PICTURES = {f"imagenette2-320/val/{wnid}/val_{i}.JPEG": encoded(array(i), "JPEG") for i, wnid in enumerate(WNIDS)}


def offer(monkeypatch: pytest.MonkeyPatch, server: Server, *files: tuple[str, bytes]) -> None:
    """Let Imagenette be these files on the local server."""
    port = server.server_address[1]
    server.files = {f"/{name}": data for name, data in files}
    archives = tuple(Archive(f"http://127.0.0.1:{port}/{name}", hashlib.md5(data).hexdigest()) for name, data in files)
    small = dataclasses.replace(DATASETS["imagenette"], archives=archives, room=1)
    monkeypatch.setitem(DATASETS._entries, "imagenette", small)


def refused(root: Path, pattern: str) -> None:
    """Downloading fails with a sentence, and leaves nothing behind."""
    with pytest.raises(BadSource, match=pattern) as caught:
        download("imagenette", root)
    assert str(caught.value).endswith(".")
    assert not is_here("imagenette", root)
    assert not root.exists() or not list(root.iterdir())


def test_a_download(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(PICTURES)
    offer(monkeypatch, server, ("imagenette2-320.tgz", data), ("readme.mat", b"as it is"))
    told: list[tuple[int, int]] = []
    root = tmp_path / "new" / "folder"
    folder = download("imagenette", root, progress=lambda done, total: told.append((done, total)))
    assert folder == root / "imagenette"
    assert [path.name for path in root.iterdir()] == ["imagenette"]
    assert sorted(path.name for path in folder.iterdir()) == ["imagenette2-320", "readme.mat"]
    assert told[-1][0] == len(data) + len(b"as it is")
    assert all(done <= total for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    found = open_dataset("imagenette", root)
    assert len(found.pictures) == 10
    assert found.pictures[0].load().size == (16, 12)
    asked = list(server.asked)
    assert download("imagenette", root) == folder  # it is there: nobody is asked
    assert server.asked == asked


def test_a_file_that_came_damaged(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(PICTURES)
    offer(monkeypatch, server, ("a.tgz", data))
    server.files["/a.tgz"] = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    refused(tmp_path, "arrived damaged")
    server.files["/a.tgz"] = data
    server.cut = 10
    refused(tmp_path, "arrived damaged|broke off")
    server.cut = 0
    assert download("imagenette", tmp_path).is_dir()


def test_the_second_file_fails(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)), ("b.tgz", packed({})))
    del server.files["/b.tgz"]
    refused(tmp_path, r"127\.0\.0\.1 refused the download of Imagenette \(HTTP status 404\)")


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"../evil.png": b"x"}, {}),
        ({}, {"link": "/etc"}),
        ({}, {"link": "../../.."}),
        ({"a/../../b": b""}, {}),
    ],
)
def test_archives_that_lead_out(
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes],
    links: dict[str, str],
) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(files, links)))
    refused(tmp_path / "inside", "cannot be unpacked")
    assert not (tmp_path / "evil.png").exists()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The processes that downloads start."""
    found: list[Child] = []

    def watched(*arguments: Any) -> Child:
        found.append(Child(*arguments))
        return found[-1]

    monkeypatch.setattr(module, "Child", watched)
    return found


@pytest.mark.parametrize("after", [0, 1, 3, 10])
def test_stopping(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, children: list[Child], after: int
) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    server.stall.clear()  # whenever it is stopped, it is not through yet
    left = after

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        download("imagenette", tmp_path, check)
    assert not list(tmp_path.iterdir())
    assert all(child.process.returncode is not None for child in children)
    assert len(children) == (after > 0)
    server.stall.set()
    assert download("imagenette", tmp_path).is_dir()


@pytest.mark.parametrize("why", ["cancelled", "left"])
def test_a_download_ends_with_its_visitor_and_waits_for_no_server(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, children: list[Child], why: str
) -> None:
    """The server has fallen silent in the middle: nothing that waits for it could be cancelled."""
    offer(monkeypatch, server, ("a.tgz", os.urandom(4 << 20)))
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    server.hang.clear()
    here = threading.Event()
    here.set()
    task = take_dataset("imagenette", here.is_set)
    while not task.job.done and task.job.running:  # a part of it has come
        time.sleep(0.01)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".part"]
    if why == "left":
        here.clear()
    else:
        task.job.cancel()
    assert task.wait(module.SILENCE / 2)  # and not its 20 seconds
    assert task.job.cancelled and task.image_set is None and task.job.error is None
    assert not list(tmp_path.iterdir())
    assert [child.process.returncode for child in children] == [1]


def test_a_visitor_who_was_away_for_a_moment_keeps_the_download(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    answers = iter([True, False, False])
    task = take_dataset("imagenette", lambda: next(answers, True))
    assert task.wait(30) and task.job.error is None
    assert task.image_set is not None and is_here("imagenette", tmp_path)


def test_the_process_ends_and_cleans_up_where_its_parent_has_died(tmp_path: Path, server: Server) -> None:
    server.files = {"/a": os.urandom(4 << 20)}
    server.hang.clear()
    part = tmp_path / "part"
    url = f"http://127.0.0.1:{server.server_address[1]}/a"
    what = {"archives": [{"url": url, "digest": "", "folder": ""}], "silence": 30, "room": 10**9}
    (tmp_path / "what.json").write_text(json.dumps(what))
    child = Child("camlab.common.fetch_files", [str(part), str(tmp_path / "what.json")])
    assert child.news(30) == {"reached": True}
    assert part.is_dir()
    assert child.process.stdin is not None
    child.process.stdin.close()  # as the system does for a process that dies
    assert child.process.wait(10) == 1
    assert not part.exists()


def test_without_a_network(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, ("a.tgz", b""))

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", nowhere)
        with pytest.raises(Problem) as caught:
            reach("http://nowhere.example/a", 1.0)
    sentence = str(module.failure(DATASETS["imagenette"], tmp_path, caught.value))
    assert sentence.startswith(
        "nowhere.example cannot be reached (name or service not known), so Imagenette could not be downloaded; "
        "connect to the network, or use"
    )
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = dataclasses.replace(
            DATASETS["imagenette"], archives=(Archive(f"http://127.0.0.1:{closed.getsockname()[1]}/a", ""),)
        )
        monkeypatch.setitem(DATASETS._entries, "imagenette", dead)
        refused(tmp_path, r"cannot be reached \(connection refused\)")


def test_a_server_that_is_silent(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, children: list[Child]
) -> None:
    assert ANSWER_WITHIN + module._STOP_WITHIN <= 5  # how long a user waits who is offline
    assert module.SILENCE > ANSWER_WITHIN  # it is not the connection's own patience that runs out
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    server.stall.clear()
    monkeypatch.setattr("camlab.images.datasets.download.ANSWER_WITHIN", 0.5)
    refused(tmp_path, "no answer within")
    # Ended at once: what hangs in a name lookup would not hear that it is asked to end.
    assert [child.process.returncode for child in children] == [-signal.SIGKILL]


def test_one_at_a_time(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    server.stall.clear()
    first = threading.Thread(target=download, args=("imagenette", tmp_path))
    first.start()
    while not server.asked:
        time.sleep(0.01)
    with pytest.raises(BadSource, match="is already being downloaded"):
        download("imagenette", tmp_path)
    server.stall.set()
    first.join()
    assert is_here("imagenette", tmp_path)


def test_another_process_is_quicker(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))

    def meanwhile(done: int, total: int) -> None:
        (tmp_path / "imagenette" / "imagenette2-320").mkdir(parents=True, exist_ok=True)

    assert download("imagenette", tmp_path, progress=meanwhile) == tmp_path / "imagenette"
    assert [path.name for path in tmp_path.iterdir()] == ["imagenette"]


def test_the_disk(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9, 999_999))
        refused(tmp_path, r"needs 1 MB of disk space .* 0 MB are free; make room")
    assert server.asked == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadSource, match=r"cannot be written to .*set CAMLAB_DATA_DIR"):
        download("imagenette", tmp_path / "file" / "below")


def test_what_a_killed_process_left_goes_after_a_day(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server, ("a.tgz", packed(PICTURES)))
    for name, age in ((".imagenette-old.part", 90_000), (".imagenette-new.part", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    download("imagenette", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".imagenette-new.part", "imagenette"]


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'imagenette'"):
        download("imagenete", tmp_path)
