"""Power analysis: the number of pictures that would show a difference of a given size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from camlab.common.errors import BadSetting
from camlab.common.wording import percent, plural
from camlab.study.stats.base import FEWEST_BLOCKS, NOUNS, fewest_to_differ, one_level, too_few
from camlab.study.stats.blocks import RESPONSES, blocks
from camlab.study.stats.cells import Cells
from camlab.study.stats.results import ALPHA
from camlab.study.stats.run import prepare

EFFICIENCY = 3 / math.pi
"""Asymptotic relative efficiency of Wilcoxon's test against the paired t-test for normal differences (never < .864)."""

POWER = 0.8
DIFFERENCES = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class PowerNote:
    """The number of pictures that would show a difference between two methods.

    spread: median standard deviation of the differences within pictures, over all pairs of methods; needed:
    (difference, pictures); shown: the smallest difference that n pictures would show; comparisons: number of
    pairs that share alpha. reason: why there is no answer, "" if there is one.
    """

    response: str
    n: int
    spread: float | None
    comparisons: int
    power: float
    alpha: float
    needed: tuple[tuple[float, int], ...]
    shown: float | None
    sentence: str
    reason: str = ""
    kind: str = field(default="power", init=False)


def pictures_needed(
    spread: float, difference: float, power: float = POWER, alpha: float = ALPHA, comparisons: int = 1
) -> int:
    """Return the number of pictures with which a two-sided Wilcoxon signed-rank test shows a mean difference.

    spread: standard deviation of the differences within pictures; comparisons: tests that share alpha
    (Bonferroni, which Holm is never worse than). The number is the paired t-test's n (normal quantiles, with
    Guenther's z²/2 for small samples) over the asymptotic relative efficiency 3/π, and at least the number with
    which the test can be significant. Raises BadSetting for values out of range.
    """
    if not (spread >= 0 and difference > 0 and 0 < power < 1 and 0 < alpha < 0.5 and comparisons >= 1):
        raise BadSetting("Power needs a difference over 0, a power between 0 and 1 and an alpha under 0.5.")
    share = alpha / comparisons
    z = float(norm.ppf(1 - share / 2))
    t_test = ((z + float(norm.ppf(power))) * spread / difference) ** 2 + z**2 / 2
    return max(math.ceil(t_test / EFFICIENCY), fewest_to_differ(comparisons, alpha))


def difference_shown(
    spread: float, n: int, power: float = POWER, alpha: float = ALPHA, comparisons: int = 1
) -> float | None:
    """Return the smallest mean difference that n pictures would show, the inverse of `pictures_needed`; else None."""
    share = alpha / comparisons
    z = float(norm.ppf(1 - share / 2))
    room = n * EFFICIENCY - z**2 / 2
    if room <= 0 or n < fewest_to_differ(comparisons, alpha):
        return None
    return float((z + float(norm.ppf(power))) * spread / math.sqrt(room))


def power_note(
    rows: pd.DataFrame | Cells,
    response: str = "kept",
    differences: Sequence[float] = DIFFERENCES,
    *,
    compares: str = "method",
    power: float = POWER,
    alpha: float = ALPHA,
) -> PowerNote:
    """Estimate how many pictures would show a difference between two methods, from the spread in these rows."""
    table = blocks(rows if isinstance(rows, Cells) else prepare(rows), compares, RESPONSES[response])
    n, k = len(table), len(table.levels)
    pairs = k * (k - 1) // 2

    def nothing(reason: str, spread: float | None = None) -> PowerNote:
        sentence = f"The number of pictures needed cannot be estimated: {reason}"
        return PowerNote(response, n, spread, pairs, power, alpha, (), None, sentence, reason)

    if k < 2:
        return nothing(one_level(table.levels, compares))
    if n < FEWEST_BLOCKS:
        return nothing(too_few(n))
    spreads = [float((table.values[:, i] - table.values[:, j]).std(ddof=1)) for i, j in combinations(range(k), 2)]
    spread = float(np.median(spreads))
    if spread == 0:
        return nothing("all differences within pictures are equal, so their spread is 0.", spread)
    needed = tuple((each, pictures_needed(spread, each, power, alpha, pairs)) for each in differences)
    shown = difference_shown(spread, n, power, alpha, pairs)
    noun = f"difference between two {NOUNS[compares]}s"
    counts = ", ".join(f"{pictures:,} for {each:g}" for each, pictures in needed)
    basis = f"differences within a picture spread by {spread:.2g}; {plural(pairs, 'comparison')} at alpha {alpha:g}"
    if shown is None:
        these = f"{n} pictures are too few to show any {noun}"
    else:
        these = f"With {n} pictures, a mean {noun} of {shown:.2g} would be shown in {percent(power)} of studies"
    sentence = f"{these} ({basis}); pictures needed: {counts}."
    return PowerNote(response, n, spread, pairs, power, alpha, needed, shown, sentence)
