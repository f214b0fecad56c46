"""Open a folder on this machine as an image set, inside the folders that the operator allows.

Listing reads only names; a file is opened when its picture is needed. Links are followed if they lead inside the
allowed folders, which is checked again whenever a picture is read. The command line allows every folder, as its user
may read whatever the program may.
"""

import hashlib
import heapq
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

from camlab.common.errors import BadImage, BadSetting, BadSource
from camlab.images.decode import Decoded, clean_name, decode, read_bytes
from camlab.images.file_layout import Entry, account, arrange, is_hidden, is_picture
from camlab.images.picture import Decoding, ImageSet, LazyPictures, Mask, Picture, mask_from_bytes, own_picture

ROOTS_VARIABLE = "CAMLAB_IMAGE_ROOTS"
MAX_FILES = 2_000_000

#: The folders that may be read, links resolved; None for all.
Roots = tuple[Path, ...] | None

_CHECK_EVERY = 1000  # files


def allowed_roots() -> tuple[Path, ...]:
    """Return the folders that the operator allows in CAMLAB_IMAGE_ROOTS, links resolved; none by default.

    Raises BadSetting if a path there is not absolute or not a folder.
    """
    roots = []
    for named in filter(None, (part.strip() for part in os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep))):
        path = Path(named)
        if not path.is_absolute() or not path.is_dir():
            raise BadSetting(
                f"{ROOTS_VARIABLE} names {named[:200]!r}, which is not an absolute path of a folder; correct it."
            )
        roots.append(path.resolve())
    return tuple(dict.fromkeys(roots))


def open_folder(
    path: str | Path,
    roots: Sequence[str | Path] | None = None,
    check: Callable[[], None] = lambda: None,
    *,
    confined: bool = True,
) -> ImageSet:
    """Open a folder and its subfolders as a lazy image set, flat or one folder per class (`camlab.images.file_layout`).

    ``roots`` are the readable folders, by default those of ``allowed_roots``; a relative path is searched in each. If
    not ``confined``, every folder may be read, and links are followed wherever they lead.
    A picture's id is ``folder/`` and 12 hex digits of a digest of its relative path, its size and the time of its last
    change. So the id needs no reading, survives moving or copying the folder with its times, and changes with the
    content. ``check`` may raise to stop the listing.

    Raises BadSource if the folder is outside the roots, cannot be listed, has no picture or too many files.
    """
    allowed = _resolved(roots) if confined else None
    folder = _anywhere(path) if allowed is None else _confined(path, allowed)
    paths, skipped = _scan(folder, allowed, check)
    layout = arrange(paths)
    skipped["orphan"] += len(layout.orphans)
    skipped = +skipped
    name = clean_name(folder.name)
    if not layout.entries:
        raise BadSource(f"The folder “{name}” holds no pictures ({account(0, skipped).rstrip('.')}); choose another.")
    return ImageSet(
        name="folder",
        title=name,
        summary=account(len(layout.entries), skipped, len(layout.labels), layout.notes),
        pictures=FolderPictures(folder, allowed, layout.entries),
        labels=tuple(dict.fromkeys(map(clean_name, layout.labels))),
        skipped=skipped,
    )


def find_folder(path: str | Path, roots: Sequence[str | Path] | None = None, *, confined: bool = True) -> Path:
    """Return the full path of a folder, links resolved, by the rules of ``open_folder``. Raises BadSource."""
    return _confined(path, _resolved(roots)) if confined else _anywhere(path)


class FolderPictures(LazyPictures):
    """The pictures of a folder, whose files can be told by their paths and their bytes."""

    def __init__(self, folder: Path, roots: Roots, entries: Sequence[Entry]) -> None:
        """Make pictures of the entries, whose paths are relative to the folder."""
        super().__init__(len(entries), partial(_picture, folder, roots, entries))
        self._folder, self._roots, self._entries = folder, roots, entries

    def path_at(self, index: int) -> str:
        """Return the path of a picture's file, relative to the folder, with forward slashes."""
        return self._entries[index].path

    def index_of(self, path: str) -> int | None:
        """Return the index of the picture with this relative path; None if there is none."""
        return self._by_path.get(path)

    def file_digest(self, index: int) -> str:
        """Return the hex digest of the bytes of a picture's file. Raises BadImage if it cannot be read."""
        data = _bytes(self._folder, self._entries[index].path, self._roots)
        return hashlib.blake2b(data, digest_size=16, person=b"file").hexdigest()

    @cached_property
    def _by_path(self) -> dict[str, int]:
        return {entry.path: index for index, entry in enumerate(self._entries)}


def _resolved(roots: Sequence[str | Path] | None) -> tuple[Path, ...]:
    return allowed_roots() if roots is None else tuple(Path(root).resolve() for root in roots)


def _confined(path: str | Path, allowed: tuple[Path, ...]) -> Path:
    """Return the folder, links resolved. The error reveals nothing about folders outside the allowed ones."""
    if not allowed:
        raise BadSource(
            "No folder on this machine may be opened; the operator of CAM Lab can allow folders "
            f"by listing them in {ROOTS_VARIABLE}, separated by {os.pathsep!r}."
        )
    shown = clean_name(Path(path).name)
    candidates = [root / path for root in allowed]  # of an absolute path, the path itself
    try:
        inside = [found for each in candidates if _is_inside(found := each.resolve(), allowed)]
        folder = next((each for each in inside if each.is_dir()), None)
    except (OSError, ValueError, RuntimeError):  # a null character, or circular links
        inside, folder = [], None
    if folder is not None:
        return folder
    if inside:
        raise BadSource(f"There is no folder “{shown}” at this path; check the path.")
    raise BadSource(
        f"The folder “{shown}” is outside the folders that may be opened; choose one inside "
        f"{', '.join(map(str, allowed))}, or ask the operator of CAM Lab to add it to {ROOTS_VARIABLE}."
    )


