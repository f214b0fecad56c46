"""Rows of studies that were never run: every column that the tests of a study read, values made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

IDS = ["model", "image_set", "image", "method", "layer", "noise"]
SEVERITIES = (1.0, 2.0, 3.0, 4.0, 5.0)


def study(
    seed: int = 0,
    pictures: int = 12,
    methods: Sequence[str] = ("gradcam", "layercam", "eigencam", "randomcam"),
    noises: Sequence[str] = ("gaussian_noise",),
    severities: Sequence[float] = SEVERITIES,
    seeds: int = 2,
    sets: Sequence[str] = ("photos",),
    models: Sequence[str] = ("net",),
    step: float = 0.05,
    degenerate: float = 0.02,
    decimals: int = 9,
) -> pd.DataFrame:
    """A grid: method number i is ``i · step`` less similar, noise and severity hurt, hard pictures flip first.

    Flips are the prediction's and so the same for all methods. decimals: few make ties.
    """
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product(
        [
            models,
            sets,
            [f"p{i:05d}" for i in range(pictures)],
            methods,
            ["last"],
            noises,
            severities,
            range(seeds),
        ],
        names=[*IDS, "severity", "seed"],
    ).to_frame(index=False)
    for name in IDS:
        grid[name] = pd.Categorical(grid[name])
    code = {name: grid[name].cat.codes.to_numpy() for name in IDS}
    level = grid["severity"].to_numpy()
    hard = rng.random(pictures)[code["image"]]
    shape = (len(models), len(sets), pictures, len(noises), len(severities), seeds)
    luck = rng.random(shape)[
        code["model"],
        code["image_set"],
        code["image"],
        code["noise"],
        np.searchsorted(severities, level),
        grid["seed"].to_numpy(),
    ]
    flipped = luck < hard * level / 6
    order = np.array([list(methods).index(name) for name in grid["method"]]) if len(grid) < 1e6 else code["method"]
    value = 0.9 - step * order - 0.06 * level - 0.1 * flipped - 0.04 * code["noise"] - 0.03 * code["image_set"]
    value = np.clip(np.round(value + rng.normal(0, 0.08, len(grid)), decimals), 0, 1)
    gone = rng.random(len(grid)) < degenerate
    value = np.where(gone, np.nan, value)
    return grid.assign(
        flipped=flipped,
        near=flipped & (rng.random(len(grid)) < 0.5),
        tied=rng.random(len(grid)) < 0.001,
        degenerate=gone,
        rbo=value,
        similarity=value,
        other_floor=0.2,
    )
