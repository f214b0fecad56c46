"""Kept against flipped: does the map know that the prediction changed?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import ks_2samp, levene, mannwhitneyu

from camlab.common.wording import plural
from camlab.metrics.tally import Floats, stratum_counts
from camlab.study.stats.base import FEWEST_BLOCKS, Sample, at, refuse, stat_test
from camlab.study.stats.blocks import DECIMALS, pairs_left_out, picture_means
from camlab.study.stats.cells import Cells
from camlab.study.stats.effects import DELTA, cliffs_delta, magnitude, rank_biserial
from camlab.study.stats.paired import EFFECT, signed_rank
from camlab.study.stats.results import Assumption, PairResult, TestResult, Value, p_text

EXACT_U, EXACT_KS = 8, 500
"""p is exact where one group has up to EXACT_U values without ties; for Kolmogorov–Smirnov, both up to EXACT_KS."""

KEPT, FLIPPED = "kept", "flipped"


@stat_test(
    "kept_flipped",
    "Kept against flipped: Mann–Whitney U, Kolmogorov–Smirnov, AUROC",
    "Does the map know that the prediction changed?",
    compares="flipped",
    within=("method",),
    unit="picture mean of one outcome",
)
def kept_flipped(sample: Sample, blank: TestResult) -> TestResult:
    """Compare the pictures' mean similarity over kept pairs with that over flipped pairs."""
    cells = sample.cells
    kept, flipped = outcome_means(cells)
    a, b = kept[~np.isnan(kept)], flipped[~np.isnan(flipped)]
    n_pairs = int((cells.kept + cells.lost).sum())
    left = tuple(pairs_left_out(cells))
    blank = replace(blank, levels=(KEPT, FLIPPED), n=len(a) + len(b), n_pairs=n_pairs, left_out=left)
    for group, what in ((a, "kept"), (b, "flipped")):
        if not len(group):
            return refuse(blank, f"no picture has a {what} pair.")
        if len(group) < FEWEST_BLOCKS:
            return refuse(
                blank,
                f"only {plural(len(group), 'picture')} with a {what} pair, and a test needs at least "
                f"{FEWEST_BLOCKS}.",
            )
    if len(np.unique(np.concatenate([a, b]))) == 1:
        return refuse(blank, "all pictures have the same similarity, kept or flipped.")
    u, p, how = rank_sum(a, b)
    exact_ks = max(len(a), len(b)) <= EXACT_KS
    ks = ks_2samp(a, b, method="exact" if exact_ks else "asymp")
    delta = cliffs_delta(kept, flipped)
    value = float(delta(np.ones((1, len(kept))))[0])
    words = magnitude("delta", value)
    effect = sample.values({DELTA: (value, delta, words)}, len(kept))[DELTA]
    low, high = (None if end is None else (end + 1) / 2 for end in (effect.low, effect.high))
    auroc = Value("AUROC", (value + 1) / 2, low, high, effect.undefined)
    described = descriptive(cells)
    numbers = (
        auroc,
        Value("Kolmogorov–Smirnov D", float(ks.statistic)),
        Value("p of D", float(ks.pvalue), words="exact" if exact_ks else "asymptotic"),
        *described,
    )
    same = _same_pictures(sample, kept, flipped)
    return replace(
        blank,
        statistic_name="Mann–Whitney U",
        statistic=u,
        p=p,
        p_method=how,
        effect=effect,
        numbers=numbers,
        pairs=same,
        assumptions=_assumptions(kept, flipped, how),
        sentence=_sentence(
            sample, auroc, effect, p, len(a), len(b), {each.name: each.value for each in described}
        ),
    )


def outcome_means(cells: Cells) -> tuple[Floats, Floats]:
    """Mean similarity of each picture's kept cells, and of its flipped ones; seeds averaged first; nan: none."""
    there, picture = np.unique(cells.picture, return_inverse=True)
    kept, flipped = (
        picture_means(picture, np.divide(s, c, out=np.full_like(s, np.nan), where=c > 0), len(there))
        for s, c in ((cells.kept_sum, cells.kept), (cells.lost_sum, cells.lost))
    )
    return kept, flipped


def rank_sum(a: Floats, b: Floats) -> tuple[float, float, str]:
    """Mann and Whitney's U of ``a`` over ``b``, its two-sided p, and how p was found."""
    tied = len(np.unique(np.concatenate([a, b]))) < len(a) + len(b)
    exact = not tied and min(len(a), len(b)) <= EXACT_U
    found = mannwhitneyu(a, b, alternative="two-sided", method="exact" if exact else "asymptotic")
    how = "exact" if exact else f"asymptotic{', ties corrected' if tied else ''}, continuity corrected"
    return float(found.statistic), min(float(found.pvalue), 1.0), how


