"""The strip of frames: which come when, what it costs a dear method, and what is handed out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from camlab.common.errors import BadSetting
from camlab.common.jobs import Job
from camlab.engine.shared import engine_for
from camlab.explore.output import frames
from camlab.explore.output.frames import SEVERITIES, Frame
from camlab.explore.output.strip import PARCEL, Strip
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from camlab.images import find_picture
from tests.explore.output.parcels import unpack


def scene(**changes: Any) -> Scene:
    fields: dict[str, Any] = {"draws": 1, "noise": "contrast"} | changes
    state = ExploreState(**fields)
    return Scene(engine_for(state.model), find_picture(state.image), state)


def strip(**changes: Any) -> Strip:
    found = scene(**changes)
    return Strip(found, Sweep(found, found.state.severity), found.state.severity)


def steps(job: Job) -> Iterator[None]:
    while job.running:
        job.step()
        yield


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The severities of the frames in the order in which they are made."""
    order: list[float] = []
    real = frames.make_frame

    def noted(scene: Scene, shown: Shown) -> Frame:
        order.append(shown.row["severity"])
        return real(scene, shown)

    monkeypatch.setattr(frames, "make_frame", noted)
    return order


def run(job: Job, until: Callable[[], bool] = lambda: False) -> None:
    for _ in steps(job):
        if until():
            return


def test_frames_are_made_outwards_from_the_focus_and_follow_it(made: list[float]) -> None:
    found = strip(severity=3.0)
    run(found.job, lambda: len(made) == 3)
    assert made == [3.0, 2.75, 3.25]
    found.focus = 0.5
    run(found.job, lambda: len(made) == 5)
    assert made[3:] == [0.5, 0.25]
    run(found.job)
    assert sorted(made) == list(SEVERITIES)
    assert found.job.error is None and found.job.done == len(SEVERITIES)


def test_parcels_hold_each_frame_once_and_the_shared_part_first() -> None:
    found = strip()
    seen: list[int] = []
    for _ in steps(found.job):
        seen.append(len(found.pack()))
    assert seen == sorted(seen) and seen[PARCEL - 2] == 0 and seen[PARCEL - 1] == 1
    found.pack()
    parcels = [unpack(data) for data in found.pack()]
    assert [index for _, index, _, _ in parcels] == list(range(len(parcels)))
    assert {name for name, _, _, _ in parcels} == {found.name}
    assert ["size" in header for _, _, header, _ in parcels] == [True] + [False] * (len(parcels) - 1)
    told = [frame["severity"] for _, _, header, _ in parcels for frame in header["frames"]]
    assert sorted(told) == list(SEVERITIES)


def test_scores_come_once_the_sweep_is_complete() -> None:
    found = strip()
    run(found.job)
    wants = found.wants
    assert not wants and not any("scores" in unpack(data)[2] for data in found.pack())
    run(found.sweep.job)
    wants = found.wants
    assert wants
    run(found.resume())
    assert found.complete and not found.wants
    header = unpack(found.pack()[-1])[2]
    assert [score["severity"] for score in header["scores"]] == list(SEVERITIES)
    assert set(header["scores"][0]["html"]) == {"consistency", "responsiveness", "rm", "moved_by"}
    assert found.pack() == found.pack()


def test_a_class_rule_that_cannot_be_split_has_no_strip_of_what_moved_the_map() -> None:
    found = strip(rule="clean")
    run(found.sweep.job)
    run(found.job)
    header = unpack(found.pack()[-1])[2]
    assert set(header["scores"][0]["html"]) == {"consistency", "responsiveness", "rm"}


def test_a_path_that_is_not_monotone_has_frames_at_every_step_and_scores_at_the_levels() -> None:
    found = strip(noise="saturate")
    run(found.sweep.job)
    run(found.job)
    assert all(found.frame(severity) for severity in SEVERITIES)
    scores = unpack(found.pack()[-1])[2]["scores"]
    assert [score["severity"] for score in scores] == [0, 1, 2, 3, 4, 5]


def test_a_dear_method_is_never_run_for_frames_alone(made: list[float]) -> None:
    found = strip(method="ablationcam", layer="blocks.6")
    found.sweep.add(found.scene.shown(3.0, 0).row)
    run(found.job)
    assert made == [3.0, 0.0]  # what the page has anyway
    wants = found.wants
    assert not wants
    found.sweep.add(found.scene.shown(1.0, 0).row)
    assert found.wants
    run(found.resume())
    assert made == [3.0, 0.0, 1.0]
    assert len(found.pack()) == 1


def test_an_error_ends_the_frames_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise BadSetting("No.")

    found = strip()
    monkeypatch.setattr(found.scene, "shown", fails)
    run(found.job)
    assert found.job.error == "No." and not found.wants
    assert found.pack() == ()


def test_a_cancelled_strip_makes_no_further_frame(made: list[float]) -> None:
    found = strip()
    run(found.job, lambda: len(made) == 2)
    found.job.cancel()
    run(found.job)
    assert len(made) == 2
