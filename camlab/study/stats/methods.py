"""Tests of levels within pictures: Friedman with Nemenyi, and pairwise Wilcoxon with Holm."""

import math
from dataclasses import replace
from functools import lru_cache
from itertools import combinations

import numpy as np
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy.stats import f, friedmanchisquare, studentized_range

from camlab.common.errors import CamLabError
from camlab.common.wording import percent, plural
from camlab.metrics.tally import Floats
from camlab.study.stats.base import FEWEST_BLOCKS, NOUNS, Sample, at, one_level, refuse, stat_test, too_few
from camlab.study.stats.blocks import Blocks
from camlab.study.stats.effects import KENDALL, block_ranks, concordance, mean_of, observed_effect
from camlab.study.stats.paired import assumptions, compare_pairs
from camlab.study.stats.results import Assumption, PairResult, TestResult, Value, p_text

#: Up to this many pictures, χ² and the studentized range approximate the ranks' distribution only roughly.
FEW_FOR_CHI = 10


@lru_cache(maxsize=64)
def critical_difference(levels: int, n: int, alpha: float = 0.05) -> float:
    """Compute Nemenyi's critical difference of average ranks, q/√2 · √(k(k + 1)/6n), q of the studentized range."""
    q = float(studentized_range.ppf(1 - alpha, levels, np.inf))
    return q / math.sqrt(2) * math.sqrt(levels * (levels + 1) / (6 * n))


# Of several decorators the lowest registers first, which decides the order on screen.
@stat_test(
    "noises_friedman",
    "Friedman with Nemenyi, noise types",
    "Does the noise type matter, on the same pictures?",
    compares="noise",
    within=("method",),
)
@stat_test(
    "methods_friedman",
    "Friedman with Nemenyi",
    "Do the CAM methods differ within the same pictures?",
    compares="method",
)
def friedman(sample: Sample, blank: TestResult) -> TestResult:
    """Rank the levels within each picture; for noise types, the paired counterpart of the Kruskal–Wallis test."""
    table, blank = sample.in_blocks(blank)
    k, n = len(table.levels), len(table)
    if k < 2:
        return refuse(blank, one_level(table.levels, blank.compares, 3))
    if n < FEWEST_BLOCKS:
        return refuse(blank, too_few(n))
    if k == 2:
        return refuse(blank, f"{one_level(table.levels, blank.compares, 3)[:-1]}; compare the two by Wilcoxon's test.")
    ranks = block_ranks(table.values)
    if np.all(ranks == ranks[:, :1]):
        return refuse(blank, f"the {NOUNS[blank.compares]}s tie in every picture.")
    found = friedmanchisquare(*table.values.T)
    chi, p = float(found.statistic), float(found.pvalue)
    mean = ranks.mean(axis=0)
    kendall = observed_effect(concordance(ranks), n, "w")
    effects = {KENDALL: kendall}
    effects |= {f"rank {i}": observed_effect(mean_of(ranks[:, i]), n) for i in range(k)}
    # Rank 1 is the largest value, so a positive difference means that the first of a pair ranks better.
    for i, j in combinations(range(k), 2):
        effects[f"{i} {j}"] = observed_effect(mean_of(ranks[:, j] - ranks[:, i]), n)
    values = sample.values(effects, n)
    nemenyi = _nemenyi(sample, table, values)
    order = np.argsort(mean, kind="stable")
    best, last = table.levels[order[0]], table.levels[order[-1]]
    apart = sum(pair.differ for pair in nemenyi)
    noun = NOUNS[blank.compares]
    rough = f", roughly, from only {n} pictures" if n <= FEW_FOR_CHI else ""
    stat = f"Friedman χ²({k - 1}) = {chi:.1f}, {p_text(p)}{rough}, {values[KENDALL].text}"
    if p <= sample.alpha:
        sentence = (
            f"{at(sample.group)}over {n} pictures the {k} {noun}s differ in the {sample.response.noun} "
            f"({stat}): {best} ranks highest and {last} lowest; "
            f"{apart} of {k * (k - 1) // 2} pairs lie further apart than the critical difference."
        )
    else:
        sentence = (
            f"{at(sample.group)}over {n} pictures no difference of the {k} {noun}s in the {sample.response.noun} "
            f"is shown ({stat}), which does not prove that there is none."
        )
    return replace(
        blank,
        statistic_name="Friedman's χ²",
        statistic=chi,
        df=k - 1,
        p=p,
        p_method="asymptotic (χ²), ties corrected",
        effect=values[KENDALL],
        numbers=_iman_davenport(kendall.value, n, k),
        ranks=tuple(replace(values[f"rank {i}"], name=table.levels[i]) for i in order),
        critical=critical_difference(k, n, sample.alpha),
        pairs=nemenyi,
        assumptions=_friedman_assumptions(ranks, p <= sample.alpha),
        sentence=sentence,
    )


