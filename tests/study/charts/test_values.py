"""The charts of a study's records against plain loops: heat map, dots, ranks, plane, values over severity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from camlab.common.errors import BadSetting
from camlab.drawing.charts.look import Chart
from camlab.study.analysis.summary import records
from camlab.study.analysis.values import VALUE_LABELS, compact, references, rests_on, value_title
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.plane import cr_plane, pareto_front
from camlab.study.charts.ranks import value_ranks
from camlab.study.charts.severity import POOLED, STRATIFIED, severity_values
from tests.study.study_frames import study, values

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return study()


@pytest.fixture(scope="module")
def by_noise(rows: pd.DataFrame) -> Records:
    return records(rows, ("method", "noise"), replicates=50)


@pytest.fixture(scope="module")
def by_method(rows: pd.DataFrame) -> Records:
    return records(rows, ("method",), replicates=50)


@pytest.fixture(scope="module")
def by_severity(rows: pd.DataFrame) -> Records:
    return records(rows, ("method", "severity"), replicates=50)


def points(chart: Chart) -> dict[Any, Any]:
    """Coordinates of every point that leads somewhere, by where it leads to."""
    found = {}
    for t in chart.figure.data:
        if t.type == "scatter" and t.customdata is not None and t.name != "blind values":
            for x, y, data in zip(t.x, t.y, t.customdata, strict=True):
                found[tuple(data)] = (x, y)
    return found


def trace(chart: Chart, name: str) -> Any:
    (found,) = [t for t in chart.figure.data if t.name == name and t.x is not None and t.x[0] is not None]
    return found


def changed(found: Records, at: int, **new: Any) -> Records:
    return [{**r, **(new if i == at else {})} for i, r in enumerate(found)]


@pytest.mark.parametrize("value", ["consistency", "responsiveness", "rm", "gap", "auroc", "stratified_rm", "blind"])
def test_every_cell_is_its_record(by_noise: Records, value: str) -> None:
    (heat,) = [t for t in value_heatmap(by_noise, value=value).figure.data if t.type == "heatmap"]
    cells = {
        tuple(data): z
        for line, datas in zip(heat.z, heat.customdata, strict=True)
        for z, data in zip(line, datas, strict=True)
    }
    assert cells == {(r["method"], r["noise"]): r[value] for r in by_noise}
    for line, datas in zip(heat.hovertext, heat.customdata, strict=True):
        for text, data in zip(line, datas, strict=True):
            (record,) = [r for r in by_noise if (r["method"], r["noise"]) == tuple(data)]
            assert f"n = {record['n']} pairs of 8 pictures" in text
            assert f"{record['n_flipped']} flips" in text


def test_a_cell_agrees_with_a_loop_over_rows(rows: pd.DataFrame, by_noise: Records) -> None:
    (heat,) = [t for t in value_heatmap(by_noise, value="gap").figure.data if t.type == "heatmap"]
    for line, datas in zip(heat.z, heat.customdata, strict=True):
        for z, (method, noise) in zip(line, datas, strict=True):
            kept, flipped = (values(rows, f, method=method, noise=noise) for f in (False, True))
            assert z == pytest.approx(sum(kept) / len(kept) - sum(flipped) / len(flipped))


def test_cells_without_a_value_say_why_and_few_pairs_stand_in_brackets(by_noise: Records) -> None:
    some = changed(changed(by_noise, 0, rm=None, n_responsiveness=0), 1, n_responsiveness=4)[:-1]
    chart = value_heatmap(some, value="rm")
    missing, numbers = trace(chart, "missing"), trace(chart, "numbers")
    assert sorted(missing.text) == sorted(["–", "·"])
    assert sum(text.startswith("(") for text in numbers.text) == 1
    assert f"({compact(some[1]['rm'])})" in numbers.text
    notes = chart.figure.layout.xaxis.title.text
    assert all(text in notes for text in ("fewer than 5 pairs", "not observed", "not measured"))
    assert "1 not observed, 1 of them on fewer than 5" in chart.alt


def test_numbers_are_printed_where_there_is_room(by_noise: Records) -> None:
    many = [{**r, "method": f"{r['method']}{i}"} for i in range(7) for r in by_noise]
    wide = [{**r, "noise": f"n{i}"} for i in range(21) for r in many if r["noise"] == "fog"]
    assert "numbers" in {t.name for t in value_heatmap(by_noise).figure.data}
    assert "numbers" not in {t.name for t in value_heatmap(wide).figure.data}  # 21 by 21


def test_the_longer_side_of_the_heat_map_goes_down(by_noise: Records) -> None:
    wide = [{**r, "noise": f"n{i:02d}"} for i in range(10) for r in by_noise if r["noise"] == "fog"]
    layout = value_heatmap(wide).figure.layout
    assert len(layout.yaxis.tickvals) == 10
    assert len(layout.xaxis.tickvals) == 3


def test_two_records_for_one_place_are_refused(by_noise: Records) -> None:
    for chart in (lambda r: value_dots(r), lambda r: value_heatmap(r, columns="method"), cr_plane):
        with pytest.raises(BadSetting, match="one record per"):
            chart(by_noise)
    with pytest.raises(BadSetting, match="cannot show 'colour'"):
        value_dots(by_noise, value="colour", groups="noise")


def test_dots_stand_at_their_values_with_their_intervals_highest_first(by_noise: Records) -> None:
    chart = value_dots(by_noise, value="consistency", groups="noise")
    found = points(chart)
    assert {k: v[0] for k, v in found.items()} == {(r["method"], r["noise"]): r["consistency"] for r in by_noise}
    means = {m: sum(r["consistency"] for r in by_noise if r["method"] == m) for m, _ in found}
    tops = {m: max(y for (other, _), (_, y) in found.items() if other == m) for m in means}
    assert sorted(means, key=lambda m: -means[m]) == sorted(tops, key=lambda m: -tops[m])
    for t in chart.figure.data:
        if t.customdata is None or not len(t.customdata):
            continue
        for x, data, up, down in zip(t.x, t.customdata, t.error_x.array, t.error_x.arrayminus, strict=True):
            (r,) = [r for r in by_noise if (r["method"], r["noise"]) == tuple(data)]
            assert (x + up, x - down) == pytest.approx((r["consistency_high"], r["consistency_low"]))
    floors = {name: v for v, name in references(by_noise, "consistency")}
    assert floors["random ranking"] == pytest.approx(0.12)
    assert {f"{k} {v:.2f}" for k, v in floors.items()} <= {a.text for a in chart.figure.layout.annotations}


def test_floors_are_weighted_with_pairs_and_mirrored_for_responsiveness() -> None:
    found = [
        {"n": 1, "random_floor": 0.1, "other_floor": None},
        {"n": 3, "random_floor": 0.3, "other_floor": None},
    ]
    for response, floor in (("consistency", 0.25), ("responsiveness", 0.75)):
        ((value, label),) = references(found, response)
        assert value == pytest.approx(floor) and label == "random ranking"
    assert references(found, "gap") == [(0.0, "blind to flips")]
    assert references(found, "rm") == []


def test_dots_name_what_was_not_observed_and_mark_the_baseline_and_blind_values(by_method: Records) -> None:
    chart = value_dots(changed(by_method, 0, rm=None), value="rm")
    lost = by_method[0]["method"]
    assert (lost, "") not in points(chart)
    texts = [a.text for a in chart.figure.layout.annotations]
    assert sum("not observed" in t for t in texts) == 1
    assert any("(baseline)" in t for t in texts)
    assert list(trace(chart, "blind value").x) == [r["blind"] for r in sorted(by_method[1:], key=lambda r: -r["rm"])]


def test_an_average_has_its_own_blind_value_and_says_over_how_many(by_method: Records) -> None:
    some = [{**r, "stratified_blind": 0.123, "stratified_rm_averaged": 1} for r in by_method]
    chart = value_dots(some, value="stratified_rm")
    assert set(trace(chart, "blind value").x) == {0.123}
    texts = [text for t in chart.figure.data for text in t.hovertext or () if t.name != "blind value"]
    assert texts and all("mean over 1 severity level where" in text for text in texts)
    assert all("mean over" not in text for t in value_dots(some, value="rm").figure.data for text in t.hovertext or ())


def test_ranks_count_the_better_ones_and_share_ties(by_severity: Records) -> None:
    some = [dict(r) for r in by_severity]
    at = [r for r in some if r["severity"] == 3]
    at[1]["rm"] = at[0]["rm"]
    at[2]["rm"] = at[0]["rm"] + 1e-12
    chart = value_ranks(some, value="rm")
    ranks = {key: y for key, (_, y) in points(chart).items()}
    for r in some:
        rivals = [o["rm"] for o in some if o["severity"] == r["severity"]]
        better = sum(v > r["rm"] + 1e-9 for v in rivals)
        equal = sum(abs(v - r["rm"]) <= 1e-9 for v in rivals)
        assert ranks[r["method"], r["severity"]] == pytest.approx(better + (equal + 1) / 2)
    assert {ranks[r["method"], 3.0] for r in at} == {2.0}
    assert any("shared by 3" in text for t in chart.figure.data for text in t.hovertext)


def test_a_method_that_was_not_observed_has_no_rank(by_severity: Records) -> None:
    chart = value_ranks(changed(by_severity, 0, rm=None))
    lost = (by_severity[0]["method"], by_severity[0]["severity"])
    found = points(chart)
    assert found[lost][1] is None
    assert {y for (_, s), (_, y) in found.items() if s == lost[1] and y is not None} == {1.0, 2.0}
    assert "no rank" in chart.alt


def test_a_merged_method_is_one_line(by_severity: Records) -> None:
    names = [t.name for t in value_ranks(by_severity).figure.data]
    assert sorted(names) == ["Eigen-CAM", "Grad-CAM = XGrad-CAM", "Random-CAM (baseline)"]


def test_many_levels_stand_upright_with_small_marks(by_severity: Records) -> None:
    levels = sorted({r["severity"] for r in by_severity})[:2]
    named = [{**r, "noise": f"n{r['severity']:g}"} for r in by_severity if r["severity"] in levels]
    few = value_ranks(named, over="noise").figure
    many = value_ranks([{**r, "noise": f"{r['noise']} {i}"} for r in named for i in range(5)], over="noise").figure
    assert (few.layout.xaxis.tickangle, many.layout.xaxis.tickangle) == (-60, -90)
    assert not any("<br>" in text for text in many.layout.xaxis.ticktext)
    assert max(t.marker.size for t in many.data) < min(t.marker.size for t in few.data)
    assert all(t.mode == "markers" for t in many.data)


def test_a_name_says_no_rank_where_its_line_ends_early(by_severity: Records) -> None:
    def labels(records: Records, over: str) -> str:
        return " ".join(a.text for a in value_ranks(records, over=over).figure.layout.annotations)

    last = max(r["severity"] for r in by_severity)
    one = [
        {**r, "noise": f"n{r['severity']:g}"}
        | ({"rm": None} if r["severity"] == last and r["method"] == "eigencam" else {})
        for r in by_severity
    ]
    assert labels(one, "severity").count("no rank") == 1
    assert "no rank" not in labels(one, "noise")


def test_one_method_is_not_ranked(by_severity: Records) -> None:
    chart = value_ranks([r for r in by_severity if r["method"] == "eigencam"])
    assert not chart.figure.data
    assert "only one method, Eigen-CAM" in chart.alt


@pytest.mark.parametrize("stratified", [False, True])
def test_the_plane_holds_every_method(by_method: Records, stratified: bool) -> None:
    chart = cr_plane(by_method, stratified=stratified)
    prefix = "stratified_" if stratified else ""
    expected = {(r["method"],): (r[f"{prefix}consistency"], r[f"{prefix}responsiveness"]) for r in by_method}
    assert points(chart) == expected
    curves = [t for t in chart.figure.data if t.meta and "rm" in t.meta]
    assert len(curves) > 1
    for t in curves:
        assert [x * y for x, y in zip(t.x, t.y, strict=True)] == pytest.approx([t.meta["rm"]] * len(t.x))
    line = trace(chart, "C + R = 1: blind to flips")
    assert [x + y for x, y in zip(line.x, line.y, strict=True)] == pytest.approx([1, 1])
    blind = trace(chart, "blind values")
    for x, y, (method,) in zip(blind.x, blind.y, blind.customdata, strict=True):
        (r,) = [r for r in by_method if r["method"] == method]
        assert (x, y) == (r[f"{prefix}mean_similarity"], 1 - x)
        if not stratified:
            assert x * y == pytest.approx(r["blind"])
        assert f"blind RM {r[f'{prefix}blind']:.2f}" in chart.alt


def test_the_front_is_what_nothing_beats() -> None:
    at = [(0.5, 0.5), (0.6, 0.4), (0.5, 0.4), (0.7, 0.4), (0.2, 0.9), (0.5, 0.5)]
    slow = set(range(len(at)))
    for i, a in enumerate(at):
        for b in at:
            if b != a and b[0] >= a[0] and b[1] >= a[1]:
                slow.discard(i)
    assert set(pareto_front(at)) == slow == {0, 3, 4, 5}
    assert pareto_front(at)[0] == 4


def test_the_front_leaves_the_baseline_and_few_pairs_out(by_method: Records) -> None:
    front = trace(cr_plane(by_method), "Pareto front").meta["front"]
    assert front
    assert "randomcam" not in front
    at = [r["method"] for r in by_method].index(front[0])
    few = changed(by_method, at, n_responsiveness=4)
    left = [t for t in cr_plane(few).figure.data if t.name == "Pareto front"]
    assert all(front[0] not in t.meta["front"] for t in left)
    (point,) = [t for t in cr_plane(few).figure.data if t.meta == {"level": front[0]}]
    assert point.marker.symbol.endswith("-open")


def test_the_plane_names_what_it_cannot_place(by_method: Records) -> None:
    chart = cr_plane(changed(by_method, 0, responsiveness=None))
    assert "Not observed: " in chart.alt
    assert "not observed: " in chart.figure.layout.xaxis.title.text
    assert len(points(chart)) == 2


def test_values_over_severities_with_both_ways_of_pooling_beside(by_severity: Records, by_method: Records) -> None:
    chart = severity_values(changed(by_severity, 0, rm=None), value="rm", beside=by_method)
    found = points(chart)
    assert {k: v[1] for k, v in found.items()} == {
        (r["method"], r["severity"]): None if i == 0 else r["rm"] for i, r in enumerate(by_severity)
    }
    assert all(abs(x - s) < 0.2 for (_, s), (x, _) in found.items())
    beside = {t.meta["beside"]: t for t in chart.figure.data if t.meta and "beside" in t.meta}
    for r in by_method:
        assert list(beside[r["method"]].y) == [r["rm"], r["stratified_rm"]]
        assert list(beside[r["method"]].x) == pytest.approx([POOLED, STRATIFIED], abs=0.2)


def test_values_of_a_path_that_is_not_monotone_are_not_joined(by_severity: Records) -> None:
    for noises, mode in (
        ((), "lines+markers"),
        (("fog", "saturate"), "markers"),
        (("unheard of",), "lines+markers"),
    ):
        chart = severity_values(by_severity, noises=noises)
        assert {t.mode for t in chart.figure.data if t.meta and "level" in t.meta} == {mode}


def test_what_a_value_rests_on_is_what_the_summary_averages(by_noise: Records) -> None:
    record = {"n_consistency": 9, "n_responsiveness": 4, "n_flipped": 5, "n_near": 3}
    expected = {
        "consistency": 9, "responsiveness": 4, "responsiveness_near": 3, "responsiveness_far": 2, "rm": 4,
        "gap": 4, "auroc": 4, "mean_similarity": 13, "blind": 13,
    }  # fmt: skip
    assert {name: rests_on(record, name) for name in VALUE_LABELS} == expected
    assert rests_on(record, "stratified_consistency") == 9
    assert value_title("stratified_rm") == "RM = C · R, stratified by severity"
    for r in by_noise:  # an interval goes with 5 pairs and more
        assert (r["rm_low"] is not None) == (rests_on(r, "rm") >= 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, ".50"),
        (-0.05, "−.05"),
        (1.0, "1.00"),
        (0.0, ".00"),
        (-0.999, "−1.00"),
        (-0.001, ".00"),
        (10.2, "10.20"),
    ],
)
def test_numbers_in_cells_are_short(value: float, text: str) -> None:
    assert compact(value) == text


CHARTS: dict[str, Callable[[Records], Chart]] = {
    "heat": lambda r: value_heatmap(r, columns="severity"),
    "dots": lambda r: value_dots(r, groups="severity"),
    "ranks": value_ranks,
    "plane": lambda r: cr_plane([x for x in r if x["severity"] == 3]),
    "levels": severity_values,
}


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_to_show_and_nothing_observed_are_said(name: str) -> None:
    empty = CHARTS[name]([])
    assert empty.figure.layout.annotations[0].text == "nothing to show"
    calm = records(study(flips=False), ("method", "severity"), replicates=0)
    chart = CHARTS[name](calm)
    assert "not observed" in chart.figure.layout.annotations[0].text
    assert "not observed" in chart.alt or "no level has both" in chart.alt
    assert not chart.figure.data
