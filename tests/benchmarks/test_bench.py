"""The benchmark: what it reports holds together. How fast the machine is, is not asserted."""

from __future__ import annotations

import json
import math
import os
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks import bench
from benchmarks.bench import report
from camlab.cams import CAMS
from camlab.cli.main import main
from camlab.common.errors import CamLabError
from camlab.engine.shared import engine_for
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture

GRADIENT_METHODS = [name for name, method in CAMS.items() if method.uses_gradients]


#: What tests/benchmarks/test_side_by_side.py measures, here made up.
CORE: dict[str, Any] = {
    "ratios": {"shared_over_forward": 1.5, "speedup_light7": 40.0, "speedup_ablation_before": None},
    "seconds": {"forward_batch": 0.1, "shared_all": 0.15},
    "pairs_per_second": 123.45,
    "exponent": 0.98,
    "peak_bytes": 3 * 2**20,
}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "QUICK_REPEATS", 2)
        patch.setattr("benchmarks.side_by_side.side_by_side", lambda *_, **__: CORE)
        patch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
        patch.setattr("benchmarks.side_by_side.steps", lambda _: 0)  # those of the stand-in
        notes: list[str] = []
        warnings: list[str] = []
        found = bench.bench(None, device="cpu", quick=True, progress=notes.append, warn=warnings.append)
        assert len(notes) == bench.steps(None, quick=True)
    assert len(warnings) == 1 and warnings[0].startswith("this machine is busy (load 99.0")
    return found


def test_what_is_measured(records: list[dict[str, Any]]) -> None:
    (record,) = records
    assert list(record)[:3] == ["model", "ratios", "seconds"]
    assert list(record["ratios"])[:3] == list(CORE["ratios"])
    assert {name: record[name] for name in ("pairs_per_second", "exponent", "peak_bytes")} == {
        name: CORE[name] for name in ("pairs_per_second", "exponent", "peak_bytes")
    }
    assert record["model"] == ExploreState().model
    parts = ["first_view_import", "first_view_load", "first_view_show"]
    changes = [f"severity_change_{name}" for name in GRADIENT_METHODS]
    page = {"first_view", *parts, *changes, "repaint", "sweep_pair"}
    assert set(record["ratios"]) == {*CORE["ratios"], *page}
    assert set(record["seconds"]) == {"forward", *page, *CORE["seconds"]}
    assert record["machine"]["cpus"] == os.cpu_count()
    assert record["machine"]["device"] == "cpu"
    assert record["machine"]["load"] == 99.0
    assert {"camlab", "python", "torch"} <= set(record["versions"])


def test_the_figures_fit_together(records: list[dict[str, Any]]) -> None:
    (record,) = records
    seconds = record["seconds"]
    assert all(math.isfinite(value) and value > 0 for value in seconds.values())
    for name, ratio in record["ratios"].items():
        if name in CORE["ratios"]:
            continue
        assert ratio * seconds["forward"] == pytest.approx(seconds[name])
    assert record["sweep_pairs_per_second"] * seconds["sweep_pair"] == pytest.approx(1)
    parts = [value for name, value in seconds.items() if name.startswith("first_view_")]
    assert len(parts) == 3
    assert sum(parts) < seconds["first_view"]  # which counts the interpreter's own start too


def test_the_report_has_ratios_first(records: list[dict[str, Any]]) -> None:
    lines = report(records[0]).splitlines()
    assert lines[0] == ExploreState().model
    assert [line.split() for line in lines[1:4]] == [
        ["shared_over_forward", "1.5"], ["speedup_light7", "40"], ["speedup_ablation_before", "-"],
    ]  # fmt: skip
    assert lines[4].split()[-1] == "ms"
    assert "forward_batch" in "".join(lines) and "shared_all" in "".join(lines)
    assert any("123.5 pairs per second" in line and "power 0.98" in line for line in lines)
    assert "peak memory of the run, pytorch-grad-cam included: 3 MiB" in lines
    row = next(line for line in lines if line.startswith("severity_change_gradcam ")).split()
    assert float(row[1]) == pytest.approx(records[0]["ratios"]["severity_change_gradcam"], abs=0.051)
    assert float(row[2]) == pytest.approx(records[0]["seconds"]["severity_change_gradcam"] * 1000, abs=0.051)
    assert lines[-2].startswith("machine: ")
    assert lines[-1].startswith("versions: ")


