"""Data sets as torchvision's classes read them: a key, a class and a reader for each picture.

Each function takes the folder in which a set was unpacked. They raise whatever torchvision does where it is not whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from camlab.common.errors import BadImage
from camlab.images.decode import decode_image, read_bytes
from camlab.images.picture import Mask


@dataclass(frozen=True)
class Samples:
    """An opened data set: a key, a class (its place among ``classes``, -1 for none) and a reader for each picture."""

    classes: Sequence[str]
    keys: Sequence[str]
    labels: Sequence[int]
    read: Callable[[int], Image.Image]
    mask: Callable[[int], Mask | None] | None = None


def _from_files(
    files: Sequence[str | Path], labels: Sequence[int], classes: Sequence[str], folders: bool = False
) -> Samples:
    """Samples that are files; ``folders`` makes a file's folder part of its key, where names alone are not unique."""
    paths = [Path(each) for each in files]
    keys = [f"{path.parent.name}/{path.stem}" if folders else path.stem for path in paths]
    # By its stem: some of these files are called .jpg and are something else.
    return Samples(classes, keys, labels, lambda i: decode_image(read_bytes(paths[i]), paths[i].stem))


def imagenette(folder: Path) -> Samples:
    """Imagenette's validation part at 320 pixels."""
    from torchvision.datasets import Imagenette

    found = Imagenette(folder, split="val", size="320px", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, [", ".join(names) for names in found.classes])


def food101(folder: Path) -> Samples:
    """Food-101's test part."""
    from torchvision.datasets import Food101

    found = Food101(folder, split="test", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, [name.replace("_", " ") for name in found.classes], folders=True)


def flowers102(folder: Path) -> Samples:
    """The test part of Oxford 102 Flowers."""
    from torchvision.datasets import Flowers102

    found = Flowers102(folder, split="test", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, found.classes)


def pets(folder: Path) -> Samples:
    """The test part of Oxford-IIIT Pet, with outlines."""
    from torchvision.datasets import OxfordIIITPet

    found = OxfordIIITPet(folder, split="test")
    # Going through the pictures for their labels would decode them all, so this reads what it keeps to itself.
    samples = _from_files(found._images, found._labels, found.classes)
    return Samples(samples.classes, samples.keys, samples.labels, samples.read, partial(_trimap, found._segs))


def _trimap(files: Sequence[Path], index: int) -> Mask:
    """The pet itself: 1 is the animal, 2 the background, 3 the border between them."""
    try:
        with Image.open(files[index]) as image:
            outline: Mask = np.asarray(image) == 1
            return outline
    except (OSError, ValueError) as error:
        raise BadImage(
            f"The outline “{files[index].name}” cannot be read; download the data set again."
        ) from error


def cifar10(folder: Path) -> Samples:
    """CIFAR-10's test part, all of it in memory (31 MB)."""
    from torchvision.datasets import CIFAR10

    found = CIFAR10(folder, train=False)
    keys = [f"test_{i:05d}" for i in range(len(found))]
    return Samples(found.classes, keys, found.targets, lambda i: Image.fromarray(found.data[i]))
