"""What every lesson is made of: its words, its settings, its run on the real engine, its sheet and its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.common.jobs import Job, Steps
from camlab.common.registry import Registry
from camlab.drawing.pictures import Bytes, blend, colourise, enlarge, to_image, upsample
from camlab.engine.engine import Engine
from camlab.engine.shared import REFERENCE_SET
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, set_of
from camlab.images.builtin import IMAGE_SETS
from camlab.lessons.settings import LessonState

COLOURS, OPACITY = "inferno", 0.55


@dataclass(frozen=True)
class Source:
    """Where a statement comes from: authors and year, title, address."""

    who: str
    title: str
    address: str


@dataclass(frozen=True)
class Formula:
    """One formula: LaTeX for the page, the same in plain characters for print, and what it says in words."""

    latex: str
    plain: str
    words: str


@dataclass(frozen=True)
class Question:
    """A question about what was measured: the options, which of them is right, and why."""

    text: str
    options: tuple[str, ...]
    right: int
    because: str


@dataclass(frozen=True)
class Figure:
    """One picture with its title (what is seen, in few words) and its text equivalent."""

    title: str
    picture: Bytes
    alt: str


@dataclass(frozen=True)
class Sheet:
    """What a finished run has to say: pictures, measured observations, and the question with its answer."""

    figures: tuple[Figure, ...]
    observations: tuple[str, ...]
    question: Question


@dataclass(frozen=True)
class Setting:
    """The picture, the model's engine and the choices that a lesson works with."""

    engine: Engine
    picture: Picture
    state: LessonState

    def scene(self, **changes: Any) -> Scene:
        """A scene of the picture under the lesson's choices, some of them changed."""
        state = self.state
        values = {
            "model": state.model,
            "image": self.picture.id,
            "method": state.method,
            "noise": state.noise,
            "severity": state.severity,
            "seed": state.seed,
            "p": state.p,
        }
        picture: Picture = changes.pop("picture", self.picture)
        return Scene(
            self.engine, picture, ExploreState(**{**values, "draws": 1, **changes, "image": picture.id})
        )

    def pictures(self, count: int) -> list[Picture]:
        """The lesson's picture and evenly picked others of its set, of the photographs where it is in none."""
        name = set_of(self.picture.id)
        pool = IMAGE_SETS[name if name in IMAGE_SETS else REFERENCE_SET].pictures
        picks = np.linspace(0, min(len(pool), 60) - 1, count).round().astype(int)
        others = [p for p in (pool[int(i)] for i in picks) if p.id != self.picture.id]
        return [self.picture, *others][:count]


class LessonRun:
    """A lesson at work on one setting. ``prepare`` is done at once, ``work`` in the background, step by step."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.started = False  # whether the job was handed to a worker
        self.job = Job("Lesson", self._work)
        self.prepare()

    def prepare(self) -> None:
        """Compute what the page shows first."""

    def work(self, job: Job) -> Iterator[None]:
        """Compute the rest; nothing where ``prepare`` has done it all."""
        return iter(())

    def sheet(self) -> Sheet:
        """What was found. Only once the job is finished."""
        raise NotImplementedError

    def _work(self, job: Job) -> Steps:
        yield from self.work(job)

    @property
    def complete(self) -> bool:
        """Whether all is measured."""
        return self.job.finished and not self.job.error


def finish(run: LessonRun) -> LessonRun:
    """Do all the work that is left, here and now."""
    while run.job.running:
        run.job.step()
    return run


@dataclass(frozen=True)
class Lesson:
    """One lesson: words for people, the choices it uses, and what makes its run.

    ``settings`` are the choices that a teacher fixes, ``moves`` what the learner does; both are in the link.
    ``counts`` is what its job counts, in the plural; empty where there is nothing to wait for. ``goals`` and
    ``steps`` are whole sentences.
    """

    name: str
    title: str
    minutes: int
    intro: str
    goals: tuple[str, ...]
    steps: tuple[str, ...]
    formulas: tuple[Formula, ...]
    sources: tuple[Source, ...]
    settings: tuple[str, ...]
    moves: tuple[str, ...]
    begin: Callable[[Setting], LessonRun]
    counts: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Its place among the lessons, from 1."""
        return list(LESSONS).index(self.name) + 1

    def decides(self, state: LessonState) -> tuple[Any, ...]:
        """The choices that decide what is measured, to tell whose run a run is."""
        return (self.name, *(getattr(state, name) for name in self.settings))


#: The lessons in their order; `camlab.lessons` imports the files one after the other.
LESSONS: Registry[Lesson] = Registry("lesson")


def lesson(name: str, **words: Any) -> Callable[[type[LessonRun]], type[LessonRun]]:
    """Register the decorated run as a lesson. Raises ValueError where the name is taken."""

    def register(begin: type[LessonRun]) -> type[LessonRun]:
        LESSONS.add(name, Lesson(name=name, begin=begin, **words))
        return begin

    return register


def squares(map_: NDArray[np.floating[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map (h, w) enlarged to size without smoothing: every cell one square."""
    rows = np.arange(size[0]) * map_.shape[0] // size[0]
    columns = np.arange(size[1]) * map_.shape[1] // size[1]
    return np.asarray(map_[rows][:, columns], dtype=np.float32)


def overlay(
    pixels: NDArray[np.float32],
    map_: NDArray[np.floating[Any]],
    *,
    cells: bool = False,
    opacity: float = OPACITY,
) -> Bytes:
    """A map (h, w) in [0, 1] over a picture (3, H, W), smoothed as everywhere in the app, or as its cells."""
    picture = enlarge(to_image(pixels))
    size = (picture.shape[0], picture.shape[1])
    large = squares(map_, size) if cells else upsample(np.asarray(map_, dtype=np.float32), size)
    return blend(picture, colourise(large, COLOURS), opacity)


def heat(map_: NDArray[np.floating[Any]], side: int = 112) -> Bytes:
    """A map (h, w) in [0, 1] as its cells alone, uint8 RGB."""
    return colourise(squares(map_, (side, side)), COLOURS)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) if names else "none"
