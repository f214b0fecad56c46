"""The verdict of a study: which CAM methods to trust for a model and a noise type."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from camlab.cams.coincidence import BASELINE, is_baseline
from camlab.common.errors import BadSetting
from camlab.common.wording import listed, plural
from camlab.metrics.intervals import REPLICATES, SEED, bootstrap
from camlab.metrics.tally import Floats, divide
from camlab.study.stats.base import FEWEST_BLOCKS, Sample, fewest_to_differ, one_level, too_few
from camlab.study.stats.blocks import DECIMALS, RESPONSES, Blocks, blocks, picture_means
from camlab.study.stats.cells import Cells
from camlab.study.stats.effects import block_ranks, holm
from camlab.study.stats.paired import compare_pairs, signed_rank
from camlab.study.stats.results import ALPHA, PairResult, Value, with_interval
from camlab.study.stats.run import prepare


@dataclass(frozen=True)
class Candidate:
    """One method in a verdict.

    rank: average rank over the pictures, 1 best; mean: mean of the pictures' means of the response; beaten_by: methods
    shown to be better; above_random, above_floor: shown to be above `randomcam` and the other-picture floor (None:
    unknown); gap: similarity kept minus flipped, averaged over severities; still: the gap's interval does not lie
    above 0, so a map that never moves would score as well (None: no flips).
    """

    method: str
    rank: float
    mean: float
    beaten_by: tuple[str, ...]
    above_random: bool | None
    above_floor: bool | None
    gap: Value | None
    still: bool | None

    @property
    def sound(self) -> bool:
        """Whether the method is above randomcam and the other-picture floor, as far as these are known."""
        return self.above_random is not False and self.above_floor is not False


@dataclass(frozen=True)
class Verdict:
    """The methods ``top`` that no other method is shown to beat, best average rank first.

    indistinguishable: all methods are at the top. trusted: top methods above every known baseline. cautions:
    sentences. reason: why there is no verdict, "" if there is one.
    """

    group: dict[str, Any]
    response: str
    n: int
    top: tuple[str, ...]
    trusted: tuple[str, ...]
    indistinguishable: bool
    candidates: tuple[Candidate, ...]
    pairs: tuple[PairResult, ...]
    cautions: tuple[str, ...]
    left_out: tuple[str, ...]
    sentence: str
    reason: str = ""
    alpha: float = ALPHA
    kind: str = field(default="verdict", init=False)


def fewest_pictures(methods: int, alpha: float = ALPHA) -> int:
    """Return the fewest pictures with which a verdict on this many (≥ 2) methods can show any difference."""
    return fewest_to_differ(math.comb(methods, 2), alpha)


def verdict(
    rows: pd.DataFrame | Cells,
    model: str | None = None,
    noise: str | None = None,
    *,
    layer: str | None = None,
    image_set: str | None = None,
    response: str = "kept",
    similarity: str | None = None,
    coincide: Sequence[Mapping[str, Any]] = (),
    alpha: float = ALPHA,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> Verdict:
    """Name the methods that are statistically indistinguishable at the top, in one sentence.

    A method is at the top unless another is shown to be better picture by picture (Wilcoxon, Holm over all
    pairs), so that no two at the top are shown to differ. model, layer: optional if the study has only one;
    noise, image_set: None for all. The floor is known if rows are scored by "rbo" and have ``other_floor``.
    Raises BadSetting for an unknown level, or an ambiguous model or layer.
    """
    cells = rows if isinstance(rows, Cells) else prepare(rows, similarity, coincide)
    group: dict[str, Any] = {}
    for name, level in (("model", model), ("layer", layer), ("noise", noise), ("image_set", image_set)):
        if level is not None:
            cells = cells.where(name, level)
            group[name] = level
        elif name in ("model", "layer") and len(np.unique(cells.codes[name])) > 1:
            raise BadSetting(f"The study has several {name}s; say which {name} the verdict is about.")
    asked = RESPONSES[response]
    sample = Sample(cells, asked, group, alpha, replicates, seed)
    table = blocks(cells, "method", asked)
    judged = [i for i, name in enumerate(table.levels) if not is_baseline(name)]
    if len(judged) < 2:
        return _no_verdict(sample, table, one_level(tuple(table.levels[i] for i in judged), "method"))
    if len(table) < FEWEST_BLOCKS:
        return _no_verdict(sample, table, too_few(len(table)))
    chosen = list(combinations(range(len(table.levels)), 2))
    if len(table) < (fewest := fewest_to_differ(len(chosen), alpha)):
        why = f"{plural(len(table), 'picture')} cannot decide between {plural(len(chosen), 'pair')} of methods, "
        why += f"however large the difference (Wilcoxon, Holm); a verdict needs at least {fewest}."
        return _no_verdict(sample, table, why)
    pairs = compare_pairs(sample, table, chosen)
    candidates = _candidates(sample, table, judged, pairs)
    top = tuple(each.method for each in candidates if not each.beaten_by)
    sound = {each.method for each in candidates if each.sound or response == "flipped"}
    trusted = tuple(name for name in top if name in sound)
    alike = len(top) == len(candidates)
    made = Verdict(
        group=group,
        response=response,
        n=len(table),
        top=top,
        trusted=trusted,
        indistinguishable=alike,
        candidates=candidates,
        pairs=pairs,
        cautions=(),
        left_out=table.left_out,
        sentence="",
        alpha=alpha,
    )
    has_baseline = len(judged) < len(table.levels)
    return replace(made, cautions=_cautions(made, has_baseline), sentence=_sentence(made))


def layer_verdicts(cells: Cells) -> list[Verdict]:
    """Return one verdict on consistency per model and layer."""
    return [verdict(part, **group, response="kept") for group, part in cells.split(["model", "layer"])]


def _no_verdict(sample: Sample, table: Blocks, reason: str) -> Verdict:
    sentence = f"There is no verdict: {reason}"
    return Verdict(
        sample.group, sample.response.name, len(table), (), (), False, (), (), (), table.left_out, sentence, reason,
        sample.alpha,
    )  # fmt: skip


def _candidates(
    sample: Sample, table: Blocks, judged: Sequence[int], pairs: Sequence[PairResult]
) -> tuple[Candidate, ...]:
    beaten: dict[str, list[str]] = {name: [] for name in table.levels}
    for pair in pairs:
        if pair.differ and pair.effect is not None:
            better, worse = (pair.a, pair.b) if pair.effect.value > 0 else (pair.b, pair.a)
            beaten[worse].append(better)
    names = [table.levels[i] for i in judged]
    ranks = block_ranks(table.values[:, judged]).mean(axis=0)
    gaps = _gaps(sample, names)
    above = _above_floor(sample, table, judged)
    baseline = [name for name in table.levels if name not in names]
    found = [
        Candidate(
            method=name,
            rank=float(rank),
            mean=float(table.values[:, i].mean()),
            beaten_by=tuple(each for each in beaten[name] if each in names),
            above_random=all(name in beaten[each] for each in baseline) if baseline else None,
            above_floor=above.get(name),
            gap=gaps.get(name),
            still=None if (gap := gaps.get(name)) is None or gap.low is None else gap.low <= 0,
        )
        for i, name, rank in zip(judged, names, ranks.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (each.rank, -each.mean, each.method)))


def _gaps(sample: Sample, names: Sequence[str]) -> dict[str, Value]:
    """Compute every method's gap, similarity kept minus flipped averaged over severities, with its interval."""
    cells = sample.cells
    levels = np.unique(cells.codes["severity"])
    there = np.unique(cells.picture)
    sums: dict[str, Floats] = {}
    for name in names:
        mine = cells.where("method", name)
        shape = (len(there), len(levels))
        place = np.searchsorted(there, mine.picture), np.searchsorted(levels, mine.codes["severity"])
        at = np.ravel_multi_index(place, shape)
        parts = [
            np.bincount(at, each, minlength=len(there) * len(levels)).reshape(shape)
            for each in (mine.kept_sum, mine.kept, mine.lost_sum, mine.lost)
        ]
        seen = (parts[1].sum(axis=0) > 0) & (parts[3].sum(axis=0) > 0)
        if seen.any():
            sums[name] = np.stack([part[:, seen] for part in parts])

    def values(weights: Floats) -> dict[str, Floats]:
        found = {}
        for name, each in sums.items():
            kept, n_kept, lost, n_lost = (weights @ part for part in each)
            found[name] = (divide(kept, n_kept) - divide(lost, n_lost)).mean(axis=1)
        return found

    if not sums:
        return {}
    observed = values(np.ones((1, len(there))))
    drawn: dict[str, Any] = dict.fromkeys(sums)
    if sample.replicates > 0 and len(there) >= FEWEST_BLOCKS:
        drawn = bootstrap(values, len(there), sample.replicates, sample.seed)
    return {name: with_interval("gap", float(observed[name][0]), drawn[name]) for name in sums}


