"""The result of a statistical test: numbers with intervals, checked assumptions and a sentence to quote."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from camlab.metrics.intervals import Interval

ALPHA = 0.05


@dataclass(frozen=True)
class Value:
    """A named number with its 95 % bootstrap interval; low and high are None without an interval.

    undefined: share of the replicates in which the value is undefined; words: its size in words.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    undefined: float = 0.0
    words: str = ""

    @property
    def text(self) -> str:
        """The number with its interval and size, for a sentence."""
        span = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.name} {self.value:.2f}{span}" + (f", {self.words}" if self.words else "")


def with_interval(name: str, value: float, interval: Interval | None, words: str = "") -> Value:
    """Combine a value with its bootstrap interval."""
    if interval is None:
        return Value(name, value, words=words)
    return Value(name, value, interval.low, interval.high, interval.undefined, words)


@dataclass(frozen=True)
class Assumption:
    """An assumption of a test; holds is None if the data cannot decide it."""

    name: str
    holds: bool | None
    says: str


@dataclass(frozen=True)
class PairResult:
    """A comparison of two levels: a positive effect or difference means that ``a`` has the larger values.

    n: number of blocks (or of values on both sides). p is unadjusted, p_adjusted adjusts it within the pairs of
    its test; both are None if the pair cannot be tested, and ``note`` says why. differ: p_adjusted ≤ alpha.
    """

    a: str
    b: str
    n: int
    difference: float
    statistic: float | None
    p: float | None
    p_adjusted: float | None
    effect: Value | None
    differ: bool
    note: str = ""


@dataclass(frozen=True)
class TestResult:
    """One test on one group of rows; ``reason`` says why the test cannot be run, "" if it can.

    group: the fixed levels (model, layer …); compares: the column whose ``levels`` are compared; unit and n:
    what counts as one observation, and the number of observations; n_pairs: rows behind them. p_across: p
    adjusted by Holm over all groups of the same test in one call. numbers: further named values; left_out and
    assumptions: sentences. critical: largest difference of average ranks that counts as none (Nemenyi).
    """

    __test__: ClassVar[bool] = False  # keeps pytest from collecting a class of this name

    test: str
    title: str
    question: str
    response: str
    group: dict[str, Any]
    compares: str
    levels: tuple[str, ...]
    unit: str = "picture"
    n: int = 0
    n_pairs: int = 0
    statistic_name: str = ""
    statistic: float | None = None
    df: int | None = None
    p: float | None = None
    p_across: float | None = None
    p_method: str = ""
    effect: Value | None = None
    numbers: tuple[Value, ...] = ()
    ranks: tuple[Value, ...] = ()
    critical: float | None = None
    pairs: tuple[PairResult, ...] = ()
    left_out: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    sentence: str = ""
    reason: str = ""
    alpha: float = ALPHA
    kind: str = field(default="test", init=False)

    @property
    def done(self) -> bool:
        """Whether the test was run."""
        return not self.reason

    @property
    def differs(self) -> bool:
        """Whether the test is significant at its alpha."""
        return self.p is not None and self.p <= self.alpha

    def number(self, name: str) -> Value:
        """Return one of ``numbers`` by name. Raises KeyError for an unknown name."""
        for value in self.numbers:
            if value.name == name:
                return value
        raise KeyError(name)


def record(value: Any) -> Any:
    """Convert results, or containers of them, to JSON types; nan and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: record(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): record(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [record(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def p_text(p: float) -> str:
    """Write a p-value for a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"