def _nemenyi(sample: Sample, table: Blocks, values: dict[str, Value]) -> tuple[PairResult, ...]:
    """Compare all pairs by their difference of average ranks; p covers the whole family of pairs."""
    n, k = table.values.shape
    p = posthoc_nemenyi_friedman(table.values).to_numpy()
    return tuple(
        PairResult(
            a=table.levels[i],
            b=table.levels[j],
            n=n,
            difference=float((table.values[:, i] - table.values[:, j]).mean()),
            statistic=values[f"{i} {j}"].value,
            p=None,
            p_adjusted=float(p[i, j]),
            effect=replace(values[f"{i} {j}"], name="difference of average ranks"),
            differ=bool(p[i, j] <= sample.alpha),
            note="Nemenyi: p covers all pairs together",
        )
        for i, j in combinations(range(k), 2)
    )


def _iman_davenport(w: float, n: int, k: int) -> tuple[Value, ...]:
    """Return the F form of Friedman's test, less conservative with few pictures; empty if W is 1."""
    if w >= 1 - 1e-12:
        return ()
    statistic = (n - 1) * w / (1 - w)
    p = float(f.sf(statistic, k - 1, (k - 1) * (n - 1)))
    return Value("Iman and Davenport's F", float(statistic)), Value("p of F", p)


def _friedman_assumptions(ranks: Floats, differ: bool) -> tuple[Assumption, ...]:
    n, k = ranks.shape
    tied = float(np.mean([len(np.unique(row)) < k for row in ranks]))
    return (
        Assumption("blocks", True, f"{n} pictures, each once: seeds were averaged first."),
        Assumption(
            "sample size",
            n > FEW_FOR_CHI,
            f"The χ² approximation is good from about {FEW_FOR_CHI + 1} pictures on; there are {n}. "
            "Compare Iman and Davenport's F.",
        ),
        Assumption(
            "ties",
            tied <= 0.25,
            f"{percent(tied)} of the pictures have tied ranks. Friedman's statistic corrects for ties; Nemenyi's "
            "does not, which makes it conservative.",
        ),
        Assumption(
            "overall test",
            differ,
            "Read Nemenyi's pairs only if the overall test is significant.",
        ),
    )


@stat_test(
    "methods_wilcoxon",
    "Wilcoxon signed-rank, pairwise, with Holm",
    "Which CAM methods differ, picture by picture?",
    compares="method",
)
def methods_wilcoxon(sample: Sample, blank: TestResult) -> TestResult:
    """Compare each pair of methods by their differences within pictures."""
    table, blank = sample.in_blocks(blank)
    if len(table.levels) < 2:
        return refuse(blank, one_level(table.levels, "method"))
    if len(table) < FEWEST_BLOCKS:
        return refuse(blank, too_few(len(table)))
    chosen = list(combinations(range(len(table.levels)), 2))
    pairs = compare_pairs(sample, table, chosen)
    tested = [pair for pair in pairs if pair.p is not None]
    if not tested:
        return refuse(blank, "the methods have the same value in every picture.", pairs=pairs)
    clearest = min(tested, key=lambda pair: (pair.p_adjusted or 0.0, -abs(pair.effect.value) if pair.effect else 0))
    apart = sum(pair.differ for pair in pairs)
    if clearest.effect is None or clearest.p_adjusted is None:
        raise CamLabError("A tested pair has no effect; report this as a bug.")
    upper, lower = (clearest.a, clearest.b) if clearest.effect.value >= 0 else (clearest.b, clearest.a)
    evidence = f"{p_text(clearest.p_adjusted)} after Holm, rank-biserial {abs(clearest.effect.value):.2f}"
    count = f"{apart} of {plural(len(pairs), 'pair')} of methods"
    if apart:
        tail = f"the clearest: {upper} {sample.response.more} than {lower} ({evidence})."
        sentence = f"{at(sample.group)}over {len(table)} pictures {count} differ; {tail}"
    else:
        sentence = (
            f"{at(sample.group)}over {len(table)} pictures no pair of methods is shown to differ (Wilcoxon; the "
            f"clearest, {upper} over {lower}: {evidence})."
        )
    return replace(
        blank,
        statistic_name="Wilcoxon's T",
        p=clearest.p_adjusted,
        p_method="the smallest p of all pairs after Holm",
        effect=replace(clearest.effect, name=f"rank-biserial, {clearest.a} over {clearest.b}"),
        pairs=pairs,
        assumptions=assumptions(table, pairs, chosen, sample.alpha),
        sentence=sentence,
    )
