"""Data sets by name: contents, licence, size, and their pictures once downloaded.

torchvision knows the layouts and splits of the built-in rows, of which the test part is shown. Data sets of the
Hugging Face hub join them once looked up (`camlab.images.datasets.hub`).
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image

from camlab.common.errors import BadSource
from camlab.common.registry import Registry
from camlab.images.datasets import hub, torchvision_sets
from camlab.images.datasets.base import Archive, Dataset, data_directory
from camlab.images.datasets.torchvision_sets import Samples
from camlab.images.picture import ImageSet, LazyPictures, Mask, Picture


class Datasets(Registry[Dataset]):
    """The data sets by name; those looked up on, or downloaded from, the Hugging Face hub come last."""

    def __getitem__(self, name: str) -> Dataset:
        """Return the row. Raises UnknownName, with the nearest names, if there is none."""
        return super().__getitem__(name) if (found := self._hub(name)) is None else found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._hub(name) is not None

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from hub.names()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _hub(self, name: object) -> Dataset | None:
        return hub.find(name) if isinstance(name, str) else None


DATASETS = Datasets("data set")


def is_here(name: str, root: Path | None = None) -> bool:
    """Return whether the whole data set is on this machine. Raises UnknownName, BadSetting."""
    try:
        return ((root or data_directory()) / DATASETS[name].name).is_dir()
    except OSError:  # no permission
        return False


def open_dataset(name: str, root: Path | None = None) -> ImageSet:
    """Open a downloaded data set as a lazy image set; a picture's id joins the set's name and the file's.

    Raises UnknownName, and BadSource if it is not downloaded or its files have changed.
    """
    dataset, root = DATASETS[name], root or data_directory()
    if not is_here(name, root):
        raise BadSource(f"{dataset.title} is not on this machine; download it first ({dataset.megabytes:,} MB).")
    return _opened(name, root / name)


@lru_cache(maxsize=8)
def _opened(name: str, folder: Path) -> ImageSet:
    dataset, found = DATASETS[name], _samples(name, folder)
    return ImageSet(
        name=name,
        title=dataset.title,
        summary=dataset.summary,
        pictures=LazyPictures(len(found.keys), partial(_picture, name, folder)),
        labels=tuple(found.classes),
    )


@lru_cache(maxsize=8)
def _samples(name: str, folder: Path) -> Samples:
    dataset = DATASETS[name]
    try:
        return dataset.open(folder)
    except BadSource:
        raise
    except Exception as error:  # torchvision raises many kinds of errors for missing and changed files
        raise BadSource(
            f"{dataset.title} is incomplete on this machine; remove the folder {folder} and download it again."
        ) from error


def _picture(name: str, folder: Path, index: int) -> Picture:
    dataset, found = DATASETS[name], _samples(name, folder)
    key, label = found.keys[index], found.labels[index]
    return Picture(
        id=f"{name}/{key}",
        image_set=name,
        title=f"{found.classes[label]} ({key.rpartition('/')[2]})" if label >= 0 else key,
        label=found.classes[label] if label >= 0 else None,
        label_index=dataset.imagenet[label] if dataset.imagenet else None,
        author=dataset.author,
        licence=dataset.licence,
        licence_url=dataset.licence_url,
        source=f"{dataset.title}: {dataset.source}",
        _read=partial(_read, name, folder, index),
        _mask=None if found.mask is None else partial(_mask, name, folder, index),
    )


# Readers take name and index, so that a picture can be pickled without the whole set.
def _read(name: str, folder: Path, index: int) -> Image.Image:
    return _samples(name, folder).read(index)


def _mask(name: str, folder: Path, index: int) -> Mask | None:
    reader = _samples(name, folder).mask
    return None if reader is None else reader(index)


_VGG = "https://www.robots.ox.ac.uk/~vgg/data"

_ROWS = (
    Dataset(
        name="imagenette",
        title="Imagenette",
        summary="Ten ImageNet classes that are easy to tell apart, at 320 pixels: the validation split.",
        author="Jeremy Howard, fast.ai (selection); the photographers of ImageNet",
        licence="ImageNet's terms: for research and education, not commercial",
        licence_url="https://www.image-net.org/download.php",
        source="https://github.com/fastai/imagenette",
        megabytes=342,
        room=700,
        count=3925,
        classes=10,
        archives=(
            Archive(
                "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
                "3df6f0d01a2c9592104656642f5e78a3",
            ),
        ),
        open=torchvision_sets.imagenette,
        imagenet=(0, 217, 482, 491, 497, 566, 569, 571, 574, 701),
    ),
    Dataset(
        name="oxford-iiit-pet",
        title="Oxford-IIIT Pet",
        summary="Cats and dogs of 37 breeds, each with an outline: the test split.",
        author="Parkhi, Vedaldi, Zisserman, Jawahar",
        licence="CC BY-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        source=f"{_VGG}/pets/",
        megabytes=811,
        room=1700,
        count=3669,
        classes=37,
        archives=(
            Archive(f"{_VGG}/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c", "oxford-iiit-pet"),
            Archive(f"{_VGG}/pets/data/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f", "oxford-iiit-pet"),
        ),
        open=torchvision_sets.pets,
    ),
    Dataset(
        name="cifar10",
        title="CIFAR-10",
        summary="Tiny pictures, 32 × 32 pixels, of ten kinds of animals and vehicles: the test split.",
        author="Alex Krizhevsky, Vinod Nair, Geoffrey Hinton",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        megabytes=170,
        room=400,
        count=10_000,
        classes=10,
        archives=(
            Archive("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
        ),
        open=torchvision_sets.cifar10,
    ),
    Dataset(
        name="food101",
        title="Food-101",
        summary="Photographs of 101 kinds of dishes, taken by diners: the test split.",
        author="Bossard, Guillaumin, Van Gool; the photographers of Foodspotting",
        licence="Foodspotting's terms: scientific fair use only",
        licence_url="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        source="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        megabytes=4996,
        room=10_500,
        count=25_250,
        classes=101,
        archives=(Archive("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87"),),
        open=torchvision_sets.food101,
    ),
    Dataset(
        name="flowers102",
        title="Oxford 102 Flowers",
        summary="Flowers of 102 kinds that are common in Britain: the test split.",
        author="Maria-Elena Nilsback, Andrew Zisserman",
        source=f"{_VGG}/flowers/102/",
        megabytes=345,
        room=750,
        count=6149,
        classes=102,
        archives=(
            Archive(f"{_VGG}/flowers/102/102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", "flowers-102"),
            Archive(f"{_VGG}/flowers/102/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", "flowers-102"),
            Archive(f"{_VGG}/flowers/102/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", "flowers-102"),
        ),
        open=torchvision_sets.flowers102,
    ),
)
for _row in _ROWS:
    DATASETS.add(_row.name, _row)
