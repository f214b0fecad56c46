"""Image data sets of the Hugging Face hub by name: contents, licence and pictures.

Parquet tables with a column of pictures, archives and picture files are read; if a repository has a test part, only
that part. A repository that was looked up or downloaded is a row of `DATASETS` under ``hf--OWNER--NAME``; a downloaded
one is described in its folder. `camlab.images.datasets.download` downloads them like all others; HF_ENDPOINT, HF_TOKEN
and HF_HUB_OFFLINE apply.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from camlab.common.downloads import (
    ANSWER_WITHIN,
    Check,
    Problem,
    Wanted,
    finish,
    follow,
    hub_address,
    hub_is_off,
)
from camlab.common.errors import BadSetting, BadSource
from camlab.common.subprocesses import Child, News
from camlab.images.datasets import hub_files
from camlab.images.datasets.base import OFFLINE_ADVICE, Archive, Dataset, data_directory
from camlab.images.file_layout import is_picture

PREFIX = "hf--"
ABOUT = "camlab-dataset.json"  # the description in a downloaded data set's folder
MOST_FILES = 3000  # each needs its own request

#: Repositories offered by name, each with its contents.
CURATED = {
    "AI-Lab-Makerere/beans": "leaves of bean plants, healthy or with one of two diseases",
    "uoft-cs/cifar100": "tiny pictures of a hundred kinds of objects",
    "zalando-datasets/fashion_mnist": "tiny grey pictures of clothes",
}

_NAME = re.compile(r"(?:hf:)?([A-Za-z0-9][\w.-]{0,95})/([A-Za-z0-9][\w.-]{0,95})")
_PACKED = (".zip", ".tar", ".tgz", ".tar.gz")
_PARTS = (("test", "testing"), ("val", "valid", "validation", "dev"))

_looked_up: dict[str, Dataset] = {}


def repository(text: str) -> str:
    """Parse OWNER/NAME, with or without ``hf:`` before it, an address, or a row's name. Raises BadSetting."""
    text = text.strip().removeprefix("https://huggingface.co/datasets/")
    if text.startswith(PREFIX):
        text = text.removeprefix(PREFIX).replace("--", "/", 1)
    found = _NAME.fullmatch(text)
    if found is None or "--" in text or ".." in text:
        raise BadSetting(
            f"{text[:60]!r} is not the name of a data set of the Hugging Face hub; "
            "write it as owner/name, as in its address."
        )
    return f"{found[1]}/{found[2]}"


def row_name(repo: str) -> str:
    """Return the name in `DATASETS` of a repository OWNER/NAME."""
    return PREFIX + repo.replace("/", "--")


def look_up(text: str, check: Check | None = None) -> Dataset:
    """Ask the hub for a repository's contents, add it to `DATASETS` and return its row; return a known row at once.

    Raises BadSetting for a malformed name, and BadSource on failure, within 5 seconds if there is no network.
    """
    repo = repository(text)
    if (known := find(row_name(repo))) is not None:
        return known
    row = described(repo, _ask(repo, check))
    _looked_up[row.name] = row
    return row


def find(name: str) -> Dataset | None:
    """Return the row of a repository that was looked up or downloaded, by its name in `DATASETS`; else None."""
    if not name.startswith(PREFIX):
        return None
    found = _looked_up.get(name)
    if found is not None or "/" in name or "\\" in name:
        return found
    try:
        return _read_about(data_directory() / name / ABOUT)
    except BadSetting:  # reported when a data set is downloaded
        return None


def names() -> Iterator[str]:
    """Yield the names of all repositories that were looked up or downloaded."""
    try:
        here = {path.parent.name for path in data_directory().glob(f"{PREFIX}*/{ABOUT}")}
    except (OSError, BadSetting):  # reported when a data set is downloaded
        here = set()
    yield from sorted({*_looked_up, *here})


def about(dataset: Dataset) -> str:
    """Return the description for a downloaded data set's folder, as JSON."""
    fields = ("name", "title", "summary", "author", "licence", "licence_url", "source", "megabytes", "room")
    return json.dumps({field: getattr(dataset, field) for field in fields}, indent=2, ensure_ascii=False)


def _read_about(path: Path) -> Dataset | None:
    try:
        return _row(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError):  # missing or edited
        return None


@lru_cache(maxsize=64)
def _row(path: Path, changed: int) -> Dataset:
    found = json.loads(path.read_text(encoding="utf-8"))
    return Dataset(**found, open=hub_files.opened)


