"""Files of a data set into a folder: ``python -m camlab.images.datasets.fetch_process FOLDER WHAT``, WHAT being a file of JSON.

Run as a process of its own by `camlab.images.datasets.download`, which ends it wherever it hangs. It needs nothing but Python, so
that it asks the network at once, and tells ``{"reached": true}`` when a server has answered, ``{"done": bytes}``
again and again, and last ``{"path": …}`` or ``{"problem": …}`` with what the sentence about it needs. When its stdin
is closed it removes the folder and ends. ``--json URL SECONDS`` tells ``{"json": …}``: what is at the address.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from camlab.common.subprocesses import await_the_parent, tell

CHUNK = 256 * 1024
_TOLD_EVERY = 1 << 20  # bytes


class Problem(Exception):
    """What went wrong, as a name that `camlab.images.datasets.download` has a sentence for, and what that needs."""

    def __init__(self, problem: str, **details: Any) -> None:
        super().__init__(problem)
        self.told = {"problem": problem, **details}


def main(argv: Sequence[str]) -> int:
    """Fetch all files; the exit code is 0 where they are in the folder."""
    if argv[0] == "--json":
        return _tell_json(argv[1], float(argv[2]))
    folder, what = Path(argv[0]), json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    whole = threading.Event()
    threading.Thread(target=_end_with_the_parent, args=(folder, whole), daemon=True).start()
    try:
        done = 0
        for archive in what["archives"]:
            done = fetch(archive, folder, done, what["silence"], what["room"])
    except Problem as problem:
        tell(**problem.told)
        return 1
    except OSError as error:
        why = str(error.strerror or error).lower()
        tell(problem="disk_full" if error.errno == errno.ENOSPC else "not_writable", why=why)
        return 1
    whole.set()  # first: the parent closes the pipe as soon as it has been told
    tell(path=str(folder))
    return 0


def _tell_json(url: str, seconds: float) -> int:
    threading.Thread(target=_end_with_the_parent, args=(None, threading.Event()), daemon=True).start()
    try:
        with reach(url, seconds) as response:
            tell(json=json.load(response))
    except Problem as problem:
        tell(**problem.told)
        return 1
    except (HTTPException, OSError, ValueError) as error:
        tell(problem="offline", why=str(error).lower())
        return 1
    return 0


def fetch(archive: Mapping[str, Any], part: Path, done: int, silence: float, room: int) -> int:
    """Fetch one file, look at its digest, unpack it; the bytes fetched so far. Raises Problem, and OSError."""
    url, digest = archive["url"], _digest(archive)
    folder = part / archive["folder"]
    folder.mkdir(exist_ok=True, parents=True)
    target = folder / unquote(Path(urlsplit(url).path).name)
    with reach(url, silence) as response, target.open("wb") as stream:
        tell(reached=True)
        told = done
        while chunk := _read(url, response):
            digest.update(chunk)
            stream.write(chunk)
            done += len(chunk)
            if done - told >= _TOLD_EVERY:
                tell(done=done)
                told = done
    tell(done=done)
    if archive["digest"] and digest.hexdigest() != archive["digest"]:
        raise Problem("checksum")
    if target.suffix in (".tgz", ".gz", ".tar"):
        unpack(target, folder)
        target.unlink()
    elif target.suffix == ".zip":
        unzip(target, folder, room)
        target.unlink()
    return done


def _digest(archive: Mapping[str, Any]) -> Any:
    """A new digest of the kind that whoever publishes the file gives."""
    kind = len(archive["digest"])
    if kind == 64:
        return hashlib.sha256()
    if kind == 40:  # Git's digest of a file
        return hashlib.sha1(f"blob {archive['size']}\0".encode(), usedforsecurity=False)
    return hashlib.md5(usedforsecurity=False)


def reach(url: str, silence: float) -> IO[bytes]:
    """The server's answer. Raises Problem."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "camlab"})
        hub = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
        if (token := os.environ.get("HF_TOKEN")) and url.startswith(f"{hub}/"):
            # For the hub alone: it sends on to other servers, which must not see it.
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        response: IO[bytes] = urllib.request.urlopen(request, timeout=silence)
    except urllib.error.HTTPError as error:
        raise Problem("refused", url=url, why=error.code) from error
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        why = str(getattr(reason, "strerror", None) or reason).lower()
        raise Problem("offline", url=url, why=why) from error
    return response


def _read(url: str, response: IO[bytes]) -> bytes:
    try:
        return response.read(CHUNK)
    except (HTTPException, OSError) as error:
        raise Problem("broken_off", url=url) from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, refusing links that lead out of the folder and absolute paths. Raises Problem."""
    # The first releases of Python 3.11 have no filters; there the digest alone vouches for the archive.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                tar.extract(member, folder, **safely)
    except (tarfile.TarError, EOFError) as error:
        raise Problem("not_unpacked") from error


def unzip(archive: Path, folder: Path, room: int) -> None:
    """Unpack a ZIP archive into the folder and nowhere else. Raises Problem, also where it would not fit the room."""
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            if sum(member.file_size for member in members) > room:
                raise Problem("not_unpacked")
            for member in members:
                packed.extract(member, folder)  # which takes ".." and what is absolute off a path
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise Problem("not_unpacked") from error


def _end_with_the_parent(folder: Path | None, whole: threading.Event) -> None:
    await_the_parent()
    if not whole.is_set():
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)  # whatever the other thread waits for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
