"""The statistics again, slower and simpler: loops over rows, dictionaries, and the formulas as they are printed."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

AXES = ("model", "image_set", "method", "layer", "noise", "severity")


def counts(row: Any, response: str) -> bool:
    """Whether a pair counts for a response."""
    if row.degenerate or math.isnan(row.similarity):
        return False
    return bool({"kept": not row.flipped, "flipped": row.flipped, "all": True}[response])


def cell_means(rows: pd.DataFrame, response: str) -> dict[tuple[Any, ...], float]:
    """(image_set, image, method, layer, noise, severity, model) -> mean over the seeds."""
    values = defaultdict(list)
    for row in rows.itertuples():
        if counts(row, response):
            value = 1 - row.similarity if response == "flipped" else row.similarity
            key = (row.image_set, row.image, row.method, row.layer, row.noise, row.severity, row.model)
            values[key].append(value)
    return {key: sum(each) / len(each) for key, each in values.items()}


PLACE = {"image_set": 0, "method": 2, "layer": 3, "noise": 4, "severity": 5, "model": 6}


def block_table(rows: pd.DataFrame, compares: str, response: str) -> tuple[list[Any], dict[Any, list[float]]]:
    """The levels that have a value, and for every picture with a complete cell one mean a level."""
    cells = cell_means(rows, response)
    at = PLACE[compares]
    levels = sorted({key[at] for key in cells})
    cases: dict[tuple[Any, ...], dict[Any, float]] = defaultdict(dict)
    for key, value in cells.items():
        cases[key[:at] + key[at + 1 :]][key[at]] = value
    pictures = defaultdict(list)
    for case, found in cases.items():
        if len(found) == len(levels):
            pictures[case[0], case[1]].append([found[level] for level in levels])
    return levels, {
        picture: [round(sum(column) / len(column), 12) for column in zip(*each, strict=True)]
        for picture, each in sorted(pictures.items())
    }


def group_values(rows: pd.DataFrame, compares: str, response: str) -> dict[Any, dict[Any, float]]:
    """Level -> picture -> mean of the picture's cells at that level."""
    found: dict[Any, dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    for key, value in cell_means(rows, response).items():
        found[key[PLACE[compares]]][key[0], key[1]].append(value)
    return {
        level: {picture: round(sum(v) / len(v), 12) for picture, v in sorted(each.items())}
        for level, each in found.items()
    }


def mean_ranks(values: list[float], highest_first: bool = True) -> list[float]:
    """Ranks by counting: one more than what is ahead, ties sharing the mean."""
    ranks = []
    for value in values:
        ahead = sum((other > value) if highest_first else (other < value) for other in values)
        equal = sum(other == value for other in values)
        ranks.append(ahead + (equal + 1) / 2)
    return ranks


def friedman(table: list[list[float]]) -> tuple[float, float, float]:
    """(χ² corrected for ties, p, Kendall's W)."""
    n, k = len(table), len(table[0])
    ranks = [mean_ranks(row) for row in table]
    sums = [sum(column) for column in zip(*ranks, strict=True)]
    ties = sum(t**3 - t for row in table for t in (row.count(value) for value in set(row)))
    chi = 12 / (n * k * (k + 1)) * sum(s**2 for s in sums) - 3 * n * (k + 1)
    chi /= 1 - ties / (n * k * (k * k - 1))
    return chi, float(stats.chi2.sf(chi, k - 1)), chi / (n * (k - 1))


def holm(p: list[float]) -> list[float]:
    """Each p times the number of those not smaller, never below a smaller one's, at most 1."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, running = [0.0] * len(p), 0.0
    for step, i in enumerate(order):
        running = max(running, min(1.0, p[i] * (len(p) - step)))
        adjusted[i] = running
    return adjusted


def rank_biserial(differences: list[float]) -> tuple[float, float]:
    """(rank-biserial, smaller rank sum) without zero differences."""
    real = [d for d in differences if d != 0]
    ranks = mean_ranks([abs(d) for d in real], highest_first=False)
    plus = sum(r for r, d in zip(ranks, real, strict=True) if d > 0)
    minus = sum(r for r, d in zip(ranks, real, strict=True) if d < 0)
    return (plus - minus) / (plus + minus), min(plus, minus)


def wilcoxon_p(differences: list[float]) -> float:
    """Two-sided p: over all signs up to 13 differences; else exact without ties up to 50, else the normal."""
    real = [d for d in differences if d != 0]
    n = len(real)
    ranks = mean_ranks([abs(d) for d in real], highest_first=False)
    plus = sum(r for r, d in zip(ranks, real, strict=True) if d > 0)
    if n <= 13:
        sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=n)]
        low = sum(s <= plus + 1e-9 for s in sums) / len(sums)
        high = sum(s >= plus - 1e-9 for s in sums) / len(sums)
        return min(1.0, 2 * min(low, high))
    if n <= 50 and len({abs(d) for d in real}) == n:
        ways = [1] + [0] * (n * (n + 1) // 2)  # how many sign patterns give each rank sum
        for rank in range(1, n + 1):
            for total in range(len(ways) - 1, rank - 1, -1):
                ways[total] += ways[total - rank]
        least = round(min(plus, n * (n + 1) / 2 - plus))
        return min(1.0, float(2 * sum(ways[: least + 1]) / 2**n))
    mean = n * (n + 1) / 4
    ties = sum(t**3 - t for t in (ranks.count(r) for r in set(ranks)))
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24 - ties / 48)
    return float(2 * stats.norm.sf(abs(plus - mean) / deviation))


def delta(a: list[float], b: list[float]) -> float:
    """Cliff's δ by comparing everything with everything."""
    return sum((x > y) - (x < y) for x in a for y in b) / (len(a) * len(b))


def kruskal(groups: list[list[float]]) -> tuple[float, float, float]:
    """(H corrected for ties, p, ε²)."""
    values = [value for group in groups for value in group]
    n = len(values)
    ranks = iter(mean_ranks(values, highest_first=False))
    h = 12 / (n * (n + 1)) * sum(sum(next(ranks) for _ in g) ** 2 / len(g) for g in groups) - 3 * (n + 1)
    ties = sum(t**3 - t for t in (values.count(v) for v in set(values)))
    h /= 1 - ties / (n**3 - n)
    return h, float(stats.chi2.sf(h, len(groups) - 1)), h / (n - 1)


def dunn(groups: list[list[float]]) -> dict[tuple[int, int], float]:
    """Two-sided p of every pair of groups, ties corrected."""
    values = [value for group in groups for value in group]
    n = len(values)
    ranks = iter(mean_ranks(values, highest_first=False))
    means = [sum(next(ranks) for _ in g) / len(g) for g in groups]
    ties = sum(t**3 - t for t in (values.count(v) for v in set(values)))
    variance = n * (n + 1) / 12 - ties / (12 * (n - 1))
    return {
        (i, j): float(
            2
            * stats.norm.sf(abs(means[i] - means[j]) / math.sqrt(variance * (1 / len(groups[i]) + 1 / len(groups[j]))))
        )
        for i, j in itertools.combinations(range(len(groups)), 2)
    }


def mann_whitney(a: list[float], b: list[float]) -> tuple[float, float]:
    """(U of a over b, two-sided p): exact up to 8 in a group without ties, else the normal with continuity."""
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    m, n = len(a), len(b)
    if len(set(a + b)) == m + n and min(m, n) <= 8:
        ways = _ways(m, n)
        least = round(min(u, m * n - u))
        return u, min(1.0, 2 * sum(ways[: least + 1]) / math.comb(m + n, m))
    pooled = a + b
    ties = sum(t**3 - t for t in (pooled.count(v) for v in set(pooled)))
    deviation = math.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1))))
    return u, min(1.0, float(2 * stats.norm.sf((abs(u - m * n / 2) - 0.5) / deviation)))


