"""Lesson 7: which map belongs to the noisy picture, which prediction flipped; marked against chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from camlab.cams import CAMS
from camlab.common.jobs import Job
from camlab.drawing.pictures import Bytes
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Sheet, Source, lesson, overlay
from camlab.lessons.settings import QUESTIONS
from camlab.noise import NOISES, stream

NOISES_ASKED = ("gaussian_noise", "salt_and_pepper", "gaussian_blur", "fog", "jpeg_compression")
METHODS_ASKED = ("gradcam", "gradcam++", "layercam", "eigencam")
LEVELS = (2.0, 3.0, 4.0, 5.0)
TRIES = 16  # draws that are looked at for one that flipped and one that kept
POOL = 24  # pictures that the questions are taken from
LETTERS = "ab"
ALIKE = 0.95  # maps more similar than this are not asked to be told apart


@dataclass(frozen=True)
class Item:
    """One question of the quiz: what is asked, two rows of pictures, the right letter and why.

    kind: "noisy" or "flipped"; a, b: the pictures of the two choices, each with its title; clean: what both start
    from, where they share it.
    """

    kind: str
    text: str
    clean: tuple[tuple[str, Bytes], ...]
    a: tuple[tuple[str, Bytes], ...]
    b: tuple[tuple[str, Bytes], ...]
    right: str
    because: str


def by_chance(right: int, asked: int) -> float:
    """The probability that guessing gets at least so many of ``asked`` two-way questions right: exact binomial."""
    return float(sum(comb(asked, k) for k in range(right, asked + 1)) / 2**asked)


@dataclass(frozen=True)
class Mark:
    """A marked quiz: how many are right of those answered, and how likely guessing does as well."""

    right: int
    answered: int
    chance: float

    @property
    def sentence(self) -> str:
        """The score against chance, in words."""
        if not self.answered:
            return "Nothing is answered yet."
        return (
            f"{self.right} of {self.answered} right; guessing gets {self.answered / 2:g} on average, and "
            f"at least {self.right} with a probability of {self.chance:.2f}."
        )


@lesson(
    "quiz",
    title="Can you tell?",
    minutes=5,
    intro="Eight questions made by the engine just now, on several pictures: which of two maps belongs to "
    "the noisy picture, and which prediction flipped? Each can be guessed right half of the time.",
    goals=(
        "Judge by eye whether a map moved because of noise, and whether a prediction flipped.",
        "Compare one's own score with guessing.",
        "See how little a map says about whether the prediction still stands.",
    ),
    steps=(
        "Choose A or B; the answer and the reason appear at once.",
        "After the last one, compare your score with chance.",
        "Share the result: whoever opens the link sees the same questions, your answers and the score.",
    ),
    formulas=(
        Formula(
            r"P(X \ge k) = \sum_{i=k}^{n}\binom{n}{i}\Big/2^n",
            "P(X ≥ k) = Σ C(n, i) / 2ⁿ,  i = k … n",
            "The probability that pure guessing gets k or more of n two-way questions right.",
        ),
    ),
    sources=(
        Source(
            "Kim et al. 2022",
            "HIVE: evaluating the human interpretability of visual explanations",
            "https://arxiv.org/abs/2112.03184",
        ),
    ),
    settings=("model", "image", "seed"),
    moves=("answers",),
    counts="questions",
)
class Quiz(LessonRun):
    """Questions drawn from a seed, each computed by the engine; ``items`` grows."""

    def prepare(self) -> None:
        """Count the questions; none is made yet."""
        self.items: list[Item] = []
        self.job.total = QUESTIONS

    def work(self, job: Job) -> Iterator[None]:
        """Make one question after the other; ``items`` grows. The same seed gives the same questions."""
        draw = stream(self.setting.state.seed, "quiz", "questions")
        pictures = self.setting.pictures(POOL)
        order = [int(i) for i in draw.permutation(len(pictures))]
        for number in range(QUESTIONS):
            picture = pictures[order[number % len(order)]]
            method = METHODS_ASKED[int(draw.integers(len(METHODS_ASKED)))]
            scenes = [
                self.setting.scene(picture=picture, method=method, noise=noise) for noise in NOISES_ASKED
            ]
            scenes = [scenes[int(i)] for i in draw.permutation(len(scenes))]
            pair = _kept_and_flipped(scenes, draw, job) if number % 2 else None
            self.items.append(
                _which_flipped(*pair, LETTERS[int(draw.integers(2))])
                if pair
                else _which_is_noisy(*_moved(scenes, draw, job), LETTERS[int(draw.integers(2))])
            )
            job.advance()
            yield

    def mark(self, answers: str) -> Mark:
        """Mark the answers to the questions that are there."""
        pairs = list(zip(answers, self.items, strict=False))
        right = sum(given == item.right for given, item in pairs)
        return Mark(right, len(pairs), by_chance(right, len(pairs)))

    def sheet(self) -> Sheet:
        """The first question's pictures, the key to all, and a question about guessing. Only once all are made."""
        noisy = [item for item in self.items if item.kind == "noisy"]
        item = noisy[0]
        figures = [
            Figure(f"Question 1, {side}: {title}", picture, f"Question 1, {side}: {title}")
            for side, choice in (("both", item.clean), ("A", item.a), ("B", item.b))
            for title, picture in choice
        ]
        need = next(k for k in range(QUESTIONS + 1) if by_chance(k, QUESTIONS) < 0.05)
        options = (QUESTIONS // 2, QUESTIONS // 2 + 1, need, QUESTIONS)
        return Sheet(
            tuple(figures),
            (
                f"{len(noisy)} questions ask which map belongs to the noisy picture, "
                f"{QUESTIONS - len(noisy)} which prediction flipped.",
                f"Right answers from 1 to {QUESTIONS}: {' '.join(i.right.upper() for i in self.items)} "
                f"(seed {self.setting.state.seed}).",
                *(f"{number}. {i.because}" for number, i in enumerate(self.items, 1)),
            ),
            Question(
                f"How many of {QUESTIONS} right answers does it take before guessing would do as well less "
                "than once in twenty times?",
                tuple(str(k) for k in dict.fromkeys(options)),
                list(dict.fromkeys(options)).index(need),
                f"{need}: guessing gets {need} or more right with a probability of "
                f"{by_chance(need, QUESTIONS):.3f}, and {need - 1} or more with "
                f"{by_chance(need - 1, QUESTIONS):.3f}. {QUESTIONS} questions are few: a single lucky "
                "score proves little.",
            ),
        )


def _moved(scenes: list[Scene], draw: np.random.Generator, job: Job) -> tuple[Scene, Shown]:
    """A noisy version whose map can be told from the clean one at all; the last tried where none can."""
    for scene in scenes:
        shown = scene.shown(float(draw.choice(LEVELS)), 0, job.check, brief=True)
        if not shown.row["degenerate"] and shown.row["similarity"] < ALIKE:
            break
    return scene, shown


def _which_is_noisy(scene: Scene, shown: Shown, right: str) -> Item:
    severity: float = shown.row["severity"]
    method, pixels = scene.state.method, shown.clean_input
    # Both lie over the clean picture: the noise itself must not give the answer away.
    maps = {
        right: (("map of the one", overlay(pixels, shown.perturbed.maps[method])),),
        _other(right): (("map of the one", overlay(pixels, shown.clean.maps[method])),),
    }
    choices = {letter: ((f"Map {letter.upper()}", picture),) for letter, ((_, picture),) in maps.items()}
    noise = NOISES[scene.state.noise].title
    return Item(
        "noisy",
        f"{scene.picture.title}: which {CAMS[method].title} map belongs to the noisy picture "
        f"({noise}, severity {severity:g})?",
        (("Clean picture", overlay(pixels, shown.clean.maps[method], opacity=0.0)),),
        choices["a"],
        choices["b"],
        right,
        f"{scene.picture.title}: {right.upper()} is the noisy picture's map; similarity of the two "
        f"{shown.row['similarity']:.2f}, prediction {_outcome(shown)}.",
    )


def _which_flipped(kept: tuple[Scene, Shown], flipped: tuple[Scene, Shown], right: str) -> Item:
    scene, first = kept
    method, pixels = scene.state.method, first.clean_input
    choices = {right: flipped, _other(right): kept}
    drawn = {
        letter: ((f"Map {letter.upper()}", overlay(pixels, shown.perturbed.maps[method])),)
        for letter, (_, shown) in choices.items()
    }
    told = " ".join(
        f"{letter.upper()}: {NOISES[s.state.noise].title}, severity {shown.row['severity']:g}, similarity "
        f"{shown.row['similarity']:.2f}, {_outcome(shown)}."
        for letter, (s, shown) in sorted(choices.items())
    )
    return Item(
        "flipped",
        f"{scene.picture.title}: two noisy versions and their {CAMS[method].title} maps. For which one did "
        "the prediction flip?",
        (("Clean map", overlay(pixels, first.clean.maps[method])),),
        drawn["a"],
        drawn["b"],
        right,
        f"{scene.picture.title}: {told}",
    )


def _kept_and_flipped(
    scenes: list[Scene], draw: np.random.Generator, job: Job
) -> tuple[tuple[Scene, Shown], tuple[Scene, Shown]] | None:
    """One noisy version that kept the prediction and one that flipped it; None where the draws show only one kind."""
    found: dict[bool, tuple[Scene, Shown]] = {}
    for trial in range(TRIES):
        scene, severity = scenes[trial % len(scenes)], float(draw.choice(LEVELS))
        shown = scene.shown(severity, 0, job.check, brief=True)
        if not shown.row["degenerate"]:
            found.setdefault(bool(shown.row["flipped"]), (scene, shown))
        if len(found) == 2:
            return found[False], found[True]
    return None


def _outcome(shown: Shown) -> str:
    return "flipped" if shown.row["flipped"] else "kept"


def _other(letter: str) -> str:
    return LETTERS[1 - LETTERS.index(letter)]
