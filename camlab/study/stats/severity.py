"""The test of severity: Page's trend test within pictures."""

from dataclasses import replace

import numpy as np
from scipy.stats import page_trend_test

from camlab.metrics.tally import Floats
from camlab.study.stats.base import FEWEST_BLOCKS, Sample, at, one_level, refuse, stat_test, too_few
from camlab.study.stats.effects import KENDALL, Replicates, block_ranks, concordance, mean_of, observed_effect
from camlab.study.stats.results import Assumption, TestResult, p_text

RHO = "mean rank correlation with severity"


@stat_test(
    "severity_page",
    "Page's trend test",
    "Does the response rise or fall steadily with severity?",
    compares="severity",
    within=("method",),
)
def severity_page(sample: Sample, blank: TestResult) -> TestResult:
    """Test within each picture whether the response follows the expected order of the severities."""
    table, blank = sample.in_blocks(blank)
    n, k = len(table), len(table.levels)
    if k < 3:
        return refuse(blank, one_level(table.levels, "severity", 3))
    if n < FEWEST_BLOCKS:
        return refuse(blank, too_few(n))
    ranks = k + 1 - block_ranks(table.values)  # 1 for the smallest value, as Page counts
    if np.all(ranks == ranks[:, :1]):
        return refuse(blank, "the severities tie in every picture.")
    trend = sample.response.trend
    expected = np.arange(1, k + 1)[::trend]
    found = page_trend_test(table.values, predicted_ranks=expected)
    p = min(float(found.pvalue), 1.0)
    effects = {
        KENDALL: observed_effect(concordance(ranks), n, "w"),
        RHO: observed_effect(_spearman(ranks), n),
    }
    values = sample.values(effects, n)
    ties = sum(len(np.unique(row)) < k for row in ranks)
    how = str(found.method) + (", without a correction for ties" if ties else "")
    way = "falls" if trend < 0 else "grows"
    stat = f"Page's L = {found.statistic:.0f}, {p_text(p)}, {values[RHO].text}, {values[KENDALL].text}"
    shown = f"{way} as the noise gets stronger" if p <= sample.alpha else f"is not shown to {way[:-1]} with severity"
    return replace(
        blank,
        statistic_name="Page's L",
        statistic=float(found.statistic),
        p=p,
        p_method=how,
        effect=values[KENDALL],
        numbers=(values[RHO],),
        assumptions=(
            Assumption("blocks", True, f"{n} pictures, each with all {k} severities."),
            Assumption("order set in advance", True, f"One-sided: the {sample.response.noun} {way} with severity."),
            Assumption(
                "ties",
                ties == 0,
                f"{ties} of {n} pictures have tied values; Page's p ignores ties and is then too large.",
            ),
            Assumption("p", None, f"p is {how}."),
        ),
        sentence=f"{at(sample.group)}over {n} pictures the {sample.response.noun} {shown} ({stat}).",
    )


def _spearman(ranks: Floats) -> Replicates:
    """Average Spearman's ρ between severity and value over the blocks; a block of ties counts 0."""
    k = ranks.shape[1]
    severity = np.arange(1, k + 1) - (k + 1) / 2
    centred = ranks - (k + 1) / 2
    spread = np.sqrt((severity**2).sum() * (centred**2).sum(axis=1))
    rho = np.divide(centred @ severity, spread, out=np.zeros(len(ranks)), where=spread > 0)
    return mean_of(rho)
