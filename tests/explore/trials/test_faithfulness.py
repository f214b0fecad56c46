"""Faithfulness of a scene's pair as a job, against the measures of a whole case."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import camlab.explore.trials.faithfulness
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.explore.charts.trials import faithfulness_curves
from camlab.explore.output.record import record, results
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from camlab.explore.trials.faithfulness import CURVE_STEPS, FaithfulnessRun
from camlab.images import find_picture
from camlab.metrics import upsample
from camlab.metrics.faithfulness import STEPS, FaithfulnessInput, deletion, insertion, road
from camlab.models.classifier import Classifier


@pytest.fixture(scope="module")
def scene(lite0: Classifier) -> Scene:
    return Scene(Engine(lite0, queue=DeviceQueue()), find_picture("photos/german_shepherd"), ExploreState(draws=1))


@pytest.fixture(scope="module")
def shown(scene: Scene) -> Shown:
    return scene.shown(3.0, 0)  # where the prediction flips, so that the two sides explain two classes


def finish(run: FaithfulnessRun) -> None:
    while run.job.running:
        run.job.step()
    assert run.job.error is None and not run.job.cancelled


def test_a_run_has_the_values_of_the_whole_measures(
    scene: Scene, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = (80, 90)  # what is left after so many hundredths: the fewer pixels to fill, the quicker
    monkeypatch.setattr(camlab.explore.trials.faithfulness, "PERCENTILES", some)
    run = FaithfulnessRun(scene, shown, steps=6)
    assert run.job.total == 2 * (2 + len(some))
    finish(run)
    assert run.job.done == run.job.total
    assert shown.clean.target != shown.perturbed.target
    for side, explained, pixels in (
        ("clean", shown.clean, shown.clean_input),
        ("perturbed", shown.perturbed, shown.perturbed_input),
    ):
        maps = upsample(explained.maps["gradcam"][None], (224, 224))
        case = FaithfulnessInput(scene.classifier, torch.from_numpy(pixels.copy())[None], maps, [explained.target])
        assert run.found.values["deletion", side] == pytest.approx(deletion(case, 6)[0], abs=1e-5)
        assert run.found.values["insertion", side] == pytest.approx(insertion(case, 6)[0], abs=1e-5)
        assert run.found.values["road", side] == pytest.approx(road(case, some)[0], abs=1e-5)
        line = run.found.curves["deletion", side]
        assert len(line) == 7 and line[0] == pytest.approx(explained.probability, abs=1e-4)
        assert run.found.curves["insertion", side][-1] == pytest.approx(explained.probability, abs=1e-4)
    told = run.found.record()
    assert told == record(told) and told["curves"]["deletion"]["clean"][0] == line_start(run)


def line_start(run: FaithfulnessRun) -> float:
    return float(run.found.curves["deletion", "clean"][0])


def test_the_pages_curve_is_every_eighth_point_of_the_literatures() -> None:
    assert STEPS % CURVE_STEPS == 0
    pixels = 224 * 224
    ours = [round(s * pixels / CURVE_STEPS) for s in range(CURVE_STEPS + 1)]
    theirs = [round(s * pixels / STEPS) for s in range(STEPS + 1)]
    assert ours == theirs[:: STEPS // CURVE_STEPS]


def test_a_map_with_nothing_in_it_is_left_out(scene: Scene, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camlab.explore.trials.faithfulness, "PERCENTILES", (90,))
    empty = dataclasses.replace(
        shown.clean, maps={"gradcam": np.zeros((7, 7), np.float32)}, degenerate={"gradcam": True}
    )
    run = FaithfulnessRun(scene, dataclasses.replace(shown, clean=empty), steps=2)
    finish(run)
    assert run.job.done == run.job.total == 3
    assert run.found.empty == ("clean",) and {side for _, side in run.found.values} == {"perturbed"}
    assert run.found.record()["road"]["clean"] is None


def test_a_cancelled_run_keeps_what_it_has(scene: Scene, shown: Shown) -> None:
    run = FaithfulnessRun(scene, shown, steps=2)
    run.job.step()
    run.job.cancel()
    run.job.step()
    assert not run.job.running and set(run.found.values) == {("deletion", "clean")}


def test_charts_show_what_was_found_and_say_it(scene: Scene, shown: Shown) -> None:
    run = FaithfulnessRun(scene, shown, steps=4)
    nothing = faithfulness_curves(run.found, "deletion")
    assert not nothing.figure.data and "not been computed" in nothing.alt
    for _ in range(2):
        run.job.step()
    chart = faithfulness_curves(run.found, "deletion")
    for trace, side in zip(chart.figure.data, ("clean", "perturbed"), strict=True):
        line = run.found.curves["deletion", side]
        assert list(trace.y) == line.tolist() and list(trace.x) == [0, 0.25, 0.5, 0.75, 1]
        assert f"{run.found.values['deletion', side]:.2f}" in trace.name and side in chart.alt
    first, second = chart.figure.data
    assert first.line.dash != second.line.dash  # never by colour alone
    assert chart.figure.layout.xaxis.title.text == "share of pixels removed"
    other = faithfulness_curves(run.found, "insertion")
    assert not other.figure.data


def test_results_hold_what_was_measured_on_demand(scene: Scene, shown: Shown) -> None:
    run = FaithfulnessRun(scene, shown, steps=2)
    run.job.step()
    sweep = Sweep(scene, 3.0)
    sweep.add(shown.row)
    found = results(scene, shown, sweep, run.found)
    assert found["faithfulness"]["deletion"]["clean"] == run.found.values["deletion", "clean"]
    assert found["faithfulness"]["road"] == {"clean": None, "perturbed": None}
    assert found["localisation"]["energy_pointing"]["clean"] > 0
    assert results(scene, shown, sweep)["faithfulness"] is None
