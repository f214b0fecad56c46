"""The charts against the plain loop: what is drawn is the data, and what is said is what is drawn."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from camlab.drawing.charts.look import (
    CURVE_HEIGHT,
    FLIPPED,
    HEIGHT,
    KEPT,
    NEUTRAL,
    PLOTLY_CONFIG,
    SIMILARITY,
    Chart,
    LabelledLine,
    label_lanes,
)
from camlab.explore.charts.curve import severity_curve
from camlab.explore.charts.draws import similarity_ecdf, similarity_violin

NAN = float("nan")
THIN = "\u202f%"
FLOORS = {"random ranking": 0.12, "another picture": 0.23}
NASTY = "<img src=x onerror=alert(1)>"


def row(severity: float, seed: int, similarity: float, flipped: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "severity": severity,
        "seed": seed,
        "similarity": similarity,
        "flipped": flipped,
        "near": flipped,
        "degenerate": math.isnan(similarity),
        "perturbed_index": 967 if flipped else 47,
        "perturbed_label": "espresso" if flipped else "chameleon",
        "perturbed_prob": 0.62,
        "clean_class_prob": 0.1 if flipped else 0.62,
        **more,
    }


def sweep() -> pd.DataFrame:
    """Three severities, out of order, with ten, one and two draws that have a similarity."""
    rows = [row(4.0, seed, 0.05 * seed + 0.03 * (seed % 3), seed % 4 == 0) for seed in range(10)]
    rows += [row(2.5, 0, NAN, True), row(2.5, 1, 0.7)]
    rows += [row(1.0, 0, 0.9), row(1.0, 1, 0.8, True), row(1.0, 2, NAN)]
    return pd.DataFrame(rows)


def curve(pairs: pd.DataFrame, **changes: Any) -> Chart:
    settings: dict[str, Any] = {
        "current": 2.5,
        "threshold": 0.61,
        "breaks_at": 2.25,
        "flips_at": 3.5,
        "floors": FLOORS,
        "similarity_title": "RBO",
    }
    return severity_curve(pairs, **{**settings, **changes})


def violin(pairs: pd.DataFrame, current_seed: int = 3) -> Chart:
    return similarity_violin(pairs, similarity_title="RBO", current_seed=current_seed)


def ecdf(pairs: pd.DataFrame) -> Chart:
    return similarity_ecdf(pairs, similarity_title="RBO", floors=FLOORS)


def trace(chart: Chart, name: str) -> Any:
    (found,) = [t for t in chart.figure.data if t.name == name]
    return found


def names(chart: Chart) -> set[str]:
    return {t.name for t in chart.figure.data}


def texts(chart: Chart) -> list[str]:
    return [a.text for a in chart.figure.layout.annotations]


def stems(chart: Chart, colour: str) -> set[float]:
    """Where vertical lines of a colour stand."""
    return {s.x0 for s in chart.figure.layout.shapes if s.x0 == s.x1 and s.line.color == colour}


def percentile(values: list[float], share: float) -> float:
    """Linear between order statistics, written out."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def by_loop(pairs: pd.DataFrame) -> dict[float, dict[str, Any]]:
    summary: dict[float, dict[str, Any]] = {}
    for record in pairs.to_dict("records"):
        level = summary.setdefault(record["severity"], {"values": [], "flips": 0, "n": 0, "confidence": 0.0})
        level["n"] += 1
        level["flips"] += record["flipped"]
        level["confidence"] += record["clean_class_prob"]
        if not record["degenerate"]:
            level["values"].append(record["similarity"])
    return summary


# --- the severity curve


def test_curve_holds_means_and_rates_of_each_severity() -> None:
    chart, expected = curve(sweep()), by_loop(sweep())
    severities = sorted(expected)
    similarity, rate, confidence = (trace(chart, n) for n in ("similarity", "flip rate", "confidence"))
    for t in (similarity, rate, confidence):
        assert list(t.x) == severities
        assert list(t.customdata) == severities
    for i, severity in enumerate(severities):
        level = expected[severity]
        assert similarity.y[i] == pytest.approx(sum(level["values"]) / len(level["values"]))
        assert rate.y[i] == pytest.approx(level["flips"] / level["n"])
        assert confidence.y[i] == pytest.approx(level["confidence"] / level["n"])


