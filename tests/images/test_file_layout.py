"""Classes, outlines and reasons come from the paths alone, in any order and with any names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
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
        (["1.jpg", "cat/1.jpg", "dog/2.jpg"], [None, "cat", "dog"]),  # one loose picture decides nothing
        (["1.jpg", "2.jpg", "3.jpg", "new/1.jpg", "old/2.jpg"], [None] * 5),  # most are loose
        (["a.jpg", "pets/cat/1.jpg", "pets/dog/2.jpg"], [None, "cat", "dog"]),
        (["dev/cat/1.jpg", "dev/dog/2.jpg", "train/cat/3.jpg", "train/dog/4.jpg"], ["cat", "dog"] * 2),
        (["fold1/a/1.jpg", "fold1/b/2.jpg", "fold2/a/3.jpg", "fold2/b/4.jpg"], ["a", "b"] * 2),
        (["fold_1/1.jpg", "fold_2/2.jpg"], [None, None]),
        (["test/1.jpg", "test/2.jpg", "test/3.jpg", "train/a/1.jpg", "train/b/2.jpg"], [None] * 3 + ["a", "b"]),
        (["train2017/a/1.jpg", "train2017/b/2.jpg", "val2017/a/3.jpg"], ["a", "b", "a"]),
        (["cv1/train/a/1.jpg", "cv1/val/b/2.jpg", "cv2/train/a/3.jpg", "cv2/val/b/4.jpg"], ["a", "b"] * 2),
        (["part1/a/1.jpg", "part1/b/2.jpg", "part2/a/3.jpg", "part2/b/4.jpg"], ["a", "b"] * 2),
        (["part1/1.jpg", "part2/2.jpg"], ["part1", "part2"]),  # nothing but the name speaks for splits
        (["extra/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg"], ["a", "a", "b"]),
        (["docs/1.jpg", "test/a/2.jpg", "test/b/3.jpg", "train/a/4.jpg"], [None, "a", "b", "a"]),
        (["bus/1.jpg", "train/2.jpg"], ["bus", "train"]),  # a railway
        (["bus/front/1.jpg", "train/front/2.jpg"], ["bus", "train"]),
        (["cat/test/1.jpg", "cat/train/2.jpg", "dog/test/3.jpg"], ["cat", "cat", "dog"]),
        (["x/a/1.jpg", "x/b/2.jpg", "y/a/3.jpg", "y/b/4.jpg"], ["x", "x", "y", "y"]),  # said to be in doubt
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
    assert set(found.labels) == {entry.label for entry in found.entries} - {None}
    lost = sum(entry.label is None for entry in found.entries)
    assert not lost or not found.labels or any(note.startswith(f"{lost} picture") for note in found.notes)
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


@pytest.mark.parametrize(
    ("paths", "notes"),
    [
        (["cat/1.jpg", "dog/2.jpg"], ()),
        (["cat/1.jpg", "cat/test/1.jpg", "cat/train/2.jpg", "dog/test/3.jpg", "dog/train/4.jpg"], ()),
        (
            ["train/a/1.jpg", "dev/b/2.jpg"],
            ("the folders “dev” and “train” are read as splits of the set, not as classes",),
        ),
        (["1.jpg", "a/1.jpg", "b/2.jpg"], ("1 picture outside the folders of the classes has no class",)),
        (
            ["1.jpg", "2.jpg", "3.jpg", "a/1.jpg", "b/2.jpg"],
            ("the folders “a” and “b” are not read as classes, as most pictures lie outside them",),
        ),
        (
            ["test/1.jpg", "test/2.jpg", "train/a/1.jpg", "train/b/2.jpg"],
            (
                "the folders “test” and “train” are read as splits of the set, not as classes",
                "2 pictures outside the folders of the classes have no class",
            ),
        ),
        (
            [f"{site}/{kind}/1.jpg" for site in "xyz" for kind in "ab"],
            (
                "the folders “x”, “y” and “z” are read as classes; each holds “a” and “b”, so if these are the "
                "classes, open one of them",
            ),
        ),
        (
            [f"part{number}/1.jpg" for number in range(6)],
            (
                "the folders “part0”, “part1”, “part2”, “part3” … are read as classes; if they are parts of one set, "
                "put their pictures into one folder",
            ),
        ),
    ],
)
def test_how_folders_were_read_is_said(paths: list[str], notes: tuple[str, ...]) -> None:
    assert arrange(paths).notes == notes


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(["ant", "bee", "cat", "dog"]), min_size=2, max_size=4, unique=True),
    st.sampled_from(
        [("train", "dev"), ("Train", "Val", "Test"), ("train_set", "test_set"), ("fold1", "fold2", "fold3"),
         ("fold-01", "fold-02"), ("part1", "part2"), ("training", "validation"), ("train", "holdout"), ("cv1", "cv2")]
    ),
)  # fmt: skip
def test_splits_never_become_classes_and_classes_never_splits(classes: list[str], splits: tuple[str, ...]) -> None:
    outer = [f"{split}/{name}/1.jpg" for split in splits for name in classes]
    assert {entry.label for entry in arrange(outer).entries} == set(classes)
    inner = [f"{name}/{split}/1.jpg" for split in splits for name in classes]
    assert {entry.label for entry in arrange(inner).entries} == set(classes)


def test_the_account() -> None:
    assert account(3, {"other": 1}, 2, ["1 picture has no class"] * 2) == (
        "3 pictures in 2 classes; 1 picture has no class; skipped: 1 file that is not a picture."
    )
    assert account(1, {}) == "1 picture."
    assert account(50_000, {}, 1000) == "50,000 pictures in 1,000 classes."
    assert account(37, {"damaged": 1, "link": 2, "other": 0}) == (
        "37 pictures; skipped: 2 links, 1 damaged or unusable picture."
    )
