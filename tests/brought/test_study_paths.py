"""Studies of folders: resumed from other directories, moved, copied, and named like a built-in set."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camlab.cli.lookup import picture_named
from camlab.cli.main import BAD_INPUT, main
from camlab.cli.study import add_arguments, plan_of
from camlab.common.errors import BadImage, BadSetting, BadSource, BadStudy
from camlab.images.folders import ROOTS_VARIABLE
from camlab.study import StudyPlan, create, run_study
from camlab.study.prepare import Prepared, point_study_to, prepare, read_prepared
from camlab.study.sources import picture_of
from camlab.study.store.files import read_json, write_json
from camlab.study.store.study import MANIFEST
from tests.brought.case import BroughtCase
from tests.study.conftest import threads as threads

PLAN = StudyPlan(
    models=("shapes_vgg",), image_sets=("pics",), methods=("gradcam",), noises=("contrast",), severities=(2.0,)
)


def write(folder: Path, *colours: int) -> Path:
    """A folder of one-coloured pictures, named by their colours."""
    folder.mkdir(parents=True, exist_ok=True)
    for colour in colours:
        Image.new("RGB", (16, 12), (colour, 0, 0)).save(folder / f"{colour}.png")
    return folder


def reds(ready: Prepared) -> list[int]:
    """The red of each unit's picture, ascending."""
    loaded = [picture_of(ready.sets[unit.image_set], unit).load() for unit in ready.units]
    return sorted(int(np.asarray(image)[0, 0, 0]) for image in loaded)


def begun(home: Path, plan: StudyPlan = PLAN) -> tuple[Path, Prepared]:
    """A prepared study in ``home/s`` of the pictures in ``home/pics``, planned in ``home`` with a relative path."""
    write(home / "pics", 40, 90, 200)
    here = Path.cwd()
    os.chdir(home)
    try:
        create(plan, home / "s", device="cpu")
        return home / "s", prepare(home / "s")
    finally:
        os.chdir(here)


def resumed_from_elsewhere(home: Path) -> None:
    study, first = begun(home)
    again = prepare(study)  # the working directory is another one
    assert (again.plan, again.units) == (first.plan, first.units)
    assert reds(read_prepared(study)) == [40, 90, 200]
    assert first.plan.image_sets == (str((home / "pics").resolve()),)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr("camlab.study.run.run._clear_wish", lambda _: (_ for _ in ()).throw(KeyError))  # no need to run
        with pytest.raises(KeyError):  # the plan as it was first written is the study's
            run_study(PLAN, study, resume=True)


def moved_together(home: Path) -> None:
    begun(home / "old")
    (home / "old").rename(home / "new")
    assert reds(prepare(home / "new" / "s")) == [40, 90, 200]
    assert reds(read_prepared(home / "new" / "s")) == [40, 90, 200]  # as a worker does


def copied_with_new_times(home: Path) -> None:
    _, first = begun(home / "old")
    shutil.copytree(home / "old", home / "new", copy_function=shutil.copyfile)
    for path in (home / "new" / "pics").iterdir():
        os.utime(path, (1, 1))
    shutil.rmtree(home / "old")
    found = prepare(home / "new" / "s")
    assert reds(found) == [40, 90, 200]
    assert [unit.image for unit in found.units] == [unit.image for unit in first.units]  # the rows keep their ids


def another_folder_in_its_place(home: Path) -> None:
    begun(home / "old")
    (home / "old").rename(home / "new")
    write(home / "old" / "pics", 1, 2, 3)  # other pictures where the plan's were
    assert reds(prepare(home / "new" / "s")) == [40, 90, 200]


def pointed_to(home: Path) -> None:
    study, first = begun(home)
    (home / "pics").rename(home / "elsewhere")
    given = first.plan.image_sets[0]
    with pytest.raises(BadStudy, match=r"neither in .*pics nor .* --moved .*pics FOLDER`\.$"):
        prepare(study)
    write(home / "wrong", 1, 2)
    with pytest.raises(BadStudy, match="holds none of the study's pictures"):
        point_study_to(study, given, str(home / "wrong"))
    with pytest.raises(BadStudy, match=r"no pictures in “nowhere”; the folders of its plan are: “.*pics”"):
        point_study_to(study, "nowhere", str(home / "elsewhere"))
    point_study_to(study, given, str(home / "elsewhere"))
    assert reds(prepare(study)) == [40, 90, 200]
    assert list(prepare(study).sets) == ["folder/pics"]  # the label of the rows that are there already


def planned_long_ago(home: Path) -> None:
    study, _ = begun(home)
    manifest = read_json(study / MANIFEST)
    assert manifest is not None
    del manifest["folders"]
    manifest["settings"]["image_sets"] = ["pics"]
    manifest["image_sets"]["folder/pics"] |= {"given": "pics"}
    del manifest["image_sets"]["folder/pics"]["files"]
    write_json(study / MANIFEST, manifest)
    assert reds(prepare(study)) == [40, 90, 200]


def damaged_manifest(home: Path) -> None:
    study, _ = begun(home)
    whole = read_json(study / MANIFEST)
    assert whole is not None
    label = "folder/pics"
    for sets in ([1], {label: 3}, {label: {**whole["image_sets"][label], "pictures": 3}}, {label: {"given": "x"}}):
        write_json(study / MANIFEST, whole | {"image_sets": sets})
        with pytest.raises(BadStudy, match="cannot be read"):
            prepare(study)


