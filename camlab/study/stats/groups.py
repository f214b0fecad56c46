"""Tests of groups of pictures: Kruskal–Wallis with Dunn, for noise types and data sets."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scikit_posthocs import posthoc_dunn
from scipy.stats import kruskal

from camlab.common.wording import listed, plural
from camlab.metrics.tally import Floats, Index
from camlab.study.stats.base import FEWEST_BLOCKS, NOUNS, Sample, at, one_level, refuse, stat_test
from camlab.study.stats.blocks import pairs_left_out, picture_means
from camlab.study.stats.effects import (
    DELTA,
    Effect,
    cliffs_delta,
    epsilon_squared,
    magnitude,
    observed_effect,
)
from camlab.study.stats.outcomes import spread_alike
from camlab.study.stats.paired import adjusted
from camlab.study.stats.results import Assumption, PairResult, TestResult, p_text

EPSILON = "ε²"


def group_means(sample: Sample, compares: str) -> tuple[tuple[str, ...], Floats]:
    """Return the levels and each picture's mean at each level: (pictures, levels), nan without a pair."""
    cells = sample.cells
    there, picture = np.unique(cells.picture, return_inverse=True)
    found, level = np.unique(cells.codes[compares], return_inverse=True)
    flat = picture * len(found) + level
    means = picture_means(flat, sample.response.value(cells), len(there) * len(found))
    return tuple(str(cells.levels[compares][i]) for i in found), means.reshape(len(there), len(found))


# Of several decorators the lowest registers first, which decides the order on screen.
@stat_test(
    "sets_kruskal",
    "Kruskal–Wallis with Dunn, data sets",
    "Does the data set matter?",
    compares="image_set",
    within=("method",),
)
@stat_test(
    "noises_kruskal",
    "Kruskal–Wallis with Dunn, noise types",
    "Does the noise type matter?",
    compares="noise",
    within=("method",),
    unit="picture mean under one noise type",
)
def kruskal_wallis(sample: Sample, blank: TestResult) -> TestResult:
    """Compare the pictures' means at each level as independent groups."""
    names, table = group_means(sample, blank.compares)
    left = pairs_left_out(sample.cells)
    sizes = (~np.isnan(table)).sum(axis=0)
    for name, size in zip(names, sizes.tolist(), strict=True):
        if size < FEWEST_BLOCKS:
            left.append(
                f"Left out, since fewer than {FEWEST_BLOCKS} pictures have a pair that counts: {name} ({size})."
            )
    enough = sizes >= FEWEST_BLOCKS
    levels = tuple(name for name, ok in zip(names, enough.tolist(), strict=True) if ok)
    table = table[:, enough]
    unit, group = np.nonzero(~np.isnan(table))
    values = table[unit, group]
    n_pairs = int(sample.response.of(sample.cells)[1].sum())
    blank = replace(blank, levels=levels, n=len(values), n_pairs=n_pairs, left_out=tuple(left))
    k = len(levels)
    if k < 2:
        return refuse(blank, one_level(levels, blank.compares))
    if len(np.unique(values)) == 1:
        return refuse(blank, "all pictures have the same value in every group.")
    groups = [values[group == i] for i in range(k)]
    found = kruskal(*groups)
    h, p = float(found.statistic), float(found.pvalue)
    size = h / (len(values) - 1)
    observed = Effect(size, epsilon_squared(values, group, unit, k), magnitude("epsilon", size))
    effect = sample.values({EPSILON: observed}, len(table), width=len(values))[EPSILON]
    return replace(
        blank,
        statistic_name="Kruskal–Wallis H",
        statistic=h,
        df=k - 1,
        p=p,
        p_method="asymptotic (χ²), ties corrected",
        effect=effect,
        pairs=_dunn(sample, levels, table, values, group),
        assumptions=_assumptions(blank.compares, table, groups),
        sentence=_sentence(
            sample, blank.compares, levels, groups, p, f"H({k - 1}) = {h:.1f}, {p_text(p)}, {effect.text}"
        ),
    )


def _dunn(
    sample: Sample, levels: tuple[str, ...], table: Floats, values: Floats, group: Index
) -> tuple[PairResult, ...]:
    long = pd.DataFrame({"value": values, "group": group})
    p = posthoc_dunn(long, val_col="value", group_col="group").to_numpy()
    chosen = list(combinations(range(len(levels)), 2))
    effects = {
        f"{i} {j}": observed_effect(cliffs_delta(table[:, i], table[:, j]), len(table), "delta") for i, j in chosen
    }
    found = sample.values(effects, len(table))
    pairs = [
        PairResult(
            a=levels[i],
            b=levels[j],
            n=int((group == i).sum() + (group == j).sum()),
            difference=float(values[group == i].mean() - values[group == j].mean()),
            statistic=None,
            p=float(p[i, j]),
            p_adjusted=None,
            effect=replace(found[f"{i} {j}"], name=DELTA),
            differ=False,
            note="Dunn, ties corrected",
        )
        for i, j in chosen
    ]
    return tuple(adjusted(pairs, sample.alpha))


def _assumptions(compares: str, table: Floats, groups: list[Floats]) -> tuple[Assumption, ...]:
    shared = int(((~np.isnan(table)).sum(axis=1) > 1).sum())
    sizes = [len(group) for group in groups]
    again = "" if compares == "image_set" else " The Friedman test compares each picture with itself."
    return (
        Assumption(
            "independent groups",
            shared == 0,
            f"Pictures in more than one group: {shared}. If there are any, the groups are not independent, and p "
            f"is only a guide.{again}",
        ),
        Assumption(
            "composition of the groups",
            None,
            f"{_span(sizes)} per group. Where the response needs kept (or flipped) pairs, each group rests on "
            "other pictures and other severities.",
        ),
        spread_alike(groups),
        Assumption(
            "sample size",
            min(sizes) >= FEWEST_BLOCKS,
            f"χ² needs {FEWEST_BLOCKS} values per group; all groups have them.",
        ),
    )


def _span(sizes: list[int]) -> str:
    least, most = min(sizes), max(sizes)
    return plural(most, "picture") if least == most else f"{least} to {most} pictures"


def _sentence(sample: Sample, compares: str, levels: tuple[str, ...], groups: list[Floats], p: float, stat: str) -> str:
    noun = NOUNS[compares]
    if p > sample.alpha:
        return (
            f"{at(sample.group)}no difference of the {len(levels)} {noun}s in the {sample.response.noun} is shown "
            f"({stat}), which does not prove that there is none."
        )
    middle = np.array([np.median(group) for group in groups])
    top = listed([levels[i] for i in np.flatnonzero(middle == middle.max())])
    low = listed([levels[i] for i in np.flatnonzero(middle == middle.min())])
    return (
        f"{at(sample.group)}the {len(levels)} {noun}s differ in the {sample.response.noun} ({stat}): highest under "
        f"{top} (median {middle.max():.2f}), lowest under {low} ({middle.min():.2f})."
    )
