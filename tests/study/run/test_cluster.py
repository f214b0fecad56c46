"""The same rows from a Ray cluster, here one of two workers on this machine."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from camlab.common.errors import BadSetting
from camlab.study import StudyPlan, run_study
from camlab.study.sources import count_pairs
from camlab.study.store import Study, open_study
from tests.study.run.test_run import comparable


def test_a_cluster_gives_the_same_rows_even_where_a_worker_dies(
    study: Study, plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from camlab.study.run.cluster import RayPool

    made: list[object] = []

    def station(pool: RayPool, manifest: object) -> object:
        actor = make(pool, manifest)  # type: ignore[arg-type]
        made.append(actor)
        if len(made) == 1:
            ray.kill(actor)
        return actor

    make = RayPool._station
    monkeypatch.setattr(RayPool, "_station", station)
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    few = dataclasses.replace(plan, limit=1)
    told: list[Any] = []
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        found = run_study(few, tmp_path / "s", backend="ray", device="cpu", on_progress=told.append)
    finally:
        ray.shutdown()
    assert (found.state, found.done, found.workers) == ("finished", count_pairs(few), 2)
    assert len(made) == 3  # two, and one in the place of the dead
    ours = comparable(open_study(tmp_path / "s"))
    theirs = comparable(study)
    theirs = theirs[theirs["image"].isin(set(ours["image"]))]
    order = ["model", "image", "layer", "method"]
    pd.testing.assert_frame_equal(
        *(each.sort_values(order, kind="stable").reset_index(drop=True) for each in (ours, theirs)),
        check_exact=True,
    )
    assert any(each.state == "running" and each.total == count_pairs(few) for each in told)


def test_without_ray_it_says_what_to_do(plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadSetting, match=r"requirements-cluster\.txt"):
        run_study(plan, tmp_path / "s", backend="ray")