def test_the_command_prints_only_the_result(
    records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def stand_in(models: list[str] | None, **options: Any) -> list[dict[str, Any]]:
        asked.append((models, options["device"], options["quick"]))
        options["progress"]("at work")
        options["warn"]("this machine is busy")
        return records

    monkeypatch.setattr(bench, "bench", stand_in)
    assert main(["bench", "--model", "efficientnet_lite2", "--quick", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == records
    total = bench.steps(["efficientnet_lite2"], quick=True)
    assert printed.err == f"note: 1 of {total}: at work\nnote: this machine is busy\n"
    assert main(["bench", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == report(records[0]) + "\n"
    assert asked == [(["efficientnet_lite2"], "auto", True), (None, "cpu", False)]


def test_no_draw_comes_twice_and_every_severity_gets_its_turn() -> None:
    draws = list(islice(bench.fresh_draws(), 60))
    assert len({seed for _, seed in draws}) == 60
    assert min(seed for _, seed in draws) > max(bench.WARM_UP_SEEDS)
    assert {severity for severity, _ in draws[:20]} == {i / 4 for i in range(1, 21)}


def test_a_change_must_be_computed_and_a_repaint_must_not() -> None:
    state = ExploreState(image="photos/crab", noise="speckle_noise")
    scene = Scene(engine_for(state.model), find_picture(state.image), state)
    with pytest.raises(AssertionError, match="was computed"):
        bench._repaint(scene, (2.0, 4321))
    bench._repaint(scene, (2.0, 4321))
    with pytest.raises(AssertionError, match="from the cache"):
        bench._change(scene, (2.0, 4321))


def test_panels_are_png_files() -> None:
    state = ExploreState(image="photos/crab")
    scene = Scene(engine_for(state.model), find_picture(state.image), state)
    files = bench.paint(scene, scene.shown(1.0, 0))
    assert len(files) == 3
    assert all(file.startswith(b"\x89PNG") for file in files)


def test_a_fresh_process_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_COLD_START", "raise SystemExit(3)")
    with pytest.raises(CamLabError, match="efficientnet_lite0"):
        bench._cold_start("efficientnet_lite0", "cpu")


def test_a_network_without_trained_weights_is_timed_without_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.side_by_side.side_by_side", lambda *_, **__: {**CORE, "seconds": dict(CORE["seconds"])}
    )
    monkeypatch.setattr("benchmarks.side_by_side.steps", lambda _: 0)
    notes: list[str] = []
    (record,) = bench.bench(["resnet18"], device="cpu", quick=True, progress=notes.append)
    assert len(notes) == bench.steps(["resnet18"], quick=True) == 0
    assert record["model"] == "resnet18" and record["ratios"] == CORE["ratios"]
    assert set(record["seconds"]) == {"forward", *CORE["seconds"]} and record["seconds"]["forward"] > 0
    lines = report(record).splitlines()
    assert lines[0] == "resnet18" and lines[-1].startswith("versions: ")
    assert not any(line.startswith("sweep") for line in lines)


def test_missing_benchmarks_are_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def missing(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name="benchmarks")

    monkeypatch.setattr("camlab.cli.bench.import_module", missing)
    monkeypatch.setattr("camlab.cli.bench.HOME", tmp_path)
    assert main(["bench"]) == 2
    assert capsys.readouterr().err == (
        "camlab: The benchmarks are not installed; run `camlab bench` in a checkout of CAM Lab.\n"
    )


def test_benchmarks_of_an_installed_package_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[list[str]] = []

    def import_module(name: str) -> ModuleType:
        tried.append(list(sys.path))
        if str(tmp_path) not in sys.path:
            raise ModuleNotFoundError(f"No module named {name!r}", name="benchmarks")
        return bench

    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bench.py").touch()
    monkeypatch.setattr("camlab.cli.bench.import_module", import_module)
    monkeypatch.setattr("camlab.cli.bench.HOME", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(bench, "bench", lambda *_, **__: [])
    assert main(["bench"]) == 0
    assert len(tried) == 2 and tried[1][-1] == str(tmp_path)