def described(repo: str, answer: Mapping[str, Any]) -> Dataset:
    """Return a repository's row from the hub's answer about it. Raises BadSource if it has no readable pictures."""
    card = answer.get("cardData") or {}
    revision = str(answer.get("sha") or "main")
    files = _chosen({str(each["rfilename"]): each for each in answer.get("siblings") or ()}, repo)
    base = f"{hub_address()}/datasets/{repo}/resolve/{revision}/"
    archives = tuple(
        Archive(base + quote(path), _digest(each), str(PurePosixPath(path).parent), int(each.get("size") or 0))
        for path, each in files.items()
    )
    size = sum(each.size for each in archives)
    licence = card.get("license")
    licence = ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence or "not stated")
    megabytes = max(1, round(size / 10**6))
    return Dataset(
        name=row_name(repo),
        title=repo,
        summary=f"{card.get('pretty_name') or repo}, from the Hugging Face hub: {_contents(files)}.",
        author=repo.partition("/")[0],
        licence=licence,
        licence_url=f"https://huggingface.co/datasets/{repo}",
        source=f"https://huggingface.co/datasets/{repo}",
        megabytes=megabytes,
        room=megabytes * (3 if _is_packed(next(iter(files))) else 1) + 1,
        archives=archives,
        open=hub_files.opened,
    )


def _ask(repo: str, check: Check | None) -> Mapping[str, Any]:
    """Return the hub's description of a repository. Raises BadSource."""
    if hub_is_off():
        raise _failure(repo, Problem("offline_mode"))
    answer: News = {}
    url = f"{hub_address()}/api/datasets/{repo}?blobs=true"
    child = Child("camlab.common.fetch_files", ["--json", url, str(ANSWER_WITHIN)])
    try:
        finish(follow(child, ANSWER_WITHIN, answer.update), check)
    except Problem as problem:
        raise _failure(repo, problem) from problem
    finally:
        child.stop(1.0)
    found: Mapping[str, Any] = answer["result"]
    return found


def _failure(repo: str, problem: Problem) -> BadSource:
    if problem.name == "refused":  # the hub does not say whether a repository is missing or private
        problem = Problem("not_found", **problem.details)
    page = f"https://huggingface.co/datasets/{repo}"
    wanted = Wanted(
        subject=f"the data set {repo}",
        source="The Hugging Face hub",
        offline_advice=OFFLINE_ADVICE,
        missing_advice=f"check the name, or accept the terms at {page} and set HF_TOKEN",
    )
    return BadSource(wanted.sentence(problem))


def _chosen(files: Mapping[str, Mapping[str, Any]], repo: str) -> dict[str, Mapping[str, Any]]:
    """Choose the files to download: tables before archives before pictures, and of these the test part."""
    kinds = (
        [path for path in files if path.lower().endswith(".parquet")],
        [path for path in files if _is_packed(path)],
        [path for path in files if is_picture(path)],
    )
    found = next(filter(None, kinds), None)
    if found is None:
        raise BadSource(
            f"{repo} holds no table, archive or file of pictures that can be read; choose another data set, or "
            "unpack it yourself and open it as a folder."
        )
    for part in _PARTS:
        mine = [path for path in found if set(re.split(r"[/._-]", path.lower())) & set(part)]
        if mine:
            found = mine
            break
    if any(".." in PurePosixPath(path).parts or path.startswith("/") or "\\" in path for path in found):
        raise BadSource(f"{repo} names files outside itself and was not downloaded; choose another data set.")
    if len(found) > MOST_FILES:
        raise BadSource(
            f"{repo} holds {len(found):,} single files, more than the limit of {MOST_FILES:,}; download it with "
            "git and open it as a folder."
        )
    return {path: files[path] for path in sorted(found)}


def _is_packed(path: str) -> bool:
    return path.lower().endswith(_PACKED)


def _digest(file: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a large file, Git's digest of a small one; empty if the hub gives none."""
    return str((file.get("lfs") or {}).get("sha256") or file.get("blobId") or "")


def _contents(files: Mapping[str, Any]) -> str:
    first = next(iter(files))
    kind = "table" if first.endswith(".parquet") else "archive" if _is_packed(first) else "picture"
    return f"{len(files):,} {kind}{'' if len(files) == 1 else 's'}"
