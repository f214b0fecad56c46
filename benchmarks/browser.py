"""Find the browser and start the server for screenshots and end-to-end tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
START_SECONDS = 90


class NotStarted(Exception):
    """The server did not answer in time."""


def chromium_path() -> str | None:
    """Find Chromium by the environment (``CAMLAB_CHROMIUM``) or the PATH; return None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CAMLAB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def serving(environment: Mapping[str, str], log: IO[Any] | None = None) -> Iterator[str]:
    """Start a Streamlit server of the app, yield its address, and end it.

    log: the file for its output; by default its errors go to this program's. Raises NotStarted.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    command += ["--server.address=127.0.0.1", f"--server.port={port}"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log or subprocess.DEVNULL,
        stderr=log,
        env={**os.environ, **environment},
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_up(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    """Return an unused port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(address: str, process: subprocess.Popen[Any]) -> None:
    """Wait until the server at the address answers. Raises NotStarted if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted("The Streamlit server did not start.") from None
            time.sleep(0.2)
