"""One file from the Hugging Face hub into this machine's cache: ``python -m camlab.models.hub.fetch_process REPOSITORY FILE``.

Run as a process of its own by `camlab.models.hub.download`, so that it can be stopped wherever it hangs (name lookup, a silent
server) without holding up the program. It tells what happens in lines of JSON on stdout: ``{"reached": true}`` when
the hub has answered anything at all, which is asked before any slow import, ``{"ready": true}`` after these, then
``{"total": bytes}``, ``{"done": bytes}`` again and again, and last ``{"path": …}`` or ``{"problem": …}`` with what
the sentence about it needs. It stops, and removes what it has half-written, when its stdin is closed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import signal
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from camlab.common.subprocesses import await_the_parent, tell

ANSWER_WITHIN = 4.0  # seconds that the hub has to answer, the start of this process included
CHUNK = 1 << 18  # bytes between two looks at whether to stop
_TRUE = {"1", "ON", "YES", "TRUE"}  # as the hub's library reads its variables
_SHA256 = re.compile(r"[0-9a-f]{64}")


def main(argv: Sequence[str]) -> int:
    """Fetch one file; the exit code is 0 where it is in the cache."""
    repository, filename = argv
    # A shell starts what runs in the background with this signal ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_stop_with_the_parent, daemon=True).start()
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
            tell(problem="offline_mode")
            return 1
        if not _reached(repository, filename):
            tell(problem="offline")
            return 1
        tell(reached=True)
        import huggingface_hub  # noqa: F401  takes seconds: somebody who is offline has been told by now

        tell(ready=True)
        tell(path=str(_fetch(repository, filename)))
    except KeyboardInterrupt:
        return 1
    except Exception as error:  # whatever a library raises becomes a sentence in the parent
        tell(**_problem(error))
        return 1
    return 0


def _reached(repository: str, filename: str) -> bool:
    """Whether the hub answers at all; where its library may know a way that Python itself does not: yes."""
    if any(proxy.startswith("socks") for proxy in urllib.request.getproxies().values()):
        return True
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    address = f"{endpoint}/{repository}/resolve/main/{filename}"
    request = urllib.request.Request(address, headers={"User-Agent": "camlab"}, method="HEAD")
    try:
        urllib.request.build_opener(_Stay).open(request, timeout=ANSWER_WITHIN).close()
    except urllib.error.HTTPError:
        return True
    except (HTTPException, OSError, ValueError) as error:
        return isinstance(getattr(error, "reason", error), ssl.SSLError)  # certificates of its own, perhaps
    return True


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: that there is one is answer enough."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _fetch(repository: str, filename: str) -> Path:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    found = get_hf_file_metadata(hf_hub_url(repository, filename), timeout=ANSWER_WITHIN)
    tell(total=found.size or 0)
    _make_room(Path(constants.HF_HUB_CACHE), found.size or 0)
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    path = Path(
        hf_hub_download(
            repository,
            filename,
            cache_dir=constants.HF_HUB_CACHE,
            etag_timeout=ANSWER_WITHIN,
            tqdm_class=_progress_class(),
        )
    )
    # Large files are named by their SHA-256. Libraries check the size only.
    if found.etag and _SHA256.fullmatch(found.etag):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != found.etag:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ValueError("checksum")
    return path


def _progress_class() -> type[Any]:
    from tqdm.auto import tqdm

    class Telling(tqdm):  # type: ignore[misc]
        """A progress bar that draws nothing and tells the parent."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # what Hugging Face's own bars are called
            super().__init__(*args, **{**kwargs, "disable": True})
            self.told = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.told += int(n or 0)
            tell(done=self.told)
            return None

    return Telling


class _Full(OSError):
    pass


def _make_room(folder: Path, size: int) -> None:
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < size:
        raise _Full(errno.ENOSPC, str(free))


def _problem(error: Exception) -> dict[str, Any]:
    """What went wrong as a name that `camlab.models.hub.download` has a sentence for."""
    from huggingface_hub import errors

    why = " ".join((str(error) or type(error).__name__).split())[:200]
    code = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return {"problem": "offline_mode"}
    if code in (401, 403) and not isinstance(error, errors.RepositoryNotFoundError):
        return {"problem": "no_permission"}
    if isinstance(error, errors.GatedRepoError):
        return {"problem": "no_permission"}
    if code in (401, 404):  # the hub answers 401 for a repository that it does not have
        return {"problem": "not_found"}
    if code is not None:
        return {"problem": "refused", "why": f"status {code}"}
    if isinstance(error, ValueError) and why == "checksum":
        return {"problem": "checksum"}
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC:
        return {"problem": "disk_full", "free": int(error.args[1]) if isinstance(error, _Full) else 0}
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return {"problem": "not_writable", "why": why}
    if why.startswith("Consistency check failed"):
        return {"problem": "checksum"}
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # that of the client in use
    if isinstance(error, (http_error, errors.LocalEntryNotFoundError)):
        return {"problem": "offline"}
    return {"problem": "refused", "why": f"{type(error).__name__}: {why}"}


def _stop_with_the_parent() -> None:
    await_the_parent()
    if hasattr(signal, "pthread_kill"):  # interrupts the main thread even while it waits for the network
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
