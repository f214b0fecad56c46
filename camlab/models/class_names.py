"""A model's class names, and the match between a picture's label and its classes."""

from collections.abc import Sequence
from functools import lru_cache

from camlab.images.picture import Picture


@lru_cache(maxsize=4)
def imagenet_classes(subset: str = "imagenet-1k") -> tuple[str, ...]:
    """Return the class names of ImageNet or a larger subset of timm, in order, with synonyms ("tabby, tabby cat")."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo(subset).label_descriptions())


def class_names_for(count: int) -> tuple[str, ...]:
    """Return names for ``count`` classes: those of timm's ImageNet subset of that size, else as ``numbered`` does."""
    from timm.data.imagenet_info import infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    return imagenet_classes(subset) if subset else numbered(count)


def numbered(count: int) -> tuple[str, ...]:
    """Return names for classes that have none: "class 0" to "class count - 1"."""
    return tuple(f"class {index}" for index in range(count))


def short_name(class_name: str) -> str:
    """Return a class name without its synonyms: the part before the first comma."""
    return class_name.split(",", 1)[0].strip()


def labelled_classes(picture: Picture, class_names: Sequence[str]) -> frozenset[int]:
    """Return the indices of the classes that the picture's label names; empty if it has none or none fits.

    The ImageNet index decides when the picture has one and the classes are ImageNet's. Otherwise names are compared
    synonym by synonym, ignoring case and with ``_`` as a space; ImageNet has two cranes, and both count.
    """
    names = tuple(class_names)
    if picture.label_index is not None and names == imagenet_classes():
        return frozenset({picture.label_index})
    if not picture.label:
        return frozenset()
    known = _indices_by_name(names)
    exact = known.get(_folded(picture.label))
    if exact is not None:
        return exact
    return frozenset[int]().union(*(known.get(_folded(word), ()) for word in picture.label.split(",")))


@lru_cache(maxsize=16)
def _indices_by_name(class_names: tuple[str, ...]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for index, name in enumerate(class_names):
        for word in {name, *name.split(",")}:
            found.setdefault(_folded(word), set()).add(index)
    return {word: frozenset(indices) for word, indices in found.items()}


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
