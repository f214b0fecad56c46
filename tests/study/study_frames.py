"""Small studies for the tests of its charts: rows by hand, pictures, and what plain loops find in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from camlab.study.analysis.summary import scored

NAN = float("nan")
NASTY = "<img src=x onerror=alert(1)>"
IDS = ("model", "image_set", "image", "method", "layer", "noise")


def study(
    *,
    methods: tuple[str, ...] = ("gradcam = xgradcam", "eigencam", "randomcam"),
    noises: tuple[str, ...] = ("gaussian_noise", "fog"),
    pictures: int = 8,
    seeds: int = 2,
    flips: bool = True,
    degenerate: float = 0.05,
    model: str = "net",
    layer: str = "last",
    prefix: str = "photos/",
) -> pd.DataFrame:
    """A whole grid of pairs; similarities are rounded, so that some are equal."""
    rng = np.random.default_rng(0)
    rows = []
    for image in range(pictures):
        for method in methods:
            for noise in noises:
                for severity in (1.0, 2.0, 3.0, 4.0, 5.0):
                    for seed in range(seeds):
                        flipped = flips and rng.random() < severity / 9
                        lost = rng.random() < degenerate
                        level = 0.2 if method == "randomcam" else 0.85 - 0.08 * severity - 0.1 * flipped
                        value = float(np.clip(level + 0.12 * rng.standard_normal(), 0, 1).round(2))
                        rows.append({
                            "model": model, "image_set": "photos", "image": f"{prefix}{image:02d}", "method": method,
                            "layer": layer, "noise": noise, "severity": severity, "seed": seed, "flipped": flipped,
                            "near": flipped and seed == 0, "tied": False, "degenerate": lost,
                            "rbo": NAN if lost else value, "random_floor": 0.12, "other_floor": 0.2 + 0.001 * image,
                        })  # fmt: skip
    table = pd.DataFrame(rows)
    return scored(table.astype(dict.fromkeys(IDS, "category")))


def pictures_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A table of pictures with properties, one of which not every picture has."""
    rng = np.random.default_rng(1)
    table = rows[["model", "image_set", "image"]].astype(str).drop_duplicates().reset_index(drop=True)
    n = len(table)
    share = np.where(np.arange(n) % 2 == 0, rng.random(n), np.nan)
    numbers = {name: rng.random(n) for name in ("clutter", "contrast", "sharpness", "clean_prob", "clean_margin")}
    return table.assign(object_share=share, **numbers)


def measured(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows that have a similarity, one after the other."""
    for row in rows.astype(dict.fromkeys(IDS, str)).to_dict("records"):
        if not row["degenerate"] and not math.isnan(row["similarity"]):
            yield row


def values(rows: pd.DataFrame, flipped: bool, **where: Any) -> list[float]:
    """Similarities of one outcome, ascending, by a plain loop."""
    return sorted(
        r["similarity"]
        for r in measured(rows)
        if r["flipped"] == flipped and all(r[key] == value for key, value in where.items())
    )


def percentile(ordered: list[float], share: float) -> float:
    """Linear between order statistics, written out."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
