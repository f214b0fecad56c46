"""The folder of a user's studies: listing, naming and deleting them, never outside that folder."""

import re
import secrets
import shutil
import time
import unicodedata
from pathlib import Path

from camlab.common.directories import user_directory
from camlab.common.errors import BadSetting, BadStudy
from camlab.study.store.files import is_held, read_json, write_json
from camlab.study.store.study import MANIFEST, Study

DIRECTORY_VARIABLE = "CAMLAB_STUDIES_DIR"
MAX_NAME = 80
_GOING = ".going-"  # a study is renamed before it is deleted, so that it vanishes at once


def studies_root() -> Path:
    """Return the folder of studies: CAMLAB_STUDIES_DIR, by default among the user's data. Raises BadSetting."""
    return user_directory(DIRECTORY_VARIABLE, "camlab/studies", data=True)


def list_studies(root: Path | None = None) -> list[Study]:
    """List the studies in the root, newest first, skipping everything else."""
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
    """Return the path of a new folder in the root, named after the study. Raises BadSetting for an empty name."""
    root = root or studies_root()
    plain = unicodedata.normalize("NFKD", clean_title(name)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:40] or "study"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return root / f"{stem}-{stamp}-{secrets.token_hex(2)}"


def clean_title(name: str) -> str:
    """Clean a study's name: one line, no control characters. Raises BadSetting if nothing remains."""
    kept = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())[:MAX_NAME]
    if not kept:
        raise BadSetting("A study needs a name; type one.")
    return kept


def rename(folder: Path, name: str, root: Path | None = None) -> Study:
    """Rename a study of the root; its folder keeps its name. Raises BadSetting, BadStudy."""
    folder = _inside(folder, root)
    manifest = read_json(folder / MANIFEST)
    if manifest is None:
        raise BadStudy("This study no longer exists; reload the list.")
    write_json(folder / MANIFEST, {**manifest, "name": clean_title(name)})
    return Study(folder)


def delete(folder: Path, root: Path | None = None) -> None:
    """Delete a study of the root with all its rows. Raises BadStudy for any other folder, or a running study."""
    folder = _inside(folder, root)
    if is_held(folder):
        raise BadStudy("This study is running; cancel it before deleting it.")
    going = folder.with_name(f"{_GOING}{secrets.token_hex(4)}")
    try:
        folder.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise BadStudy(f"The study cannot be deleted ({error.strerror}); check its folder.") from error


def _inside(folder: Path, root: Path | None) -> Path:
    """Resolve the folder of a study that lies directly in the root. Raises BadStudy."""
    root = (root or studies_root()).resolve()
    place = Path(folder)
    if place.is_symlink() or place.resolve().parent != root or not (place / MANIFEST).is_file():
        raise BadStudy("Only studies in the folder of studies can be changed; choose one from the list.")
    return place.resolve()
