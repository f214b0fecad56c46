"""Ready-made stories, found and measured by `benchmarks.find_stories` rather than picked by eye."""

import csv
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import cast

from camlab.common.directories import ASSETS
from camlab.common.registry import Registry
from camlab.explore.state import ExploreState

FILE = ASSETS / "stories.csv"
SEEDS = tuple(range(16))  # the draws with which every story was measured


@dataclass(frozen=True)
class StoryPreset:
    """One story: its state, and the effect measured when it was found.

    outcome: one of `camlab.explore.trials.steadiness.OUTCOMES`; similarity, low, high: mean over the draws that kept
    the prediction and its 95 % interval; threshold: halfway between 1 and the floor of other pictures; strength:
    distance from the threshold to the near end of the interval; searched: number of maps in the search.
    """

    name: str
    title: str
    outcome: str
    model: str
    image: str
    method: str
    noise: str
    severity: float
    seed: int
    draws: int
    kept: int
    similarity: float
    low: float
    high: float
    floor: float
    threshold: float
    strength: float
    searched: int

    @property
    def state(self) -> ExploreState:
        """The Explore state of the story."""
        chosen = {name: getattr(self, name) for name in ("model", "image", "method", "noise", "severity", "seed")}
        return ExploreState(**chosen, draws=len(SEEDS))


@lru_cache(maxsize=1)
def stories() -> Registry[StoryPreset]:
    """Return all stories by name, in the order of the file: moving maps first, strongest first."""
    found: Registry[StoryPreset] = Registry("story")
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = {f.name: cast(type, f.type)(row[f.name]) for f in fields(StoryPreset)}
            found.add(row["name"], StoryPreset(**values))
    return found