def test_curve_band_is_the_10th_to_90th_percentile_and_leaves_out_single_draws() -> None:
    band = trace(curve(sweep()), "10th to 90th percentile")
    values = {severity: level["values"] for severity, level in by_loop(sweep()).items()}
    assert list(band.x) == [1.0, 4.0, 4.0, 1.0]
    expected = [percentile(values[s], share) for s, share in ((1.0, 0.9), (4.0, 0.9), (4.0, 0.1), (1.0, 0.1))]
    assert list(band.y) == pytest.approx(expected)


def test_curve_breaks_line_and_band_where_every_draw_is_degenerate() -> None:
    rows = [row(s, seed, NAN if s == 3 else 0.9 - 0.1 * s - 0.01 * seed) for s in range(1, 6) for seed in range(4)]
    chart = curve(pd.DataFrame(rows))
    similarity = trace(chart, "similarity")
    assert math.isnan(similarity.y[2])
    assert not similarity.connectgaps
    assert similarity.hovertext[2] == "RBO not observed (4 degenerate draws)"
    assert list(trace(chart, "10th to 90th percentile").x) == [1, 2, 2, 1, None, 4, 5, 5, 4]


def test_curve_hover_says_spread_counts_and_degenerate_draws() -> None:
    chart = curve(sweep())
    assert trace(chart, "similarity").hovertext[0] == "RBO 0.85 (0.81–0.89, 2 draws, 1 degenerate)"
    assert trace(chart, "similarity").hovertext[1] == "RBO 0.70 (1 draw, 1 degenerate)"
    assert trace(chart, "flip rate").hovertext[2] == f"flipped 30{THIN} (3 of 10 draws)"
    assert trace(chart, "confidence").hovertext[2] == f"confidence in the clean class 46{THIN}"
    for name in ("similarity", "flip rate", "confidence"):
        assert trace(chart, name).hovertemplate == "%{hovertext}<extra></extra>"


def test_curve_series_differ_by_colour_dash_and_symbol_and_are_easy_to_click() -> None:
    series = [trace(curve(sweep()), n) for n in ("similarity", "flip rate", "confidence")]
    for look in (
        [t.line.color for t in series],
        [t.line.dash for t in series],
        [t.marker.symbol for t in series],
    ):
        assert len(set(look)) == 3
    for t in series:
        assert t.marker.size >= 8
        assert t.unselected.marker.opacity == 1  # a click fades nothing
    assert curve(sweep()).figure.layout.hoverdistance == -1


@pytest.mark.parametrize(("breaks", "flips"), [*itertools.product([None, 2.25], [None, 3.5])])
def test_curve_marks_only_what_was_found(breaks: float | None, flips: float | None) -> None:
    chart = curve(sweep(), breaks_at=breaks, flips_at=flips)
    assert ("map breaks 2.25" in texts(chart)) == (breaks is not None)
    assert ("prediction flips 3.5" in texts(chart)) == (flips is not None)
    assert stems(chart, SIMILARITY) == ({2.25} if breaks else set())
    assert stems(chart, FLIPPED) == ({3.5} if flips else set())
    assert ("the map breaks at 2.25" in chart.alt) == (breaks is not None)
    assert ("at no severity do most draws flip" in chart.alt) == (flips is None)


def test_curve_marks_the_current_severity() -> None:
    chart = curve(sweep(), current=1.75)
    handle = trace(chart, "current severity")
    assert list(handle.x) == list(handle.customdata) == [1.75]
    assert 1.75 in {s.x0 for s in chart.figure.layout.shapes if s.x0 == s.x1}


def test_curve_draws_threshold_and_floors_with_labels_that_keep_apart() -> None:
    chart = curve(sweep(), floors={"random ranking": 0.20, "another picture": 0.22}, breaks_at=None, flips_at=None)
    levels = {s.y0 for s in chart.figure.layout.shapes if s.y0 == s.y1}
    assert levels == {0.20, 0.22, 0.61}
    heights = {a.text: a.y for a in chart.figure.layout.annotations}
    assert set(heights) == {"random ranking 0.20", "another picture 0.22", "breaks below 0.61"}
    assert heights["another picture 0.22"] - heights["random ranking 0.20"] >= 0.07
    assert heights["breaks below 0.61"] == 0.61
    bare = curve(sweep(), floors={}, threshold=None, breaks_at=None, flips_at=None)
    assert texts(bare) == []


