"""Folders are listed by name, inside the allowed ones only; what is wrong with a file is said when it is read."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camlab.common.errors import BadImage, BadSetting, BadSource, Cancelled, UnknownName
from camlab.images import find_picture, folders, picture_from_path
from camlab.images.folders import ROOTS_VARIABLE, allowed_roots, open_folder
from camlab.images.picture import ImageSet
from tests.material import array, encoded, outline, png


def write(root: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.png").write_bytes(data)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    write(root, cat__a=png(1), cat__b=png(2), dog__c=png(3), dog__masks__c=encoded(outline()))
    (root / "dog" / "notes.txt").write_text("hello")
    (root / ".hidden.png").write_bytes(png(4))
    return root


def opened(path: Path) -> ImageSet:
    return open_folder(path, [path])


# what is listed


def test_a_folder_a_class(pets: Path) -> None:
    found = opened(pets)
    assert (found.name, found.title) == ("folder", "pets")
    assert found.summary == ("3 pictures in 2 classes; skipped: 1 file that is not a picture, 1 hidden or system file.")
    assert found.labels == ("cat", "dog")
    assert found.skipped == {"other": 1, "hidden": 1}
    assert [(p.title, p.label, p.label_index) for p in found.pictures] == [
        ("a", "cat", None),
        ("b", "cat", None),
        ("c", "dog", None),
    ]
    a, _, c = found.pictures
    assert np.array_equal(np.asarray(a.load()), array(1))
    assert a.digest == picture_from_path(pets / "cat" / "a.png").digest
    assert a.mask() is None
    mask = c.mask()
    assert mask is not None
    assert np.array_equal(mask, outline() > 0)
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(c)).load()), array(3))
    assert str(pets) not in repr(a)


def test_nothing_is_read_until_it_is_asked_for(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    stat = Path.stat

    def counted(self: Path, **options: bool) -> os.stat_result:
        looked.append(self.name)
        return stat(self, **options)

    found = opened(pets)
    monkeypatch.setattr(Path, "stat", counted)
    monkeypatch.setattr(folders, "read_bytes", lambda _: pytest.fail("read"))
    assert len(found.pictures) == 3
    assert looked == []
    assert found.pictures[1].title == "b"
    assert looked == ["b.png"]
    assert found.pictures[1] is found.pictures[-2]  # kept, and with it its digest
    assert looked == ["b.png"]


def test_ids_stand_for_path_size_and_time(pets: Path, tmp_path: Path) -> None:
    before = [picture.id for picture in opened(pets).pictures]
    assert len(set(before)) == 3
    assert all(each.startswith("folder/") and len(each) == 19 for each in before)
    moved = pets.rename(tmp_path / "moved")
    assert [picture.id for picture in opened(moved).pictures] == before
    os.utime(moved / "cat" / "a.png", ns=(0, 12345))
    after = [picture.id for picture in opened(moved).pictures]
    assert after[1:] == before[1:]
    assert after[0] != before[0]


def test_pictures_are_found_by_id(pets: Path) -> None:
    found = opened(pets)
    b = found.pictures[1]
    assert found.find(b.id) == b
    assert find_picture(b.id, [found]) == b
    assert found.find("folder/000000000000") is None
    with pytest.raises(UnknownName, match="not kept"):
        find_picture(b.id)


# what changes afterwards


def test_files_that_go_or_change_are_told_when_read(pets: Path) -> None:
    found = opened(pets)
    a, b, c = found.pictures
    (pets / "cat" / "a.png").write_bytes(png(5, 20, 20))
    (pets / "cat" / "b.png").unlink()
    (pets / "dog" / "masks" / "c.png").write_bytes(encoded(outline(15, 12)))
    with pytest.raises(BadImage, match=r"“a.png” has changed .*\.$"):
        a.load()
    with pytest.raises(BadImage, match=r"no file “b.png”"):
        b.load()
    with pytest.raises(BadImage, match=r"15×12 .* 16×12"):
        c.mask()
    gone = opened(pets)
    (pets / "cat" / "a.png").unlink()
    with pytest.raises(BadImage, match="no file"):
        gone.pictures[0].load()  # it was listed, but had gone before it was looked at


def test_what_is_called_a_picture_and_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"hello")
    picture = opened(tmp_path).pictures[0]
    with pytest.raises(BadImage, match="text"):
        picture.load()


# where it may look


def test_links_inside_and_outside(pets: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, secret=png(7))
    (pets / "cat" / "out.png").symlink_to(outside / "secret.png")
    (pets / "bird").symlink_to(outside)
    (pets / "dangling.png").symlink_to(pets / "nothing.png")
    (pets / "cat" / "loop").symlink_to(pets)
    (pets / "dog" / "in.png").symlink_to(pets / "cat" / "a.png")
    found = opened(pets)
    assert [picture.title for picture in found.pictures] == ["a", "b", "c", "in"]
    assert found.skipped == {"other": 1, "hidden": 1, "outside": 2, "broken": 1, "circle": 1}
    assert "2 links that lead out of the folders that may be opened" in found.summary
    assert np.array_equal(np.asarray(found.pictures[3].load()), array(1))
    # With both allowed, both are listed.
    both = open_folder(pets, [pets, outside])
    assert [picture.title for picture in both.pictures] == ["secret", "a", "b", "out", "c", "in"]


def test_without_limits_links_are_followed_wherever_they_lead_and_never_in_circles(pets: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, a=png(7), deep__b=png(8))
    (pets / "bird").symlink_to(outside)
    (pets / "cat" / "c.png").symlink_to(outside / "a.png")
    (pets / "cat" / "loop").symlink_to(pets)
    (pets / "cat" / "above").symlink_to(tmp_path)  # it holds the folder itself and much else
    (outside / "deep" / "up").symlink_to(outside)
    (pets / "gone").symlink_to(tmp_path / "nothing")
    found = open_folder(pets, confined=False)
    assert [(picture.title, picture.label) for picture in found.pictures] == [
        *(("a", "bird"), ("b", "bird")),
        *(("a", "cat"), ("b", "cat"), ("c", "cat"), ("c", "dog")),
    ]
    assert found.skipped == {"other": 1, "hidden": 1, "circle": 3, "broken": 1}
    assert np.array_equal(np.asarray(found.pictures[0].load()), array(7))
    assert np.array_equal(np.asarray(found.pictures[4].load()), array(7))
    for wrong in (tmp_path / "none", "a\0b", pets / "cat" / "a.png"):
        with pytest.raises(BadSource, match="There is no folder"):
            open_folder(wrong, confined=False)


@pytest.mark.parametrize("reverse", [False, True])
def test_links_never_decide_what_a_picture_is_called(
    pets: Path, monkeypatch: pytest.MonkeyPatch, reverse: bool
) -> None:
    before = opened(pets)
    for name in ("ant", "bee", "zebra"):
        (pets / name).symlink_to(pets / "cat")
    scandir = os.scandir

    @contextlib.contextmanager
    def ordered(place: str) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(place) as entries:
            yield sorted(entries, key=lambda entry: entry.name, reverse=reverse)

    monkeypatch.setattr(os, "scandir", ordered)
    after = opened(pets)
    assert list(after.pictures) == list(before.pictures)
    assert after.labels == ("cat", "dog")
    assert after.skipped["circle"] == 3


def test_a_folder_that_becomes_a_link_is_not_followed(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "outside", secret=png(7))
    sort = folders._sort

    def swapped(entry: os.DirEntry[str], *rest: Any) -> str:
        reason = sort(entry, *rest)
        if entry.name == "cat":  # after it was seen to be a folder, before it is listed
            (pets / "cat").rename(tmp_path / "cat")
            (pets / "cat").symlink_to(tmp_path / "outside")
        return reason

    monkeypatch.setattr(folders, "_sort", swapped)
    found = opened(pets)
    assert [picture.title for picture in found.pictures] == ["c"]
    assert found.skipped["outside"] == 1


def test_a_file_that_becomes_a_link_is_not_followed(pets: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside", secret=png(1))
    a = opened(pets).pictures[0]
    (pets / "cat" / "a.png").unlink()
    (pets / "cat" / "a.png").symlink_to(tmp_path / "outside" / "secret.png")
    with pytest.raises(BadImage, match="leads outside"):
        a.load()
    assert np.array_equal(np.asarray(opened(pets).pictures[0].load()), array(2))


def test_a_pipe_is_not_opened(pets: Path) -> None:
    os.mkfifo(pets / "cat" / "pipe.png")
    found = opened(pets)
    assert found.skipped["special"] == 1
    assert len(found.pictures) == 3


@pytest.mark.parametrize("named", ["..", "../outside", "/etc", "/", "link", "pets/../../outside", "a\0b"])
def test_no_folder_outside_is_opened(pets: Path, tmp_path: Path, named: str) -> None:
    write(tmp_path / "outside", secret=png(7))
    (pets / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(BadSource, match=r"outside the folders that may be opened.*\.$"):
        open_folder(named, [pets])
    with pytest.raises(BadSource, match="outside the folders"):
        open_folder(f"{pets}-more", [pets])


def test_the_refusal_does_not_tell_what_exists(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    messages = []
    for parent in ("x", "y"):
        with pytest.raises(BadSource) as caught:
            open_folder(tmp_path / parent / "z", [pets])
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_relative_paths_are_below_the_roots(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(open_folder("cat", [tmp_path / "empty", pets]).pictures) == 2
    assert len(open_folder("", [pets]).pictures) == 3
    with pytest.raises(BadSource, match="no folder “bird”"):
        open_folder("bird", [pets])
    with pytest.raises(BadSource, match=r"no folder “a\.png”"):
        open_folder("cat/a.png", [pets])


def test_roots_come_from_the_operator(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOTS_VARIABLE, raising=False)
    assert allowed_roots() == ()
    with pytest.raises(BadSource, match=rf"the operator of CAM Lab .*{ROOTS_VARIABLE}"):
        open_folder(pets)
    monkeypatch.setenv(ROOTS_VARIABLE, f"{pets}{os.pathsep} {tmp_path} {os.pathsep}{pets}{os.pathsep}")
    assert allowed_roots() == (pets.resolve(), tmp_path.resolve())
    assert len(open_folder(pets / "cat").pictures) == 2
    for wrong in ("pets", str(pets / "nothing"), str(pets / "cat" / "a.png")):
        monkeypatch.setenv(ROOTS_VARIABLE, wrong)
        with pytest.raises(BadSetting, match="not an absolute path of a folder"):
            allowed_roots()


# what ends the listing


def test_folders_that_cannot_be_used(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello")
    with pytest.raises(BadSource, match=r"holds no pictures \(0 pictures; skipped: 1 file that is not a picture\)"):
        opened(tmp_path / "notes")
    scandir = os.scandir

    def refused(place: str) -> Iterator[os.DirEntry[str]]:
        if place.endswith("dog"):
            raise PermissionError
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refused)
    found = opened(pets)
    assert [picture.title for picture in found.pictures] == ["a", "b"]
    assert found.skipped["unreadable"] == 1
    with pytest.raises(BadSource, match="cannot be listed"):
        opened(pets / "dog")


def test_a_listing_has_an_end(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 4)
    with pytest.raises(BadSource, match="over 4 files"):
        opened(pets)


def test_a_listing_can_be_stopped(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_CHECK_EVERY", 2)

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        open_folder(pets, [pets], check=stop)


def test_fifty_thousand_files_are_listed_without_reading_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("camlab.images.folders.read_bytes", refuse)
    for folder in range(50):
        (tmp_path / f"{folder:02d}").mkdir()
        for i in range(1000):
            os.close(os.open(tmp_path / f"{folder:02d}" / f"{i:05d}.png", os.O_CREAT))
    found = opened(tmp_path)
    assert [picture.title for picture in found.pictures[49_998:]] == ["00998", "00999"]
    assert (len(found.pictures), len(found.labels)) == (50_000, 50)
    assert [picture.title for picture in found.pictures[1000:1003]] == ["00000", "00001", "00002"]
    last = found.pictures.fresh(49_999)  # type: ignore[attr-defined]
    assert found.find(last.id) == last
    with pytest.raises(AssertionError, match="was read"):  # only whoever looks at a picture reads it
        last.load()
