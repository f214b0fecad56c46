"""What a comparison is made of: its columns, its rows, what is known of a cell, and the order in which cells come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.cams.coincidence import JOINT
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.compare.state import Place

STEP_IMAGES = 4  # versions that go through a network in one step


@dataclass(frozen=True)
class GridColumn:
    """One column: its value (None: the clean picture), its heading, and what has to be said about all of it."""

    value: Any
    title: str
    note: str = ""


@dataclass(frozen=True)
class GridRow:
    """One map: the methods that give it here, the first of which stands for all."""

    methods: tuple[str, ...]

    @property
    def title(self) -> str:
        """The names of all its methods."""
        return JOINT.join(CAMS[name].title for name in self.methods)


@dataclass(frozen=True)
class GridCell:
    """What is known of a place. ``map``: (h, w) in [0, 1], None where there is none; ``row``: as `Scene.rows` has it.

    ``note`` says what is missing and why; empty where nothing is. ``similarity`` is on [0, 1].
    """

    place: Place
    map: NDArray[np.float32] | None = None
    row: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def similarity(self) -> float | None:
        """Similarity to the clean map, None where it was not observed."""
        value = None if self.row is None else float(self.row["similarity"])
        return None if value is None or np.isnan(value) else value


@dataclass(frozen=True)
class RowScore:
    """A row's robustness: the mean similarity over its ``n`` noisy cells that have one, and how many flipped."""

    mean: float | None
    n: int
    flipped: int
    of: int


def spec_of(where: Place) -> Spec:
    """The version of the picture that a cell shows, as the engine makes it."""
    return CLEAN if where.noise is None else Spec(where.noise, where.severity, where.seed)


def batches(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Places of one model and of at most STEP_IMAGES versions of the picture at a time, the clean ones first."""
    groups: dict[str, dict[Spec, list[Place]]] = {}
    for where in places:
        groups.setdefault(where.model, {}).setdefault(spec_of(where), []).append(where)
    for versions in groups.values():
        listed = list(versions.values())
        alone = 1 if listed and listed[0][0].noise is None else STEP_IMAGES
        yield [where for each in listed[:alone] for where in each]
        rest = listed[alone:]
        for start in range(0, len(rest), STEP_IMAGES):
            yield [where for each in rest[start : start + STEP_IMAGES] for where in each]
