"""The rules again, slower and simpler: every fast path of camlab.metrics must equal its twin here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import pandas as pd
import torch


def upsampled(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear upsampling by torch, in float64."""
    tensor = torch.from_numpy(np.asarray(maps, dtype=np.float64))[:, None]
    return torch.nn.functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()


def means_per_segment(maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Upsample, then add up and count the pixels of every segment."""
    full = upsampled(maps, labels.shape)
    count = np.bincount(labels.ravel())
    return np.stack([np.bincount(labels.ravel(), one.ravel()) / count for one in full])


def rbo_of_sets(a: Sequence[Hashable], b: Sequence[Hashable], p: float) -> float:
    """Webber et al. 2010, eq. 32, for untied lists of equal length, straight from sets."""
    k = len(a)
    agreement = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, k + 1)]
    return agreement[-1] * p**k + (1 - p) / p * sum(x * p**d for d, x in enumerate(agreement, 1))


def share(groups: Sequence[Sequence[Hashable]], item: Hashable, depth: int, whole: bool) -> Fraction:
    """How far an item belongs to the first ``depth`` ranks of a ranking given as tie groups."""
    first = 1
    for group in groups:
        if item in group:
            if depth < first:
                return Fraction(0)
            return Fraction(1) if whole else min(Fraction(1), Fraction(depth - first + 1, len(group)))
        first += len(group)
    return Fraction(0)


def rbo_of_groups(a: Sequence[Sequence[Hashable]], b: Sequence[Sequence[Hashable]], p: float, ties: str) -> float:
    """Corsi and Urbano 2024: agreement from every item's shares at every depth."""
    k = sum(len(group) for group in a)
    items = {item for ranking in (a, b) for group in ranking for item in group}
    agreement = []
    for depth in range(1, k + 1):
        pairs = [(share(a, item, depth, ties == "w"), share(b, item, depth, ties == "w")) for item in items]
        overlap = float(sum(x * y for x, y in pairs))
        if ties == "a":
            size = float(depth)
        elif ties == "w":
            size = float(sum(x + y for x, y in pairs)) / 2
        else:
            size = math.sqrt(sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs))
        agreement.append(overlap / size)
    return agreement[-1] * p**k + (1 - p) / p * sum(x * p**d for d, x in enumerate(agreement, 1))


def groups_of(scores: Sequence[float]) -> list[list[int]]:
    """Tie groups, best first."""
    return [[i for i, s in enumerate(scores) if s == level] for level in sorted(set(scores), reverse=True)]


def tie_breaks(groups: Sequence[Sequence[Hashable]]) -> Iterator[list[Hashable]]:
    """Every way of breaking the ties."""
    for choice in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield [item for group in choice for item in group]


def top_share(image: np.ndarray) -> np.ndarray:
    """Membership in the hottest fifth, pixel by pixel."""
    values = np.round(image.ravel(), 6)
    places = math.ceil(Fraction(len(values), 5))
    result = np.zeros(len(values))
    for i, value in enumerate(values):
        higher = int((values > value).sum())
        equal = int((values == value).sum())
        result[i] = min(max((places - higher) / equal, 0.0), 1.0)
    return result


def auroc(kept: Sequence[float], flipped: Sequence[float]) -> float:
    """Every kept value against every flipped one."""
    wins = 0.0
    for k in kept:
        for f in flipped:
            wins += 1.0 if k > f else 0.5 if k == f else 0.0
    return wins / (len(kept) * len(flipped))


def values_of(pairs: pd.DataFrame) -> dict[str, float]:
    """Every pooled value from its definition; nan where it is not observed."""
    usable = [row for row in pairs.to_dict("records") if not row["degenerate"]]
    kept = [row["similarity"] for row in usable if not row["flipped"]]
    lost = [row["similarity"] for row in usable if row["flipped"]]

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values) if values else math.nan

    c, r = mean(kept), 1 - mean(lost)
    s = mean([row["similarity"] for row in usable])
    return {
        "consistency": c,
        "responsiveness": r,
        "responsiveness_near": 1 - mean([x["similarity"] for x in usable if x["flipped"] and x["near"]]),
        "responsiveness_far": 1 - mean([x["similarity"] for x in usable if x["flipped"] and not x["near"]]),
        "rm": c * r,
        "gap": c + r - 1,
        "auroc": auroc(kept, lost) if kept and lost else math.nan,
        "mean_similarity": s,
        "blind": s * (1 - s),
    }


def stratified_values_of(pairs: pd.DataFrame, observed: dict[str, list[float]] | None = None) -> dict[str, float]:
    """Averages over severities; ``observed`` names the severities that must all be defined."""
    each = {s: values_of(pairs[pairs.severity == s]) for s in sorted(set(pairs.severity))}
    result = {}
    for name in values_of(pairs):
        if observed is None:
            found = [v[name] for v in each.values() if not math.isnan(v[name])]
        else:
            found = [each.get(s, {}).get(name, math.nan) for s in observed[name]]
        result[name] = sum(found) / len(found) if found else math.nan
    wins = contests = 0.0
    for s in each:
        part = pairs[(pairs.severity == s) & ~pairs.degenerate]
        kept, lost = list(part.similarity[~part.flipped]), list(part.similarity[part.flipped])
        if kept and lost:
            wins += auroc(kept, lost) * len(kept) * len(lost)
            contests += len(kept) * len(lost)
    result["auroc"] = wins / contests if contests else math.nan
    return result


def replicates_of(
    pairs: pd.DataFrame,
    unit: str,
    replicates: int,
    seed: int,
    values: Callable[[pd.DataFrame], dict[str, float]],
) -> dict[str, list[float]]:
    """Bootstrap by building every resampled table; the same draws as the fast path."""
    pairs = pairs.reset_index(drop=True)
    parts = (
        [pairs[pairs.image == image] for image in sorted(set(pairs.image))]
        if unit == "image"
        else [pairs.iloc[[i]] for i in range(len(pairs))]
    )
    generator = np.random.default_rng(seed)
    result: dict[str, list[float]] = {}
    for _ in range(replicates):
        drawn = generator.integers(0, len(parts), size=len(parts))
        for name, value in values(pd.concat([parts[i] for i in drawn])).items():
            result.setdefault(name, []).append(value)
    return result