def test_curve_of_a_path_that_is_not_monotone_shows_levels_as_points() -> None:
    rows = [row(s / 4, seed, 0.9 - 0.04 * s - 0.02 * seed) for s in range(21) for seed in range(3)]
    pairs = pd.DataFrame(rows)
    chart = curve(pairs, connected=False)
    assert "10th to 90th percentile" not in names(chart)
    for name in ("similarity", "flip rate", "confidence"):
        assert trace(chart, name).mode == "markers"
        assert list(trace(chart, name).x) == [0, 1, 2, 3, 4, 5]
    similarity, expected = trace(chart, "similarity"), by_loop(pairs)
    for i in range(6):
        values = expected[float(i)]["values"]
        assert similarity.y[i] + similarity.error_y.array[i] == pytest.approx(percentile(values, 0.9))
        assert similarity.y[i] - similarity.error_y.arrayminus[i] == pytest.approx(percentile(values, 0.1))
    between = curve(pairs[pairs["severity"] == 0.25], connected=False)
    assert between.alt == "No noise draws have been measured yet."


def test_curve_stays_where_it_is_while_draws_arrive() -> None:
    whole = pd.DataFrame([row(s / 4, seed, 0.9 - 0.04 * s) for s in range(21) for seed in range(2)])
    frames = [pd.DataFrame(), whole[:1], whole[whole["severity"].isin([0, 3, 5])], whole]
    layouts = [curve(frame).figure.layout for frame in frames]
    for layout in layouts:
        assert layout.xaxis.range == layouts[0].xaxis.range
        assert layout.yaxis.range == layouts[0].yaxis.range
        assert layout.yaxis.domain == layouts[0].yaxis.domain
        assert layout.height == CURVE_HEIGHT
        assert layout.margin == layouts[0].margin
    shown = [{t.name for t in curve(f).figure.data if t.showlegend is not False} for f in frames[1:]]
    assert shown == [{"similarity", "flip rate", "confidence"}] * 3


def test_curve_words_hold_the_key_numbers_in_one_sentence() -> None:
    alt = curve(sweep()).alt
    assert alt.startswith(f"Mean similarity (RBO) goes from 0.85 at severity 1 (33{THIN} of draws flipped) to ")
    assert f"0.25 at severity 4 (30{THIN} of draws flipped)" in alt
    assert f"0.70 at the current severity 2.5 (50{THIN} of draws flipped)" in alt
    assert alt.endswith("the map breaks at 2.25; the prediction flips at 3.5.")
    one = curve(pd.DataFrame([row(3, 0, 0.4)]), current=3.0, breaks_at=None, flips_at=None).alt
    assert one == (
        f"Mean similarity (RBO) is 0.40 at severity 3 (0{THIN} of draws flipped); the current one; "
        "no break of the map seen; at no severity do most draws flip."
    )
    assert "the current severity is 0.1" in curve(sweep(), current=0.1).alt


# --- labels above the plot

HALVES = [0.25 * i for i in range(1, 21)]


@pytest.mark.parametrize("first_width", [1.95, 2.25])
def test_two_labels_never_meet_and_no_line_crosses_one(first_width: float) -> None:
    low, high = -0.6, 5.15
    for first, second in itertools.product(HALVES, HALVES):
        marks = [
            LabelledLine(first, "map breaks", first_width, SIMILARITY, 1.5),
            LabelledLine(second, "prediction flips", 4.2 - first_width, FLIPPED, 1.5),
        ]
        placed = label_lanes(marks, low, high)
        boxes = []
        for mark, side, lane, joined in placed:
            assert joined
            start = mark.at - {"left": 0.0, "center": 0.5, "right": 1.0}[side] * mark.width
            assert start >= low - 1e-9
            assert start + mark.width <= high + 1e-9
            boxes.append((mark, lane, start, start + mark.width))
        (a, lane_a, start_a, end_a), (b, lane_b, start_b, end_b) = boxes
        assert lane_a != lane_b or end_a <= start_b or end_b <= start_a
        for one, lane, other_lane, start, end in (
            (a, lane_a, lane_b, start_b, end_b),
            (b, lane_b, lane_a, start_a, end_a),
        ):
            if lane > other_lane:  # its line passes the other's lane
                assert not start < one.at < end


