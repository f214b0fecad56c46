"""The built-in image sets, with each picture's author and licence."""

import csv
import re
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from camlab.common.directories import ASSETS
from camlab.common.registry import Registry
from camlab.images.picture import ImageSet, Mask, Picture

ROOT = ASSETS / "images"

IMAGE_SETS: Registry[ImageSet] = Registry("image set")

# name, title, summary: one row per built-in set, in the order offered
_BUILT_IN = (
    ("photos", "Animal photographs", "Animals in their surroundings, most with an outline of the animal."),
    (
        "composites",
        "Composites",
        "Objects cut out and pasted onto unrelated backgrounds, with exact outlines.",
    ),
    ("places", "Places", "Buildings and landscapes, where the whole scene is the object."),
    ("objects", "Objects", "Tools and household objects, most with an outline."),
)


def _read_built_in(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _read_mask(path: Path) -> Mask:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


_DEEDS = re.compile(r"CC0-(?P<zero>[\d.]+)|CC-(?P<kind>BY(?:-SA)?)-(?P<version>[\d.]+)")


def _licence_urls(licence: str, notes: str) -> str:
    """Return the pages that state each part's licence: the Creative Commons deed, or the page named in the notes."""
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
                    _mask=partial(_read_mask, ROOT / row["mask_file"]) if row["mask_file"] else None,
                )
            )
    return pictures


_PICTURES = _read_manifest()
for _name, _title, _summary in _BUILT_IN:
    IMAGE_SETS.add(_name, ImageSet(_name, _title, _summary, tuple(_PICTURES[_name])))
BY_ID = {picture.id: picture for image_set in IMAGE_SETS.values() for picture in image_set.pictures}
