from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from camlab.metrics import wins
from camlab.metrics.tally import Rows, read_pairs
from camlab.metrics.wins import JoinedWins, Wins, stratum_wins
from tests.metrics import twins
from tests.metrics.test_robustness import random_pairs
from tests.rounding import near


def wins_of(rows: Rows, units: int, chosen: np.ndarray | None = None) -> Wins:
    kept, lost = rows.kept, rows.lost
    if chosen is not None:
        kept, lost = kept & chosen, lost & chosen
    return Wins(rows.similarity[kept], rows.unit[kept], rows.similarity[lost], rows.unit[lost], units)


def repeated(pairs: pd.DataFrame, rows: Rows, weight: np.ndarray) -> tuple[list[float], list[float]]:
    """Similarities of kept and of flipped pairs, each as often as its unit counts."""
    often = pairs.loc[pairs.index.repeat(weight[rows.unit].astype(int))]
    often = often[~often.degenerate]
    return list(often.similarity[~often.flipped]), list(often.similarity[often.flipped])


@pytest.mark.parametrize("cells", [30, 1 << 20])
@pytest.mark.parametrize("block", [1, 4, 16])
@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("n", [3, 60])
def test_every_way_of_counting_wins_repeats_rows(
    n: int, digits: int, block: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wins, "SHORTEST_BLOCK", block)
    monkeypatch.setattr(wins, "CHUNK_CELLS", cells)
    pairs = random_pairs(n, n)
    pairs["similarity"] = (pairs.similarity + np.random.default_rng(n).random(n) / 20).clip(0, 1).round(digits)
    rows, _, units = read_pairs(pairs)
    weights = np.random.default_rng(0).integers(0, 4, (7, units)).astype(float)
    tabled = wins_of(rows, units)
    assert tabled.table is not None
    by_row = tabled.by_row(weights) / 2
    for r, weight in enumerate(weights):
        above, below = repeated(pairs, rows, weight)
        expected = twins.auroc(above, below) * len(above) * len(below) if above and below else 0
        assert JoinedWins([tabled])(weights)[r] == near(expected)
        assert by_row[r] == near(expected)


def test_many_units_of_few_rows_have_no_table() -> None:
    pairs = random_pairs(1, 60, pictures=400)
    rows, _, _ = read_pairs(pairs)
    few = wins_of(rows, 400)
    assert few.table is None
    weights = np.ones((1, 400))
    above, below = repeated(pairs, rows, weights[0])
    assert JoinedWins([few])(weights) == near(twins.auroc(above, below) * len(above) * len(below))


def test_wins_of_strata_are_joined() -> None:
    rows, _, units = read_pairs(random_pairs(5, 90))
    weights = np.random.default_rng(0).integers(0, 4, (7, units)).astype(float)
    each = [wins_of(rows, units, rows.severity == level) for level in (1.0, 2.0, 3.0)]
    each[1].table = None
    assert JoinedWins(each)(weights) == near(sum(JoinedWins([one])(weights) for one in each))


def test_large_tables_are_not_rounded() -> None:
    rows, _, units = read_pairs(random_pairs(5, 90))
    large = wins_of(rows, units)
    large.table = np.zeros((units, units))
    large.table[0, 0], large.table[1, 1] = 2.0**24 + 1, 2.0  # the first has no 32-bit number
    assert JoinedWins([large])(np.ones((1, units))) == [(2**24 + 3) / 2]


@pytest.mark.parametrize("n", [0, 1, 5, 80])
def test_wins_of_strata(n: int) -> None:
    pairs = random_pairs(4, n)
    stratum = np.random.default_rng(n).integers(0, 6, n)
    rows, _, _ = read_pairs(pairs)
    won, contests = stratum_wins(rows.similarity, rows.ladder, rows.kept, rows.lost, stratum, 7)
    for s in range(7):
        above = list(rows.similarity[rows.kept & (stratum == s)])
        below = list(rows.similarity[rows.lost & (stratum == s)])
        assert contests[s] == len(above) * len(below)
        assert won[s] == near(twins.auroc(above, below) * contests[s] if contests[s] else 0)
