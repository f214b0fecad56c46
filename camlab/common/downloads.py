"""Downloads in a child process: progress, limits on silence, prompt stopping, and one sentence per problem.

The parent follows the child with `follow` and turns a `Problem` into a sentence with `Wanted.sentence`; the child
runs under `serve` and reaches the network with `reach`. Anything that hangs (a name lookup, a silent server) is
killed with the child. This module imports only the standard library, so that a child asks the network at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, NamedTuple

from camlab.common.jobs import Steps
from camlab.common.subprocesses import Child, News, await_the_parent, send_to_parent
from camlab.common.wording import megabytes

Check = Callable[[], None]
Progress = Callable[[int, int], None]

ANSWER_WITHIN = 4.0  # seconds for a server to answer at all, the start of the child included
STEP = 0.02  # seconds that a step waits for news
CHUNK = 1 << 18  # bytes read at once

_SENTENCES = {
    "offline": "{source} cannot be reached ({why}), so {subject} could not be downloaded; {offline_advice}.",
    "offline_mode": "HF_HUB_OFFLINE is set, so {subject} could not be downloaded; unset it and try again.",
    "not_found": "{source} does not have {subject}, or hides it from you ({why}); {missing_advice}.",
    "no_permission": "{source} does not give out {subject} without permission; accept the terms at {page} and set "
    "HF_TOKEN to your token.",
    "refused": "{source} refused the download of {subject} ({why}); try again later.",
    "broken_off": "{source} broke off the download of {subject}; try again.",
    "stalled": "The download of {subject} received no data for a long time and was stopped; try again later.",
    "ended": "The download of {subject} ended unexpectedly; try again.",
    "checksum": "The download of {subject} arrived damaged, or as another version than expected, and was removed; "
    "try again later.",
    "not_unpacked": "The archive of {subject} cannot be unpacked; try again later.",
    "disk_full": "The download of {subject} needs {size} of disk space in {folder}, and {free} are free; make room, or "
    "set {variable} to a folder on another disk.",
    "not_writable": "Files cannot be written to {folder} ({why}), so {subject} could not be downloaded; set {variable} "
    "to another folder.",
}


class Problem(Exception):
    """A failed download: ``name``, a key of the table of sentences, and the details that its sentence needs."""

    def __init__(self, name: str, **details: Any) -> None:
        super().__init__(name)
        self.name = name
        self.details = details

    @classmethod
    def of_disk(cls, error: OSError) -> Problem:
        """Return the problem behind an error of the file system."""
        if error.errno == errno.ENOSPC:
            return cls("disk_full")
        return cls("not_writable", why=str(error.strerror or error).lower())


@dataclass(frozen=True)
class Wanted:
    """What is downloaded, from where and to where, as the sentences about problems name it.

    ``subject`` is a noun phrase ("the weights of timm/resnet18"), ``source`` begins a sentence, ``variable`` is the
    environment variable that names another folder, and ``page`` is where terms are accepted.
    """

    subject: str
    source: str
    folder: Path | str = ""
    variable: str = ""
    page: str = ""
    offline_advice: str = "check the connection and try again"
    missing_advice: str = ""

    def sentence(self, problem: Problem, size: int = 0) -> str:
        """Return the sentence about a problem; ``size`` is the disk space in bytes that the download needs."""
        details = {"why": "no reason given", **vars(self), **problem.details}
        details["size"] = megabytes(details.get("size", size))
        details["free"] = f"{details.get('free', 0) // 10**6:,} MB"  # rounded down: it is too little
        return _SENTENCES[problem.name].format(**details)


class Patience(NamedTuple):
    """The seconds of silence to allow from now on, and the problem to report after them."""

    seconds: float
    problem: str = "offline"


def follow(child: Child, within: float, on_message: Callable[[News], Patience | None]) -> Steps:
    """Pass the child's messages to ``on_message`` until one holds its "result", yielding between them. Raises Problem.

    The first message must come within ``within`` seconds; ``on_message`` may return another patience for the next
    ones. The limit includes the child's start, so that a user who is offline waits no longer.
    """
    patience = Patience(within)
    deadline = time.monotonic() + within
    while True:
        try:
            news = child.news(STEP)
        except queue.Empty:
            if time.monotonic() > deadline:
                child.kill()  # a child that hangs in a name lookup does not react to a closed pipe
                why = f"no answer within {patience.seconds:.0f} seconds"
                raise Problem(patience.problem, why=why) from None
            yield
            continue
        if news is None:
            raise Problem("ended")
        if "problem" in news:
            raise Problem(news.pop("problem"), **news)
        if (allowed := on_message(news)) is not None:
            patience, deadline = allowed, time.monotonic() + allowed.seconds
        if "result" in news:
            return
        yield


def finish(steps: Steps, check: Check | None) -> None:
    """Run the steps to the end, calling ``check`` before each; an error that it raises closes the steps."""
    check = check or (lambda: None)
    with contextlib.closing(steps):  # type: ignore[type-var]  # steps are generators
        check()
        for _ in steps:
            check()


def hub_address() -> str:
    """Return the address of the Hugging Face hub: HF_ENDPOINT, or the public one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def hub_is_off() -> bool:
    """Return whether HF_HUB_OFFLINE forbids requests to the hub, parsed as huggingface_hub parses it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def make_room(folder: Path, size: int) -> None:
    """Raise Problem if the disk of ``folder``, which need not exist, has less than ``size`` bytes free."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < size:
        raise Problem("disk_full", size=size, free=free)


def serve(fetch: Callable[[], Any], clean_up: Callable[[], None]) -> int:
    """Run ``fetch`` in a child process, report its result or its problem, and return the exit code.

    When the parent closes the pipe or dies, ``clean_up`` is called and the process ends at once.
    """
    finished = threading.Event()

    def end_with_the_parent() -> None:
        await_the_parent()
        if not finished.is_set():
            clean_up()
            os._exit(1)  # the main thread may be blocked

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    try:
        result = fetch()
    except Problem as problem:
        send_to_parent(problem=problem.name, **problem.details)
        return 1
    except OSError as error:
        full = Problem.of_disk(error)
        send_to_parent(problem=full.name, **full.details)
        return 1
    finished.set()  # before telling: the parent closes the pipe as soon as it knows
    send_to_parent(result=result)
    return 0


def reach(url: str, silence: float, method: str = "GET", redirect: bool = True) -> IO[bytes]:
    """Return the response of a server, following redirects if asked. Raises Problem.

    ``silence`` limits the seconds between two bytes. HF_TOKEN is sent to the Hugging Face hub alone.
    """
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "camlab"}, method=method)  # noqa: S310  our own addresses
        if (token := os.environ.get("HF_TOKEN")) and url.startswith(f"{hub_address()}/"):
            # Unredirected: the hub redirects to other servers, which must not see the token.
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        opener = urllib.request.build_opener(*([] if redirect else [_NoRedirect]))
        response: IO[bytes] = opener.open(request, timeout=silence)
    except urllib.error.HTTPError as error:
        raise Problem("refused", url=url, why=f"HTTP status {error.code}") from error
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        why = str(getattr(reason, "strerror", None) or reason).lower()
        raise Problem("offline", url=url, why=why, certificate=isinstance(reason, ssl.SSLError)) from error
    return response


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A handler that follows no redirect: urllib then raises HTTPError, which shows that the server answers."""

    def redirect_request(self, *_: Any) -> None:
        return None
