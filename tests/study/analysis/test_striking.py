"""The pairs of a study that say most, against a plain loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from camlab.study.analysis.striking import KINDS, striking


def rows_of(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "image": rng.choice([f"photos/{i}" for i in range(9)], n),
            "method": rng.choice(["gradcam", "randomcam", "gradcam = randomcam", "eigencam"], n),
            "similarity": rng.integers(0, 6, n) / 5,
            "flipped": rng.random(n) < 0.4,
            "degenerate": rng.random(n) < 0.1,
        }
    )
    rows.loc[rows["degenerate"], "similarity"] = np.nan
    return rows.astype({"image": "category", "method": "category"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 40, 400])
def test_striking_pairs_are_those_that_a_loop_finds(kind: str, n: int) -> None:
    rows = rows_of(n, n)
    entry = KINDS[kind]
    fitting = [
        (-row.similarity if entry.highest else row.similarity, place, row.image)
        for place, row in enumerate(rows.itertuples())
        if row.flipped == entry.flipped and not row.degenerate and "randomcam" not in row.method
    ]
    expected: list[int] = []
    seen: set[str] = set()
    for _, place, image in sorted(fitting):
        if image not in seen and len(expected) < 4:
            seen.add(image)
            expected.append(place)
    assert striking(rows, kind, 4) == expected
    assert n < 400 or len(expected) == 4
