"""The parts of a comparison: columns, rows, cells, and the batches in which cells are computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.cams.coincidence import JOINT
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.compare.state import Place

STEP_IMAGES = 4  # versions per step


@dataclass(frozen=True)
class GridColumn:
    """One column: its value (None: the clean picture), its heading, and a note on the whole column."""

    value: Any
    title: str
    note: str = ""


@dataclass(frozen=True)
class GridRow:
    """One row: the methods that give the same map here; the first one is computed."""

    methods: tuple[str, ...]

    @property
    def title(self) -> str:
        """The titles of all its methods."""
        return JOINT.join(CAMS[name].title for name in self.methods)


@dataclass(frozen=True)
class GridCell:
    """The result for one place.

    map: (h, w) in [0, 1], None if there is none; row: as in `Scene.rows`; note: the missing part and why, else empty.
    """

    place: Place
    map: NDArray[np.float32] | None = None
    row: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def similarity(self) -> float | None:
        """Similarity to the clean map in [0, 1]; None: not observed."""
        value = None if self.row is None else float(self.row["similarity"])
        return None if value is None or np.isnan(value) else value


@dataclass(frozen=True)
class RowScore:
    """A row's robustness: the mean of the ``n`` similarities among its noisy cells, and the number of flips."""

    mean: float | None
    n: int
    flipped: int


def spec_of(where: Place) -> Spec:
    """Return the engine's spec of the picture's version in a cell."""
    return CLEAN if where.noise is None else Spec(where.noise, where.severity, where.seed)


def batches(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Group places by model, with at most STEP_IMAGES versions of the picture per batch, clean versions first."""
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
