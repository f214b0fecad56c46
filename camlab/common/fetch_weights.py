"""Fetch a file from the Hugging Face hub into its cache.

``python -m camlab.common.fetch_weights REPOSITORY FILE`` is the child process of `camlab.models.hub.download`. It
reports ``{"reached": true}`` once the hub has answered at all (before any slow import), ``{"ready": true}`` after the
imports, ``{"total": bytes}``, ``{"done": bytes}`` repeatedly, and last ``{"result": path}`` or ``{"problem": …}``.

It lives in this package because it must start fast: `camlab.images` and `camlab.models` import much more.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camlab.common.downloads import (
    ANSWER_WITHIN,
    CHUNK,
    Problem,
    hub_address,
    hub_is_off,
    make_room,
    reach,
    serve,
)
from camlab.common.subprocesses import send_to_parent

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Leftovers:
    """The partial files that a download of one repository adds to the hub's cache."""

    def __init__(self, cache: Path, repository: str) -> None:
        self._folder = cache / f"models--{repository.replace('/', '--')}"
        self._locks = cache / ".locks" / self._folder.name
        self._before = self._half_written()

    def remove(self) -> None:
        """Remove the files, and the repository's folder if it holds nothing else."""
        for path in self._half_written() - self._before:
            path.unlink(missing_ok=True)
        # An empty folder would look like a downloaded model. Another program's download has a file in it.
        if not any(p.is_file() for part in ("blobs", "snapshots") for p in self._folder.glob(f"{part}/**/*")):
            shutil.rmtree(self._folder, ignore_errors=True)
            shutil.rmtree(self._locks, ignore_errors=True)

    def _half_written(self) -> set[Path]:
        return set(self._folder.glob("blobs/*.incomplete"))


def main(argv: Sequence[str]) -> int:
    """Fetch one file; the exit code is 0 if it is in the cache."""
    repository, filename = argv
    leftovers = Leftovers(Path(os.environ["HF_HUB_CACHE"]), repository)
    return serve(lambda: _fetch(repository, filename), leftovers.remove)


def _fetch(repository: str, filename: str) -> str:
    if hub_is_off():
        raise Problem("offline_mode")
    _reach_hub(f"{hub_address()}/{repository}/resolve/main/{filename}")
    send_to_parent(reached=True)
    import huggingface_hub  # noqa: F401  after the answer: the import takes seconds

    send_to_parent(ready=True)
    try:
        return str(_fetch_with_library(repository, filename))
    except Problem:
        raise
    except Exception as error:  # the library raises many kinds
        raise problem_of(error) from error


def _reach_hub(address: str) -> None:
    """Raise Problem if the hub does not answer at all."""
    if any(proxy.startswith("socks") for proxy in urllib.request.getproxies().values()):
        return  # the hub's library supports this proxy, Python's urllib does not
    try:
        reach(address, ANSWER_WITHIN, method="HEAD", redirect=False).close()
    except Problem as problem:
        # A refusal is an answer, and the hub's library may have other certificates.
        if problem.name == "offline" and not problem.details["certificate"]:
            raise


def _fetch_with_library(repository: str, filename: str) -> Path:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    found = get_hf_file_metadata(hf_hub_url(repository, filename), timeout=ANSWER_WITHIN)
    send_to_parent(total=found.size or 0)
    make_room(Path(constants.HF_HUB_CACHE), found.size or 0)
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
    # Large files are named by their SHA-256, and the library checks only the size.
    if found.etag and _SHA256.fullmatch(found.etag):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != found.etag:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise Problem("checksum")
    return path


def _progress_class() -> type[Any]:
    from tqdm.auto import tqdm

    class SendingBar(tqdm):  # type: ignore[misc]
        """A progress bar that draws nothing but reports to the parent."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # an argument of Hugging Face's own bars
            super().__init__(*args, **{**kwargs, "disable": True})
            self.sent = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.sent += int(n or 0)
            send_to_parent(done=self.sent)
            return None

    return SendingBar


def problem_of(error: Exception) -> Problem:
    """Return the problem behind an error of the hub's library."""
    from huggingface_hub import errors

    why = " ".join((str(error) or type(error).__name__).split())[:200]
    code = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return Problem("offline_mode")
    if isinstance(error, errors.GatedRepoError):
        return Problem("no_permission")
    # The hub answers 401 for a repository that it does not have.
    if code == 404 or (code == 401 and isinstance(error, errors.RepositoryNotFoundError)):
        return Problem("not_found", why=f"HTTP status {code}")
    if code is not None:
        return Problem("no_permission") if code in (401, 403) else Problem("refused", why=f"HTTP status {code}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS):
        return Problem.of_disk(error)
    if why.startswith("Consistency check failed"):
        return Problem("checksum")
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of the HTTP client in use
    if isinstance(error, (http_error, errors.LocalEntryNotFoundError)):
        return Problem("offline", why=why)
    return Problem("refused", why=f"{type(error).__name__}: {why}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