def _ways(m: int, n: int) -> list[int]:
    """How many orders of m and n values give each U, by the last value's side."""
    table: dict[tuple[int, int], list[int]] = {}
    for i, j in itertools.product(range(m + 1), range(n + 1)):
        if not i or not j:
            table[i, j] = [1]
            continue
        found = [0] * (i * j + 1)
        for u, count in enumerate(table[i - 1, j]):
            found[u + j] += count
        for u, count in enumerate(table[i, j - 1]):
            found[u] += count
        table[i, j] = found
    return table[m, n]


def ks_distance(a: list[float], b: list[float]) -> float:
    """The largest distance of the two step functions."""
    return max(abs(sum(x <= v for x in a) / len(a) - sum(x <= v for x in b) / len(b)) for v in a + b)


def page(table: list[list[float]], trend: int) -> tuple[float, float]:
    """(L, mean Spearman ρ of value with severity) for columns in the order of severity."""
    k = len(table[0])
    expected = list(range(1, k + 1))[::trend]
    ranks = [mean_ranks(row, highest_first=False) for row in table]
    level = sum(e * sum(column) for e, column in zip(expected, zip(*ranks, strict=True), strict=True))
    rhos = []
    for row in ranks:
        rhos.append(0.0 if len(set(row)) == 1 else float(np.corrcoef(range(k), row)[0, 1]))
    return level, sum(rhos) / len(rhos)


def draws(units: int, replicates: int) -> list[list[int]]:
    """Which units every replicate draws, as the project's bootstrap draws them."""
    generator = np.random.default_rng(0)
    return [[int(u) for u in row] for row in generator.integers(0, units, size=(replicates, units))]


def interval(values: list[float]) -> tuple[float, float]:
    """The central 95 %, interpolated linearly; nan left out."""
    real = sorted(v for v in values if not math.isnan(v))

    def quantile(q: float) -> float:
        place = q * (len(real) - 1)
        low = math.floor(place)
        return real[low] + (place - low) * (real[min(low + 1, len(real) - 1)] - real[low])

    return quantile(0.025), quantile(0.975)
