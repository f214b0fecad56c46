"""The charts of a study's rows against plain loops: what is drawn is the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from camlab.drawing.charts.look import Chart
from camlab.metrics.association import association
from camlab.study.analysis.summary import records
from camlab.study.charts.paired import paired_lines
from camlab.study.charts.pictures import property_correlations, similarity_against
from camlab.study.charts.rows import POINT, density, samples
from camlab.study.charts.severity import POOLED, STRATIFIED, severity_spread
from camlab.study.charts.spread import (
    BINS,
    POINTS_A_GROUP,
    similarity_histogram,
    similarity_ridges,
    similarity_steps,
    similarity_violins,
)
from tests.study.study_frames import measured, percentile, pictures_of, study, values

OUTCOMES = (("kept", False), ("flipped", True))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return study()


def traces(chart: Chart, **where: Any) -> list[Any]:
    return [t for t in chart.figure.data if all(getattr(t, key) == value for key, value in where.items())]


def drawn(chart: Chart, name: str) -> Any:
    """The one trace of a name that has points."""
    (found,) = [t for t in traces(chart, name=name) if t.x is not None and len(t.x) and t.x[0] is not None]
    return found


def find(rows: pd.DataFrame, point: Any) -> pd.Series:
    """The one row that a point leads to."""
    keys = dict(zip(POINT, point, strict=True))
    mask = np.logical_and.reduce([rows[k].astype(str) == str(v) for k, v in keys.items()])
    (place,) = np.flatnonzero(mask)
    return rows.iloc[place]


def test_samples_are_the_rows_of_each_level_and_outcome(rows: pd.DataFrame) -> None:
    found = samples(rows, "method")
    assert [level for level, _ in found] == sorted(set(rows["method"].astype(str)))
    for method, sides in found:
        for name, flipped in OUTCOMES:
            assert sides[name].values.tolist() == values(rows, flipped, method=method)
            lost = [
                r
                for r in rows.to_dict("records")
                if r["method"] == method and r["flipped"] == flipped and r["degenerate"]
            ]
            assert sides[name].degenerate == len(lost)
    assert sum(s.degenerate for _, sides in found for s in sides.values()) > 0


def test_samples_do_not_depend_on_the_type_of_the_column(rows: pd.DataFrame) -> None:
    plain = rows.astype({"method": str})
    for (a, one), (b, two) in zip(samples(rows, "method"), samples(plain, "method"), strict=True):
        assert a == b
        assert all((one[n].values == two[n].values).all() for n, _ in OUTCOMES)


@pytest.mark.parametrize("bandwidth", [0.02, 0.1, 0.4])
def test_a_density_is_the_sum_of_kernels_mirrored_at_both_ends(bandwidth: float) -> None:
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 201)
    data = np.concatenate([[0.0, 1.0, 1.0], rng.beta(5, 2, 40)]).round(3)
    data = (data * 200).round() / 200  # on the grid, so that the histogram loses nothing
    slow = np.zeros(201)
    for i, x in enumerate(grid):
        for v in data:
            for mirrored in (v, -v, 2 - v):
                slow[i] += math.exp(-0.5 * ((x - mirrored) / bandwidth) ** 2)
    slow /= ((slow[1:] + slow[:-1]) / 2).sum() / 200
    fast = density(data, grid, bandwidth)
    # A kernel that reaches over the whole range is cut off where a loop would go on.
    assert np.abs(fast - slow).max() < (1e-3 if bandwidth < 0.2 else 0.1) * slow.max()
    assert ((fast[1:] + fast[:-1]) / 2).sum() / 200 == pytest.approx(1)


def test_violins_hold_medians_quartiles_and_pairs_that_are_there(rows: pd.DataFrame) -> None:
    chart = similarity_violins(rows)
    methods = [level for level, _ in samples(rows, "method")]
    for name, flipped in OUTCOMES:
        medians = traces(chart, name=f"{name} median")
        for method, line in zip(methods, medians, strict=True):
            expected = percentile(values(rows, flipped, method=method), 0.5)
            assert list(line.x) == pytest.approx([expected] * 2)
        strips = traces(chart, name=name)
        for method, strip in zip(methods, strips, strict=True):
            every = values(rows, flipped, method=method)
            assert len(strip.x) == min(POINTS_A_GROUP, len(every))
            assert {min(every), max(every)} <= set(strip.x)
            for x, point in zip(strip.x, strip.customdata, strict=True):
                row = find(rows, point)
                assert (row["similarity"], row["flipped"], row["method"]) == (x, flipped, method)


def test_ridges_mark_medians_of_each_severity(rows: pd.DataFrame) -> None:
    chart = similarity_ridges(rows)
    for name, flipped in OUTCOMES:
        marks = traces(chart, name=name)
        expected = [percentile(values(rows, flipped, severity=float(s)), 0.5) for s in range(1, 6)]
        assert [mark.x[0] for mark in marks] == pytest.approx(expected)
    # Kept and flipped have the same base line, and no ridge reaches into the row above it.
    edges = [t for t in chart.figure.data if t.fill == "toself"]
    assert len(edges) == 10
    for kept, flipped_edge in zip(edges[::2], edges[1::2], strict=True):
        assert min(kept.y) == pytest.approx(min(flipped_edge.y), abs=0.01)


def test_steps_are_shares_at_or_below(rows: pd.DataFrame) -> None:
    chart = similarity_steps(rows)
    for name, flipped in OUTCOMES:
        every = values(rows, flipped)
        line = drawn(chart, f"{name} (n = {len(every)})")
        assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
        for x, y in zip(line.x[1:-1], line.y[1:-1], strict=True):
            assert y == pytest.approx(sum(v <= x for v in every) / len(every))


def test_the_widest_gap_is_that_of_kolmogorov_and_smirnov(rows: pd.DataFrame) -> None:
    kept, flipped = values(rows, False), values(rows, True)

    def gap(x: float) -> float:
        return abs(sum(v <= x for v in kept) / len(kept) - sum(v <= x for v in flipped) / len(flipped))

    (line,) = [t for t in similarity_steps(rows).figure.data if t.name.startswith("widest gap")]
    assert line.y[1] - line.y[0] == pytest.approx(max(gap(x) for x in [*kept, *flipped]))


def test_the_histogram_counts_every_pair_once(rows: pd.DataFrame) -> None:
    chart = similarity_histogram(rows)
    for name, flipped in OUTCOMES:
        every = values(rows, flipped)
        bars = drawn(chart, f"{name} (n = {len(every)})")
        counts = [0] * BINS
        for v in every:
            counts[min(BINS - 1, math.floor(round(v * 100) / (100 / BINS)))] += 1
        assert list(bars.y) == pytest.approx([c / len(every) for c in counts if c])
        assert list(bars.x) == pytest.approx([(b + 0.5) / BINS for b, c in enumerate(counts) if c])
        for x, point in zip(bars.x, bars.customdata, strict=True):
            assert abs(find(rows, point)["similarity"] - x) <= 0.5 / BINS + 1e-9


def test_severity_curves_hold_means_bands_and_both_ways_of_pooling(rows: pd.DataFrame) -> None:
    chart = severity_spread(rows)
    for name, flipped in OUTCOMES:
        each = {s: values(rows, flipped, severity=float(s)) for s in range(1, 6)}
        line = drawn(chart, name)
        assert list(line.x) == [1, 2, 3, 4, 5]
        assert list(line.y) == pytest.approx([sum(v) / len(v) for v in each.values()])
        assert line.mode == "lines+markers"
        band = drawn(chart, f"{name} band")
        ends = [percentile(v, 0.9) for v in each.values()] + [percentile(each[s], 0.1) for s in (5, 4, 3, 2, 1)]
        assert list(band.y) == pytest.approx(ends)
        beside = drawn(chart, f"{name} beside")
        every = values(rows, flipped)
        assert list(beside.x) == [POOLED, STRATIFIED]
        assert beside.y[0] == pytest.approx(sum(every) / len(every))
        assert beside.y[1] == pytest.approx(sum(sum(v) / len(v) for v in each.values()) / 5)
        for s, point in zip(line.x, line.customdata, strict=True):
            row = find(rows, point)
            assert (row["severity"], row["flipped"]) == (s, flipped)


def test_pooled_and_stratified_means_are_those_of_the_summary(rows: pd.DataFrame) -> None:
    some = rows[~(rows["flipped"] & (rows["severity"] < 3))]
    chart = severity_spread(some)
    (record,) = records(some, (), replicates=0)
    kept, flipped = (list(drawn(chart, f"{name} beside").y) for name, _ in OUTCOMES)
    assert kept == pytest.approx([record["consistency"], record["stratified_consistency"]])
    assert flipped == pytest.approx([1 - record["responsiveness"], 1 - record["stratified_responsiveness"]])
    line = drawn(chart, "flipped")
    assert list(line.y[:2]) == [None, None]  # not 0


def test_points_of_a_path_that_is_not_monotone_are_not_joined() -> None:
    chart = severity_spread(study(noises=("saturate",)))
    assert {drawn(chart, name).mode for name, _ in OUTCOMES} == {"markers"}
    assert not traces(chart, fill="toself")
    assert "not joined" in chart.figure.layout.xaxis.title.text


def test_few_pairs_have_open_symbols_and_no_band(rows: pd.DataFrame) -> None:
    where = np.flatnonzero(rows["flipped"] & ~rows["degenerate"] & (rows["severity"] == 2))
    some = rows.drop(rows.index[where[4:]])
    chart = severity_spread(some)
    assert drawn(chart, "flipped").marker.symbol[1] == "diamond-open"
    assert "fewer than 5" in drawn(chart, "flipped").hovertext[1]
    assert 2 not in traces(chart, name="flipped band")[0].x


def test_pairs_are_compared_within_a_severity(rows: pd.DataFrame) -> None:
    sums: dict[tuple[str, float, bool], list[float]] = {}
    for r in measured(rows):
        sums.setdefault((r["image"], r["severity"], r["flipped"]), []).append(r["similarity"])
    expected: dict[str, list[float]] = {}
    for image in sorted({k[0] for k in sums}):
        both = [s for s in range(1, 6) if (image, s, False) in sums and (image, s, True) in sums]
        if both:
            expected[image] = [
                sum(sum(sums[image, s, f]) / len(sums[image, s, f]) for s in both) / len(both) for f in (False, True)
            ]
    chart = paired_lines(rows)
    lines = drawn(chart, "a picture")
    assert list(lines.x) == [0, 1, None] * len(expected)
    flat = [v for image in expected for v in [*expected[image], None]]
    assert [v for v in lines.y if v is not None] == pytest.approx([v for v in flat if v is not None])
    mean = drawn(chart, f"mean (n = {len(expected)})")
    assert list(mean.y) == pytest.approx([sum(e[i] for e in expected.values()) / len(expected) for i in (0, 1)])


def test_paired_lines_draw_some_pictures_and_the_mean_of_all(rows: pd.DataFrame) -> None:
    chart, again = (paired_lines(rows, across="severity", most=3) for _ in range(2))
    assert list(drawn(chart, "a picture").y) == list(drawn(again, "a picture").y)
    assert list(drawn(chart, "a picture").x).count(None) == 3
    assert "3 of 8 pictures, drawn at random" in chart.alt
    means: list[list[list[float]]] = [[[] for _ in range(5)] for _ in range(8)]
    for r in measured(rows):
        means[int(r["image"][-2:])][int(r["severity"]) - 1].append(r["similarity"])
    expected = [sum(sum(p[s]) / len(p[s]) for p in means) / 8 for s in range(5)]
    assert list(drawn(chart, "mean (n = 8)").y) == pytest.approx(expected)


def test_pictures_without_a_value_everywhere_are_left_out(rows: pd.DataFrame) -> None:
    some = rows[~((rows["image"] == "photos/03") & (rows["severity"] == 4))]
    chart = paired_lines(some, across="severity")
    assert "1 without a value everywhere left out" in chart.alt
    assert all("photos/03" not in t for t in drawn(chart, "a picture").hovertext)


@pytest.mark.parametrize(("outcome", "kept"), [("kept", {False}), ("flipped", {True}), ("all", {False, True})])
def test_a_picture_stands_at_its_mean_and_the_correlation_is_scipys(
    rows: pd.DataFrame, outcome: str, kept: set[bool]
) -> None:
    images = pictures_of(rows)
    chart = similarity_against(rows, images, outcome=outcome, replicates=50)
    each: dict[str, list[float]] = {}
    for r in measured(rows):
        if r["flipped"] in kept:
            each.setdefault(r["image"], []).append(r["similarity"])
    y = [sum(v) / len(v) for _, v in sorted(each.items())]
    x = [float(images.loc[images["image"] == image, "clutter"].iloc[0]) for image in sorted(each)]
    points = chart.figure.data[0]
    assert list(points.x) == pytest.approx(x)
    assert list(points.y) == pytest.approx(y)
    assert f"{spearmanr(x, y).statistic:.2f}".replace("-", "−") in chart.alt


def test_many_points_are_faint_below_the_medians_of_fifths() -> None:
    some, many = study(pictures=30, noises=("fog",), seeds=1), study(pictures=200, noises=("fog",), seeds=1)
    few, crowd = (similarity_against(rows, pictures_of(rows), replicates=0).figure.data for rows in (some, many))
    assert [t.name for t in few] == ["a picture, mean of kept pairs", "median of a fifth"]
    assert crowd[0].marker.opacity < few[0].marker.opacity
    assert crowd[0].marker.size < few[0].marker.size
    for points, fifths in (few, crowd):
        order = np.argsort(points.x, kind="stable")
        parts = np.array_split(order, 5)
        assert list(fifths.y) == pytest.approx([np.median(np.array(points.y)[part]) for part in parts])


@pytest.mark.parametrize("floor", [0.2, 0.27, 0.31])
def test_names_of_floors_stay_on_the_plot(floor: float, rows: pd.DataFrame) -> None:
    some = rows.assign(random_floor=floor, other_floor=floor + 0.08)
    for chart in (similarity_violins(some), similarity_ridges(some)):
        named = [a for a in chart.figure.layout.annotations if "ranking" in a.text or "another" in a.text]
        assert len(named) == 2
        # A name takes up to a third of a narrow plot; the room beside the plot is 14 pixels at most.
        assert all(a.xanchor == "left" or a.x > 0.35 for a in named)


def test_properties_that_a_picture_lacks_leave_it_out(rows: pd.DataFrame) -> None:
    chart = similarity_against(rows, pictures_of(rows), prop="object_share", replicates=0)
    assert len(chart.figure.data[0].x) == 4
    assert "4 without this property left out" in chart.alt
    assert "not observed (fewer than 5, 4 pictures)" in chart.alt
    assert "not observed" in property_correlations(rows, pictures_of(rows), replicates=20).alt


def test_the_interval_of_a_correlation_is_that_of_a_loop_over_draws() -> None:
    rng = np.random.default_rng(5)
    picture = np.repeat(np.arange(9), 2)
    x = rng.integers(0, 6, 18).astype(float)  # ties
    y = x + rng.normal(0, 2, 18).round(1)
    x[3] = np.nan
    found = association(x, y, picture, replicates=60)
    draws = np.random.default_rng(0).integers(0, 9, size=(60, 9))
    slow = []
    for draw in draws:
        points = [i for p in draw for i in np.flatnonzero(picture == p) if not np.isnan(x[i])]
        slow.append(float(spearmanr(x[points], y[points]).statistic))
    assert found.interval is not None
    assert found.interval.low == pytest.approx(np.percentile(slow, 2.5), abs=1e-12)
    assert found.interval.high == pytest.approx(np.percentile(slow, 97.5), abs=1e-12)
    good = ~np.isnan(x)
    assert found.rho == pytest.approx(spearmanr(x[good], y[good]).statistic)
    assert (found.n, found.n_pictures, found.replicates) == (17, 9, 60)


def test_a_correlation_needs_points_that_vary() -> None:
    few = association(np.arange(4.0), np.arange(4.0))
    flat = association(np.ones(9), np.arange(9.0))
    one = association(np.arange(9.0), np.arange(9.0), np.zeros(9, int))
    assert few.rho is None
    assert flat.rho is None
    assert one.rho == pytest.approx(1)
    assert one.interval is None
