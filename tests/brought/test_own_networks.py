"""The user's own checkpoint wherever a model is chosen: studies and their workers, reports, and every page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import timm
import torch
from cachetools import LRUCache

from camlab.cli.main import BAD_INPUT, main
from camlab.common.errors import BadCheckpoint, BadStudy, UnknownName
from camlab.common.wording import megabytes
from camlab.drawing.charts.titles import model_title
from camlab.engine.shared import engine_for
from camlab.explore.state import ExploreState, to_json
from camlab.images import find_picture
from camlab.lessons import LESSONS, LessonState, Setting
from camlab.models import ModelRow, find_model, load_classifier, loading, model_on_command_line
from camlab.models.own import kept, model
from camlab.models.own.model import MAX_OWN_BYTES, model_from_file
from camlab.study import StudyPlan, create, run_study
from camlab.study.prepare import prepare, read_prepared
from camlab.study.presets import command_line
from camlab.study.rows import UnitWorker
from camlab.study.run.cluster import Station
from camlab.study.store import open_study
from camlab.study.store.own_models import weights_of
from pages.shared.navigation import COMPARE, LEARN, PRESENT, STUDY
from tests.brought.case import BroughtCase
from tests.pages.conftest import alerts, open_at, said, widget_key

NAMES = ("ant", "bee", "cat", "dog")
MEAN = (0.5, 0.4, 0.3)
OPTIONS = ("--architecture", "test_resnet", "--size", "64", "--mean", "0.5,0.4,0.3")
GRID = ("--images", "objects", "--limit", "1", "--noise", "contrast", "--severity", "3", "--method", "gradcam")


def forget() -> None:
    """Drop every own model from memory, as in another process."""
    model._known.clear()
    kept._offered.clear()
    loading._others.clear()
    engine_for.cache_clear()


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start and end without the own models of other tests, and leave theirs alone."""
    monkeypatch.setattr(model, "_known", LRUCache(MAX_OWN_BYTES, model._bytes))
    monkeypatch.setattr(kept, "_offered", {})
    monkeypatch.setattr(loading, "_others", LRUCache(loading.MAX_LOADED))
    engine_for.cache_clear()
    yield
    engine_for.cache_clear()


def checkpoint(folder: Path, seed: int = 0) -> Path:
    """The weights of a small network with four classes, and a file of their names beside it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model("test_resnet", num_classes=len(NAMES))
    path = folder / "mine.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    (folder / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return path


def loaded(path: Path) -> ModelRow:
    return model_from_file(path, "test_resnet", path.with_name("names.txt"), mean=MEAN, input_size=(64, 64))


def named(path: Path) -> tuple[str, ...]:
    """The same on a command line."""
    return ("--model", str(path), *OPTIONS, "--classes", str(path.with_name("names.txt")))


def plan_with(name: str, limit: int = 1) -> StudyPlan:
    return StudyPlan((name,), ("objects",), ("gradcam",), ("contrast",), (3.0,), limit=limit)


def created(folder: Path) -> tuple[Path, str]:
    """A study of an own model that no process knows any more, and whose checkpoint is gone; and the model's name."""
    path = checkpoint(folder)
    row = loaded(path)
    place = create(plan_with(row.name), folder / "study", device="cpu")
    prepare(place)
    path.unlink()
    forget()
    return place, row.name


# --- a model is the same everywhere ---


def test_a_kept_model_is_the_loaded_one(tmp_path: Path) -> None:
    row = loaded(checkpoint(tmp_path))
    before = load_classifier(row.name, "cpu")
    description, data = kept.keep(row)
    forget()
    with pytest.raises(UnknownName, match="no longer in memory"):
        find_model(row.name)
    kept.offer(kept.KeptModel.from_json(json.loads(json.dumps(description.to_json()))), lambda: data)
    after = load_classifier(row.name, "cpu")
    assert after is not before and after.fingerprint == before.fingerprint
    assert after.class_names == before.class_names == NAMES and after.preprocessing == before.preprocessing
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(after.logits(x), before.logits(x))
    assert find_model(row.name).title == row.title and model_on_command_line(row.name) == "mine.safetensors"


@pytest.mark.parametrize("name", ["own/../../x", "own/0123456789ABC", "timm/resnet18"])
def test_a_description_cannot_name_another_file(tmp_path: Path, name: str) -> None:
    description, _ = kept.keep(loaded(checkpoint(tmp_path)))
    with pytest.raises(ValueError, match="name"):
        kept.KeptModel.from_json({**description.to_json(), "name": name})


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first = loaded(checkpoint(tmp_path)).name
    assert model_title(first) == "mine.safetensors"
    second = loaded(checkpoint(tmp_path, seed=1)).name
    place = create(plan_with(first), tmp_path / "study", device="cpu")
    for _ in ("loaded", "kept"):
        titles = [f"mine.safetensors ({name})" for name in (first, second)]
        assert [model_title(name) for name in (first, second)] == titles
        forget()
        open_study(place)
        loaded(tmp_path / "mine.safetensors")


