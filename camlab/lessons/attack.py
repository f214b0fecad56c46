"""Lesson 5: an attack moves the explanation but keeps the prediction and the look of the picture."""

from collections.abc import Iterator

from camlab.common.jobs import Job
from camlab.common.wording import decimal, percent
from camlab.engine.shared import REFERENCE_COUNT
from camlab.explore.attack.outcome import panels, sentences
from camlab.explore.attack.prepare import prepare_attack
from camlab.explore.attack.search import AttackResult, ExplanationAttack
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson

SLACK = 0.1  # probability that the prediction may lose


@lesson(
    "attack",
    title="Fooling it on purpose",
    minutes=4,
    intro="Noise moves a map by accident. An attack moves it on purpose: it searches for a change of the "
    "picture that is too small to see and keeps the prediction, but sends the map elsewhere. Watch one at "
    "work.",
    goals=(
        "Say what an explanation attack changes, and what it must not change.",
        "See that an invisible change can move the explanation and keep the prediction.",
        "Conclude that a map that looks right does not prove what the model relies on.",
    ),
    steps=(
        "Choose how far a pixel value may move (ε, of 255) and start the attack.",
        "Compare the pictures before and after, then the maps.",
        "Halve ε and attack again: how small can it be?",
    ),
    formulas=(
        Formula(
            r"\min_{x'}\ \mathrm{corr}\big(M(x'), M(x)\big)\qquad\text{with}\quad \|x'-x\|_\infty \le \varepsilon,"
            r"\qquad \hat y(x') = \hat y(x)",
            "minimise corr(M(x′), M(x))  with  |x′ − x| ≤ ε everywhere  and  ŷ(x′) = ŷ(x)",
            "Find a picture within ε of the clean one, with the same prediction, whose map is as different as "
            "possible.",
        ),
    ),
    sources=(
        Reference(
            "Ghorbani et al. 2019",
            "Interpretation of neural networks is fragile",
            "https://arxiv.org/abs/1710.10547",
        ),
        Reference(
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
    """An attack on the clean map, and the floors that decide whether the result counts as broken."""

    def prepare(self) -> None:
        """Set up the attack without running it.

        Raises CamLabError if the model or the method cannot be attacked.
        """
        state = self.setting.state
        self.scene = self.setting.scene()
        self.attack: ExplanationAttack = prepare_attack(
            self.scene, epsilon=state.epsilon / 255, steps=state.steps, slack=SLACK
        )
        self.job.total = state.steps + REFERENCE_COUNT

    @property
    def result(self) -> AttackResult | None:
        """The best result so far; None before the first step."""
        return self.attack.result

    def work(self, job: Job) -> Iterator[None]:
        """Attack step by step, then explain the reference pictures for the breaking line.

        An error of the attack becomes the job's error.
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
        job.done = self.setting.state.steps  # an attack can end early
        yield from self.measure_floors(self.scene, job)

    def sheet(self) -> Sheet:
        """Return the pictures and maps before and after the attack, what it did, and the question.

        The map is broken if its similarity with the clean one (RBO) is below the breaking line, halfway between 1
        and the other-picture floor.
        """
        if (result := self.result) is None:
            raise RuntimeError("The attack has no result before its first step.")
        similarity = result.similarities(self.scene.comparison)[self.scene.state.similarity]
        line = self.floors.threshold if self.floors else None
        broken = line is not None and similarity < line
        kept = f"{percent(result.probability_before)} → {percent(result.probability_after)}"
        return Sheet(
            tuple(
                Figure(title, picture, f"{title}, of the attack on {self.setting.picture.title}")
                for title, picture in panels(self.scene, result)
                if not title.startswith(("What", "Difference"))
            ),
            (
                *sentences(self.scene, self.attack),
                f"The breaking line is {decimal(line)}: the map is {'broken' if broken else 'not broken'}.",
            ),
            Question(
                f"No value of the picture moved by more than {self.setting.state.epsilon:g} of 255. What happened?",
                (
                    "Prediction and map both stayed",
                    "The prediction stayed, the map broke",
                    "The prediction flipped, the map stayed",
                    "The prediction flipped and the map broke",
                ),
                int(broken),
                f"The attack may not flip the prediction ({kept}). The similarity of the maps is "
                f"{similarity:.2f}, the breaking line {decimal(line)}. "
                + (
                    "The same picture to the eye, the same answer, another “reason”: the map alone does not "
                    "reveal the attack."
                    if broken
                    else "This change was not enough: raise ε or the steps and try again."
                ),
            ),
        )
