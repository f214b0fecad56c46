"""The plan of a study: the grid that it runs, as pure data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from camlab.common.errors import BadStudy
from camlab.engine.spec import Spec
from camlab.noise import NOISES

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
#: Words for target layers that each model resolves for itself: the pooled layer, and the layer before it.
DEFAULT, BEFORE = "default", "before"
MAX_SEEDS = 1000
#: The image sets that a model runs on: those whose classes it may know, or all.
FITTING, ALL = "fitting", "all"


@dataclass(frozen=True)
class StudyPlan:
    """The grid of a study, with names from the registries; `camlab.study.sources.check_plan` checks it.

    image_sets: built-in sets, downloaded data sets, or paths of folders. limit: the largest number of pictures per
    set, evenly spaced. layers: names, "default" (the pooled layer) or "before" (the layer before it). severities: in
    (0, 5]; noise types that are not monotone run only at whole ones. seeds: each stochastic noise type runs with the
    seeds 0 … seeds − 1. pairing: "fitting" leaves out each model × set whose classes cannot fit, "all" none.
    confined: folders must lie in those that ``CAMLAB_IMAGE_ROOTS`` allows. decompose: also compute the map for the new
    class alone and under the noise alone. keep_maps: also store the maps.
    """

    models: tuple[str, ...]
    image_sets: tuple[str, ...]
    methods: tuple[str, ...]
    noises: tuple[str, ...]
    severities: tuple[float, ...] = LEVELS
    seeds: int = 1
    layers: tuple[str, ...] = (DEFAULT,)
    limit: int | None = None
    pairing: str = ALL
    confined: bool = False
    decompose: bool = False
    keep_maps: bool = False
    name: str = ""

    def levels(self, noise: str) -> tuple[float, ...]:
        """Return the severities at which a noise type runs, ascending."""
        every = tuple(sorted({float(severity) for severity in self.severities}))
        return every if NOISES[noise].monotone else tuple(s for s in every if s.is_integer())

    def draws(self, noise: str) -> int:
        """Return the number of seeds of a noise type: 1 if it draws no random numbers."""
        return self.seeds if NOISES[noise].stochastic else 1

    def specs(self) -> list[Spec]:
        """List every perturbed version of a picture, in the order of the rows."""
        return [
            Spec(noise, severity, seed)
            for noise in self.noises
            for severity in self.levels(noise)
            for seed in range(self.draws(noise))
        ]

    def versions(self) -> int:
        """Count the perturbed versions of each picture."""
        return sum(len(self.levels(noise)) * self.draws(noise) for noise in self.noises)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyPlan:
        """Read the plan that `to_json` wrote. Raises BadStudy for anything else."""
        try:
            given = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
            for name in ("models", "image_sets", "methods", "noises", "layers"):
                given[name] = tuple(str(each) for each in given[name])
            given["severities"] = tuple(float(each) for each in given["severities"])
            plan = cls(**given)
            if not all(map(math.isfinite, plan.severities)) or not isinstance(plan.seeds, int):
                raise ValueError("settings")
        except (KeyError, TypeError, ValueError) as error:
            raise BadStudy("The plan in the manifest cannot be read; start a new study.") from error
        return plan
