"""How many pictures: the formula against simulated studies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from camlab.common.errors import BadSetting
from camlab.study.stats import difference_shown, pictures_needed, power_note
from tests.material import known
from tests.study.stats import twins
from tests.study.stats.frames import study


def share_shown(n: int, difference: float, spread: float, alpha: float, studies: int = 1500) -> float:
    """How often Wilcoxon's test finds the difference, in studies of n pictures."""
    drawn = np.random.default_rng(3).normal(difference, spread, (studies, n))
    return float((stats.wilcoxon(drawn, axis=1, method="asymptotic").pvalue <= alpha).mean())


@pytest.mark.parametrize(
    ("spread", "difference", "power", "comparisons"),
    [(0.1, 0.05, 0.8, 1), (0.2, 0.05, 0.9, 1), (0.1, 0.03, 0.8, 21)],
)
def test_as_many_pictures_as_it_says_show_the_difference(
    spread: float, difference: float, power: float, comparisons: int
) -> None:
    n = pictures_needed(spread, difference, power, comparisons=comparisons)
    assert share_shown(n, difference, spread, 0.05 / comparisons) == pytest.approx(power, abs=0.035)
    assert share_shown(n // 2, difference, spread, 0.05 / comparisons) < power - 0.15


def test_by_hand() -> None:
    # ((1.95996 + .84162) · 2)² + 1.95996²/2 = 33.316; over 3/π: 34.89.
    assert pictures_needed(0.2, 0.1) == 35
    # Whatever the spread, five differences one way have p = .0625.
    assert pictures_needed(0, 0.1) == 6
    assert pictures_needed(0, 0.1, comparisons=21) == 10


def test_the_difference_shown_is_the_inverse() -> None:
    for n in (20, 50, 400):
        shown = known(difference_shown(0.1, n, comparisons=6))
        assert (
            pictures_needed(0.1, shown * 1.0001, comparisons=6)
            <= n
            < pictures_needed(0.1, shown * 0.98, comparisons=6) + 1
        )
    assert difference_shown(0.1, 5) is None
    assert difference_shown(0.1, 4, alpha=0.4, comparisons=50) is None


def test_a_note_takes_the_middle_spread_of_all_pairs() -> None:
    rows = study(pictures=15)
    note = power_note(rows)
    levels, table = twins.block_table(rows, "method", "kept")
    values = np.array(list(table.values()))
    spreads = [
        np.std(values[:, i] - values[:, j], ddof=1) for i in range(len(levels)) for j in range(i + 1, len(levels))
    ]
    assert note.spread == pytest.approx(np.median(spreads), abs=1e-9)
    assert (note.n, note.comparisons) == (len(values), 6)
    assert note.needed == tuple(
        (d, pictures_needed(known(note.spread), d, comparisons=6)) for d in (0.01, 0.02, 0.05, 0.1)
    )
    assert note.sentence.startswith(f"With 15 pictures, a mean difference between two methods of {note.shown:.2g}")
    shown = difference_shown(known(note.spread), 15, comparisons=6)
    assert math.isclose(known(note.shown), known(shown))


def test_what_cannot_be_said_says_why() -> None:
    assert power_note(study(pictures=3)).reason == "only 3 pictures can be compared, and a test needs at least 5."
    assert power_note(study(methods=["a"])).reason.startswith("only 1 method (a)")
    equal = power_note(study().assign(similarity=0.5, degenerate=False))
    assert "so their spread is 0" in equal.sentence
    few = power_note(study(pictures=6, severities=(1.0,), methods=[f"m{i}" for i in range(8)]))
    assert few.shown is None and few.sentence.startswith(f"{few.n} pictures are too few to show any difference")


@pytest.mark.parametrize("wrong", [{"difference": 0}, {"power": 1}, {"alpha": 0.6}, {"comparisons": 0}, {"spread": -1}])
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match="Power needs a difference over 0"):
        pictures_needed(**{"spread": 0.1, "difference": 0.1, **wrong})