def changed_picture(home: Path) -> None:
    study, _ = begun(home)
    write(home / "pics", 90)
    Image.new("RGB", (16, 12), (91, 0, 0)).save(home / "pics" / "90.png")
    ready = prepare(study)
    with pytest.raises(BadImage, match="removed or changed after the study was planned"):
        reds(ready)


CASES = (
    BroughtCase(
        "A study of a folder, resumed from another directory",
        "The plan holds the folder's full path, so its pictures are found.",
        resumed_from_elsewhere,
    ),
    BroughtCase(
        "A study that moved together with its pictures",
        "The folder is found by its path relative to the study.",
        moved_together,
    ),
    BroughtCase(
        "A copy of a study and its pictures whose files have new times",
        "The pictures are recognised by path and content, and keep their ids.",
        copied_with_new_times,
    ),
    BroughtCase(
        "A study that moved, with other pictures where the old ones were",
        "The folder with the study's pictures is taken, not the one at the old path.",
        another_folder_in_its_place,
    ),
    BroughtCase(
        "A study whose pictures are elsewhere",
        "One sentence says so; `study --resume --moved OLD NEW` names the new folder, which is checked.",
        pointed_to,
    ),
    BroughtCase(
        "A study that was planned with a relative path",
        "It opens as before, from any directory.",
        planned_long_ago,
    ),
    BroughtCase(
        "A manifest whose list of pictures is damaged",
        "One sentence says that it cannot be read.",
        damaged_manifest,
    ),
    BroughtCase(
        "A picture that changed after the study was planned",
        "It is left out and reported.",
        changed_picture,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_a_study_of_a_folder(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_a_page_s_study_finds_folders_only_where_they_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOTS_VARIABLE, str(tmp_path))
    _, first = begun(tmp_path / "old", replace(PLAN, confined=True, image_sets=("old/pics",)))
    assert first.plan.image_sets == (str((tmp_path / "old" / "pics").resolve()),)
    (tmp_path / "old").rename(tmp_path / "new")
    assert reds(prepare(tmp_path / "new" / "s")) == [40, 90, 200]
    (tmp_path / "allowed").mkdir()
    monkeypatch.setenv(ROOTS_VARIABLE, str(tmp_path / "allowed"))
    with pytest.raises(BadSource, match="outside the folders that may be opened"):
        prepare(tmp_path / "new" / "s")


# --- on the command line

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


TINY = [
    "study",
    "--model",
    "shapes_vgg",
    "--method",
    "gradcam",
    "--noise",
    "contrast",
    "--severity",
    "2",
    "--limit",
    "1",
]
TINY += ["--layer", "default", "--workers", "1", "--device", "cpu"]


def test_a_folder_named_like_a_built_in_set_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    write(tmp_path / "shapes", 40, 90, 200)
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*TINY, "--images", "shapes", "--out", "s")
    assert code == BAD_INPUT and err.count("\n") == 1
    assert "write ./shapes for the folder or set:shapes for the set" in err and not (tmp_path / "s").exists()
    code, out, err = run("list", "images", "--set", "./shapes", "--json")
    assert code == 0 and [each["title"] for each in json.loads(out)] == ["200", "40", "90"]
    assert "note: 3 pictures." in err
    assert run("list", "images", "--set", "shapes")[0] == BAD_INPUT
    plans = []
    for named in ("./shapes", "set:shapes"):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        plans.append(plan_of(parser.parse_args([*TINY[1:], "--images", named])).image_sets)
    assert plans == [(str((tmp_path / "shapes").resolve()),), ("shapes",)]


def test_a_file_named_like_a_built_in_picture_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "photos", 40)
    (tmp_path / "photos" / "40.png").rename(tmp_path / "photos" / "bison")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSetting, match=r"write \./photos/bison for the file or set:photos/bison for the picture"):
        picture_named("photos/bison")
    assert picture_named("./photos/bison").load().size == (16, 12)
    assert picture_named("set:photos/bison").id == "photos/bison"


def test_a_study_is_run_here_resumed_there_and_told_where_its_pictures_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, threads: None
) -> None:
    write(tmp_path / "home" / "pics", 40, 90, 200)
    (tmp_path / "home" / "pics" / "notes.txt").write_text("hello")
    monkeypatch.chdir(tmp_path / "home")
    code, out, err = run(*TINY, "--images", "pics", "--out", "s")
    assert code == 0 and "1 pairs of 1 picture" in out
    assert "note: folder/pics: 3 pictures; skipped: 1 file that is not a picture." in err
    monkeypatch.chdir(tmp_path)
    resume = ["study", "--resume", "--workers", "1"]
    assert run(*resume, "--out", "home/s")[0] == 0
    (tmp_path / "home" / "pics").rename(tmp_path / "away")
    code, _, err = run(*resume, "--out", "home/s")
    assert code == BAD_INPUT and err.strip().endswith("FOLDER`.") and "--moved" in err
    given = str((tmp_path / "home").resolve() / "pics")
    assert run(*resume, "--out", "home/s", "--moved", given, "away")[0] == 0
    assert run(*resume, "--out", "home/s")[0] == 0
    code, _, err = run("study", "--moved", "a", "b", "--out", "x")
    assert code == BAD_INPUT and "--moved goes with --resume" in err
