"""Several methods on one picture: the same draws, merged where they are one, judged against their own floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from camlab.cams.coincidence import JOINT
from camlab.engine.shared import engine_for
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.trials.steadiness import Steady, steadiness, usable_methods
from camlab.images import find_picture


def scene(**changes: Any) -> Scene:
    fields: dict[str, Any] = {
        "model": "shapes_resnet",
        "image": "shapes/0-1",
        "severity": 1.0,
        "draws": 6,
    } | changes
    state = ExploreState(**fields)
    return Scene(engine_for(state.model), find_picture(state.image), state)


def test_it_says_what_a_scene_says_of_each_method() -> None:
    found = steadiness(scene(), range(6))
    assert found[0].method.split(JOINT)[0] == "gradcam" and found[-1].baseline
    for each in found:
        one = scene(method=each.method.split(JOINT)[0])
        rows = one.rows([(1.0, seed) for seed in range(6)])
        kept = [row["similarity"] for row in rows if not row["flipped"] and not row["degenerate"]]
        assert (each.n, each.measured) == (6, len(kept))
        assert each.similarity == pytest.approx(np.mean(kept), abs=1e-9)
        assert each.floor == pytest.approx(one.floors().other, abs=1e-9)
        assert each.low is not None and each.low <= each.similarity <= each.high  # type: ignore[operator]


def test_methods_that_are_one_here_are_one_row() -> None:
    names = [name for each in steadiness(scene(), [0], floors=False) for name in each.method.split(JOINT)]
    assert sorted(names) == sorted(usable_methods(scene()))
    assert len(steadiness(scene(), [0], floors=False)) < len(names)


def test_flipped_draws_do_not_count() -> None:
    strong = scene(severity=5.0)
    flips = sum(row["flipped"] for row in strong.rows([(5.0, seed) for seed in range(6)]))
    assert flips and steadiness(strong, range(6), floors=False)[0].kept == 6 - flips


@pytest.mark.parametrize(
    ("similarity", "low", "high", "outcome", "strength"),
    [
        (0.4, 0.35, 0.45, "moves", 0.15),
        (0.8, 0.75, 0.85, "holds", 0.15),
        (0.6, 0.5, 0.7, "unsure", 0.0),
        (0.4, None, None, "moves", 0.2),
        (None, None, None, "unseen", 0.0),
    ],
)
def test_the_whole_interval_has_to_lie_on_one_side(
    similarity: float | None, low: float | None, high: float | None, outcome: str, strength: float
) -> None:
    each = Steady("gradcam", 16, 16, 16, similarity, low, high, floor=0.2)
    assert each.threshold == pytest.approx(0.6) and each.outcome == outcome
    assert each.strength == pytest.approx(strength)
    assert Steady("gradcam", 1, 1, 1, similarity, low, high, floor=None).outcome == "unseen"
