"""Read data sets through torchvision's classes: a key, a class and a reader for each picture.

Each function takes the folder of an unpacked set and raises torchvision's errors if it is incomplete.
"""

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
    """An opened data set: a key, a class (index into ``classes``, -1 for none) and a reader for each picture."""

    classes: Sequence[str]
    keys: Sequence[str]
    labels: Sequence[int]
    read: Callable[[int], Image.Image]
    mask: Callable[[int], Mask | None] | None = None


def _from_files(
    files: Sequence[str | Path], labels: Sequence[int], classes: Sequence[str], folders: bool = False
) -> Samples:
    """Return samples that are files; ``folders`` adds a file's folder to its key, if names are not unique."""
    paths = [Path(each) for each in files]
    keys = [f"{path.parent.name}/{path.stem}" if folders else path.stem for path in paths]
    # Without the extension: some of these files are called .jpg but have another format.
    return Samples(classes, keys, labels, lambda i: decode_image(read_bytes(paths[i]), paths[i].stem))


def imagenette(folder: Path) -> Samples:
    """Open Imagenette's validation part at 320 pixels."""
    from torchvision.datasets import Imagenette

    found = Imagenette(folder, split="val", size="320px", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, [", ".join(names) for names in found.classes])


def food101(folder: Path) -> Samples:
    """Open Food-101's test part."""
    from torchvision.datasets import Food101

    found = Food101(folder, split="test", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, [name.replace("_", " ") for name in found.classes], folders=True)


def flowers102(folder: Path) -> Samples:
    """Open the test part of Oxford 102 Flowers."""
    from torchvision.datasets import Flowers102

    found = Flowers102(folder, split="test", loader=str)
    files, labels = zip(*(found[i] for i in range(len(found))), strict=True)
    return _from_files(files, labels, found.classes)


def pets(folder: Path) -> Samples:
    """Open the test part of Oxford-IIIT Pet, with outlines."""
    from torchvision.datasets import OxfordIIITPet

    found = OxfordIIITPet(folder, split="test")
    # Read private lists, because the public interface decodes every picture to return its label.
    samples = _from_files(found._images, found._labels, found.classes)  # noqa: SLF001  see above
    return Samples(samples.classes, samples.keys, samples.labels, samples.read, partial(_trimap, found._segs))  # noqa: SLF001  see above


def _trimap(files: Sequence[Path], index: int) -> Mask:
    """Read the pet's mask; in the file 1 is the animal, 2 the background, 3 the border between them."""
    try:
        with Image.open(files[index]) as image:
            outline: Mask = np.asarray(image) == 1
            return outline
    except (OSError, ValueError) as error:
        raise BadImage(f"The outline “{files[index].name}” cannot be read; download the data set again.") from error


def cifar10(folder: Path) -> Samples:
    """Open CIFAR-10's test part, all of it in memory (31 MB)."""
    from torchvision.datasets import CIFAR10

    found = CIFAR10(folder, train=False)
    keys = [f"test_{i:05d}" for i in range(len(found))]
    return Samples(found.classes, keys, found.targets, lambda i: Image.fromarray(found.data[i]))
