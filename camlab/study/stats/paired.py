"""Wilcoxon's signed-rank test on the differences within pictures."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import PermutationMethod, skew, wilcoxon

from camlab.common.wording import plural
from camlab.metrics.tally import Floats
from camlab.study.stats.base import Sample, fewest_to_differ
from camlab.study.stats.blocks import DECIMALS, Blocks
from camlab.study.stats.effects import holm, observed_effect, rank_biserial
from camlab.study.stats.results import Assumption, PairResult

EXACT_FROM_TABLE, EXACT_BY_SIGNS = 50, 13
"""p is exact up to this many non-zero differences: without ties, and with ties (by enumerating all 2ⁿ signs)."""

EFFECT = "rank-biserial"


def signed_rank(
    differences: Floats, alternative: str = "two-sided"
) -> tuple[float, float, str] | tuple[None, None, str]:
    """Return (statistic, p, words on how p was computed) for differences, dropping zeros (Wilcoxon's rule).

    The statistic is the smaller rank sum; with alternative "greater" or "less" it is the rank sum of the positive
    differences. Returns (None, None, reason) if all are zero.
    """
    real = differences[differences != 0]
    if not len(real):
        return None, None, "all differences are zero"
    tied = len(np.unique(np.abs(real))) < len(real)
    zeros = len(differences) - len(real)
    dropped = f"; {plural(zeros, 'zero difference')} left out" if zeros else ""
    method: str | PermutationMethod = "asymptotic"
    how = f"asymptotic, n = {len(real)}"
    if not tied and len(real) <= EXACT_FROM_TABLE:
        method, how = "exact", f"exact, n = {len(real)}"
    elif len(real) <= EXACT_BY_SIGNS:
        method, how = (
            PermutationMethod(n_resamples=2**EXACT_BY_SIGNS),
            f"exact over all signs, n = {len(real)}",
        )
    found = wilcoxon(real, zero_method="wilcox", correction=False, alternative=alternative, method=method)
    return float(found.statistic), min(float(found.pvalue), 1.0), how + dropped


def signed_rank_pair(a: str, b: str, differences: Floats) -> PairResult:
    """Test the differences ``a`` − ``b``; the result has no effect yet, and an unadjusted p."""
    statistic, p, note = signed_rank(differences)
    mean = float(differences.mean())
    return PairResult(a, b, len(differences), mean, statistic, p, None, None, False, note)


def compare_pairs(sample: Sample, blocks: Blocks, chosen: Sequence[tuple[int, int]]) -> tuple[PairResult, ...]:
    """Test the chosen pairs of levels; Holm adjusts p over the pairs that can be tested."""
    raw, effects = [], {}
    for i, j in chosen:
        d = np.round(blocks.values[:, i] - blocks.values[:, j], DECIMALS)
        raw.append(signed_rank_pair(blocks.levels[i], blocks.levels[j], d))
        if raw[-1].p is not None:
            effects[f"{i} {j}"] = observed_effect(rank_biserial(d), len(d), "delta")
    values = sample.values(effects, len(blocks))
    done = adjusted(raw, sample.alpha)
    return tuple(
        replace(each, effect=replace(values[key], name=EFFECT) if (key := f"{i} {j}") in values else None)
        for each, (i, j) in zip(done, chosen, strict=True)
    )


def adjusted(pairs: Sequence[PairResult], alpha: float) -> list[PairResult]:
    """Adjust the p-values of one family by Holm, without the pairs that could not be tested."""
    p = iter(holm([pair.p for pair in pairs if pair.p is not None]))
    done = []
    for pair in pairs:
        value = None if pair.p is None else next(p)
        done.append(replace(pair, p_adjusted=value, differ=value is not None and value <= alpha))
    return done


def assumptions(
    blocks: Blocks, pairs: Sequence[PairResult], chosen: Sequence[tuple[int, int]], alpha: float
) -> tuple[Assumption, ...]:
    """Check the assumptions of the signed-rank test over all pairs."""
    d = np.stack([np.round(blocks.values[:, i] - blocks.values[:, j], DECIMALS) for i, j in chosen])
    varied = np.array([each.max() > each.min() for each in d])
    lopsided = int((np.abs(skew(d[varied], axis=1)) > 1).sum()) if varied.any() else 0
    zeros = int((d == 0).sum())
    exact = sum(each.note.startswith("exact") for each in pairs)
    least = min(int((each != 0).sum()) for each in d)
    fewest = fewest_to_differ(len(pairs), alpha)
    return (
        Assumption("blocks", True, f"{plural(len(blocks), 'picture')}, each once: seeds were averaged first."),
        Assumption(
            "symmetry",
            lopsided == 0,
            f"In {lopsided} of {plural(len(d), 'pair')} the differences are skewed (|skewness| > 1); there p "
            "refers to a shift of the whole distribution, not of its median alone.",
        ),
        Assumption(
            "zero differences",
            zeros <= d.size / 4,
            f"{zeros} of {d.size} differences are zero and left out. Zeros suggest equality, so leaving out many "
            "of them overstates the difference.",
        ),
        Assumption(
            "sample size",
            least >= fewest,
            f"The pair with the fewest has {plural(least, 'non-zero difference')}; "
            f"{plural(len(pairs), 'comparison')} need {fewest} to show any difference. p is exact in {exact} of "
            f"{plural(len(d), 'pair')}, otherwise asymptotic with ties corrected.",
        ),
    )
