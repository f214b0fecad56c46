"""What a study is to run: the grid, checked before anything is computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camlab.common.errors import BadSetting, BadStudy

if TYPE_CHECKING:
    from camlab.engine.spec import Spec

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
#: Words for target layers, which mean another layer of every model.
DEFAULT, BEFORE = "default", "before"
MAX_SEEDS = 1000
#: Which sets a model is run on: those whose classes it may know, or all.
FITTING, ALL = "fitting", "all"


@dataclass(frozen=True)
class StudyPlan:
    """A study's grid. Everything is named as in the registries.

    image_sets: built-in sets, downloaded data sets, or paths of folders. limit: the most pictures of each set,
    evenly picked. layers: names, "default" (the pooled one) or "before" (the one before that). severities: in
    (0, 5]; noise types that are not monotone take the whole ones only. seeds: draws of each noise type that
    draws, 0 … seeds − 1. pairing: "fitting" leaves out a model × set whose classes cannot fit, "all" none.
    confined: folders must lie in those that ``CAMLAB_IMAGE_ROOTS`` allows. decompose: also what the class and
    what the noise alone does to the map; keep_maps: store the maps, too.
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
        """The severities that a noise type is run at, ascending."""
        from camlab.noise import NOISES

        every = tuple(sorted({float(severity) for severity in self.severities}))
        return every if NOISES[noise].monotone else tuple(s for s in every if s.is_integer())

    def draws(self, noise: str) -> int:
        """How many seeds a noise type is run with: 1 where there is nothing to draw."""
        from camlab.noise import NOISES

        return self.seeds if NOISES[noise].stochastic else 1

    def specs(self) -> list[Spec]:
        """Every perturbed version of a picture, in the order of the rows."""
        from camlab.engine.spec import Spec

        return [
            Spec(noise, severity, seed)
            for noise in self.noises
            for severity in self.levels(noise)
            for seed in range(self.draws(noise))
        ]

    def versions(self) -> int:
        """How many perturbed versions of each picture there are."""
        return sum(len(self.levels(noise)) * self.draws(noise) for noise in self.noises)

    def pictures(self) -> dict[str, int]:
        """How many pictures each model sees. Raises as `check`."""
        from camlab.study.sources import open_sets, paired

        sets = open_sets(self)
        found = dict.fromkeys(self.models, 0)
        for model, label in paired(self, sets):
            found[model] += sets[label].count
        return found

    def pairs(self) -> int:
        """How many pairs there are, before methods that cannot serve a layer are left out. Raises as `check`."""
        each = self.versions() * len(self.layers) * len(self.methods)
        return sum(self.pictures().values()) * each

    def check(self) -> None:
        """Raise UnknownName, BadSetting or BadSource for the first thing that cannot be run.

        What only a loaded model can tell (its layers) is checked when the study is prepared.
        """
        from camlab.cams import CAMS
        from camlab.models import find_model
        from camlab.noise import NOISES, parameters_at
        from camlab.study.sources import open_sets, paired

        for words, given in (
            ("model", self.models),
            ("image set", self.image_sets),
            ("CAM method", self.methods),
            ("noise type", self.noises),
            ("severity", self.severities),
            ("layer", self.layers),
        ):
            if not given:
                raise BadSetting(f"A study needs at least one {words}; name one.")
            if len(set(given)) < len(given):
                twice = next(each for each in given if given.count(each) > 1)
                raise BadSetting(f"The {words} {twice!r} is named twice; name it once.")
        for model in self.models:
            find_model(model)
        for method in self.methods:
            _ = CAMS[method]
        for noise in self.noises:
            kind = NOISES[noise]
            if kind.needs == "companion":
                raise BadSetting(
                    f"{kind.title} needs a second picture of each scene; leave it out of studies."
                )
            for severity in self.severities:
                parameters_at(noise, severity)
                if not severity > 0:
                    raise BadSetting("Severity 0 is the clean picture itself; choose severities over 0.")
            if not self.levels(noise):
                raise BadSetting(f"{kind.title} has the levels 1 to 5 only; add one of them as a severity.")
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise BadSetting(f"The number of seeds must lie between 1 and {MAX_SEEDS:,}, not {self.seeds}.")
        if self.limit is not None and self.limit < 1:
            raise BadSetting("A study needs at least one picture of each set; choose a limit of 1 or more.")
        if self.pairing not in (FITTING, ALL):
            raise BadSetting(f"Models and sets are paired as {FITTING!r} or {ALL!r}, not {self.pairing!r}.")
        pairs = paired(self, open_sets(self))
        for model in self.models:
            if not any(model == each for each, _ in pairs):
                raise BadSetting(f"None of the image sets fits {model}; add one that does, or leave it out.")

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyPlan:
        """The plan that `to_json` wrote. Raises BadStudy for anything else."""
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
