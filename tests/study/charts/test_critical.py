"""The critical-difference diagram: its bars are the pairs that are not told apart, and its names are legible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camlab.drawing.charts.look import Chart
from camlab.study.charts.critical import critical_diagram, groups_alike, lanes_of
from camlab.study.stats import TestResult, run_tests
from tests.material import known
from tests.study.stats.frames import study

NASTY = "<img src=x onerror=alert(1)>"
LONG = "gradcam = xgradcam = hirescam = shapleycam"


def result(seed: int = 0, methods: int = 8, step: float = 0.01, **more: Any) -> TestResult:
    names = [NASTY, LONG, *(f"m{i}" for i in range(methods - 2))]
    rows = study(seed, pictures=20, methods=names, step=step, **more)
    return run_tests(rows, tests=["methods_friedman"], replicates=50)[0]


def bars(chart: Chart) -> list[list[str]]:
    return [trace.meta["bar"] for trace in chart.figure.data if trace.meta and "bar" in trace.meta]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.0, 0.005, 0.02])
def test_the_bars_are_the_pairs_within_the_critical_difference(seed: int, step: float) -> None:
    found = result(seed, step=step)
    chart = critical_diagram(found)
    ranks = {value.name: value.value for value in found.ranks}
    alike = {
        frozenset(pair)
        for pair in itertools.combinations(ranks, 2)
        if abs(ranks[pair[0]] - ranks[pair[1]]) < known(found.critical)
    }
    drawn = {frozenset(pair) for members in bars(chart) for pair in itertools.combinations(members, 2)}
    assert drawn == alike == {frozenset((pair.a, pair.b)) for pair in found.pairs if not pair.differ}
    # Each bar spans exactly its members' rows, and none lies within another.
    places = {trace.meta["level"]: trace.y[0] for trace in chart.figure.data if trace.meta and "level" in trace.meta}
    for trace in chart.figure.data:
        if trace.meta and "bar" in trace.meta:
            low, high = min(trace.y), max(trace.y)
            assert {name for name, y in places.items() if low <= y <= high} == set(trace.meta["bar"])
    assert not any(set(a) < set(b) for a, b in itertools.permutations(bars(chart), 2))


@given(st.lists(st.floats(1, 9), min_size=1, max_size=9).map(sorted), st.floats(0.01, 9))
def test_groups_by_trying_all_runs(ranks: list[float], critical: float) -> None:
    runs = {(i, j) for i in range(len(ranks)) for j in range(i + 1, len(ranks)) if ranks[j] - ranks[i] < critical}
    largest = {(i, j) for i, j in runs if not any((a, b) != (i, j) and a <= i and j <= b for a, b in runs)}
    assert groups_alike(ranks, critical) == sorted(largest)
    lanes = lanes_of(sorted(largest))
    for (one, a), (two, b) in itertools.combinations(zip(sorted(largest), lanes, strict=True), 2):
        assert a != b or one[1] < two[0]


def test_dots_and_intervals_are_the_ranks() -> None:
    found = result()
    chart = critical_diagram(found)
    dots = [trace for trace in chart.figure.data if trace.meta and "level" in trace.meta]
    assert [(dot.meta["level"], dot.x[0]) for dot in dots] == [(v.name, v.value) for v in found.ranks]
    for dot, value in zip(dots, found.ranks, strict=True):
        assert dot.x[0] + dot.error_x.array[0] == pytest.approx(value.high)
        assert dot.x[0] - dot.error_x.arrayminus[0] == pytest.approx(value.low)
    (ruler,) = [trace for trace in chart.figure.data if trace.meta and "ruler" in trace.meta]
    assert ruler.x[1] - ruler.x[0] == pytest.approx(found.critical)


def test_names_do_not_overlap_and_fit_on_a_narrow_screen() -> None:
    chart = critical_diagram(result())
    low, high = chart.figure.layout.yaxis.range
    pixels = (chart.figure.layout.height - 110) / (high - low)
    notes = [note for note in chart.figure.layout.annotations if note.yref == "y" or note.yref is None]
    spans = sorted((n.y * pixels, (n.y + 16 * (n.text.count("<br>") + 1)) * pixels) for n in notes)
    assert len(spans) == 9
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    dots = [trace.y[0] * pixels for trace in chart.figure.data if trace.meta and "level" in trace.meta]
    assert not any(bottom < dot < top for dot in dots for bottom, top in spans)
    for note in notes:
        assert all(len(line) <= 60 for line in note.text.split("<br>"))


def test_names_are_escaped_everywhere() -> None:
    text = critical_diagram(result()).figure.to_json()
    assert "&lt;img" in text
    hovers = [str(trace.hovertext) for trace in critical_diagram(result()).figure.data]
    assert not any("<img" in each for each in hovers)


def test_it_is_said_in_words() -> None:
    found = result(step=0.5, methods=3, degenerate=0)
    assert critical_diagram(found).alt.startswith("Critical-difference diagram over ")
    alike = critical_diagram(result(step=0.0)).alt
    assert "Not shown to differ: " in alike and f"Critical difference {result(step=0.0).critical:.2f}" in alike
    far = np.array([1.0, 2.0, 3.0])
    assert groups_alike(far.tolist(), 0.5) == []


def test_a_test_that_cannot_be_done_draws_its_reason() -> None:
    (few,) = run_tests(study(pictures=3), tests=["methods_friedman"])
    chart = critical_diagram(few)
    assert chart.alt == "No critical-difference diagram: only 3 pictures can be compared, and a test needs at least 5."
    assert "only 3 pictures can be compared,<br>" in chart.figure.layout.annotations[0].text
    (other,) = run_tests(study(), tests=["methods_wilcoxon"], replicates=0)
    assert critical_diagram(other).alt.endswith("this test has no critical difference.")
