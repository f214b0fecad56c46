"""A stand-in for the Hugging Face hub on this machine, and a cache folder laid out as the hub's library does."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class StandIn(ThreadingHTTPServer):
    """Serves ``files`` (path in the address → bytes) as the hub does; the rest says how it misbehaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.status = 200
        self.pause = 0.0  # seconds after each chunk
        self.silent = False  # accepts the connection and never answers
        self.spoil = False  # sends other bytes than announced
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        content = self._head()
        if content is None:
            return
        if self.server.spoil:
            content = bytes(len(content))
        for start in range(0, len(content), 1 << 16):
            if self.server.closing.is_set():
                return
            with contextlib.suppress(OSError):  # the other side may go at any moment
                self.wfile.write(content[start : start + (1 << 16)])
            time.sleep(self.server.pause)

    def _head(self) -> bytes | None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.silent:
            self.server.closing.wait(30)
            return None
        content = self.server.files.get(self.path)
        if content is None or self.server.status != 200:
            self.send_response(self.server.status if self.server.status != 200 else 404)
            self.send_header("X-Error-Code", "RepoNotFound" if self.server.status == 200 else "")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """A running server."""
    server = StandIn()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


def fill_cache(cache: Path, hub_id: str, content: bytes, name: str = "model.safetensors") -> Path:
    """Lay a file down as a finished download; returns its path in the snapshot."""
    folder = cache / f"models--{hub_id.replace('/', '--')}"
    path = folder / "snapshots" / COMMIT / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return path