def test_labels_far_apart_share_the_row_nearest_the_plot() -> None:
    marks = [LabelledLine(at, "x", 0.3, NEUTRAL, 1) for at in (0.6, 0.1)]
    assert [(m.at, side, lane) for m, side, lane, _ in label_lanes(marks, -0.15, 1.03)] == [
        (0.1, "left", 0),
        (0.6, "left", 0),
    ]


def test_a_line_that_would_cross_a_label_ends_at_the_plot() -> None:
    marks = [LabelledLine(at, "x", 0.5, NEUTRAL, 1) for at in (0.1, 0.5, 0.7)]
    assert [(m.at, joined) for m, _, _, joined in label_lanes(marks, -0.15, 1.03)] == [
        (0.1, True),
        (0.5, False),
        (0.7, True),
    ]


# --- kept against flipped


def draws(kept: list[float], flipped: list[float]) -> pd.DataFrame:
    values = [(v, False) for v in kept] + [(v, True) for v in flipped]
    return pd.DataFrame([row(3.0, seed, v, f) for seed, (v, f) in enumerate(values)])


MIXED = draws([0.9, 0.7, 0.8, NAN, 0.6, 0.75], [0.4, 0.2, NAN, 0.3])


def test_violin_draws_every_measured_pair_with_its_seed() -> None:
    chart = violin(MIXED)
    kept, flipped = trace(chart, "kept"), trace(chart, "flipped")
    assert dict(zip(kept.customdata, kept.x, strict=True)) == {0: 0.9, 1: 0.7, 2: 0.8, 4: 0.6, 5: 0.75}
    assert dict(zip(flipped.customdata, flipped.x, strict=True)) == {6: 0.4, 7: 0.2, 9: 0.3}
    assert (kept.marker.color, kept.marker.symbol) == (KEPT, "circle")
    assert (flipped.marker.color, flipped.marker.symbol) == (FLIPPED, "diamond")
    assert flipped.hovertext[0] == f"seed 6 · espresso 62{THIN} · similarity 0.40"
    assert list(chart.figure.layout.yaxis.ticktext) == ["kept<br>n = 5", "flipped<br>n = 3"]


def test_violin_points_lie_in_their_row_and_never_jump() -> None:
    kept, again = trace(violin(MIXED), "kept"), trace(violin(MIXED[::-1]), "kept")
    assert list(kept.y) == list(again.y)
    assert len(set(kept.y)) == len(kept.y)
    assert all(0.5 < y < 1 for y in kept.y)
    assert all(-0.5 < y < 0 for y in trace(violin(MIXED), "flipped").y)
    fewer = trace(violin(MIXED[MIXED["seed"] < 3]), "kept")
    assert list(fewer.y) == list(kept.y[:3])


def test_violin_has_a_density_from_five_draws_on_and_always_a_median() -> None:
    chart = violin(MIXED)
    assert "kept density" in names(chart)
    assert "flipped density" not in names(chart)
    assert list(trace(chart, "kept density").x) == [0.9, 0.7, 0.8, 0.6, 0.75]
    assert list(trace(chart, "kept median").x) == pytest.approx([0.75, 0.75])
    assert list(trace(chart, "flipped median").x) == pytest.approx([0.3, 0.3])
    assert "kept density" not in names(violin(draws([0.5] * 6, [])))  # nothing to spread


def test_violin_density_stays_in_the_range_of_similarity() -> None:
    low, high = trace(violin(draws([1.0, 1.0, 0.99, 0.98, 0.2], [])), "kept density").span
    assert low >= 0
    assert high == 1
    tied = trace(violin(draws([0.5] * 8 + [0.6], [])), "kept density")  # quartiles coincide
    assert tied.bandwidth > 0


