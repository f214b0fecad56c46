"""The registry of statistical tests, and what each of them gets to work with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from camlab.common.registry import Registry
from camlab.common.wording import plural
from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES, SEED, bootstrap
from camlab.study.stats.blocks import Response
from camlab.study.stats.cells import Cells
from camlab.study.stats.effects import Replicates
from camlab.study.stats.results import ALPHA, TestResult, Value, with_interval

FEWEST_BLOCKS = FEWEST_PAIRS
"""Fewer pictures than this make no test, and no interval."""

NOUNS = {
    "method": "method",
    "noise": "noise type",
    "severity": "severity",
    "image_set": "data set",
    "model": "model",
    "layer": "layer",
    "flipped": "outcome",
}


@dataclass(frozen=True, eq=False)
class Sample:
    """One group of cells and the settings of a test; group: what is fixed in it."""

    cells: Cells
    response: Response
    group: dict[str, Any]
    alpha: float = ALPHA
    replicates: int = REPLICATES
    seed: int = SEED

    def values(
        self, effects: dict[str, tuple[float, Replicates, str]], units: int, width: int = 1
    ) -> dict[str, Value]:
        """Put a bootstrap interval to each effect, (value, replicates, size in words); pictures are drawn.

        No interval where nothing was to be drawn, or where there are too few pictures. width: numbers an effect
        holds a replicate, where that is more than ``units``.
        """
        if not effects:
            return {}
        found: dict[str, Any] = dict.fromkeys(effects)
        if self.replicates > 0 and units >= FEWEST_BLOCKS:
            found = bootstrap(
                lambda weights: {name: each[1](weights) for name, each in effects.items()},
                units,
                self.replicates,
                self.seed,
                width,
            )
        return {
            name: with_interval(name, value, found[name], words)
            for name, (value, _, words) in effects.items()
        }


@dataclass(frozen=True)
class StatTest:
    """A statistical test: compares names the column whose levels stand against each other.

    within: columns that are always fixed, whatever else the rows are grouped by.
    """

    name: str
    title: str
    question: str
    compares: str
    within: tuple[str, ...]
    unit: str
    apply: Callable[[Sample, TestResult], TestResult]

    def run(self, sample: Sample) -> TestResult:
        """Do the test on one group."""
        blank = TestResult(
            test=self.name,
            title=self.title,
            question=self.question,
            response=sample.response.name,
            group=sample.group,
            compares=self.compares,
            levels=(),
            unit=self.unit,
            alpha=sample.alpha,
        )
        done = self.apply(sample, blank)
        return replace(done, sentence=f"{done.sentence[:1].upper()}{done.sentence[1:]}")


TESTS: Registry[StatTest] = Registry("statistical test")


def stat_test(
    name: str, title: str, question: str, compares: str, within: tuple[str, ...] = (), unit: str = "picture"
) -> Callable[[Callable[[Sample, TestResult], TestResult]], Callable[[Sample, TestResult], TestResult]]:
    """Register the decorated function as a statistical test; it fills in the blank result that it gets."""

    def register(
        apply: Callable[[Sample, TestResult], TestResult],
    ) -> Callable[[Sample, TestResult], TestResult]:
        TESTS.add(name, StatTest(name, title, question, compares, within, unit, apply))
        return apply

    return register


def refuse(result: TestResult, reason: str, **known: Any) -> TestResult:
    """Return the result of a test that cannot be done: its sentence says so, and why."""
    return replace(
        result, reason=reason, sentence=f"{at(result.group)}this cannot be tested: {reason}", **known
    )


def too_few(count: int, what: str = "picture") -> str:
    """Why so few blocks make no test."""
    return f"only {plural(count, what)} can be compared, and a test needs at least {FEWEST_BLOCKS}."


def fewest_to_differ(comparisons: int, alpha: float) -> int:
    """The fewest pictures with which a signed-rank test can be significant at all: 2 · 2⁻ⁿ · comparisons ≤ alpha."""
    return math.ceil(1 + math.log2(comparisons / alpha))


def one_level(levels: tuple[str, ...], compares: str, needed: int = 2) -> str:
    """Why so few levels make no test."""
    noun = NOUNS[compares]
    have = f"only {plural(len(levels), noun)}" if levels else f"no {noun}"
    names = f" ({', '.join(levels)})" if levels else ""
    return f"{have}{names} can be compared, and this test needs {needed} or more."


def at(group: dict[str, Any]) -> str:
    """Where a result holds, as the beginning of a sentence; "" where nothing is fixed."""
    words = [f"{NOUNS[name]} {value}" for name, value in group.items() if str(value) != ""]
    return f"{', '.join(words)}: " if words else ""
