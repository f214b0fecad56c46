"""The draws over all severities: which come when, when to ask first, and what they add up to."""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import camlab.explore.sweep
from camlab.cams import CAMS
from camlab.common.errors import BadSetting
from camlab.common.jobs import Worker
from camlab.drawing.charts.look import Chart
from camlab.engine.shared import REFERENCE_COUNT, engine_for
from camlab.explore.charts.curve import sweep_curve
from camlab.explore.charts.draws import sweep_ecdf, sweep_violin
from camlab.explore.results import Floors
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import EVIDENCE, NEEDED, PATIENCE, Sweep, coarse_to_fine, sweep_severities
from camlab.images import Picture, find_picture
from camlab.metrics import robustness, stratified
from camlab.noise import NOISES

QUARTERS = [i / 4 for i in range(21)]


class FakeScene:
    """A scene of made-up rows that notes what it is asked for, and for which time is what it says."""

    def __init__(self, cost: str = "shared", seconds: float = 0.0, **changes: Any) -> None:
        self.state = ExploreState(**({"draws": 4} | changes))
        self.cost = cost
        self.seconds = seconds
        self.now = 0.0
        self.asked: list[list[tuple[float, int]]] = []
        self.log: list[Any] = []
        self.similarity: Callable[[float, int], float] = lambda severity, seed: 1 - 0.08 * severity
        self.flips: Callable[[float, int], bool] = lambda severity, seed: severity >= 4
        self.floor: Floors = Floors(0.3, 0.5, REFERENCE_COUNT)

    def rows(self, pairs: Sequence[tuple[float, int]], check: Callable[[], None]) -> list[dict[str, Any]]:
        check()
        self.asked.append(list(pairs))
        self.log += list(dict.fromkeys(severity for severity, _ in pairs))
        self.now += self.seconds * sum(severity > 0 for severity, _ in pairs)
        return [self.row(severity, seed) for severity, seed in pairs]

    def row(self, severity: float, seed: int) -> dict[str, Any]:
        value = self.similarity(severity, seed)
        return {
            "image": "photos/fake",
            "severity": severity,
            "seed": seed,
            "similarity": value,
            "flipped": self.flips(severity, seed),
            "near": False,
            "degenerate": math.isnan(value),
            "clean_class_prob": 1 - severity / 5,
            "perturbed_label": "bison",
            "perturbed_prob": 0.5,
        }

    def references(self, check: Callable[[], None]) -> Iterator[None]:
        for _ in range(REFERENCE_COUNT):
            check()
            self.now += self.seconds
            self.log.append("reference")
            yield None

    def floors(self, check: Callable[[], None]) -> Floors:
        self.log.append("floors")
        return self.floor

    @property
    def severities(self) -> list[float]:
        """The severities in the order in which their first rows were asked for."""
        return list(dict.fromkeys(entry for entry in self.log if isinstance(entry, float)))


def sweep_of(monkeypatch: pytest.MonkeyPatch, scene: FakeScene, focus: float = 3.0, patient: bool = False) -> Sweep:
    monkeypatch.setattr(camlab.explore.sweep, "time", SimpleNamespace(perf_counter=lambda: scene.now))
    return Sweep(scene, focus, patient)  # type: ignore[arg-type]


def run(sweep: Sweep, most: int = 10_000) -> None:
    for _ in range(most):
        if not sweep.job.running:
            return
        sweep.job.step()
    raise AssertionError("the job does not end")


# which severities


def test_the_curve_has_the_sliders_steps_where_it_may_be_joined() -> None:
    assert sweep_severities("gaussian_noise") == QUARTERS
    assert sweep_severities("saturate") == [0, 1, 2, 3, 4, 5]
    for name, noise in NOISES.items():
        assert len(sweep_severities(name)) == (21 if noise.monotone else 6)


def test_coarse_to_fine() -> None:
    assert coarse_to_fine(QUARTERS) == [
        *(0, 1, 2, 3, 4, 5),
        *(0.5, 1.5, 2.5, 3.5, 4.5),
        *(0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75),
    ]


def test_the_focus_comes_first_then_the_floors_then_coarse_to_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene, focus=2.75)
    run(sweep)
    assert scene.severities == [2.75, *(s for s in coarse_to_fine(QUARTERS) if s != 2.75)]
    order = [entry for entry, after in pairwise([*scene.log, None]) if entry != after]
    assert order[:5] == [2.75, 0.0, "reference", "floors", 1.0]
    assert scene.log.count("reference") == REFERENCE_COUNT and scene.log.count("floors") == 1
    assert sweep.job.finished and sweep.job.error is None