# --- studies ---


def rows_of(place: Path) -> pd.DataFrame:
    return open_study(place).rows(["model", "image", "rbo", "ssim", "other_floor", "clean_prob"])


def test_a_study_of_a_file_runs_in_its_workers_and_is_resumed_without_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only test with a real worker process: it gets the model from the study's folder alone."""
    path = checkpoint(tmp_path)
    row = loaded(path)
    place = create(plan_with(row.name), tmp_path / "study", device="cpu")
    here = UnitWorker(prepare(place))
    expected = here.compute(here.prepared.units[0]).table.to_pandas()
    assert np.isfinite(expected["rbo"]).all()
    path.unlink()
    forget()
    assert main(["study", "--resume", "--out", str(place), "--workers", "1"]) == 0
    assert "1 pair" in capsys.readouterr().out
    found = rows_of(place)
    for column in ("rbo", "ssim", "other_floor", "clean_prob"):
        assert found[column].tolist() == expected[column].tolist(), column
    assert set(found["model"]) == {row.name} and find_model(row.name).title == "mine.safetensors"
    assert main(["report", str(place), "--out", str(tmp_path / "r.html"), "--no-pictures"]) == 0
    assert "mine.safetensors" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert main(["report", str(place), "--out", str(tmp_path / "r.html"), *OPTIONS]) == BAD_INPUT
    assert "--architecture describes the checkpoint of a state, and a study keeps its models" in capsys.readouterr().err


def test_the_command_line_plans_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path)
    out = tmp_path / "study"
    arguments = ["study", *GRID, *named(path), "--out", str(out), "--device", "cpu"]
    assert main([*arguments, "--workers", "0"]) == BAD_INPUT  # checked before the file is read
    assert main([*arguments, "--plan-only"]) == 0
    planned = capsys.readouterr().out
    assert "mine.safetensors  1 pair" in planned.replace("pairs", "pair")
    kept_bytes = 4 * loaded(path).parameters
    assert kept_bytes > 1.3e6 and f"{megabytes(kept_bytes)} on disk" in planned
    create(plan_with(loaded(path).name), out, device="cpu")
    forget()
    assert main([*arguments, "--resume", "--plan-only"]) == BAD_INPUT
    assert "leave out all options but --resume and --out" in capsys.readouterr().err
    assert main(["study", *GRID, "--mean", "0.5,0.4,0.3", "--out", str(tmp_path / "other")]) == BAD_INPUT
    assert "--mean describes a checkpoint file; name it with --model FILE." in capsys.readouterr().err
    assert main(["study", *GRID, "--model", "shapes_vgg", "--size", "64", "--out", str(tmp_path / "o")]) == BAD_INPUT
    assert "--size describes a checkpoint file, which 'shapes_vgg' is not; leave it out." in capsys.readouterr().err


def test_the_same_file_and_settings_resume_a_study_and_others_do_not(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    plan = plan_with(loaded(path).name)
    place = create(plan, tmp_path / "study", device="cpu")
    forget()
    assert plan_with(loaded(path).name) == plan
    other = checkpoint(tmp_path, seed=1)
    with pytest.raises(BadStudy, match="has another plan"):
        run_study(plan_with(loaded(other).name), place, resume=True)


def test_weights_that_are_gone_are_said(tmp_path: Path) -> None:
    place, name = created(tmp_path)
    (weights,) = (place / "models").iterdir()
    weights.unlink()
    ready = read_prepared(place)
    with pytest.raises(BadCheckpoint, match=rf"The file of your own model, .*{weights.name}, is gone; restore it"):
        UnitWorker(ready).compute(ready.units[0])
    assert find_model(name).title == "mine.safetensors"


def test_weights_that_have_changed_are_said(tmp_path: Path) -> None:
    place, name = created(tmp_path)
    (weights,) = (place / "models").iterdir()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ready = read_prepared(place)
    with pytest.raises(BadCheckpoint, match=rf"weights of mine.safetensors have changed since; .*{weights.name}"):
        UnitWorker(ready).compute(ready.units[0])
    assert ready.fingerprints.keys() == {name}


def test_a_worker_of_a_cluster_gets_the_weights_along(tmp_path: Path) -> None:
    place, name = created(tmp_path)
    manifest = open_study(place).manifest
    weights = weights_of(place, manifest)
    forget()
    station = Station(manifest, weights)
    assert station._worker._engine(name).classifier.fingerprint == manifest["models"][name]["fingerprint"]


def test_a_plan_is_written_with_the_files_name(tmp_path: Path) -> None:
    row = loaded(checkpoint(tmp_path))
    assert "--model mine.safetensors " in command_line(plan_with(row.name))
    forget()
    assert "--model CHECKPOINT_FILE " in command_line(plan_with(row.name))


# --- reports of a state ---


def saved(folder: Path, name: str) -> str:
    state = ExploreState(model=name, image="objects/coffee", noise="contrast", severity=3.0, draws=1)
    (folder / "state.json").write_text(to_json(state), encoding="utf-8")
    return str(folder / "state.json")


def test_a_report_of_a_state_takes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path)
    source, out = saved(tmp_path, loaded(path).name), str(tmp_path / "r.html")
    forget()
    assert main(["report", source, "--out", out]) == BAD_INPUT
    assert "saved with your own checkpoint; name its file with --model FILE." in capsys.readouterr().err
    assert main(["report", source, "--out", out, "--model", str(path), "--architecture", "test_resnet"]) == BAD_INPUT
    assert "is not the model of this state: its weights, class names or settings are others" in capsys.readouterr().err
    assert main(["report", source, "--out", out, *named(path), "--device", "cpu"]) == 0
    text = Path(out).read_text(encoding="utf-8")
    assert "--model mine.safetensors" in text and "camlab report STATE.json --out report.html --model mine" in text
    other = saved(tmp_path, "shapes_vgg")
    assert main(["report", other, "--out", out, *named(path)]) == BAD_INPUT
    assert "saved with shapes_vgg, not with a checkpoint file; leave --model out." in capsys.readouterr().err


