"""Lesson 5: an explanation can be moved on purpose while picture and prediction stay."""

from __future__ import annotations

from collections.abc import Iterator

from camlab.common.jobs import Job
from camlab.common.wording import decimal, percent
from camlab.engine.shared import REFERENCE_COUNT
from camlab.explore.attack.outcome import begin, panels, sentences
from camlab.explore.attack.search import AttackResult, ExplanationAttack
from camlab.explore.results import Floors
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Sheet, Source, lesson

SLACK = 0.1  # what the prediction's probability may lose


@lesson(
    "attack",
    title="Fooling it on purpose",
    minutes=4,
    intro="Noise moves a map by accident. An attack moves it on purpose: it looks for a change of the "
    "picture that nobody sees and that leaves the prediction alone, but sends the map elsewhere. Watch one "
    "at work.",
    goals=(
        "Say what an explanation attack changes, and what it must leave as it is.",
        "See that prediction and explanation can be moved apart by an invisible change.",
        "Draw the consequence: a map that looks right is no proof of what the model relies on.",
    ),
    steps=(
        "Choose how far a value may move (ε, of 255) and start the attack.",
        "Compare the pictures before and after, then the maps.",
        "Halve ε and attack again: how small may it be?",
    ),
    formulas=(
        Formula(
            r"\min_{x'}\ \mathrm{corr}\big(M(x'), M(x)\big)\qquad\text{with}\quad \|x'-x\|_\infty \le \varepsilon,"
            r"\qquad \hat y(x') = \hat y(x)",
            "minimise corr(M(x′), M(x))  with  |x′ − x| ≤ ε everywhere  and  ŷ(x′) = ŷ(x)",
            "Find a picture within ε of the clean one, with the same prediction, whose map is as unlike as "
            "can be.",
        ),
    ),
    sources=(
        Source(
            "Ghorbani et al. 2019",
            "Interpretation of neural networks is fragile",
            "https://arxiv.org/abs/1710.10547",
        ),
        Source(
            "Dombrowski et al. 2019",
            "Explanations can be manipulated and geometry is to blame",
            "https://arxiv.org/abs/1906.07983",
        ),
    ),
    settings=("model", "image", "method", "epsilon", "steps"),
    moves=(),
    counts="steps",
)
class Fooling(LessonRun):
    """One attack away from the clean map, and the floors that say when a map counts as broken."""

    def prepare(self) -> None:
        """Set the attack up; it has found nothing yet.

        Raises CamLabError where the model or the method cannot be attacked.
        """
        state = self.setting.state
        self.scene = self.setting.scene()
        self.floors: Floors | None = None
        self.attack: ExplanationAttack = begin(
            self.scene, epsilon=state.epsilon / 255, steps=state.steps, slack=SLACK
        )
        self.job.total = state.steps + REFERENCE_COUNT

    @property
    def result(self) -> AttackResult | None:
        """The best picture so far."""
        return self.attack.result

    def work(self, job: Job) -> Iterator[None]:
        """Attack step by step, then explain other pictures for the breaking line.

        ``result`` is the best picture so far at any time. What goes wrong in the attack becomes the job's error.
        """
        inner = self.attack.job
        while inner.running:
            job.check()
            inner.touch()
            before = inner.done
            inner.step()
            job.advance(inner.done - before)
            yield
        if inner.error:
            job.error = inner.error
            return
        for _ in self.scene.references(job.check):
            job.advance()
            yield
        self.floors = self.scene.floors(job.check)
        job.done = job.total

    @property
    def similarity(self) -> float:
        """RBO of the maps before and after."""
        assert self.result is not None
        return self.result.similarities(self.scene.comparison)[self.scene.state.similarity]

    @property
    def broken(self) -> bool:
        """Whether the map is below the breaking line: halfway between 1 and the other-picture floor."""
        line = self.floors.threshold if self.floors else None
        return line is not None and self.similarity < line

    def sheet(self) -> Sheet:
        """The pictures and maps before and after, in words and as the question. Only once the job is finished."""
        result = self.result
        assert result is not None
        line = self.floors.threshold if self.floors else None
        kept = f"{percent(result.probability_before)} → {percent(result.probability_after)}"
        return Sheet(
            tuple(
                Figure(title, picture, f"{title}, of the attack on {self.setting.picture.title}")
                for title, picture in panels(self.scene, result)
                if not title.startswith(("What", "Difference"))
            ),
            (
                *sentences(self.scene, self.attack),
                f"The breaking line is {decimal(line)}: the map is "
                f"{'broken' if self.broken else 'not broken'}.",
            ),
            Question(
                f"No value of the picture moved by more than {self.setting.state.epsilon:g} of 255. What "
                "happened?",
                (
                    "Prediction and map both stayed",
                    "The prediction stayed, the map broke",
                    "The prediction flipped, the map stayed",
                    "The prediction flipped and the map broke",
                ),
                1 if self.broken else 0,
                f"The prediction was kept by the attack's own rule ({kept}). The maps' similarity is "
                f"{self.similarity:.2f}, the breaking line {decimal(line)}. "
                + (
                    "Same picture to the eye, same answer, another “reason”: whoever only sees the map "
                    "cannot tell."
                    if self.broken
                    else "This change was not enough: raise ε or the steps and try again."
                ),
            ),
        )
