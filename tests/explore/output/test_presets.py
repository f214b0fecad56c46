"""The stories that come with the app: their effect is there when it is measured again."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from benchmarks.find_stories import KINDS, measured, pick
from camlab.explore.output.presets import SEEDS, stories
from camlab.explore.state import ExploreState
from camlab.explore.trials.steadiness import Steady


def test_there_are_enough_stories_of_both_kinds() -> None:
    kinds = Counter(each.outcome for each in stories().values())
    assert sum(kinds.values()) >= 7 and kinds["moves"] >= 6 and kinds["holds"] >= 1
    assert len({each.image for each in stories().values() if each.outcome == "moves"}) == kinds["moves"]


@pytest.mark.parametrize("name", list(stories()))
def test_the_effect_holds_when_it_is_measured_again(name: str) -> None:
    preset = stories()[name]
    found = measured(preset.state)
    assert found.outcome == preset.outcome
    assert (found.n, found.kept) == (len(SEEDS), preset.kept) and found.kept == found.n
    for field in ("similarity", "low", "high", "floor", "threshold", "strength"):
        assert math.isclose(getattr(found, field), getattr(preset, field), abs_tol=0.02), field
    assert found.strength > 0


def test_only_the_strongest_that_differ_are_kept() -> None:
    def candidate(image: str, similarity: float, kept: int = 16, **more: Any) -> tuple[ExploreState, Steady]:
        each = Steady("gradcam", 16, kept, kept, similarity, similarity - 0.02, similarity + 0.02, 0.2)
        return ExploreState(image=image, **more), each

    found = [
        candidate("photos/bison", 0.5),
        candidate("photos/bison", 0.3, noise="fog"),
        candidate("photos/dalmatian", 0.2, kept=15),  # a draw flipped: it tells another story
        candidate("photos/lion", 0.9),  # it holds
        candidate("photos/tabby", 0.4, method="layercam"),
    ]
    chosen = [(s.image, s.noise) for s, _ in pick(found, "moves")]
    assert chosen == [("photos/bison", "fog"), ("photos/tabby", "gaussian_noise")]
    assert [s.image for s, _ in pick(found, "holds")] == ["photos/lion"] and KINDS["holds"] >= 1
