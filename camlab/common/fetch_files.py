"""Fetch a data set's files into a folder: ``python -m camlab.common.fetch_files FOLDER LISTING``.

A child process of `camlab.images.datasets.download`; LISTING is a JSON file with archives, silence (s) and room
(bytes). It reports ``{"reached": true}`` when a server has answered, ``{"done": bytes}`` repeatedly, and last
``{"result": folder}`` or ``{"problem": …}``. With ``--json URL SECONDS`` the result is the JSON at an address.

It lives in this package because it must start fast: `camlab.images` and `camlab.models` import much more.
"""

import hashlib
import json
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from camlab.common.downloads import CHUNK, Problem, reach, serve
from camlab.common.parsing import with_slashes
from camlab.common.subprocesses import send_to_parent

_SENT_EVERY = 1 << 20  # bytes


def main(argv: Sequence[str]) -> int:
    """Fetch all files; the exit code is 0 if they are in the folder."""
    if argv[0] == "--json":
        return serve(lambda: _read_json(argv[1], float(argv[2])), lambda: None)
    folder, listing = Path(argv[0]), json.loads(Path(argv[1]).read_text(encoding="utf-8"))

    def fetch_all() -> str:
        done = 0
        for archive in listing["archives"]:
            done = fetch(archive, folder, done, listing["silence"], listing["room"])
        return str(folder)

    return serve(fetch_all, lambda: shutil.rmtree(folder, ignore_errors=True))


def _read_json(url: str, seconds: float) -> Any:
    try:
        with reach(url, seconds) as response:
            return json.load(response)
    except (HTTPException, OSError, ValueError) as error:
        raise Problem("offline", why=str(error).lower()) from error


def fetch(archive: Mapping[str, Any], part: Path, done: int, silence: float, room: int) -> int:
    """Fetch one file, compare its digest, unpack it, and return the bytes fetched so far. Raises Problem, OSError."""
    url, digest = archive["url"], _digest(archive)
    folder = part / archive["folder"]
    folder.mkdir(exist_ok=True, parents=True)
    target = folder / unquote(Path(urlsplit(url).path).name)
    with reach(url, silence) as response, target.open("wb") as stream:
        send_to_parent(reached=True)
        sent = done
        while chunk := _read(url, response):
            digest.update(chunk)
            stream.write(chunk)
            done += len(chunk)
            if done - sent >= _SENT_EVERY:
                send_to_parent(done=done)
                sent = done
    send_to_parent(done=done)
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
    """Return a new hash object of the publisher's kind, recognised by the digest's length."""
    kind = len(archive["digest"])
    if kind == 64:
        return hashlib.sha256()
    if kind == 40:  # Git's digest of a file
        return hashlib.sha1(f"blob {archive['size']}\0".encode(), usedforsecurity=False)
    return hashlib.md5(usedforsecurity=False)


def _read(url: str, response: IO[bytes]) -> bytes:
    try:
        return response.read(CHUNK)
    except (HTTPException, OSError) as error:
        raise Problem("broken_off", url=url) from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, refusing absolute paths and links that lead out of the folder. Raises Problem."""
    # The first releases of Python 3.11 have no filters; there, only the digest vouches for the archive.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                tar.extract(member, folder, **safely)
    except (tarfile.TarError, EOFError) as error:
        raise Problem("not_unpacked") from error


def unzip(archive: Path, folder: Path, room: int) -> None:
    """Unpack a ZIP archive into the folder and nowhere else. Raises Problem, also if it exceeds ``room`` bytes."""
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            if sum(member.file_size for member in members) > room:
                raise Problem("not_unpacked")
            for member in members:
                member.filename = with_slashes(member.filename)
                packed.extract(member, folder)  # drops ".." and leading slashes from paths
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise Problem("not_unpacked") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
