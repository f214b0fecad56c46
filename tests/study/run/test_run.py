"""Running: whole, twice, interrupted, cancelled, paused, damaged."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from threadpoolctl import threadpool_limits

from camlab.common.errors import BadSetting, BadStudy, CamLabError, Cancelled
from camlab.metrics import SIMILARITIES
from camlab.study import Status, StudyPlan, cancel, create, pause, resume, run_study, start, status
from camlab.study.plan import FITTING
from camlab.study.prepare import THREADS, read_prepared
from camlab.study.rows import UnitWorker
from camlab.study.run import control as control_module
from camlab.study.run import local
from camlab.study.sources import count_pairs
from camlab.study.store import Study, open_study
from camlab.study.store.files import held, is_held
from camlab.study.store.parts import all_notes, part_paths
from tests.study.threads import workers_as_threads

KEYS = ["model", "image_set", "image", "method", "layer", "noise", "severity", "seed"]
MEASURES = [*SIMILARITIES, "rbo_cells", "rbo_slic50", "other_floor", "perturbed_prob", "clean_margin"]
WAIT = 120.0  # seconds, after which something hangs


def comparable(study: Study) -> pd.DataFrame:
    rows = study.rows().drop(columns="seconds")
    return rows.astype({name: str for name in rows.columns if rows[name].dtype.name == "category"})


def assert_same(a: Study, b: Study) -> None:
    pd.testing.assert_frame_equal(comparable(a), comparable(b), check_exact=True)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


@pytest.fixture
def short(plan: StudyPlan) -> StudyPlan:
    return dataclasses.replace(plan, models=("shapes_vgg",), limit=1, decompose=False)


def test_a_study_holds_every_pair_once(study: Study, plan: StudyPlan) -> None:
    rows = study.rows()
    assert len(rows) == study.count() == count_pairs(plan) == study.manifest["pairs"]
    assert not rows.duplicated(KEYS).any()
    found = status(study.folder)
    assert (found.state, found.done, found.total, found.alive) == ("finished", 528, 528, False)
    assert not found.can_resume and found.share == 1
    assert found.by["shapes_vgg"]["saturate"] == (48, 48)
    grouped = rows.groupby(["model", "noise"], observed=True).size()
    assert {(m, n): size[0] for m, noises in found.by.items() for n, size in noises.items()} == dict(grouped)


def test_the_manifest_says_what_was_run(study: Study, plan: StudyPlan) -> None:
    manifest = study.manifest
    assert StudyPlan.from_json(manifest["settings"]) == plan
    assert manifest["versions"]["torch"] and manifest["models"]["shapes_vgg"]["fingerprint"]
    assert manifest["seeds"] == {"gaussian_noise": 2, "saturate": 1, "jpeg_compression": 1}
    assert manifest["severities"]["saturate"] == [1.0, 5.0]
    assert set(manifest["image_digests"]["shapes"].values()) == set(study.images()["digest"])
    assert {"model": "shapes_resnet", "layer": "layer4.0"}.items() <= study.coincide[0].items()
    assert study.coincide[0]["methods"] == ["gradcam", "hirescam"]
    asked = manifest["models"]["shapes_resnet"]["asked"]
    assert asked == [{"asked": "before", "name": "layer3.0"}, {"asked": "default", "name": "layer4.0"}]


def test_worker_processes_compute_the_same_rows_whatever_their_number_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # XGrad-CAM divides by sums near zero on this layer of Lite0: other last bits of the activations would be seen.
    two = StudyPlan(
        ("efficientnet_lite0", "shapes_vgg"), ("photos", "shapes"), ("xgradcam",), ("gaussian_noise",),
        (1.0, 2.5, 5.0), seeds=2, layers=("before",), limit=1, pairing=FITTING,
    )  # fmt: skip
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "3")
    told: list[Status] = []
    run_study(two, tmp_path / "s", workers=2, device="cpu", on_progress=told.append)
    done = [each.done for each in told]
    assert done == sorted(done) and told[-1].state == "finished" and told[-1].workers == 2
    ours = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            worker = UnitWorker(read_prepared(tmp_path / "s"))
            table = pa.concat_tables([worker.compute(unit).table for unit in worker.prepared.units])
    finally:
        torch.set_num_threads(ours)
    found = open_study(tmp_path / "s").rows()
    assert len(found) == table.num_rows == 12
    for name in (*KEYS, *MEASURES):
        assert found[name].to_list() == table[name].to_pylist(), name


def test_another_batch_changes_no_row(study: Study, plan: StudyPlan, tmp_path: Path, threads: None) -> None:
    run_study(dataclasses.replace(plan, limit=1), tmp_path / "other", workers=1, device="cpu", batch=1)
    ours, theirs = comparable(open_study(tmp_path / "other")), comparable(study)
    theirs = theirs[theirs["image"].isin(set(ours["image"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_a_workers_environment_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "8")
    found = control_module.environment(THREADS)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    assert [found[name] for name in names] == ["1"] * 4
    assert control_module.environment()["MKL_NUM_THREADS"] == "8"


def test_what_was_begun_with_other_maps_is_not_gone_on_with(short: StudyPlan, tmp_path: Path, threads: None) -> None:
    def stop() -> None:
        raise Cancelled

    folder = tmp_path / "s"
    assert run_study(short, folder, workers=1, device="cpu", check=stop).state == "cancelled"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["versions"]["maps"] = "0.0.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadStudy, match="Another version of CAM Lab"):
        run_study(short, folder, resume=True, workers=1)
    assert status(folder).state == "failed"


def test_paused_killed_in_the_middle_and_resumed_it_is_the_same_study(
    study: Study, plan: StudyPlan, tmp_path: Path
) -> None:
    folder = create(plan, tmp_path / "killed", device="cpu")
    start(folder, workers=1)
    assert status(folder).alive
    with pytest.raises(BadStudy, match="running already"):
        start(folder)
    wait_until(lambda: bool(part_paths(folder)))
    pause(folder)
    wait_until(lambda: status(folder).state == "paused")
    time.sleep(0.5)  # the order reaches the worker
    held_at = len(part_paths(folder))
    time.sleep(1.0)
    assert len(part_paths(folder)) == held_at and status(folder).alive
    resume(folder)
    wait_until(lambda: len(part_paths(folder)) > held_at)
    with pytest.raises(BadStudy, match="running already"):
        run_study(folder)
    pid = json.loads((folder / "control.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_held(folder))
    time.sleep(0.5)  # its worker sees that nobody is there any more
    found = status(folder)
    assert (found.state, found.alive, found.can_resume) == ("interrupted", False, True)
    before = {path.name: path.read_bytes() for path in part_paths(folder)}
    assert 2 <= len(before) < 6
    assert len(open_study(folder).images()) == len(before)
    # What a writer left behind under another name, and what a failing disk made of a part.
    (folder / "rows" / ".tmp-0000-part-0000005.parquet").write_bytes(b"PAR1 and then nothing")
    (folder / "rows" / "part-0000005.parquet").write_bytes(b"PAR1 and then nothing")
    assert len(open_study(folder).rows()) == 88 * len(before)
    with workers_as_threads():
        found = run_study(folder, workers=1)
    assert found.state == "finished"
    assert_same(study, open_study(folder))
    assert {name: (folder / "rows" / name).read_bytes() for name in before} == before
    assert not list((folder / "rows").glob(".tmp*"))


def test_paused_and_cancelled_from_outside(study: Study, plan: StudyPlan, tmp_path: Path, threads: None) -> None:
    folder = create(plan, tmp_path / "cancelled", device="cpu")
    assert status(folder).state == "planned"
    with pytest.raises(BadStudy, match="is not running; start it first"):
        cancel(folder)
    running = threading.Thread(target=run_study, args=(folder,), kwargs={"workers": 1}, daemon=True)
    running.start()
    wait_until(lambda: bool(part_paths(folder)))
    pause(folder)
    wait_until(lambda: status(folder).state == "paused")
    time.sleep(0.5)
    held_at = len(part_paths(folder))
    time.sleep(1.0)
    assert len(part_paths(folder)) == held_at and status(folder).alive
    resume(folder)
    wait_until(lambda: status(folder).state in ("running", "finished"))
    cancel(folder)
    running.join(WAIT)
    assert (status(folder).state, status(folder).alive) == ("cancelled", False)
    done = status(folder).done
    assert done == open_study(folder).count() == len(all_notes(folder)) * 88
    with pytest.raises(BadStudy, match="finished"):
        start(study.folder)


def test_a_check_cancels_within_a_batch(short: StudyPlan, tmp_path: Path, threads: None) -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise Cancelled

    found = run_study(short, tmp_path / "s", workers=1, device="cpu", check=check)
    assert found.state == "cancelled" and found.can_resume
    with pytest.raises(BadStudy, match="another plan"):
        run_study(dataclasses.replace(short, seeds=1), tmp_path / "s", resume=True)
    with pytest.raises(BadStudy, match="already"):
        run_study(short, tmp_path / "s")
    assert run_study(short, tmp_path / "s", resume=True, workers=1).state == "finished"


def test_pictures_that_cannot_be_read_are_counted(
    plan: StudyPlan, photo_folder: Path, tmp_path: Path, threads: None
) -> None:
    few = dataclasses.replace(
        plan, models=("shapes_vgg",), image_sets=(str(photo_folder),), limit=None, decompose=False,
        noises=("contrast",), keep_maps=True,
    )  # fmt: skip
    found = run_study(few, tmp_path / "s", workers=1, device="cpu")
    assert (found.state, found.skipped, found.units_done) == ("finished", 1, 3)
    assert found.done == found.total == 2 * 3 * 8
    study = open_study(tmp_path / "s")
    (lost,) = study.skipped()
    assert "broken" in lost["reason"] and study.manifest["skipped_pictures"] == [lost]
    assert set(study.rows()["image_set"]) == {"folder/photos"} and len(study.images()) == 2
    kept = sorted((study.folder / "maps").iterdir())
    assert len(kept) == 2
    with np.load(kept[0]) as maps:
        assert maps[f"{study.manifest['models']['shapes_vgg']['layers'][0]['name']}/gradcam"].shape[0] == 4


def test_workers_that_die_are_replaced_and_nothing_is_lost(study: Study, plan: StudyPlan, tmp_path: Path) -> None:
    with workers_as_threads(deaths=local.TRIES - 1):
        run_study(dataclasses.replace(plan, limit=1), tmp_path / "s", workers=1, device="cpu")
    ours, theirs = comparable(open_study(tmp_path / "s")), comparable(study)
    theirs = theirs[theirs["image"].isin(set(ours["image"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_pictures_that_kill_every_worker_end_the_study_with_a_sentence(short: StudyPlan, tmp_path: Path) -> None:
    folder = create(short, tmp_path / "s", device="cpu")
    with (
        workers_as_threads(deaths=local.TRIES),
        pytest.raises(CamLabError, match=f"died {local.TRIES} times on the same pictures"),
    ):
        run_study(folder, workers=1)
    assert status(folder).state == "failed" and "use fewer workers or a smaller batch" in status(folder).error
    with workers_as_threads():
        run_study(folder, workers=1)
    assert status(folder).state == "finished" and len(open_study(folder).rows())


def test_what_cannot_be_run_is_in_the_status(short: StudyPlan, tmp_path: Path, threads: None) -> None:
    folder = create(dataclasses.replace(short, layers=("blocks.77",)), tmp_path / "s", device="cpu")
    with pytest.raises(CamLabError, match=r"blocks\.77"):
        run_study(folder, workers=1)
    found = status(folder)
    assert found.state == "failed" and "blocks.77" in found.error and not found.alive


@pytest.mark.parametrize("settings", [{"workers": 0}, {"batch": 0}, {"address": "here"}])
def test_settings_that_cannot_be(short: StudyPlan, tmp_path: Path, settings: dict[str, int]) -> None:
    with pytest.raises(BadSetting):
        run_study(short, tmp_path / "s", device="cpu", **settings)  # type: ignore[arg-type]


def test_no_study_goes_into_a_folder_in_use(short: StudyPlan, tmp_path: Path) -> None:
    (tmp_path / "something").write_text("mine")
    with pytest.raises(BadStudy, match="not empty"):
        create(short, tmp_path)
    with pytest.raises(BadStudy, match="written"):
        create(short, tmp_path / "something" / "below")
    with pytest.raises(BadStudy, match="no study"):
        status(tmp_path)


def test_one_runner_at_a_time(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(BadStudy), held(tmp_path):
            pass
    assert not is_held(tmp_path)


def test_a_process_that_never_came_up_is_not_waited_for_long(
    short: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create(short, tmp_path / "s", device="cpu")
    said = {"wish": "run", "pid": os.getpid(), "started": time.time()}
    (folder / "control.json").write_text(json.dumps(said))
    assert status(folder).alive
    monkeypatch.setattr(control_module, "START_WITHIN", 0.0)
    assert not status(folder).alive