def descriptive(cells: Cells) -> tuple[Value, ...]:
    """AUROC of single pairs, which no p-value goes with: of all, and of pairs that share noise and severity."""
    mask = cells.pair_mask
    rows = cells.rows.take(mask)
    stratum = (cells_axis(cells, "noise") * len(cells.levels["severity"]) + cells_axis(cells, "severity"))[
        mask
    ]
    # In one stratum, every kept pair against every flipped one; in those of noise and severity, like against like.
    found = []
    for name, places in (
        ("AUROC of single pairs", np.zeros(len(rows), dtype=np.intp)),
        ("AUROC of single pairs within a severity", stratum),
    ):
        _, wins, contests = stratum_counts(rows, places, int(places.max(initial=0)) + 1)
        if contests.sum():
            found.append(Value(name, float(wins.sum() / contests.sum())))
    return tuple(found)


def cells_axis(cells: Cells, name: str) -> np.ndarray:
    """The code of every pair (of all rows) on one axis; cells outside these have code 0."""
    codes = np.zeros(len(cells.chosen), dtype=np.intp)
    codes[cells.chosen] = cells.codes[name]
    return np.asarray(codes[cells.of])


def _same_pictures(sample: Sample, kept: Floats, flipped: Floats) -> tuple[PairResult, ...]:
    """The pictures that have both outcomes, each against itself."""
    both = ~(np.isnan(kept) | np.isnan(flipped))
    d = np.round(kept - flipped, DECIMALS)[both]
    if len(d) < FEWEST_BLOCKS:
        return ()
    statistic, p, note = signed_rank(d)
    effect = None
    if p is not None:
        replicates = rank_biserial(d)
        value = float(replicates(np.ones((1, len(d))))[0])
        effect = sample.values({EFFECT: (value, replicates, magnitude("delta", value))}, len(d))[EFFECT]
    differ = p is not None and p <= sample.alpha
    mean = float(d.mean())
    note = f"the pictures with both outcomes, Wilcoxon signed-rank; {note}"
    return (PairResult(KEPT, FLIPPED, len(d), mean, statistic, p, p, effect, differ, note),)


def _assumptions(kept: Floats, flipped: Floats, how: str) -> tuple[Assumption, ...]:
    a, b = kept[~np.isnan(kept)], flipped[~np.isnan(flipped)]
    both = int((~np.isnan(kept) & ~np.isnan(flipped)).sum())
    tied = len(a) + len(b) - len(np.unique(np.concatenate([a, b])))
    return (
        Assumption(
            "independent groups",
            both == 0,
            f"Pictures that stand in both groups: {both}. With any, the groups are not independent; what these "
            "pictures say of themselves stands beside it.",
        ),
        Assumption(
            "severity",
            None,
            "Flips come mostly from strong noise, kept pairs from mild noise: over several severities part of "
            "the difference is the severity's. The AUROC within a severity says how much is left.",
        ),
        spread_alike([a, b]),
        Assumption("ties and p", None, f"{plural(tied, 'tied value')}; p is {how}."),
    )


def spread_alike(groups: list[Floats]) -> Assumption:
    """Whether the groups differ in spread (Brown and Forsythe's test), without which only dominance is tested."""
    name = "shape and spread"
    if any(len(np.unique(group)) < 2 for group in groups):
        return Assumption(name, None, "A group has one value only: its spread cannot be compared.")
    p = float(levene(*groups, center="median").pvalue)
    return Assumption(
        name,
        p > 0.05,
        f"Spreads alike: Brown–Forsythe {p_text(p)}. Where they are not, the test says which group tends to be "
        "larger, not that the middles differ.",
    )


def _sentence(
    sample: Sample,
    auroc: Value,
    delta: Value,
    p: float,
    n_kept: int,
    n_flipped: int,
    described: dict[str, float],
) -> str:
    within = described.get("AUROC of single pairs within a severity")
    tail = "" if within is None else f" Among single pairs of the same severity it is {within:.2f}."
    stat = f"AUROC {auroc.value:.2f}, {p_text(p)}, {delta.text}; {n_kept} pictures kept, {n_flipped} flipped"
    if p > sample.alpha:
        head = "the maps are not shown to know that the prediction changed"
    elif auroc.value > 0.5:
        head = "the maps change more where the prediction flips"
    else:
        head = "the maps change less where the prediction flips than where it is kept"
    return f"{at(sample.group)}{head} ({stat}).{tail}"
