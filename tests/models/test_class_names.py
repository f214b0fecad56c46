"""Whether a label is one of a model's classes: by ImageNet index, by name, by any synonym."""

from __future__ import annotations

import dataclasses

import pytest

from camlab.images import find_picture
from camlab.models import imagenet_classes, short_name
from camlab.models.class_names import labelled_classes

BISON = find_picture("photos/bison")
NAMES = ("tabby, tabby cat", "great_white shark", "Star", "crane", "crane")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("tabby", {0}),
        ("Tabby cat", {0}),
        ("tabby, tabby cat", {0}),
        ("great white  shark", {1}),
        ("star", {2}),
        ("starling", set()),
        ("crane", {3, 4}),
        ("tiger, crane", {3, 4}),
        ("", set()),
        (None, set()),
    ],
)
def test_names(label: str | None, expected: set[int]) -> None:
    picture = dataclasses.replace(BISON, label=label, label_index=None)
    assert labelled_classes(picture, NAMES) == expected


def test_the_imagenet_index_counts_for_imagenets_classes_alone() -> None:
    wrong = dataclasses.replace(BISON, label_index=1)
    assert labelled_classes(wrong, imagenet_classes()) == {1}
    assert labelled_classes(wrong, ("goldfish", "bison")) == {1}
    assert labelled_classes(wrong, ("bison", "goldfish")) == {0}
    assert labelled_classes(find_picture("shapes/0-0"), imagenet_classes()) == frozenset()


def test_short_name() -> None:
    assert short_name("tench, Tinca tinca") == "tench"
    assert short_name("bison") == "bison"
