"""Whether a prediction is right: a picture's label among a model's classes, by ImageNet index or by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from camlab.images.picture import Picture
from camlab.models.registry import imagenet_classes


def labelled_classes(picture: Picture, class_names: Sequence[str]) -> frozenset[int]:
    """The indices of the classes that the picture's label names; empty where it has none or the model does not know it.

    The ImageNet index decides where the picture has one and the classes are ImageNet's. Otherwise names are compared,
    synonym by synonym, whatever their case and with ``_`` as a space; ImageNet has two cranes, and both count.
    """
    names = tuple(class_names)
    if picture.label_index is not None and names == _imagenet():
        return frozenset({picture.label_index})
    if not picture.label:
        return frozenset()
    known = _by_name(names)
    exact = known.get(_folded(picture.label))
    if exact is not None:
        return exact
    return frozenset[int]().union(*(known.get(_folded(word), ()) for word in picture.label.split(",")))


@lru_cache(maxsize=1)
def _imagenet() -> tuple[str, ...]:
    return imagenet_classes()


@lru_cache(maxsize=16)
def _by_name(class_names: tuple[str, ...]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for index, name in enumerate(class_names):
        for word in {name, *name.split(",")}:
            found.setdefault(_folded(word), set()).add(index)
    return {word: frozenset(indices) for word, indices in found.items()}


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