@pytest.mark.parametrize(("seed", "x"), [(4, 0.6), (9, 0.3)])
def test_violin_rings_the_current_seed(seed: int, x: float) -> None:
    chart = violin(MIXED, current_seed=seed)
    ring = trace(chart, "current draw")
    home = trace(chart, "kept" if seed == 4 else "flipped")
    assert (list(ring.x), list(ring.customdata)) == ([x], [seed])
    assert ring.y[0] == home.y[list(home.customdata).index(seed)]
    assert f"ring: seed {seed}" in texts(chart)[-1]


def test_violin_counts_degenerate_pairs_in_a_note() -> None:
    assert texts(violin(MIXED, current_seed=0)) == ["bar: median · ring: seed 0 · 2 degenerate not drawn"]
    chart = violin(MIXED, current_seed=8)
    assert texts(chart) == ["bar: median · 2 degenerate (with seed 8) not drawn"]
    assert "current draw" not in names(chart)
    assert "2 degenerate draws left out" in chart.alt


@pytest.mark.parametrize("chart", [violin, ecdf])
def test_a_degenerate_pair_is_left_out_whatever_its_similarity(
    chart: Callable[[pd.DataFrame], Chart],
) -> None:
    pairs = pd.concat([draws([0.9, 0.8], [0.3]), pd.DataFrame([row(3.0, 7, 0.0, degenerate=True)])])
    made = chart(pairs)  # index 0 is there twice
    assert "2 kept draws with median 0.85 (0.80 to 0.90)" in made.alt
    assert "1 degenerate draw left out" in made.alt
    if chart is violin:
        assert 7 not in trace(made, "kept").customdata
        assert "1 degenerate not drawn" in texts(made)[-1]
    else:
        assert 7 not in trace(made, "kept (n = 2)").customdata


@pytest.mark.parametrize(
    ("pairs", "said", "empty_row", "full"),
    [
        (draws([0.9, 0.8], []), "no draw flipped", 0, "kept"),
        (draws([], [0.4]), "no draw kept", 1, "flipped"),
        (draws([0.9, 0.8], [NAN, NAN]), "2 flipped draws, degenerate", 0, "kept"),
    ],
)
def test_violin_keeps_the_slot_of_an_empty_group(pairs: pd.DataFrame, said: str, empty_row: int, full: str) -> None:
    chart = violin(pairs)
    (note,) = [a for a in chart.figure.layout.annotations if a.text == said]
    assert note.y == empty_row
    assert list(chart.figure.layout.yaxis.tickvals) == [1, 0]
    assert full in names(chart)
    assert ({"kept", "flipped"} - {full}).isdisjoint(names(chart))
    assert said in chart.alt


def test_violin_of_degenerate_pairs_only() -> None:
    chart = violin(draws([NAN], [NAN]), current_seed=0)
    assert len(chart.figure.data) == 0
    assert texts(chart) == [
        "1 kept draw, degenerate",
        "1 flipped draw, degenerate",
        "2 degenerate (with seed 0) not drawn",
    ]


def test_violin_words() -> None:
    assert violin(MIXED).alt == (
        "Similarity (RBO): 5 kept draws with median 0.75 (0.60 to 0.90); "
        "3 flipped draws with median 0.30 (0.20 to 0.40); 2 degenerate draws left out."
    )
    assert violin(draws([0.5], [])).alt == "Similarity (RBO): 1 kept draw at 0.50; no draw flipped."


def test_ecdf_steps_are_the_shares_at_or_below() -> None:
    pairs = draws([0.9, 0.5, 0.5, NAN, 0.7], [0.4, 0.1])
    chart = ecdf(pairs)
    for name, flipped in (("kept (n = 4)", False), ("flipped (n = 2)", True)):
        steps = trace(chart, name)
        values = [r["similarity"] for r in pairs.to_dict("records") if r["flipped"] == flipped and not r["degenerate"]]
        assert steps.line.shape == "hv"
        assert list(steps.x) == [0, *sorted(values), 1]
        expected = [sum(other <= value for other in values) / len(values) for value in sorted(values)]
        assert list(steps.y) == pytest.approx([0, *expected, 1])
    assert list(trace(chart, "kept (n = 4)").customdata) == [None, 1, 2, 4, 0, None]
    assert trace(chart, "flipped (n = 2)").hovertext[1] == f"50{THIN} of flipped draws<br>at similarity ≤ 0.10"
    looks = [(t.line.color, t.line.dash) for t in chart.figure.data]
    assert looks == [(KEPT, "solid"), (FLIPPED, "dash")]


