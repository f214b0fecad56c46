"""Folders and archives of pictures, as people have them: classes, splits, links, and what is said about the rest."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from camlab.cli.main import main
from camlab.images.folders import open_folder
from camlab.images.loading import read_upload, take_folder, upload_set
from camlab.images.picture import ImageSet
from tests.brought.case import BroughtCase
from tests.material import png

Labels = Mapping[str, str | None]


def fill(folder: Path, paths: Iterable[str]) -> Path:
    """A folder with one small picture at each path, no two alike."""
    for number, path in enumerate(paths):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number, 16, 12))
    return folder


def zipped(paths: Iterable[str]) -> ImageSet:
    """The same pictures as an upload of one ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, path in enumerate(paths):
            archive.writestr(path, png(number, 16, 12))
    return upload_set(read_upload([("pictures.zip", stream.getvalue())]))


def labels(found: ImageSet) -> list[str | None]:
    return [picture.label for picture in found.pictures]


def reads(expected: Labels, *words: str) -> Callable[[Path], None]:
    """A check that a folder and a ZIP archive with these paths have these classes, and say these words."""

    def check(folder: Path) -> None:
        paths = sorted(expected)
        for found in (open_folder(fill(folder, paths), confined=False), zipped(paths)):
            assert labels(found) == [expected[path] for path in paths]
            assert all(word in found.summary for word in words), found.summary

    return check


def links_on_the_command_line(folder: Path) -> None:
    away = fill(folder / "away", ["cat/1.png", "2.png"])
    here = fill(folder / "here", ["dog/3.png"])
    (here / "cat").symlink_to(away / "cat")
    (here / "dog" / "4.png").symlink_to(away / "2.png")
    found = open_folder(here, confined=False)
    assert labels(found) == ["cat", "dog", "dog"]
    assert found.summary == "3 pictures in 2 classes."
    assert found.pictures[2].digest == open_folder(away, confined=False).pictures[0].digest


def links_on_the_page(folder: Path) -> None:
    away = fill(folder / "away", ["cat/1.png", "2.png"])
    here = fill(folder / "here", ["dog/3.png"])
    (here / "cat").symlink_to(away / "cat")
    (here / "dog" / "4.png").symlink_to(away / "2.png")
    found = open_folder(here, [here])
    assert labels(found) == [None]  # a single folder is no class
    assert found.summary == "1 picture; skipped: 2 links that lead out of the folders that may be opened."


def circles(folder: Path) -> None:
    here = fill(folder / "here", ["cat/1.png", "dog/2.png"])
    (here / "dog" / "again").symlink_to(here)
    (here / "dog" / "above").symlink_to(folder)
    (here / "dog" / "gone.png").symlink_to(folder / "nothing.png")
    assert open_folder(here, confined=False).summary == (
        "2 pictures in 2 classes; skipped: 2 links to folders that are listed already, 1 link that leads nowhere."
    )


SPLITS = "are read as splits of the set, not as classes"

CASES = (
    BroughtCase(
        "`train` and `dev`, each with the folders of the classes",
        "`train` and `dev` are splits; the folders in them are the classes.",
        reads({f"{split}/{name}/1.png": name for split in ("dev", "train") for name in ("cat", "dog")}, SPLITS),
    ),
    BroughtCase(
        "`train`, `val` and a `test` whose pictures lie in no class",
        "The classes come from `train` and `val`; the number of pictures without a class is said.",
        reads(
            {"test/1.png": None, "test/2.png": None, "train/a/1.png": "a", "train/b/1.png": "b", "val/b/2.png": "b"},
            SPLITS,
            "2 pictures outside the folders of the classes have no class",
        ),
    ),
    BroughtCase(
        "`fold1`, `fold2` …, each with the folders of the classes",
        "The folds are splits.",
        reads({f"fold{fold}/{name}/1.png": name for fold in range(1, 6) for name in ("cat", "dog")}, SPLITS),
    ),
    BroughtCase(
        "`part1` and `part2` with the same folders in each",
        "The parts are splits, because each holds the same folders.",
        reads({f"part{part}/{name}/1.png": name for part in (1, 2) for name in ("cat", "dog")}, SPLITS),
    ),
    BroughtCase(
        "`part1` and `part2` with pictures only",
        "They are read as classes, and the doubt is said.",
        reads({"part1/1.png": "part1", "part2/1.png": "part2"}, "if they are parts of one set"),
    ),
    BroughtCase(
        "Folders of other names with the same folders in each",
        "The outer folders are read as classes, and the doubt is said.",
        reads(
            {f"{place}/{kind}/1.png": place for place in ("city", "wood") for kind in ("day", "night")},
            "each holds “day” and “night”, so if these are the classes, open one of them",
        ),
    ),
    BroughtCase(
        "Classes that hold `train` and `test`",
        "The outer folders are the classes.",
        reads({f"{name}/{split}/1.png": name for name in ("cat", "dog") for split in ("test", "train")}),
    ),
    BroughtCase(
        "A class called `train` beside `bus`",
        "Both are classes: nothing but the name speaks for a split.",
        reads({"bus/1.png": "bus", "train/1.png": "train"}),
    ),
    BroughtCase(
        "One loose picture beside the folders of the classes",
        "The classes stay; the picture has none, and this is said.",
        reads(
            {"a.png": None, "cat/1.png": "cat", "dog/1.png": "dog"},
            "1 picture outside the folders of the classes has no class",
        ),
    ),
    BroughtCase(
        "Many loose pictures beside two folders",
        "The folders are no classes, and this is said.",
        reads(
            {"a.png": None, "b.png": None, "c.png": None, "new/1.png": None, "old/1.png": None},
            "the folders “new” and “old” are not read as classes, as most pictures lie outside them",
        ),
    ),
    BroughtCase(
        "Links that lead out of the folder, on the command line",
        "They are followed, as you may read what they lead to.",
        links_on_the_command_line,
    ),
    BroughtCase(
        "Links that lead out of the allowed folders, on the page",
        "They are left out, counted and said.",
        links_on_the_page,
    ),
    BroughtCase(
        "Links to a folder above, in a circle, or to nothing",
        "They are left out, counted and said.",
        circles,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_a_folder_that_people_bring(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_the_page_and_the_command_line_say_how_a_folder_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "set", ["train/cat/1.png", "train/dog/2.png", "dev/cat/3.png", "dev/dog/4.png", "5.png"])
    summary = (
        "5 pictures in 2 classes; the folders “dev” and “train” are read as splits of the set, not as classes; "
        "1 picture outside the folders of the classes has no class."
    )
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path))
    intake = take_folder("set")
    assert intake.wait(60) and intake.image_set is not None and intake.image_set.summary == summary
    assert main(["list", "images", "--set", str(tmp_path / "set"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [each["label"] for each in json.loads(out)] == [None, "cat", "dog", "cat", "dog"]
    assert err == f"note: {summary}\n"
