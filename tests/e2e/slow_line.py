"""A line between browser and server whose answers take their time."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit


class SlowLine:
    """Forwards connections on a port of its own; what the server sends arrives ``seconds`` later."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._to = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seconds = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                browser, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                threading.Thread(target=self._forward, args=(browser, server), daemon=True).start()
                waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                threading.Thread(target=self._receive, args=(server, waiting), daemon=True).start()
                threading.Thread(target=self._deliver, args=(waiting, browser), daemon=True).start()

    @staticmethod
    def _forward(browser: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := browser.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _receive(self, server: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"start"
        while data:
            try:
                data = server.recv(1 << 16)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.seconds, data))

    @staticmethod
    def _deliver(waiting: queue.SimpleQueue[tuple[float, bytes]], browser: socket.socket) -> None:
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    browser.shutdown(socket.SHUT_WR)
                    return
                browser.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@contextlib.contextmanager
def slow_line(address: str) -> Iterator[SlowLine]:
    """A slow line to a server, at first without delay."""
    line = SlowLine(address)
    try:
        yield line
    finally:
        line.close()
