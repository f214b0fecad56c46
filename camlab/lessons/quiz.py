"""Lesson 7: a quiz on which map belongs to the noisy picture and which prediction flipped, scored against chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from camlab.cams import CAMS
from camlab.common.jobs import Job
from camlab.drawing.pictures import Bytes
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson, overlay
from camlab.lessons.settings import QUESTIONS
from camlab.noise import NOISES, stream

NOISES_ASKED = ("gaussian_noise", "salt_and_pepper", "gaussian_blur", "fog", "jpeg_compression")
METHODS_ASKED = ("gradcam", "gradcam++", "layercam", "eigencam")
LEVELS = (2.0, 3.0, 4.0, 5.0)
TRIES = 16  # draws searched for one that flipped and one that kept the prediction
POOL = 24  # pictures that the questions use
LETTERS = "ab"
ALIKE = 0.95  # largest similarity of two maps that a question asks to tell apart


@dataclass(frozen=True)
class QuizQuestion:
    """A question of the quiz: its text, its pictures, the right letter and the reason.

    kind: "noisy" or "flipped"; clean: title and picture that both choices start from; a, b: those of the choices.
    """

    kind: str
    text: str
    clean: tuple[str, Bytes]
    a: tuple[str, Bytes]
    b: tuple[str, Bytes]
    right: str
    because: str


def by_chance(right: int, asked: int) -> float:
    """Return the probability of guessing at least ``right`` of ``asked`` two-way questions: exact binomial tail."""
    return float(sum(comb(asked, k) for k in range(right, asked + 1)) / 2**asked)


@dataclass(frozen=True)
class QuizScore:
    """The score of a quiz: right answers, all answers, and the probability that guessing does as well."""

    right: int
    answered: int
    chance: float

    @property
    def sentence(self) -> str:
        """The score and its probability by chance, in words."""
        if not self.answered:
            return "No question is answered yet."
        return (
            f"{self.right} of {self.answered} right. Guessing gets {self.answered / 2:g} on average, and "
            f"at least {self.right} with a probability of {self.chance:.2f}."
        )


@lesson(
    "quiz",
    title="Can you tell?",
    minutes=5,
    intro="Eight questions about several pictures: which of two maps belongs to the noisy picture, and "
    "which prediction flipped? A guess is right half the time.",
    goals=(
        "Judge by eye whether a map moved because of noise, and whether a prediction flipped.",
        "Compare your score with guessing.",
        "See how little a map says about whether the prediction stayed.",
    ),
    steps=(
        "Choose A or B; the answer and the reason appear at once.",
        "After the last question, compare your score with chance.",
        "Share the result: the link shows the same questions, your answers and the score.",
    ),
    formulas=(
        Formula(
            r"P(X \ge k) = \sum_{i=k}^{n}\binom{n}{i}\Big/2^n",
            "P(X ≥ k) = Σ C(n, i) / 2ⁿ,  i = k … n",
            "The probability of guessing k or more of n two-way questions right.",
        ),
    ),
    sources=(
        Reference(
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
    """Questions drawn from a seed and computed by the engine; ``items`` grows by one per step."""

    def prepare(self) -> None:
        """Count the questions without making any."""
        self.items: tuple[QuizQuestion, ...] = ()
        self.job.total = QUESTIONS

    def work(self, job: Job) -> Iterator[None]:
        """Make one question per step. The same seed gives the same questions."""
        draw = stream(self.setting.state.seed, "quiz", "questions")
        pictures = self.setting.pictures(POOL)
        order = [int(i) for i in draw.permutation(len(pictures))]
        for number in range(QUESTIONS):
            picture = pictures[order[number % len(order)]]
            method = METHODS_ASKED[int(draw.integers(len(METHODS_ASKED)))]
            scenes = [self.setting.scene(picture=picture, method=method, noise=noise) for noise in NOISES_ASKED]
            scenes = [scenes[int(i)] for i in draw.permutation(len(scenes))]
            pair = _kept_and_flipped(scenes, draw, job) if number % 2 else None
            self.items += (
                _which_flipped(*pair, LETTERS[int(draw.integers(2))])
                if pair
                else _which_is_noisy(*_moved(scenes, draw, job), LETTERS[int(draw.integers(2))]),
            )
            job.advance()
            yield

    def mark(self, answers: str) -> QuizScore:
        """Score the answers to the questions made so far."""
        pairs = list(zip(answers, self.items, strict=False))
        right = sum(given == item.right for given, item in pairs)
        return QuizScore(right, len(pairs), by_chance(right, len(pairs)))

    def sheet(self) -> Sheet:
        """Return the first question's pictures, all right answers, and a question about guessing."""
        noisy = [item for item in self.items if item.kind == "noisy"]
        item = noisy[0]
        figures = [
            Figure(f"Question 1, {side}: {title}", picture, f"Question 1, {side}: {title}")
            for side, (title, picture) in (("both", item.clean), ("A", item.a), ("B", item.b))
        ]
        need = next(k for k in range(QUESTIONS + 1) if by_chance(k, QUESTIONS) < 0.05)
        options = list(dict.fromkeys((QUESTIONS // 2, QUESTIONS // 2 + 1, need, QUESTIONS)))
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
                f"How many of the {QUESTIONS} answers must be right so that guessing does as well in fewer "
                "than one of twenty tries?",
                tuple(map(str, options)),
                options.index(need),
                f"{need}: guessing gets {need} or more right with a probability of "
                f"{by_chance(need, QUESTIONS):.3f}, and {need - 1} or more with "
                f"{by_chance(need - 1, QUESTIONS):.3f}. With only {QUESTIONS} questions, a single "
                "lucky score proves little.",
            ),
        )


def _moved(scenes: list[Scene], draw: np.random.Generator, job: Job) -> tuple[Scene, Shown]:
    """Return the first noisy version whose map differs visibly from the clean one, else the last one tried."""
    for scene in scenes:
        shown = scene.shown(float(draw.choice(LEVELS)), 0, job.check, brief=True)
        if not shown.row["degenerate"] and shown.row["similarity"] < ALIKE:
            break
    return scene, shown


def _which_is_noisy(scene: Scene, shown: Shown, right: str) -> QuizQuestion:
    severity: float = shown.row["severity"]
    method, pixels = scene.state.method, shown.clean_input
    # Both maps lie over the clean picture, because visible noise would reveal the answer.
    maps = {right: shown.perturbed.maps[method], _other(right): shown.clean.maps[method]}
    noise = NOISES[scene.state.noise].title
    return QuizQuestion(
        "noisy",
        f"{scene.picture.title}: which {CAMS[method].title} map belongs to the noisy picture "
        f"({noise}, severity {severity:g})?",
        ("Clean picture", overlay(pixels, shown.clean.maps[method], opacity=0.0)),
        ("Map A", overlay(pixels, maps["a"])),
        ("Map B", overlay(pixels, maps["b"])),
        right,
        f"{scene.picture.title}: {right.upper()} is the map of the noisy picture; similarity of the two maps "
        f"{shown.row['similarity']:.2f}, prediction {_outcome(shown)}.",
    )


def _which_flipped(kept: tuple[Scene, Shown], flipped: tuple[Scene, Shown], right: str) -> QuizQuestion:
    scene, first = kept
    method, pixels = scene.state.method, first.clean_input
    choices = {right: flipped, _other(right): kept}
    answer = " ".join(
        f"{letter.upper()}: {NOISES[s.state.noise].title}, severity {shown.row['severity']:g}, similarity "
        f"{shown.row['similarity']:.2f}, {_outcome(shown)}."
        for letter, (s, shown) in sorted(choices.items())
    )
    return QuizQuestion(
        "flipped",
        f"{scene.picture.title}: two noisy versions and their {CAMS[method].title} maps. In which one did "
        "the prediction flip?",
        ("Clean map", overlay(pixels, first.clean.maps[method])),
        ("Map A", overlay(pixels, choices["a"][1].perturbed.maps[method])),
        ("Map B", overlay(pixels, choices["b"][1].perturbed.maps[method])),
        right,
        f"{scene.picture.title}: {answer}",
    )


def _kept_and_flipped(
    scenes: list[Scene], draw: np.random.Generator, job: Job
) -> tuple[tuple[Scene, Shown], tuple[Scene, Shown]] | None:
    """Return a noisy version that kept the prediction and one that flipped it; None if all draws agree."""
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