# --- the pages ---


def test_compare_shows_it_beside_others(tmp_path: Path) -> None:
    name, other = (loaded(checkpoint(tmp_path, seed)).name for seed in (0, 1))
    at = open_at(COMPARE, {"model": name, "axis": "model", "columns": f"{name},{other}", "methods": "gradcam"})
    assert not at.error and not at.warning
    columns = at.multiselect(key=widget_key(at, "columns.model", "compare"))
    assert columns.value == [name, other] and len(set(columns.options)) == len(columns.options)
    assert at.selectbox(key=widget_key(at, "model")).value == name


def test_learn_takes_it(tmp_path: Path) -> None:
    name = loaded(checkpoint(tmp_path)).name
    at = open_at(LEARN, {"lesson": "methods", "model": name, "image": "photos/bison"})
    assert not at.error and not at.warning and len(at.radio) == 1
    box = at.selectbox(key=widget_key(at, "model", "learn"))
    assert box.value == name and "EfficientNet-Lite0" in box.options
    assert [b for b in at.button if b.label == "More models"]


def test_learn_goes_to_the_model_that_was_loaded_there(tmp_path: Path) -> None:
    name, other = (loaded(checkpoint(tmp_path, seed)).name for seed in (0, 1))
    at = open_at(LEARN, {"lesson": "cam", "model": name, "image": "photos/bison"})
    at.session_state["own_models"], at.session_state["arriving"] = [name, other], other
    at.run()
    assert not at.exception and not at.error
    assert at.selectbox(key=widget_key(at, "model", "learn")).value == other
    assert at.session_state["learn.state"].model == at.session_state["state"].model == other


def test_present_tells_its_story_and_says_when_it_is_gone(tmp_path: Path) -> None:
    name = loaded(checkpoint(tmp_path)).name
    link = {"story": "explore", "model": name, "image": "objects/coffee", "noise": "contrast", "draws": "2"}
    at = open_at(PRESENT, link)
    assert not at.error and "cl-slide" in "".join(str(each.value) for each in at.html)
    forget()
    gone = open_at(PRESENT, link)
    assert "is no longer in memory; load its file again" in alerts(gone)


def test_a_study_is_planned_with_it_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMLAB_STUDIES_DIR", str(tmp_path))
    name = loaded(checkpoint(tmp_path)).name
    at = open_at(STUDY)
    at.session_state["own_models"] = [name]
    next(b for b in at.button if b.label == "New study").click().run()
    at.multiselect(key="study.plan.models").set_value([name]).run()
    assert not at.exception and not at.error
    assert "keeps a copy of your checkpoint's weights" in said(at)


@pytest.mark.parametrize("lesson", ["cam", "attack", "sanity"])
def test_every_kind_of_lesson_begins_with_it(tmp_path: Path, lesson: str) -> None:
    row = loaded(checkpoint(tmp_path))
    state = LessonState(lesson=lesson, model=row.name, image="photos/bison", steps=5)
    run = LESSONS[lesson].begin(Setting(engine_for(row.name, "cpu"), find_picture("photos/bison"), state))
    run.job.step()
    assert run.job.error is None


# --- the table of what people bring ---


def _runs(folder: Path) -> None:
    place, name = created(folder)
    ready = read_prepared(place)
    found = UnitWorker(ready).compute(ready.units[0]).table
    assert found.num_rows == 1 and set(found["model"].to_pylist()) == {name}


CASES = (
    BroughtCase(
        "`camlab study --model FILE`",
        "The study keeps the weights in its folder, so that its workers find them, also when it is resumed and the "
        "file is gone.",
        _runs,
    ),
    BroughtCase(
        "A study whose kept weights are gone",
        "It is said, with the file to restore.",
        test_weights_that_are_gone_are_said,
    ),
    BroughtCase(
        "A study whose kept weights have changed",
        "It is said, with the file to restore; nothing is computed with them.",
        test_weights_that_have_changed_are_said,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_what_people_bring(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)
