"""The state of the Compare page: one picture, many explanations, as a value that fits into a link."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from camlab.cams import CAMS
from camlab.common.errors import BadSetting, CamLabError
from camlab.common.parsing import member
from camlab.common.registry import Registry
from camlab.drawing.charts.titles import model_title
from camlab.explore.state import (
    MAX_SEED,
    ExploreState,
    field_text,
    parse_field,
    parse_query,
    settle,
    to_query,
)
from camlab.models import MODELS, find_model
from camlab.noise import NOISES

MOST_COLUMNS = 24
MOST_PINS = 24
SEEDS = 5  # default number of columns on the seed axis
#: Default methods: the paper's six, two more that are almost free, and the baseline.
USUAL_METHODS = (
    "gradcam", "gradcam++", "xgradcam", "ablationcam", "hirescam", "eigencam", "layercam", "eigengradcam",
    "randomcam",
)  # fmt: skip
#: Default noise types on the noise axis: one or two of each family.
USUAL_NOISES = (
    "gaussian_noise", "salt_and_pepper", "gaussian_blur", "motion_blur", "fog", "contrast", "pixelate",
    "jpeg_compression", "occlusion",
)  # fmt: skip
#: Fields of the Explore page without effect here.
UNUSED = ("method", "draws", "view", "scope", "outline")
CLEAN_NAME = "clean"
SEPARATOR = "~"

SORTS: Registry[str] = Registry("order")
SORTS.add("listed", "As listed")
SORTS.add("most", "Most robust first")
SORTS.add("least", "Least robust first")


@dataclass(frozen=True, order=True)
class Place:
    """One cell: a method on one version of the picture under one model. ``noise`` None: the clean picture."""

    method: str
    model: str
    noise: str | None = None
    severity: float = 0.0
    seed: int = 0

    @property
    def clean(self) -> Place:
        """The cell of the clean picture, which this one is compared with."""
        return Place(self.method, self.model)

    @property
    def version(self) -> Place:
        """The key of the cell's picture, the same for all methods."""
        return dataclasses.replace(self, method="")

    @property
    def text(self) -> str:
        """The place as text in a link; parse_place reads it."""
        version = (CLEAN_NAME,) if self.noise is None else (self.noise, field_text(self.severity), str(self.seed))
        return SEPARATOR.join((self.method, self.model, *version))


def place(method: str, model: str, noise: str | None, severity: float, seed: int) -> Place:
    """Return the canonical place of a cell: severity 0 is the clean picture, noise types without draws have seed 0."""
    if noise is None or severity == 0:
        return Place(method, model)
    return Place(method, model, noise, float(severity), seed if NOISES[noise].stochastic else 0)


def parse_place(text: str) -> Place:
    """Parse a place from a link. Raises CamLabError for an invalid text."""
    parts = text.split(SEPARATOR)
    if len(parts) not in (3, 5) or (len(parts) == 3) != (parts[2] == CLEAN_NAME):
        raise BadSetting(f"{text[:40]!r} names no cell; pin it again")
    method, model = parse_field("method", parts[0]), parse_field("model", parts[1])
    if len(parts) == 3:
        return Place(method, model)
    noise, severity, seed = (
        parse_field(name, each) for name, each in zip(("noise", "severity", "seed"), parts[2:], strict=True)
    )
    return place(method, model, noise, severity, seed)


@dataclass(frozen=True)
class Axis:
    """A field of the Explore state in which the columns can differ.

    ``default``: its default values; ``label``: a value in words.
    """

    title: str
    plural: str
    default: Callable[[ExploreState], tuple[Any, ...]]
    label: Callable[[Any], str]


#: By the name of the field.
AXES: Registry[Axis] = Registry("column axis")


def _seeds(base: ExploreState) -> tuple[int, ...]:
    first = min(base.seed, MAX_SEED - SEEDS + 1)
    return tuple(range(first, first + SEEDS))


def _kin(base: ExploreState) -> tuple[str, ...]:
    """Return the model and the bundled models of its family; for other models, the bundled ImageNet models."""
    family = find_model(base.model).family
    families = {row.family for row in MODELS.values()}
    family = family if family in families else next(iter(MODELS.values())).family
    return tuple(dict.fromkeys([base.model, *(n for n, row in MODELS.items() if row.family == family)]))


AXES.add(
    "severity",
    Axis("Severity", "severities", lambda _: (1.0, 2.0, 3.0, 4.0, 5.0), lambda v: f"Severity {v:g}"),
)
AXES.add("noise", Axis("Noise type", "noise types", lambda _: USUAL_NOISES, lambda v: NOISES[v].title))
AXES.add("model", Axis("Model", "models", _kin, model_title))
AXES.add("seed", Axis("Seed", "seeds", _seeds, lambda v: f"Seed {v}"))
#: Axes whose columns are sorted by value.
SCALES = ("severity", "seed")


