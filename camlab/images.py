"""Pictures and picture sets: the built-in ones with their licences, uploads and files."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from camlab.decode import MAX_BYTES, clean_name, decode_image, title_from
from camlab.errors import BadImage, UnknownName
from camlab.registry import Registry

__all__ = [
    "IMAGE_SETS",
    "ImageSet",
    "Picture",
    "decode_image",
    "find_picture",
    "picture_from_bytes",
    "picture_from_path",
]

ROOT = Path(__file__).parent.parent / "assets" / "images"


@dataclass(frozen=True)
class Picture:
    """One picture and where it comes from; its pixels are read when asked for.

    ``id`` is stable: ``photos/bison`` for built-in pictures, ``upload/…`` or ``file/…`` with 12 digits
    of the digest for the user's own. ``label`` is the picture's class name and ``label_index`` its ImageNet
    index, both None for the user's own. Equality and hash go by the descriptive fields.
    """

    id: str
    image_set: str
    title: str
    label: str | None
    label_index: int | None
    author: str
    licence: str
    licence_url: str
    source: str
    _read: Callable[[], Image.Image] = field(repr=False, compare=False)
    _mask: Path | None = field(default=None, repr=False, compare=False)

    def load(self) -> Image.Image:
        """The picture, RGB, upright, at its own size. Raises BadImage where its file has gone or changed."""
        return self._read()

    def mask(self) -> NDArray[np.bool_] | None:
        """True where the object is, (H, W) like the picture; None where nobody has outlined it."""
        if self._mask is None:
            return None
        with Image.open(self._mask) as image:
            return np.asarray(image.convert("L")) > 127

    def thumbnail(self, side: int = 96) -> Image.Image:
        """The centre of the picture as a square of ``side`` pixels, RGB."""
        return ImageOps.fit(self.load(), (side, side), Image.Resampling.LANCZOS)

    @cached_property
    def digest(self) -> str:
        """Hex digest of the RGB pixels and the size: the same for the same picture in any lossless file."""
        return _digest(self.load())


@dataclass(frozen=True)
class ImageSet:
    """A named, ordered set of pictures."""

    name: str
    title: str
    summary: str
    pictures: tuple[Picture, ...]


IMAGE_SETS: Registry[ImageSet] = Registry("image set")

# name, title, summary: one row a built-in set, in the order in which they are offered
_BUILT_IN = (
    ("photos", "Animal photographs", "Animals in their surroundings, most with an outline of the animal."),
    ("composites", "Composites", "Objects cut out and pasted on foreign backgrounds, with exact outlines."),
    ("places", "Places", "Buildings and landscapes, where the whole scene is the object."),
    ("objects", "Objects", "Tools and household things, most with an outline."),
)


def picture_from_bytes(data: bytes, name: str) -> Picture:
    """A picture from an uploaded file's bytes, which stay in memory as they are. Raises BadImage."""
    digest = _digest(decode_image(data, name))
    return _own("upload", digest, name, partial(decode_image, data, name))


def picture_from_path(path: str | Path) -> Picture:
    """A picture from a file on this machine, read again at each ``load``. Raises BadImage."""
    path = Path(path)
    digest = _digest(_read_file(path))
    return _own("file", digest, path.name, partial(_read_unchanged, path, digest))


def built_in_pictures() -> list[Picture]:
    """Every built-in picture, set by set."""
    return list(_BY_ID.values())


def find_picture(picture_id: str) -> Picture:
    """The built-in picture with this id. Raises UnknownName, also for the user's own, which are not kept."""
    found = _BY_ID.get(picture_id)
    if found is not None:
        return found
    shown = repr(str(picture_id)[:60])
    if str(picture_id).startswith(("upload/", "file/")):
        raise UnknownName(
            f"The picture {shown} was somebody's own file and is not kept here; choose it again."
        )
    group, _, name = str(picture_id).partition("/")
    if group in IMAGE_SETS and name:
        raise UnknownName(f"The image set {group!r} has no picture {shown}; choose another of its pictures.")
    raise UnknownName(f"There is no picture {shown}; choose one from: {', '.join(IMAGE_SETS)}.")


def _own(kind: str, digest: str, name: str, read: Callable[[], Image.Image]) -> Picture:
    picture = Picture(
        id=f"{kind}/{digest[:12]}",
        image_set=kind,
        title=title_from(name),
        label=None,
        label_index=None,
        author="not stated",
        licence="not stated",
        licence_url="",
        source="uploaded file" if kind == "upload" else "file on this machine",
        _read=read,
    )
    picture.__dict__["digest"] = digest  # known already: spares decoding the file once more
    return picture


def _digest(image: Image.Image) -> str:
    digest = hashlib.blake2b(f"{image.width}x{image.height}:".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()


def _read_file(path: Path) -> Image.Image:
    shown = clean_name(path.name)
    try:
        if not path.is_file():  # a folder, a device or nothing at all
            raise BadImage(f"There is no file “{shown}” at the place you named; check the path.")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise BadImage(f"The file “{shown}” cannot be read; check that you may open it.") from error
    return decode_image(data, path.name)


def _read_unchanged(path: Path, digest: str) -> Image.Image:
    image = _read_file(path)
    if _digest(image) != digest:
        raise BadImage(
            f"The file “{clean_name(path.name)}” has changed since it was chosen; choose it again."
        )
    return image


def _read_built_in(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


_DEEDS = re.compile(r"CC0-(?P<zero>[\d.]+)|CC-(?P<kind>BY(?:-SA)?)-(?P<version>[\d.]+)")


def _licence_urls(licence: str, notes: str) -> str:
    """Where each part's licence is stated: the Creative Commons deed, or the page that says so."""
    parts, pages = licence.split(" + "), notes.split(" | ")
    urls = []
    for i, page in enumerate(pages):
        deed = _DEEDS.search(parts[min(i, len(parts) - 1)])
        if deed is None:
            urls += re.findall(r"https?://\S+", page)
        elif deed["zero"]:
            urls.append(f"https://creativecommons.org/publicdomain/zero/{deed['zero']}/")
        else:
            urls.append(f"https://creativecommons.org/licenses/{deed['kind'].lower()}/{deed['version']}/")
    return " ; ".join(dict.fromkeys(urls))


def _read_manifest() -> dict[str, list[Picture]]:
    pictures: dict[str, list[Picture]] = {name: [] for name, _, _ in _BUILT_IN}
    with (ROOT / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            pictures[row["set"]].append(
                Picture(
                    id=row["file"].removesuffix(".jpg"),
                    image_set=row["set"],
                    title=row["title"],
                    label=row["imagenet_label"],
                    label_index=int(row["imagenet_class_index"]),
                    author=row["author"],
                    licence=row["licence"],
                    licence_url=_licence_urls(row["licence"], row["licence_url_or_note"]),
                    source=f"{row['licence_url_or_note']} ({row['source_package']}: {row['source_file']})",
                    _read=partial(_read_built_in, ROOT / row["file"]),
                    _mask=ROOT / row["mask_file"] if row["mask_file"] else None,
                )
            )
    return pictures


_PICTURES = _read_manifest()
for _name, _title, _summary in _BUILT_IN:
    IMAGE_SETS.add(_name, ImageSet(_name, _title, _summary, tuple(_PICTURES[_name])))
_BY_ID = {picture.id: picture for image_set in IMAGE_SETS.values() for picture in image_set.pictures}
