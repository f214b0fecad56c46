"""The chart of pairs side by side: every number where its pair's row is, in the figure and in words."""

from __future__ import annotations

import pytest

from camlab.explore.charts.dots import PairDot, pair_dots

PAIRS = (
    PairDot("1. Grad-CAM <b>", "1. Grad-CAM <b>, Gaussian noise 3", 0.86, False, 0.24),
    PairDot("2. Eigen-CAM", "2", 0.3, True),
    PairDot("3. flat", "3", None, False, 0.24),
    PairDot("4. HiResCAM", "4", 0.5, True, 0.19),
)


def test_each_pair_has_its_dot_in_its_row_and_its_words() -> None:
    chart = pair_dots(PAIRS, similarity_title="RBO")
    dots = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in chart.figure.data}
    assert dots == {"kept": {0: 0.86}, "flipped": {1: 0.3, 3: 0.5}, "random ranking": {0: 0.24, 3: 0.19}}
    symbols = {trace.name: trace.marker.symbol for trace in chart.figure.data}
    assert symbols["kept"] != symbols["flipped"], "told apart without colour, too"
    assert chart.figure.layout.yaxis.ticktext[0] == "1. Grad-CAM &lt;b&gt;,<br>Gaussian noise 3"
    assert "<b>" not in str(chart.figure.data)
    for pair, words in zip(PAIRS, ("0.86, chance 0.24, prediction kept", "0.30, prediction flipped",
                                   "not observed, chance 0.24, prediction kept",
                                   "0.50, chance 0.19, prediction flipped"), strict=True):  # fmt: skip
        assert f"{pair.title}: {words}" in chart.alt


@pytest.mark.parametrize("pairs", [(), (PAIRS[2],)])
def test_nothing_observed_is_said(pairs: tuple[PairDot, ...]) -> None:
    chart = pair_dots(pairs, similarity_title="RBO")
    assert len(chart.figure.data) == 0 and chart.alt
    assert "no similarity was observed" in str(chart.figure.layout.annotations)
