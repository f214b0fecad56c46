"""Classes, outlines and reasons come from the paths alone, in any order and with any names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camlab.images.file_layout import account, arrange, is_hidden


def labels(*paths: str) -> dict[str, str | None]:
    return {entry.path: entry.label for entry in arrange(paths).entries}


def masks(*paths: str) -> dict[str, str | None]:
    return {entry.path: entry.mask for entry in arrange(paths).entries}


def test_a_folder_a_class() -> None:
    found = arrange(["dog/1.jpg", "cat/1.jpg", "cat/deeper/2.jpg"])
    assert [entry.path for entry in found.entries] == ["cat/1.jpg", "cat/deeper/2.jpg", "dog/1.jpg"]
    assert [entry.label for entry in found.entries] == ["cat", "cat", "dog"]
    assert found.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["pets/cat/1.jpg", "pets/dog/2.jpg"], ["cat", "dog"]),  # a folder that all have in common
        (["train/cat/1.jpg", "val/cat/2.jpg", "val/dog/3.jpg"], ["cat", "cat", "dog"]),
        (["Train/a/x/1.jpg", "Test/b/x/1.jpg"], ["b", "a"]),
        (["images/cat/1.jpg", "images/dog/2.jpg"], ["cat", "dog"]),
        (["cat/images/1.jpg", "dog/images/2.jpg"], ["cat", "dog"]),
        (["train/1.jpg", "test/2.jpg"], [None, None]),
        (["cat/1.jpg", "cat/2.jpg"], [None, None]),  # one class is none
        (["1.jpg", "cat/1.jpg", "dog/2.jpg"], [None, None, None]),  # not every picture lies in a folder
        (["1.jpg"], [None]),
        ([], []),
    ],
)
def test_when_folders_are_classes(paths: list[str], expected: list[str | None]) -> None:
    assert [entry.label for entry in arrange(paths).entries] == expected


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("a.jpg", "a.mask.png"),
        ("a.jpg", "a_mask.png"),
        ("a.png", "a_MASK.PNG"),
        ("cat/a.b.tif", "cat/a.b_mask.png"),
        ("a.jpg", "masks/a.png"),
        ("a.jpg", "masks/a_mask.png"),
        ("a.jpg", "Masks/a.jpg"),
        ("cat/a.jpg", "cat/masks/a.png"),
        ("cat/a.jpg", "masks/cat/a.png"),
        ("images/a.jpg", "masks/a.png"),
        ("images/cat/a.jpg", "masks/cat/a.png"),
        ("set/images/a.jpg", "set/masks/a.png"),
    ],
)
def test_outlines(picture: str, mask: str) -> None:
    assert masks(mask, picture) == {picture: mask}
    # Another picture's outline is not this one's.
    assert masks(mask, picture.replace("a", "z")).get(picture.replace("a", "z")) is None


def test_what_only_looks_like_an_outline() -> None:
    assert masks("b_mask.png") == {"b_mask.png": None}  # beside no picture b
    assert masks("b.jpg", "b_mask.jpg") == {"b.jpg": None, "b_mask.jpg": None}  # lossy
    assert masks("b.jpg", "other/b_mask.png") == {"b.jpg": None, "other/b_mask.png": None}
    # A class of people who wear masks.
    assert labels("masks/a.jpg", "bare/b.jpg") == {"masks/a.jpg": "masks", "bare/b.jpg": "bare"}


def test_outlines_without_a_picture_are_told() -> None:
    found = arrange(["a.jpg", "masks/a.png", "masks/b.png"])
    assert [entry.path for entry in found.entries] == ["a.jpg"]
    assert found.orphans == ("masks/b.png",)


PARTS = st.sampled_from(["a", "b", "images", "masks", "train", "val", "a_mask", "Masks"])
PATHS = st.builds(
    lambda folders, stem, end: "/".join([*folders, stem + end]),
    st.lists(PARTS, max_size=3),
    PARTS,
    st.sampled_from([".png", ".jpg", ".mask.png", "_mask.png", ""]),
)


@given(st.lists(PATHS, max_size=12), st.randoms())
def test_every_path_has_one_place(paths: list[str], random: object) -> None:
    found = arrange(paths)
    pictures = [entry.path for entry in found.entries]
    outlines = {entry.mask for entry in found.entries if entry.mask}
    assert len(set(pictures)) == len(pictures)
    assert not outlines & set(pictures)
    assert not set(found.orphans) & (outlines | set(pictures))
    assert set(pictures) | outlines | set(found.orphans) <= set(paths)
    assert len({entry.label is None for entry in found.entries}) <= 1  # all of them, or none
    shuffled = list(paths)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert arrange(shuffled) == found


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("__MACOSX/cat/._a.jpg", True),
        (".git/a.jpg", True),
        ("a/.DS_Store", True),
        ("a/Thumbs.db", True),
        ("a.b/c.jpg", False),
        ("macosx/a.jpg", False),
    ],
)
def test_what_systems_keep_for_themselves(path: str, hidden: bool) -> None:
    assert is_hidden(path) is hidden


def test_the_account() -> None:
    assert account(1, {}) == "1 picture."
    assert account(50_000, {}, 1000) == "50,000 pictures in 1,000 classes."
    assert account(37, {"damaged": 1, "link": 2, "other": 0}) == (
        "37 pictures; skipped: 2 links, 1 damaged or unusable picture."
    )