def test_moving_the_focus_changes_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(cost="tail")
    sweep = sweep_of(monkeypatch, scene, focus=2.75)
    for _ in range(2):
        sweep.job.step()
    assert scene.log == [2.75, 2.75]
    sweep.focus = 4.25
    for _ in range(4):
        sweep.job.step()
    assert scene.log[2:6] == [4.25] * 4
    sweep.job.step()  # what was left behind is taken up where it belongs: as one of the quarters
    assert scene.log[6] == 0.0
    run(sweep)
    assert sweep.complete
    assert scene.severities[:5] == [2.75, 4.25, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("cost", ["shared", "tail", "full"])
def test_all_draws_come_once_in_small_steps(cost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(cost=cost, draws=6, seed=13)
    sweep = sweep_of(monkeypatch, scene)
    at_first = sweep.complete
    assert not at_first
    run(sweep)
    pairs = [pair for step in scene.asked for pair in step]
    expected = {(0.0, 12)} | {(s, seed) for s in QUARTERS[1:] for seed in range(12, 18)}
    assert len(pairs) == len(set(pairs)) and set(pairs) == expected
    assert max(map(len, scene.asked)) == {"shared": 4, "tail": 1, "full": 1}[cost]
    assert all(len({severity for severity, _ in step}) == 1 for step in scene.asked)
    assert sweep.complete and not any(sweep.missing(s) for s in QUARTERS)
    assert sweep.job.done == sweep.job.total == len(expected)
    assert {method.cost for method in CAMS.values()} <= set(camlab.explore.sweep.STEP_IMAGES)


def test_progress_counts_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(cost="tail", seconds=1.0)
    sweep = sweep_of(monkeypatch, scene, patient=True)
    sweep.job.step()
    assert (sweep.job.done, sweep.job.total) == (1, 81)
    for seed in (1, 2):
        sweep.add(scene.row(3.0, seed))  # measured elsewhere: less to do
    sweep.job.step()
    assert (sweep.job.done, sweep.job.total) == (2, 79)


def test_where_the_path_is_not_monotone_only_the_levels_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(noise="saturate")
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    assert sorted(scene.severities) == [0, 1, 2, 3, 4, 5]
    assert sweep.complete
    # Off the levels the shown severity has its draws all the same.
    between = sweep_of(monkeypatch, FakeScene(noise="saturate"), focus=2.5)
    run(between)
    assert between.complete and sorted(set(between.frame()["severity"])) == [0, 1, 2, 2.5, 3, 4, 5]


def test_a_noise_with_nothing_to_draw_has_one_row_a_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(noise="brightness", draws=16, seed=40)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    frame = sweep.frame()
    assert len(frame) == 21 and set(frame["seed"]) == {0}


# asking first


def test_what_takes_too_long_waits_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(seconds=1.0)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    assert PATIENCE == 60.0
    # All that is on screen is there, the clean row too; 19 severities × 4 draws and the floors are not.
    assert scene.log == [3.0, 0.0]
    assert sweep.waiting == 19 * 4 + REFERENCE_COUNT
    assert sweep.job.finished and not sweep.complete and sweep.floors is None
    assert not sweep.wants(3.0) and sweep.wants(4.0)


def test_asked_to_go_on_it_does_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(seconds=1.0)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    before = sweep.job
    job = sweep.resume(patient=True)
    assert job is sweep.job is not before and job.running
    assert sweep.waiting is None
    run(sweep)
    assert sweep.complete and sweep.floors is not None and sweep.waiting is None
    assert scene.asked.count([(3.0, seed) for seed in range(4)]) == 1, "what was there is not drawn again"
    # The answer holds for this sweep from now on.
    assert sweep.resume().running and sweep.patient


def test_another_severity_is_drawn_before_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(seconds=1.0)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    sweep.focus = 4.75
    sweep.resume()
    run(sweep)
    assert scene.log == [3.0, 0.0, 4.75]
    assert sweep.waiting == 18 * 4 + REFERENCE_COUNT and not sweep.missing(4.75)


def test_what_is_quick_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    left = 19 * 4 + REFERENCE_COUNT
    for factor, waits in ((0.99, False), (1.01, True)):
        monkeypatch.setattr(camlab.explore.sweep, "PATIENCE", left)
        sweep = sweep_of(monkeypatch, FakeScene(seconds=factor))
        run(sweep)
        assert (sweep.waiting is not None) == waits and sweep.complete != waits


def test_one_slow_step_is_no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(draws=2)
    sweep = sweep_of(monkeypatch, scene)
    rows = scene.rows

    def slow_once(pairs: Sequence[tuple[float, int]], check: Callable[[], None]) -> list[dict[str, Any]]:
        if not any(severity > 0 for asked in scene.asked for severity, _ in asked):
            scene.now += EVIDENCE - 0.1
        return rows(pairs, check)

    scene.rows = slow_once  # type: ignore[method-assign]
    run(sweep)
    assert 40 * (EVIDENCE - 0.1) / 2 + REFERENCE_COUNT > PATIENCE > EVIDENCE, "that pace kept up would ask"
    assert sweep.complete and sweep.waiting is None


def test_patient_from_the_start_it_never_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of(monkeypatch, FakeScene(seconds=1000.0), patient=True)
    run(sweep)
    assert sweep.complete and sweep.waiting is None


def test_the_clean_picture_says_nothing_about_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    # One draw, and it is there already: the first row to compute is the clean one, which costs nothing.
    scene = FakeScene(noise="brightness", cost="full", seconds=10.0)
    sweep = sweep_of(monkeypatch, scene)
    sweep.add(scene.row(3.0, 0))
    run(sweep)
    assert scene.log == [0.0, 1.0], "one draw to learn the pace, no reference picture"
    assert sweep.waiting == 10.0 * (18 + REFERENCE_COUNT)


def test_an_error_is_kept_and_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()

    def failing(*_: Any) -> list[dict[str, Any]]:
        raise BadSetting("This layer cannot be explained; choose another.")

    monkeypatch.setattr(scene, "rows", failing)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    assert sweep.job.error == "This layer cannot be explained; choose another."
    assert not sweep.wants(3.0)


def test_stopped_it_can_be_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene)
    for _ in range(3):
        sweep.job.step()
    sweep.job.cancel()
    run(sweep)
    rows = len(sweep.frame())
    assert 0 < rows < 81 and sweep.wants(1.0)
    sweep.resume()
    assert not sweep.wants(1.0), "work is under way"
    run(sweep)
    assert sweep.complete and len(sweep.frame()) == 81


# rows


def test_frames_are_ordered_and_cut_by_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene)
    for severity, seed in [(3.0, 2), (1.0, 0), (3.0, 0), (0.0, 0)]:
        sweep.add(scene.row(severity, seed))
    frame = sweep.frame()
    assert list(zip(frame["severity"], frame["seed"], strict=True)) == [
        (0.0, 0),
        (1.0, 0),
        (3.0, 0),
        (3.0, 2),
    ]
    assert list(sweep.frame(3.0)["seed"]) == [0, 2]
    assert sweep.frame(2.0).empty and set(NEEDED) <= set(sweep.frame(2.0).columns)
    assert sweep.missing(3.0) == [1, 3] and sweep.missing(1.0) == [1, 2, 3] and sweep.missing(0.0) == []


