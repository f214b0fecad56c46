"""``camlab app``: the port it chooses, what it starts, and how it says that it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.browser import free_port, wait_until_up
from camlab.cli import app
from camlab.cli.main import BAD_INPUT, main
from camlab.common.directories import HOME, IMPORT_ROOT


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as busy:
        busy.bind((app.LOCAL, 0))
        busy.listen()
        yield int(busy.getsockname()[1])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have replaced this process."""
    found: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: found.append([path, *command]))
    monkeypatch.setattr(subprocess, "call", lambda command: 0)
    return found


def test_the_usual_port_gives_way_to_a_free_one(
    taken: int, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "USUAL_PORT", taken)
    assert main(["app", "--no-browser"]) == 0
    ((program, *command),) = started
    port = int(command[command.index("--server.port") + 1])
    assert port not in (taken, 0)
    assert program == sys.executable and str(HOME / "app.py") in command
    assert command[command.index("--server.headless") + 1] == "true"
    assert capsys.readouterr().out == f"CAM Lab: http://{app.LOCAL}:{port}\n"


def test_a_free_usual_port_is_taken_and_the_browser_opened(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "USUAL_PORT", free_port())
    assert main(["app"]) == 0
    ((_, *command),) = started
    assert command[command.index("--server.port") + 1] == str(app.USUAL_PORT)
    assert command[command.index("--server.headless") + 1] == "false"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "0"], "A port is a number from 1 to 65535"),
        (["--port", "70000"], "not 70000"),
        (["--address", "203.0.113.7"], "cannot listen on 203.0.113.7"),
    ],
)
def test_what_cannot_be_listened_on_is_said(
    words: list[str], said: str, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["app", *words]) == BAD_INPUT
    assert said in capsys.readouterr().err and not started


def test_a_taken_port_is_said(taken: int, started: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--port", str(taken)]) == BAD_INPUT
    assert f"cannot listen on port {taken}" in capsys.readouterr().err and not started


def test_it_serves_from_any_folder_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(IMPORT_ROOT)}
    command = [sys.executable, "-m", "camlab", "app", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            wait_until_up(f"http://{app.LOCAL}:{port}", server)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
