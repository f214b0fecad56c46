"""Kept against flipped pairs: does the map react to a changed prediction?"""

from dataclasses import replace

import numpy as np
from scipy.stats import ks_2samp, levene, mannwhitneyu

from camlab.common.wording import plural
from camlab.metrics.tally import Floats, divide, stratum_counts
from camlab.study.stats.base import FEWEST_BLOCKS, Sample, at, refuse, stat_test
from camlab.study.stats.blocks import DECIMALS, pairs_left_out, picture_means
from camlab.study.stats.cells import Cells
from camlab.study.stats.effects import DELTA, cliffs_delta, observed_effect, rank_biserial
from camlab.study.stats.paired import EFFECT, adjusted, signed_rank_pair
from camlab.study.stats.results import Assumption, PairResult, TestResult, Value, p_text

EXACT_U, EXACT_KS = 8, 500
"""p is exact for up to EXACT_U untied values in the smaller group; Kolmogorov–Smirnov: up to EXACT_KS in both."""

KEPT, FLIPPED = "kept", "flipped"


@stat_test(
    "kept_flipped",
    "Kept against flipped: Mann–Whitney U, Kolmogorov–Smirnov, AUROC",
    "Does the map react to a changed prediction?",
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
                f"only {plural(len(group), 'picture')} with a {what} pair, and a test needs at least {FEWEST_BLOCKS}.",
            )
    if len(np.unique(np.concatenate([a, b]))) == 1:
        return refuse(blank, "all pictures have the same similarity, kept or flipped.")
    u, p, how = rank_sum(a, b)
    exact_ks = max(len(a), len(b)) <= EXACT_KS
    ks = ks_2samp(a, b, method="exact" if exact_ks else "asymp")
    delta = observed_effect(cliffs_delta(kept, flipped), len(kept), "delta")
    effect = sample.values({DELTA: delta}, len(kept))[DELTA]
    low, high = (None if end is None else (end + 1) / 2 for end in (effect.low, effect.high))
    auroc = Value("AUROC", (effect.value + 1) / 2, low, high, effect.undefined)
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
        sentence=_sentence(sample, auroc, effect, p, len(a), len(b), {each.name: each.value for each in described}),
    )


def outcome_means(cells: Cells) -> tuple[Floats, Floats]:
    """Average each picture's kept cells, and its flipped cells, after averaging seeds; nan without a cell."""
    there, picture = np.unique(cells.picture, return_inverse=True)
    kept, flipped = (
        picture_means(picture, divide(s, c), len(there))
        for s, c in ((cells.kept_sum, cells.kept), (cells.lost_sum, cells.lost))
    )
    return kept, flipped


def rank_sum(a: Floats, b: Floats) -> tuple[float, float, str]:
    """Return Mann and Whitney's U of ``a`` over ``b``, its two-sided p, and words on how p was computed."""
    tied = len(np.unique(np.concatenate([a, b]))) < len(a) + len(b)
    exact = not tied and min(len(a), len(b)) <= EXACT_U
    found = mannwhitneyu(a, b, alternative="two-sided", method="exact" if exact else "asymptotic")
    how = "exact" if exact else f"asymptotic{', ties corrected' if tied else ''}, continuity corrected"
    return float(found.statistic), min(float(found.pvalue), 1.0), how


def descriptive(cells: Cells) -> tuple[Value, ...]:
    """Compute the AUROC of single pairs, without p: of all pairs, and within each noise type and severity."""
    mask = cells.pair_mask
    rows = cells.rows.take(mask)
    stratum = (cells_axis(cells, "noise") * len(cells.levels["severity"]) + cells_axis(cells, "severity"))[mask]
    # One stratum compares every kept pair with every flipped one; strata compare pairs of one noise and severity.
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
    """Return the code of every row on one axis; rows outside these cells have code 0."""
    codes = np.zeros(len(cells.chosen), dtype=np.intp)
    codes[cells.chosen] = cells.codes[name]
    return np.asarray(codes[cells.of])


def _same_pictures(sample: Sample, kept: Floats, flipped: Floats) -> tuple[PairResult, ...]:
    """Compare kept with flipped pairs within each picture that has both."""
    both = ~(np.isnan(kept) | np.isnan(flipped))
    d = np.round(kept - flipped, DECIMALS)[both]
    if len(d) < FEWEST_BLOCKS:
        return ()
    (found,) = adjusted([signed_rank_pair(KEPT, FLIPPED, d)], sample.alpha)
    effect = None
    if found.p is not None:
        effect = sample.values({EFFECT: observed_effect(rank_biserial(d), len(d), "delta")}, len(d))[EFFECT]
    note = f"the pictures with both outcomes, Wilcoxon signed-rank; {found.note}"
    return (replace(found, effect=effect, note=note),)


def _assumptions(kept: Floats, flipped: Floats, how: str) -> tuple[Assumption, ...]:
    a, b = kept[~np.isnan(kept)], flipped[~np.isnan(flipped)]
    both = int((~np.isnan(kept) & ~np.isnan(flipped)).sum())
    tied = len(a) + len(b) - len(np.unique(np.concatenate([a, b])))
    return (
        Assumption(
            "independent groups",
            both == 0,
            f"Pictures in both groups: {both}. If there are any, the groups are not independent; compare the "
            "test within these pictures.",
        ),
        Assumption(
            "severity",
            None,
            "Flips come mostly from strong noise, kept pairs from mild noise, so severity itself explains part "
            "of the difference. The AUROC within a severity shows what remains.",
        ),
        spread_alike([a, b]),
        Assumption("ties and p", None, f"{plural(tied, 'tied value')}; p is {how}."),
    )


def spread_alike(groups: list[Floats]) -> Assumption:
    """Check by Brown and Forsythe's test that groups have equal spread; otherwise only dominance is tested."""
    name = "shape and spread"
    if any(len(np.unique(group)) < 2 for group in groups):
        return Assumption(name, None, "One group has a single value, so its spread cannot be compared.")
    p = float(levene(*groups, center="median").pvalue)
    return Assumption(
        name,
        p > 0.05,
        f"Equal spread: Brown–Forsythe {p_text(p)}. If spreads differ, the test says which group tends to be "
        "larger, not that the medians differ.",
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
        head = "the maps are not shown to react to a changed prediction"
    elif auroc.value > 0.5:
        head = "the maps change more where the prediction flips"
    else:
        head = "the maps change less where the prediction flips than where it is kept"
    return f"{at(sample.group)}{head} ({stat}).{tail}"