def _anywhere(path: str | Path) -> Path:
    """Return the folder at a path, links resolved. Raises BadSource if there is none."""
    try:
        folder = Path(path).resolve()
        if folder.is_dir():
            return folder
    except (OSError, ValueError, RuntimeError):  # a null character, or circular links
        pass
    raise BadSource(f"There is no folder “{clean_name(Path(path).name)}” at this path; check the path.")


def _is_inside(path: Path, roots: Roots) -> bool:
    return roots is None or any(path == root or root in path.parents for root in roots)


def _scan(folder: Path, roots: Roots, check: Callable[[], None]) -> tuple[list[str], Counter[str]]:
    """List the picture files below the folder as relative paths with forward slashes, and count files left out."""
    found: list[str] = []
    skipped: Counter[str] = Counter()
    waiting = [("", str(folder))]
    # A heap, with linked folders last, makes paths and ids independent of the order of the listing.
    linked: list[tuple[str, str]] = []
    visited: set[str] = set()
    seen = 0
    while waiting or linked:
        prefix, place = waiting.pop() if waiting else heapq.heappop(linked)
        real = os.path.realpath(place)
        # Skip links to a parent or a folder listed before, and links created during the listing.
        if real in visited or not _is_inside(Path(real), roots):
            skipped["circle" if real in visited else "outside"] += 1
            continue
        visited.add(real)
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _CHECK_EVERY == 0:
                        check()
                    if seen > MAX_FILES:
                        raise BadSource(
                            f"The folder “{clean_name(folder.name)}” holds over {MAX_FILES:,} files; "
                            "choose one of the folders in it."
                        )
                    if reason := _sort(entry, prefix, folder, roots, waiting, linked, found):
                        skipped[reason] += 1
        except OSError as error:
            if not prefix:
                raise BadSource(
                    f"The folder “{clean_name(folder.name)}” cannot be listed; check its permissions."
                ) from error
            skipped["unreadable"] += 1
    return found, skipped


def _sort(
    entry: os.DirEntry[str],
    prefix: str,
    folder: Path,
    roots: Roots,
    waiting: list[tuple[str, str]],
    linked: list[tuple[str, str]],
    found: list[str],
) -> str:
    """Add one entry to its list, and return the reason if it is left out."""
    if is_hidden(entry.name):
        return "hidden"
    path = entry.path
    if entry.is_symlink():
        path = os.path.realpath(path)
        if not _is_inside(Path(path), roots):
            return "outside"
        if _stamp(Path(path)) is None:
            return "broken"
        if any(Path(path) == each or Path(path) in each.parents for each in (folder, Path(entry.path).parent)):
            return "circle"
    if entry.is_dir():
        if entry.is_symlink():
            heapq.heappush(linked, (f"{prefix}{entry.name}/", path))
        else:
            waiting.append((f"{prefix}{entry.name}/", path))
        return ""
    if not is_picture(entry.name):
        return "other"
    if not entry.is_file():
        return "special"
    found.append(f"{prefix}{entry.name}")
    return ""


def _picture(folder: Path, roots: Roots, entries: Sequence[Entry], index: int) -> Picture:
    entry = entries[index]
    stamp = _stamp(folder / entry.path)
    # Python represents undecodable bytes of a file name as lone surrogates.
    text = f"{entry.path}\n{stamp}".encode("utf-8", "surrogateescape")
    read = partial(_read, folder, entry.path, roots, stamp)
    return own_picture(
        "folder",
        hashlib.blake2b(text, digest_size=16).hexdigest(),
        entry.path,
        read,
        label=None if entry.label is None else clean_name(entry.label),
        mask=None if entry.mask is None else partial(_read_mask, folder, entry.mask, roots, read),
        place=str(folder),
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return a file's size and time of last change in nanoseconds; None if it is missing."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _bytes(folder: Path, relative: str, roots: Roots) -> bytes:
    real = Path(os.path.realpath(folder / relative))
    if not _is_inside(real, roots):  # a link was created or changed after the listing
        raise BadImage(
            f"The file “{clean_name(relative)}” leads outside the folders that may be opened; open the folder again."
        )
    return read_bytes(real)


def _read(folder: Path, relative: str, roots: Roots, stamp: tuple[int, int] | None, bits: int | None = None) -> Decoded:
    data = _bytes(folder, relative, roots)
    if _stamp(folder / relative) != stamp:
        raise BadImage(
            f"The file “{clean_name(relative)}” has changed since the folder was listed; open the folder again."
        )
    return decode(data, relative, bits)


def _read_mask(folder: Path, path: str, roots: Roots, read: Decoding) -> Mask:
    mask = mask_from_bytes(_bytes(folder, path, roots), path)
    width, height = read().image.size
    if mask.shape != (height, width):
        raise BadImage(
            f"The mask “{clean_name(path)}” is {mask.shape[1]}×{mask.shape[0]} pixels, its picture "
            f"{width}×{height}; save it at the picture's size."
        )
    return mask