def test_only_rows_of_these_draws_are_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(seed=5)  # draws 4 to 7
    sweep = sweep_of(monkeypatch, scene)
    for severity, seed in [(3.0, 3), (3.0, 8), (0.0, 5)]:
        sweep.add(scene.row(severity, seed))
    assert sweep.frame().empty
    for severity, seed in [(3.0, 4), (3.0, 7), (0.0, 4)]:
        sweep.add(scene.row(severity, seed))
    assert len(sweep.frame()) == 3
    sweep.add(scene.row(3.0, 4))
    assert len(sweep.frame()) == 3


def test_a_scope_is_a_severity_or_everything_noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene)
    at, whole = ExploreState(severity=2.0), ExploreState(severity=2.0, scope="sweep")
    assert sweep.scope_frame(at).empty and sweep.scope_frame(whole).empty
    run(sweep)
    assert len(sweep.scope_frame(at)) == 4 and set(sweep.scope_frame(at)["severity"]) == {2.0}
    assert len(sweep.scope_frame(whole)) == 80 and 0.0 not in set(sweep.scope_frame(whole)["severity"])


# scores


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A complete sweep with kept, flipped and degenerate draws."""
    scene = FakeScene(draws=8)
    scene.similarity = lambda s, seed: math.nan if (s, seed) == (3.0, 7) else 1 - 0.08 * s - 0.01 * seed
    scene.flips = lambda s, seed: s + 0.25 * seed >= 4
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    return sweep


def test_scores_are_those_of_the_rows(mixed: Sweep) -> None:
    scores = mixed.scores(3.0)
    noisy = pd.DataFrame([r for r in mixed.frame().to_dict("records") if r["severity"] > 0])
    here = pd.DataFrame([r for r in mixed.frame().to_dict("records") if r["severity"] == 3.0])
    assert scores.severity == robustness(here, unit="row")
    assert scores.pooled == robustness(noisy, unit="row")
    assert scores.stratified == stratified(noisy, unit="row")
    found = scores.severity
    assert (found.n, found.n_flipped, found.n_degenerate) == (8, 4, 1)
    assert found.consistency == pytest.approx(0.76 - 0.015)
    assert found.responsiveness == pytest.approx(1 - (0.76 - 0.05))
    assert scores.pooled.n == 160 and mixed.scores(0.0).severity.n == 1
    assert mixed.scores(0.0).pooled == scores.pooled


def test_where_the_map_breaks_and_the_prediction_flips(mixed: Sweep) -> None:
    scores = mixed.scores(3.0)
    # Means fall by .08 a unit from .965 at 0; below (1 + .5)/2 from 2.75 on. Half of 8 draws flip at 3.
    assert scores.breaks_at == 2.75 and scores.flips_at == 3.25
    assert scores.sentence == (
        "The map breaks at severity 2.75; the prediction flips at severity 3.25. “Breaks” means: mean similarity stays "
        "below halfway between 1 and the other-picture floor. “Flips” means: most draws flip, and still do at the next "
        "step."
    )


def test_what_does_not_happen_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    scene.similarity, scene.flips = (lambda s, seed: 0.9), (lambda s, seed: False)
    sweep = sweep_of(monkeypatch, scene)
    run(sweep)
    scores = sweep.scores(3.0)
    assert scores.breaks_at is None and scores.flips_at is None
    assert scores.sentence.startswith("The map does not break; the prediction does not flip. “Breaks” means")
    assert scores.severity.responsiveness is None and scores.severity.rm is None


def test_scores_before_anything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = sweep_of(monkeypatch, FakeScene()).scores(3.0)
    assert scores.severity.n == scores.pooled.n == scores.stratified.n == 0
    assert scores.severity.consistency is None and scores.breaks_at is None and scores.flips_at is None


def test_scores_follow_new_rows_and_floors_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene)
    sweep.add(scene.row(5.0, 0))
    first = sweep.scores(5.0)
    assert first.severity.n == 1 and sweep.scores(5.0) is first
    sweep.add(scene.row(5.0, 1))
    second = sweep.scores(5.0)
    assert second.severity.n == 2 and second.breaks_at is None, "no floor yet, no threshold"
    sweep.floors = Floors(None, 0.5, 24)
    assert sweep.scores(5.0).breaks_at == 5.0
    assert sweep.scores(4.0).severity.n == 0 and sweep.scores(5.0).severity.n == 2


def test_charts_are_drawn_anew_only_for_new_rows_and_other_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene()
    sweep = sweep_of(monkeypatch, scene)
    sweep.floors = Floors(None, 0.5, 24)

    def drawn(severity: float, seed: int) -> tuple[Chart, Chart, Chart]:
        curve = sweep_curve(sweep, sweep.scores(severity), severity)
        return curve, sweep_violin(sweep, severity, seed), sweep_ecdf(sweep, severity)

    def shares(charts: tuple[Chart, Chart, Chart]) -> str:
        return "".join(chart.figure.to_json() for chart in charts)

    sweep.add(scene.row(5.0, 0))
    first = drawn(5.0, 0)
    assert all(again is chart for again, chart in zip(drawn(5.0, 0), first, strict=True))
    other = drawn(4.0, 1)
    assert not any(a is b for a, b in zip(other, first, strict=True))
    sweep.add(scene.row(5.0, 1))
    second = drawn(5.0, 0)
    assert not any(a is b for a, b in zip(second, first, strict=True)) and shares(second) != shares(first)
    assert drawn(5.0, 1)[1] is not second[1], "the ring is on another draw"


# threads


def test_reading_while_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = FakeScene(draws=16, cost="tail")
    sweep = sweep_of(monkeypatch, scene)
    seen: list[int] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        try:
            while not over.is_set():
                frame = sweep.frame()
                keys = list(zip(frame["severity"], frame["seed"], strict=True))
                assert keys == sorted(set(keys))
                seen.append(len(frame))
                sweep.missing(3.0)
                sweep.add(scene.row(3.0, 5))
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    readers = [threading.Thread(target=read) for _ in range(3)]
    try:
        for reader in readers:
            reader.start()
        run(sweep)
    finally:
        over.set()
        for reader in readers:
            reader.join(30)
        sys.setswitchinterval(interval)
    assert not failures and seen
    assert sweep.complete and len(sweep.frame()) == 1 + 20 * 16
    assert sweep.scores(3.0).severity.n == 16


# the real thing


def test_a_real_sweep_on_the_worker(pictures: tuple[Picture, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camlab.explore.sweep, "SEVERITY_STEP", 1.0)  # six severities suffice
    monkeypatch.setattr(camlab.explore.sweep, "PATIENCE", 1e9)
    engine = engine_for("efficientnet_lite0", "cpu")
    picture = pictures[0]
    state = ExploreState(image=picture.id, segmentation="slic", noise="gaussian_noise", draws=2, seed=1)
    scene = Scene(engine, picture, state)
    shown = scene.shown(5.0, 1)
    sweep = Sweep(scene, 5.0)
    sweep.add(shown.row)
    worker, finished = Worker(), threading.Event()

    def watch() -> None:
        while sweep.job.running:
            sweep.job.touch()
            finished.wait(0.01)
        finished.set()

    worker.submit(sweep.job)
    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join(120)
    assert finished.is_set() and sweep.job.error is None and sweep.complete
    pairs = [(0.0, 0), *((s, seed) for s in (1.0, 2.0, 3.0, 4.0, 5.0) for seed in (0, 1))]
    assert sweep.frame().to_dict("records") == scene.rows(pairs)
    assert sweep.frame(5.0).to_dict("records")[1] == shown.row
    assert sweep.floors == scene.floors() and sweep.floors.others == 24
    scores = sweep.scores(5.0)
    assert scores.severity == robustness(pd.DataFrame(scene.rows([(5.0, 0), (5.0, 1)])), unit="row")
    assert scores.severity.n_flipped >= 1


def test_stop_is_kept_at_its_severity_and_lifted_by_resume() -> None:
    sweep = Sweep(
        Scene(
            engine_for("efficientnet_lite0"),
            find_picture("photos/bison"),
            ExploreState(draws=2, image="photos/bison"),
        ),
        3.0,
    )
    sweep.stop()
    sweep.job.step()
    assert not sweep.job.running
    assert not sweep.wants(3.0)
    assert sweep.wants(4.0)
    sweep.resume()
    sweep.job.cancel()
    assert sweep.wants(3.0)


def test_nothing_is_claimed_before_it_is_measured() -> None:
    sweep = Sweep(
        Scene(
            engine_for("efficientnet_lite0"),
            find_picture("photos/bison"),
            ExploreState(draws=2, image="photos/bison"),
        ),
        3.0,
    )
    assert "no known breaking point yet" in sweep.scores(3.0).sentence
    assert "does not flip so far" in sweep.scores(3.0).sentence


def test_a_visit_between_the_levels_changes_no_score_of_the_sweep() -> None:
    state = ExploreState(draws=1, image="photos/bison", noise="saturate")
    sweep = Sweep(Scene(engine_for("efficientnet_lite0"), find_picture("photos/bison"), state), 2.0)
    for row in sweep.scene.rows([(1.0, 0), (2.0, 0)]):
        sweep.add(row)
    before = sweep.scores(2.0).pooled
    sweep.add(sweep.scene.rows([(2.25, 0)])[0])
    assert len(sweep.frame()) == 3
    assert sweep.scores(2.0).pooled == before


def test_a_sweep_fits_every_state_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of(monkeypatch, FakeScene(seed=5, severity=2.0), 2.0)
    state = sweep.scene.state
    for same in ({"severity": 4.25}, {"seed": 7}, {"view": "heat", "opacity": 0.1}, {"scope": "sweep"}):
        assert sweep.fits(dataclasses.replace(state, **same)), same
    for other in ({"seed": 8}, {"draws": 8}, {"noise": "fog"}, {"p": 0.8}, {"method": "eigencam"}, {"copies": 2}):
        assert not sweep.fits(dataclasses.replace(state, **other)), other
