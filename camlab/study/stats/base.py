"""The registry of statistical tests, and the sample that each test receives."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from camlab.common.registry import Registry
from camlab.common.wording import plural
from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES, SEED, bootstrap
from camlab.study.stats.blocks import Blocks, Response, blocks
from camlab.study.stats.cells import Cells
from camlab.study.stats.effects import Effect
from camlab.study.stats.results import ALPHA, TestResult, Value, with_interval

FEWEST_BLOCKS = FEWEST_PAIRS
"""With fewer pictures than this there is no test and no interval."""

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
    """One group of cells with the settings of a test; group: the levels that are fixed in the group."""

    cells: Cells
    response: Response
    group: dict[str, Any]
    alpha: float = ALPHA
    replicates: int = REPLICATES
    seed: int = SEED

    def values(self, effects: dict[str, Effect], units: int, width: int = 1) -> dict[str, Value]:
        """Return each effect with its bootstrap interval over pictures.

        There is no interval if ``replicates`` is 0 or there are too few pictures. width: numbers per replicate that an
        effect holds in memory, if more than ``units``.
        """
        if not effects:
            return {}
        found: dict[str, Any] = dict.fromkeys(effects)
        if self.replicates > 0 and units >= FEWEST_BLOCKS:
            found = bootstrap(
                lambda weights: {name: each.replicates(weights) for name, each in effects.items()},
                units,
                self.replicates,
                self.seed,
                width,
            )
        return {name: with_interval(name, each.value, found[name], each.words) for name, each in effects.items()}

    def in_blocks(self, blank: TestResult) -> tuple[Blocks, TestResult]:
        """Arrange the cells in blocks of the compared column; return them and the blank result with their counts."""
        table = blocks(self.cells, blank.compares, self.response)
        return table, replace(blank, levels=table.levels, n=len(table), n_pairs=table.n_pairs, left_out=table.left_out)


@dataclass(frozen=True)
class StatTest:
    """A statistical test of the levels of one column, ``compares``.

    within: columns that are always fixed, however the rows are grouped.
    """

    name: str
    title: str
    question: str
    compares: str
    within: tuple[str, ...]
    unit: str
    apply: Callable[[Sample, TestResult], TestResult]

    def run(self, sample: Sample) -> TestResult:
        """Run the test on one group."""
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
    """Register the decorated function as a statistical test, which completes the blank result it receives."""

    def register(
        apply: Callable[[Sample, TestResult], TestResult],
    ) -> Callable[[Sample, TestResult], TestResult]:
        TESTS.add(name, StatTest(name, title, question, compares, within, unit, apply))
        return apply

    return register


def refuse(result: TestResult, reason: str, **known: Any) -> TestResult:
    """Return the result of a test that cannot be run, with the reason as its sentence."""
    return replace(result, reason=reason, sentence=f"{at(result.group)}this cannot be tested: {reason}", **known)


def too_few(count: int, noun: str = "picture") -> str:
    """Return the sentence that a test needs more blocks."""
    return f"only {plural(count, noun)} can be compared, and a test needs at least {FEWEST_BLOCKS}."


def fewest_to_differ(comparisons: int, alpha: float) -> int:
    """Return the fewest pictures with which a signed-rank test can be significant: 2 · 2⁻ⁿ · comparisons ≤ alpha."""
    return math.ceil(1 + math.log2(comparisons / alpha))


def one_level(levels: tuple[str, ...], compares: str, needed: int = 2) -> str:
    """Return the sentence that a test needs more levels."""
    noun = NOUNS[compares]
    have = f"only {plural(len(levels), noun)}" if levels else f"no {noun}"
    names = f" ({', '.join(levels)})" if levels else ""
    return f"{have}{names} can be compared, and this test needs {needed} or more."


def at(group: dict[str, Any]) -> str:
    """Return the beginning of a sentence with a group's fixed levels; "" without any."""
    words = [f"{NOUNS[name]} {value}" for name, value in group.items() if str(value) != ""]
    return f"{', '.join(words)}: " if words else ""
