"""One pair of a picture with some draws, and the study that reports and stories are made of."""

from __future__ import annotations

import math

import pytest

from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from camlab.images import Picture
from tests.study.conftest import study

__all__ = ["study"]

STATE = ExploreState(
    image="photos/bison",
    severity=5.0,
    seed=2,
    draws=3,
    segmentation="slic",
    segments=(("n_segments", 30.0),),
    p=0.85,
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return engine_for("efficientnet_lite0", "cpu")


@pytest.fixture(scope="session")
def scene(engine: Engine, pictures: tuple[Picture, ...]) -> Scene:
    return Scene(engine, pictures[0], STATE)


@pytest.fixture(scope="session")
def shown(scene: Scene) -> Shown:
    return scene.shown(5.0, 2)


@pytest.fixture(scope="module")
def sweep(scene: Scene, shown: Shown) -> Sweep:
    """Some draws, one of them without a similarity, and the floors."""
    sweep = Sweep(scene, 5.0)
    for row in (*scene.rows([(0.0, 0), (5.0, 0), (2.5, 0), (2.5, 1)]), shown.row):
        sweep.add(row)
    lost = scene.rows([(4.0, 1)])[0] | {"degenerate": True, "similarity": math.nan, "rbo": math.nan}
    sweep.add(lost)
    sweep.floors = Floors(0.25, 0.5, 24)
    return sweep
