"""The parts of every lesson: texts, settings, the run on the engine, results and question."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.common.jobs import Job
from camlab.common.registry import Registry
from camlab.drawing.pictures import Bytes, blend, colourise, enlarge, to_image, upsample
from camlab.engine.engine import Engine
from camlab.engine.shared import REFERENCE_COUNT, REFERENCE_SET
from camlab.explore.results import Floors
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, set_of
from camlab.images.builtin import IMAGE_SETS
from camlab.lessons.settings import LessonState

COLOURS, OPACITY = "inferno", 0.55


@dataclass(frozen=True)
class Reference:
    """A publication behind a lesson: authors with year, title, and web address."""

    who: str
    title: str
    address: str


@dataclass(frozen=True)
class Formula:
    """A formula in three forms: LaTeX for the page, plain characters for print, and a sentence."""

    latex: str
    plain: str
    words: str


@dataclass(frozen=True)
class Question:
    """A question about the measurement: its options, the index of the right one, and the reason."""

    text: str
    options: tuple[str, ...]
    right: int
    because: str


@dataclass(frozen=True)
class Figure:
    """A picture with a short title and a text alternative."""

    title: str
    picture: Bytes
    alt: str


@dataclass(frozen=True)
class Sheet:
    """The results of a finished run: pictures, measured observations, and the question with its answer."""

    figures: tuple[Figure, ...]
    observations: tuple[str, ...]
    question: Question


@dataclass(frozen=True)
class Setting:
    """The engine, the picture and the choices of one lesson."""

    engine: Engine
    picture: Picture
    state: LessonState

    def scene(self, **changes: Any) -> Scene:
        """Return a scene with the lesson's choices, apart from ``changes`` (fields of the state, or ``picture``)."""
        names = ("model", "method", "noise", "severity", "seed", "p")
        values = {name: getattr(self.state, name) for name in names}
        picture: Picture = changes.pop("picture", self.picture)
        return Scene(self.engine, picture, ExploreState(**{**values, "draws": 1, **changes, "image": picture.id}))

    def pictures(self, count: int) -> list[Picture]:
        """Return ``count`` pictures: the lesson's own, then others spread evenly over its image set.

        A picture outside the built-in sets (an upload, for example) is joined by photographs.
        """
        name = set_of(self.picture.id)
        pool = IMAGE_SETS[name if name in IMAGE_SETS else REFERENCE_SET].pictures
        picks = np.linspace(0, min(len(pool), 60) - 1, count).round().astype(int)
        others = [p for p in (pool[int(i)] for i in picks) if p.id != self.picture.id]
        return [self.picture, *others][:count]


class LessonRun:
    """The run of a lesson on one setting: ``prepare`` runs at once, ``work`` step by step in the background.

    Pages read the results while ``work`` goes on: it replaces tuples instead of growing lists, and who reads takes a
    tuple once.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.started = False  # True once the job is with a worker
        self.floors: Floors | None = None
        self.job = Job("Lesson", self.work)
        self.prepare()

    def prepare(self) -> None:
        """Compute what the page shows first. Raises CamLabError if the choices are incompatible."""

    def work(self, job: Job) -> Iterator[None]:
        """Compute the rest; by default, nothing is left."""
        return iter(())

    def sheet(self) -> Sheet:
        """Return the results. Call it only when ``complete`` is true."""
        raise NotImplementedError

    def measure_floors(self, scene: Scene, job: Job) -> Iterator[None]:
        """Explain the REFERENCE_COUNT reference pictures, counting them in the job, and set ``floors``."""
        end = job.done + REFERENCE_COUNT
        for _ in scene.references(job.check):
            job.advance()
            yield
        job.advance(end - job.done)
        self.floors = scene.floors(job.check)

    @property
    def complete(self) -> bool:
        """Whether everything has been measured."""
        return self.job.finished and not self.job.error


def finish(run: LessonRun) -> LessonRun:
    """Run the rest of the work in this thread."""
    while run.job.running:
        run.job.touch()  # a slow machine must not abandon the job
        run.job.step()
    return run


@dataclass(frozen=True)
class Lesson:
    """A lesson: its texts, the choices it uses, and the class of its run.

    ``settings`` are the choices that a teacher can fix, ``moves`` those that the learner makes; the link holds both.
    ``counts`` is the plural noun for what the job counts, empty without a background job. ``goals`` and ``steps`` are
    whole sentences.
    """

    name: str
    title: str
    minutes: int
    intro: str
    goals: tuple[str, ...]
    steps: tuple[str, ...]
    formulas: tuple[Formula, ...]
    sources: tuple[Reference, ...]
    settings: tuple[str, ...]
    moves: tuple[str, ...]
    begin: Callable[[Setting], LessonRun]
    counts: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Position among the lessons, from 1."""
        return list(LESSONS).index(self.name) + 1

    def decides(self, state: LessonState) -> tuple[Any, ...]:
        """Return the choices that affect the measurement: the key of a run."""
        return (self.name, *(getattr(state, name) for name in self.settings))


#: The lessons in the order in which `camlab.lessons` imports their files.
LESSONS: Registry[Lesson] = Registry("lesson")


def lesson(name: str, **words: Any) -> Callable[[type[LessonRun]], type[LessonRun]]:
    """Register the decorated run as a lesson. Raises ValueError if the name is taken."""

    def register(begin: type[LessonRun]) -> type[LessonRun]:
        LESSONS.add(name, Lesson(name=name, begin=begin, **words))
        return begin

    return register


def squares(map_: NDArray[np.floating[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a map (h, w) to ``size`` without interpolation: every cell becomes one square."""
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
    """Lay a map (h, w) in [0, 1] over a picture (3, H, W), interpolated or, with ``cells``, as squares."""
    picture = enlarge(to_image(pixels))
    size = (picture.shape[0], picture.shape[1])
    large = squares(map_, size) if cells else upsample(np.asarray(map_, dtype=np.float32), size)
    return blend(picture, colourise(large, COLOURS), opacity)


def heat(map_: NDArray[np.floating[Any]], side: int = 112) -> Bytes:
    """Draw a map (h, w) in [0, 1] as squares without the picture: (side, side, 3) uint8 RGB."""
    return colourise(squares(map_, (side, side)), COLOURS)