def _above_floor(sample: Sample, table: Blocks, judged: Sequence[int]) -> dict[str, bool]:
    """Test whether each method's picture means lie above its other-picture floor (one-sided, Holm)."""
    cells = sample.cells
    p: dict[str, float] = {}
    for i in judged:
        mine = cells.where("method", table.levels[i])
        floor = picture_means(mine.picture, mine.floor, len(cells.pictures))[table.picture]
        if sample.response.name == "flipped" or np.isnan(floor).any():
            continue
        _, found, _ = signed_rank(np.round(table.values[:, i] - floor, DECIMALS), "greater")
        p[table.levels[i]] = 1.0 if found is None else found
    return {name: each <= sample.alpha for name, each in zip(p, holm(list(p.values())), strict=True)}


def _cautions(made: Verdict, has_baseline: bool) -> tuple[str, ...]:
    """Return the cautions about the methods at the top, one sentence each."""
    best = [each for each in made.candidates if each.method in made.top]
    cautions = []
    if not has_baseline:
        cautions.append(f"The rows have no {BASELINE}, so a random map might score just as well.")
    if made.response == "flipped":
        cautions.append(
            "Responsiveness alone misleads: a random map moves most when the prediction flips. Read the "
            "verdict on consistency too."
        )
    else:
        if chance := [each.method for each in best if each.above_random is False]:
            cautions.append(f"{listed(chance)}: not shown to be above {BASELINE}, a random map.")
        if floor := [each.method for each in best if each.above_floor is False]:
            cautions.append(f"{listed(floor)}: not shown to be above the floor of other pictures' maps.")
        if still := [each.method for each in best if each.still]:
            cautions.append(
                f"{listed(still)}: within a severity, the map is not shown to change more where the prediction "
                "flips; a map that never moves would score just as well."
            )
        if unseen := [each.method for each in best if each.gap is None]:
            cautions.append(
                f"{listed(unseen)}: no severity has both kept and flipped pairs, so the map's reaction to a "
                "changed prediction was not observed."
            )
    return tuple(cautions)


def _sentence(made: Verdict) -> str:
    group = made.group
    place = " ".join(
        f"{word} {group[name]}"
        for name, word in (("model", "for"), ("layer", "at layer"), ("noise", "under"), ("image_set", "on"))
        if name in group and str(group[name]) != ""
    )
    where = f"{place[:1].upper()}{place[1:]}, over" if place else "Over"
    over = f"{where} {plural(made.n, 'picture')}"
    more = RESPONSES[made.response].more
    if not made.top:
        return f"{over}: no verdict, since every method is beaten by another one."
    if made.indistinguishable:
        head = f"{over} the {len(made.top)} methods are statistically indistinguishable ({listed(made.top)})"
    elif len(made.top) == 1:
        head = f"{over} {made.top[0]} {more} than any other method"
    else:
        head = f"{over} {listed(made.top)} are statistically indistinguishable at the top: no other method {more}"
    if made.response == "flipped" or made.trusted == made.top:
        return f"{head}."
    if not made.trusted:
        return f"{head}, but none is shown to be better than chance, so there is no evidence to trust any of them."
    only = f"{listed(made.trusted)} {'is' if len(made.trusted) == 1 else 'are'}"
    return f"{head}; of these only {only} shown to be better than chance."
