"""The folder of a user's studies: what is in it, and looking after it without ever leaving it."""

from __future__ import annotations

import re
import secrets
import shutil
import time
import unicodedata
from pathlib import Path

from camlab.common.directories import user_directory
from camlab.common.errors import BadSetting, BadStudy
from camlab.study.store.files import read_json, write_json
from camlab.study.store.study import MANIFEST, Study

DIRECTORY_VARIABLE = "CAMLAB_STUDIES_DIR"
MAX_NAME = 80
_GOING = ".going-"  # what is being deleted is renamed first, so that it is gone at once


def studies_root() -> Path:
    """Where studies are kept: what CAMLAB_STUDIES_DIR says, else among the user's data. Raises BadSetting."""
    return user_directory(DIRECTORY_VARIABLE, "camlab/studies", data=True)


def list_studies(root: Path | None = None) -> list[Study]:
    """The studies in the root, newest first; whatever else is there is passed over."""
    root = root or studies_root()
    found: list[tuple[float, Study]] = []
    try:
        folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    for folder in folders:
        study = Study(folder)
        try:
            found.append((float(study.manifest.get("created") or 0), study))
        except (BadStudy, TypeError, ValueError):
            continue
    return [study for _, study in sorted(found, key=lambda each: (-each[0], each[1].folder.name))]


def new_folder(name: str, root: Path | None = None) -> Path:
    """A folder in the root that is not there yet, called after the study. Raises BadSetting for an empty name."""
    root = root or studies_root()
    plain = unicodedata.normalize("NFKD", clean_title(name)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:40] or "study"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return root / f"{stem}-{stamp}-{secrets.token_hex(2)}"


def clean_title(name: str) -> str:
    """A study's name in one line without control characters. Raises BadSetting where nothing is left."""
    kept = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())[:MAX_NAME]
    if not kept:
        raise BadSetting("A study needs a name; type one.")
    return kept


def rename(folder: Path, name: str, root: Path | None = None) -> Study:
    """Give a study of the root another name; its folder keeps its own. Raises BadSetting, BadStudy."""
    folder = _inside(folder, root)
    manifest = read_json(folder / MANIFEST)
    if manifest is None:
        raise BadStudy("This study is gone; look at the list again.")
    write_json(folder / MANIFEST, {**manifest, "name": clean_title(name)})
    return Study(folder)


def delete(folder: Path, root: Path | None = None) -> None:
    """Remove a study of the root with all its rows. Raises BadStudy for anything else, or one that runs."""
    from camlab.study.store.lock import is_held

    folder = _inside(folder, root)
    if is_held(folder):
        raise BadStudy("This study is running; cancel it before deleting it.")
    going = folder.with_name(f"{_GOING}{secrets.token_hex(4)}")
    try:
        folder.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise BadStudy(f"The study cannot be removed ({error.strerror}); look at its folder.") from error


def _inside(folder: Path, root: Path | None) -> Path:
    """The folder of a study that lies directly in the root. Raises BadStudy."""
    root = (root or studies_root()).resolve()
    place = Path(folder)
    if place.is_symlink() or place.resolve().parent != root or not (place / MANIFEST).is_file():
        raise BadStudy("Only studies in the folder of studies can be changed here; choose one from the list.")
    return place.resolve()