@dataclass(frozen=True)
class CompareState:
    """Every choice on the Compare page; two equal states show the same grid, tray and pair.

    ``base`` holds the settings of all cells, including the values of the other axes. Empty ``methods`` and ``columns``
    mean the defaults. ``columns``: values of the axis as texts.
    """

    base: ExploreState = dataclasses.field(default_factory=ExploreState)
    methods: tuple[str, ...] = ()
    axis: str = "severity"
    columns: tuple[str, ...] = ()
    sort: str = "listed"
    pins: tuple[Place, ...] = ()
    a: Place | None = None
    b: Place | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """The methods, in the order of the registry."""
        chosen = self.methods or USUAL_METHODS
        return tuple(name for name in CAMS if name in chosen)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the columns."""
        if not self.columns:
            return AXES[self.axis].default(self.base)
        return tuple(parse_field(self.axis, text) for text in self.columns)

    def cell(self, method: str, value: Any) -> Place:
        """Return the place of a method in the column of a value; None: the column of the clean picture."""
        base = self.base if value is None else dataclasses.replace(self.base, **{self.axis: value})
        return place(method, base.model, None if value is None else base.noise, base.severity, base.seed)

    def reached_from(self, explored: ExploreState) -> CompareState:
        """Return this comparison for Explore's state, with its method added as a row and its value as a column.

        Each is added only if there is room and it changed since the comparison was last shown, so that removed rows
        and columns stay removed.
        """
        state = dataclasses.replace(self, base=explored)
        if explored.method != self.base.method and explored.method not in state.rows:
            state = dataclasses.replace(state, methods=(*state.rows, explored.method))
        value, before = getattr(explored, self.axis), getattr(self.base, self.axis)
        news = value != before and value not in state.values and (self.axis != "severity" or value > 0)
        if news and len(state.values) < MOST_COLUMNS:
            columns = [*state.values, value]
            if self.axis in SCALES:
                columns.sort()
            state = dataclasses.replace(state, columns=tuple(map(field_text, columns)))
        return state

    def at(self, cell: Place) -> ExploreState:
        """Return the Explore state of a cell, still with the base's model."""
        base = dataclasses.replace(self.base, method=cell.method, severity=cell.severity)
        if cell.noise is not None:
            base = dataclasses.replace(base, noise=cell.noise, seed=cell.seed)
        return settle(base)[0]


def _columns(axis: str, text: str) -> tuple[str, ...]:
    values = dict.fromkeys(field_text(parse_field(axis, part)) for part in text.split(",") if part)
    if len(values) > MOST_COLUMNS:
        raise BadSetting(f"{len(values)} columns are more than the {MOST_COLUMNS} that can be shown")
    return tuple(values)


def _methods(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parse_field("method", part) for part in text.split(",") if part))


def _pins(text: str) -> tuple[Place, ...]:
    found = tuple(dict.fromkeys(parse_place(part) for part in text.split(",") if part))
    if len(found) > MOST_PINS:
        raise BadSetting(f"{len(found)} cells are more than the {MOST_PINS} that the tray holds")
    return found


# The fields of a link besides axis and columns, which are parsed first.
_PARSERS: dict[str, Callable[[str], Any]] = {
    "methods": _methods,
    "sort": member(SORTS),
    "pins": _pins,
    "a": parse_place,
    "b": parse_place,
}
_OWN = ("axis", "columns", *_PARSERS)


def to_link(state: CompareState) -> dict[str, str]:
    """Return the comparison as link parameters, which parse_link reads back."""
    link = {name: text for name, text in to_query(state.base).items() if name not in UNUSED}
    own = {
        "methods": ",".join(state.methods),
        "axis": state.axis,
        "columns": ",".join(state.columns),
        "sort": "" if state.sort == "listed" else state.sort,
        "pins": ",".join(each.text for each in state.pins),
        "a": state.a.text if state.a else "",
        "b": state.b.text if state.b else "",
    }
    return link | {name: text for name, text in own.items() if text}


def parse_link(query: Mapping[str, str], base: ExploreState | None = None) -> tuple[CompareState, list[str]]:
    """Return the comparison that a link describes, and one sentence for each unusable part.

    A link to the Explore page also describes a comparison of its picture. ``base``: as in ``state.parse_query``.
    """
    shared, problems = parse_query({name: text for name, text in query.items() if name not in _OWN}, base)
    state = CompareState(base=shared)

    def take(name: str, parse: Callable[[str], Any]) -> None:
        nonlocal state
        if not query.get(name):
            return
        try:
            state = dataclasses.replace(state, **{name: parse(query[name])})
        except CamLabError as error:
            problems.append(f"The link's {name} could not be used ({str(error).rstrip('.')}); the default is shown.")

    take("axis", member(AXES))
    take("columns", lambda text: _columns(state.axis, text))
    for name, parse in _PARSERS.items():
        take(name, parse)
    return state, problems