def test_ecdf_draws_floors_with_labels() -> None:
    chart = ecdf(MIXED)
    assert stems(chart, NEUTRAL) == {0.12, 0.23}
    assert sorted(texts(chart)) == ["another picture 0.23", "random ranking 0.12"]
    assert chart.alt.endswith("floors: random ranking 0.12; another picture 0.23.")
    assert texts(similarity_ecdf(MIXED, similarity_title="RBO", floors={})) == []


def test_ecdf_keeps_the_legend_of_an_empty_group() -> None:
    steps = trace(ecdf(draws([0.5], [])), "flipped (n = 0)")
    assert (list(steps.x), list(steps.y)) == ([None], [None])
    assert "no draw flipped" in ecdf(draws([0.5], [])).alt


# --- what all have in common

ALL: list[Callable[[pd.DataFrame], Chart]] = [curve, violin, ecdf]


@pytest.mark.parametrize("chart", ALL)
@pytest.mark.parametrize("pairs", [pd.DataFrame(), MIXED[:0]])
def test_no_rows_make_a_quiet_chart(chart: Callable[[pd.DataFrame], Chart], pairs: pd.DataFrame) -> None:
    made = chart(pairs)
    assert len(made.figure.data) == 0
    assert texts(made) == ["no draws yet"]
    assert re.fullmatch(r"No noise draws have been measured.* yet\.", made.alt)


@pytest.mark.parametrize("chart", ALL)
@pytest.mark.parametrize("pairs", [MIXED[:1], MIXED, MIXED[MIXED["flipped"]], MIXED[~MIXED["flipped"]], MIXED[3:4]])
def test_every_chart_is_fixed_clear_and_leaves_text_colour_to_the_page(
    chart: Callable[[pd.DataFrame], Chart], pairs: pd.DataFrame
) -> None:
    made = chart(pairs)
    layout = made.figure.layout
    assert layout.height == (CURVE_HEIGHT if chart is curve else HEIGHT)
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.xaxis.fixedrange
    assert layout.yaxis.fixedrange
    for font in (
        layout.font,
        layout.legend.font,
        layout.xaxis.title.font,
        *(a.font for a in layout.annotations),
    ):
        assert font.color is None
    assert made.alt.endswith(".")
    assert "nan" not in made.alt.lower()
    assert "nan" not in json.dumps([t.hovertext for t in made.figure.data], default=str).lower()
    assert "NaN" not in made.figure.to_json()


def test_names_never_become_markup() -> None:
    pairs = MIXED.assign(perturbed_label=NASTY)
    settings: dict[str, Any] = {"similarity_title": NASTY, "floors": {NASTY: 0.3}}
    charts = [
        curve(pairs, **settings),
        similarity_violin(pairs, similarity_title=NASTY, current_seed=0),
        similarity_ecdf(pairs, **settings),
    ]
    for chart in charts:
        written = chart.figure.to_json()
        assert "<img" not in json.dumps(json.loads(written))
        assert "&lt;img src=x" in written
        assert NASTY in chart.alt  # plain text: whoever puts it into HTML escapes it there


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    red, green, blue = (channel(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [KEPT, FLIPPED, SIMILARITY, NEUTRAL])
@pytest.mark.parametrize("page", ["#ffffff", "#0e1117"])
def test_marks_can_be_seen_on_light_and_dark(colour: str, page: str) -> None:
    bright, dim = sorted([luminance(colour), luminance(page)], reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 3


def test_toolbar_keeps_the_picture_button_only() -> None:
    assert PLOTLY_CONFIG["displayModeBar"] == "hover"
    assert not any("toImage" in button for button in PLOTLY_CONFIG["modeBarButtonsToRemove"])
    assert isinstance(curve(sweep()).figure, go.Figure)
