"""Child processes: their messages arrive, and they end when asked or killed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camlab.common.subprocesses import Child

#: Echoes every message with a number, after a line that is no message; ends with its stdin.
ECHO = """
import json, os, sys
print("no message")
print(json.dumps({"said": os.environ.get("WORD")}), flush=True)
for number, line in enumerate(sys.stdin):
    print(json.dumps({"number": number, **json.loads(line)}), flush=True)
sys.exit(3)
"""
#: Closes its ears: only a kill ends it.
DEAF = "import time\nprint('{}', flush=True)\ntime.sleep(60)\n"
#: Dies in the middle of a message.
TORN = "import sys\nprint('{\"whole\": 1}')\nsys.stdout.write('{\"ha')\n"
WAIT = 60


@pytest.fixture(autouse=True)
def modules(tmp_path: Path) -> Iterator[Path]:
    for name, code in (("echo", ECHO), ("deaf", DEAF), ("torn", TORN)):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    yield tmp_path


def test_messages_go_both_ways_and_a_closed_pipe_ends_the_child(modules: Path) -> None:
    child = Child("echo", [], {"WORD": "café"}, cwd=modules)
    assert child.news(WAIT) == {"said": "café"}
    child.send(text="Zoë")
    assert child.news(WAIT) == {"number": 0, "text": "Zoë"}
    with pytest.raises(queue.Empty):
        child.news(0.01)
    assert child.stop(WAIT) == 3
    assert child.news(WAIT) is None
    child.send(text="nobody listens")  # no error


def test_a_child_that_does_not_listen_is_killed(modules: Path) -> None:
    child = Child("deaf", [], cwd=modules)
    assert child.news(WAIT) == {}
    assert child.stop(0.01) != 0 and child.news(WAIT) is None


def test_a_killed_child_ends_its_messages(modules: Path) -> None:
    child = Child("deaf", [], cwd=modules)
    assert child.news(WAIT) == {}
    child.kill()
    assert child.news(WAIT) is None


def test_half_a_message_is_no_message(modules: Path) -> None:
    received: list[Any] = []
    ended = threading.Event()

    def collect(message: dict[str, Any] | None) -> None:
        received.append(message)
        if message is None:
            ended.set()

    child = Child("torn", [], cwd=modules, on_message=collect)
    assert ended.wait(WAIT) and received == [{"whole": 1}, None]
    assert child.stop(WAIT) == 0
