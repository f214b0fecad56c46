"""What holds for every chart of a study: nothing missing is drawn, names are safe, figures stay small and legible."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import pytest

import camlab
from benchmarks.study_rows import COINCIDE, MODELS, simulated_rows
from camlab.common.errors import BadSetting
from camlab.drawing.charts.look import Chart
from camlab.drawing.charts.titles import COLOURS, level_title, marks_of, measure_title, short_title, wrapped
from camlab.metrics import SIMILARITIES
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.summary import RBO_KIN, merge_methods, records, scored
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.paired import paired_lines
from camlab.study.charts.pictures import PROPERTIES, property_correlations, similarity_against
from camlab.study.charts.plane import cr_plane
from camlab.study.charts.ranks import value_ranks
from camlab.study.charts.rows import POINT
from camlab.study.charts.severity import severity_spread, severity_values
from camlab.study.charts.spread import (
    similarity_histogram,
    similarity_ridges,
    similarity_steps,
    similarity_violins,
)
from tests.study.study_frames import IDS, NASTY, pictures_of, study

MOST_POINTS = 6000
MOST_BYTES = 600_000

Draw = Callable[[pd.DataFrame], Chart]

#: What is drawn from rows, by name.
FROM_ROWS: dict[str, Draw] = {
    "violins": similarity_violins,
    "one violin": lambda rows: similarity_violins(rows, by=""),
    "ridges": similarity_ridges,
    "ridges by method": lambda rows: similarity_ridges(rows, by="method"),
    "steps": similarity_steps,
    "histogram": similarity_histogram,
    "severity": severity_spread,
    "paired": paired_lines,
    "paired methods": lambda rows: paired_lines(rows, across="method"),
    "paired severities": lambda rows: paired_lines(rows, across="severity"),
    "against": lambda rows: similarity_against(rows, pictures_of(rows), replicates=20),
    "correlations": lambda rows: property_correlations(rows, pictures_of(rows), replicates=20),
}


def summed(by: tuple[str, ...], draw: Callable[[list[dict[str, Any]]], Chart]) -> Draw:
    return lambda rows: draw(records(rows, by, replicates=20))


#: What is drawn from records, through the summary.
FROM_RECORDS: dict[str, Draw] = {
    "heat map": summed(("method", "noise"), value_heatmap),
    "dots": summed(("method", "noise"), lambda r: value_dots(r, groups="noise")),
    "ranks": summed(("method", "severity"), value_ranks),
    "ranks by noise": summed(("method", "noise"), lambda r: value_ranks(r, over="noise")),
    "plane": summed(("method",), cr_plane),
    "values": summed(("method", "severity"), severity_values),
}

ALL = {**FROM_ROWS, **FROM_RECORDS}

STATES = {
    "usual": study(),
    "one method": study(methods=("gradcam",)),
    "no flips": study(flips=False),
    "all degenerate": study(degenerate=1.1),
    "one picture": study(pictures=1),
    "one pair": study(methods=("gradcam",), noises=("fog",), pictures=1, seeds=1)[:1],
    "only flips": study()[lambda rows: rows["flipped"]],
}


def texts(chart: Chart) -> list[str]:
    """Everything that Plotly reads as HTML."""
    layout = chart.figure.layout
    found = [a.text for a in layout.annotations]
    for axis in (layout.xaxis, layout.yaxis):
        found += [axis.title.text, *(axis.ticktext or ())]
    for t in chart.figure.data:
        found.append(t.name)
        for each in (t.hovertext, t.text):
            for line in () if each is None else each:
                found += [line] if isinstance(line, str) else list(line)
    return [text for text in found if isinstance(text, str)]


def numbers(chart: Chart) -> list[float]:
    """Every coordinate that is drawn."""
    found = []
    for t in chart.figure.data:
        for each in (t.x, t.y):
            found += [] if each is None else [v for v in each if v is not None]
    return found


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ALL)
def test_whatever_the_rows_hold_there_is_a_chart_and_a_sentence(name: str, state: str) -> None:
    chart = ALL[name](STATES[state])
    assert chart.alt.endswith(".")
    assert not re.search(r"\b(nan|None)\b", chart.alt)
    assert chart.figure.data or "<" not in chart.figure.layout.annotations[0].text.replace("<br>", "")
    assert all(v == v for v in numbers(chart))
    assert not [text for text in texts(chart) if re.search(r"\bnan\b|\bNone\b", text)]


@pytest.mark.parametrize("name", FROM_ROWS)
def test_no_rows_are_said(name: str) -> None:
    chart = FROM_ROWS[name](STATES["usual"][:0])
    assert chart.figure.layout.annotations[0].text == "no pairs to show"
    assert not chart.figure.data


def test_a_side_without_pairs_is_not_drawn_as_zero() -> None:
    calm = STATES["no flips"]
    for name in ("violins", "ridges"):
        assert any("flipped: not observed" in text for text in texts(FROM_ROWS[name](calm)))
    for name in ("steps", "histogram", "severity"):
        assert any("flipped (not observed)" in text for text in texts(FROM_ROWS[name](calm))), name
    assert "no flipped pair" in FROM_ROWS["violins"](calm).alt
    assert "no picture has a kept and a flipped pair" in FROM_ROWS["paired"](calm).alt


def test_few_pairs_have_points_and_no_density() -> None:
    few = STATES["usual"][lambda rows: rows["flipped"] & (rows["method"] == "eigencam")][:4]
    for name in ("violins", "ridges"):
        chart = FROM_ROWS[name](few)
        assert not [t for t in chart.figure.data if t.fill == "toself"]
        assert any("fewer than 5 pairs" in text for text in texts(chart))
        assert sum(len(t.x) for t in chart.figure.data if t.customdata is not None) == len(few)
    assert "fewer than 5" in FROM_ROWS["steps"](few).alt


def test_pooled_severities_are_named() -> None:
    for name in ("violins", "steps", "histogram", "paired methods", "against"):
        title = FROM_ROWS[name](STATES["usual"]).figure.layout.xaxis.title.text
        assert "severities 1 to 5 pooled" in title, name
        alone = STATES["usual"][lambda rows: rows["severity"] == 3]
        assert "pooled" not in FROM_ROWS[name](alone).figure.layout.xaxis.title.text


@pytest.mark.parametrize("name", ALL)
def test_names_are_escaped(name: str) -> None:
    rows = study(
        methods=(NASTY, f"{NASTY} = b", "gradcam"),
        noises=(NASTY, "fog"),
        model=NASTY,
        layer=NASTY,
        prefix=NASTY,
    )
    chart = ALL[name](rows)
    shown = texts(chart)
    assert not [text for text in shown if "<img" in text]
    tags = {tag for text in shown for tag in re.findall(r"</?(\w+)", text)}
    assert tags <= {"b", "i", "br", "span"}
    assert NASTY in chart.alt or "&lt;img" not in chart.alt  # plain text, not HTML


@pytest.mark.parametrize("name", ALL)
def test_backgrounds_are_clear_and_axes_are_named(name: str) -> None:
    layout = ALL[name](STATES["usual"]).figure.layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor) == ("rgba(0,0,0,0)",) * 2
    assert layout.font.color is None  # the page's own
    assert layout.width is None
    assert layout.xaxis.title.text or layout.xaxis.ticktext
    assert layout.yaxis.title.text or layout.yaxis.ticktext or layout.yaxis.visible is False


@pytest.mark.parametrize("name", FROM_ROWS)
def test_points_lead_to_rows(name: str) -> None:
    rows = STATES["usual"]
    known = {tuple(str(v) for v in key) for key in rows[list(POINT)].itertuples(index=False)}
    led = 0
    for t in FROM_ROWS[name](rows).figure.data:
        for data in () if t.customdata is None else t.customdata:
            if len(data) == len(POINT) and data[0] is not None:
                led += 1
                assert tuple(str(v) for v in data) in known
    assert led or name == "correlations"


@pytest.mark.parametrize("name", FROM_ROWS)
def test_hovers_count_pairs(name: str) -> None:
    """Where a mark stands for several pairs its hover says for how many."""
    for t in FROM_ROWS[name](STATES["usual"]).figure.data:
        if t.hoverinfo == "skip" or not t.hovertext or t.name.startswith(("kept", "flipped", "widest", "a picture")):
            continue
        assert all(re.search(r"\d+ (pictures|points|pairs)|n = \d", text) for text in t.hovertext if text), t.name


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    return scored(simulated_rows(200_000, pictures=1500))


@pytest.mark.parametrize("name", FROM_ROWS)
def test_figures_stay_small_however_many_rows_there_are(name: str, many: pd.DataFrame) -> None:
    figure = FROM_ROWS[name](many).figure
    assert sum(len(t.x) for t in figure.data if t.x is not None) < MOST_POINTS
    assert len(figure.to_json()) < MOST_BYTES
    assert len(figure.data) < 200


@pytest.fixture(scope="module")
def few_and_more() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same grid, pictures and all, with eight times the rows."""
    few, more = (scored(simulated_rows(n, pictures=40)) for n in (3000, 24_000))
    return few, more


def lines_run(action: Callable[[], object]) -> int:
    """How many lines of the library an action runs; every turn of a loop counts."""
    count = 0
    home = str(Path(camlab.__file__).parent)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename.startswith(home) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


ACTIONS: dict[str, Callable[[pd.DataFrame], object]] = {
    **ALL,
    "filter": Filters(models=(MODELS[0],), severities=(1.0, 5.0), outcome="far").apply,
    "same outcomes": Filters(same="outcomes").apply,
    "same severities": Filters(same="severities", methods=("gradcam",)).apply,
    "merge": lambda rows: merge_methods(rows, COINCIDE),
    "every cell": lambda rows: records(rows, ("method", "noise", "severity"), replicates=0, with_macro=True),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_no_loop_goes_over_rows(name: str, few_and_more: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    few, more = (lines_run(partial(ACTIONS[name], rows)) for rows in few_and_more)
    assert 0 < more < 1.5 * few + 100


def test_many_levels_are_bounded_and_what_is_left_out_is_said() -> None:
    rows = study(methods=tuple(f"m{i:02d}" for i in range(50)), noises=("fog",), pictures=2, seeds=1)
    for name in ("violins", "ridges by method"):
        assert ALL[name](rows).alt.endswith("10 more not drawn.")
    rows = study(methods=tuple(f"m{i:02d}" for i in range(26)), noises=("fog",), pictures=2, seeds=1)
    assert len(ALL["paired methods"](rows).figure.layout.xaxis.tickvals) == 24


def test_unknown_choices_are_refused() -> None:
    rows = STATES["usual"]
    with pytest.raises(BadSetting, match="no property 'size'"):
        similarity_against(rows, pictures_of(rows), prop="size")
    with pytest.raises(BadSetting, match="not 'lost'"):
        property_correlations(rows, pictures_of(rows), outcome="lost")


def test_a_table_of_pictures_without_properties_is_said() -> None:
    rows = STATES["usual"]
    bare = pictures_of(rows)[["model", "image_set", "image"]]
    for prop in PROPERTIES:
        assert "no picture has a value" in similarity_against(rows, bare, prop=prop).alt
    assert "No correlation observed" in property_correlations(rows, bare).alt


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_stand_out_on_white_and_on_near_black() -> None:
    for colour, ground in itertools.product(COLOURS, ("#FFFFFF", "#0E1117")):
        low, high = sorted((luminance(colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_no_two_series_differ_by_colour_alone() -> None:
    marks = marks_of([f"m{i}" for i in range(23)] + ["randomcam"])
    assert len({(m.symbol, m.dash) for m in marks.values()}) == 24
    assert marks["randomcam"].symbol not in {m.symbol for name, m in marks.items() if name != "randomcam"}


def test_numbers_in_cells_stand_out() -> None:
    chart = FROM_RECORDS["heat map"](STATES["usual"])
    (ink,) = [t.textfont.color for t in chart.figure.data if t.name == "numbers"]
    assert set(ink) <= {"#000000", "#FFFFFF"}


def test_names_are_those_of_the_registries() -> None:
    assert level_title("method", "gradcam = xgradcam") == "Grad-CAM = XGrad-CAM"
    assert level_title("method", "gradcam = randomcam").endswith("(baseline)")
    assert short_title("method", "gradcam = xgradcam = mine") == "Grad-CAM +2"
    assert (level_title("noise", "fog"), level_title("noise", "mine")) == ("Fog", "mine")
    assert level_title("severity", 2.5) == "severity 2.5"
    assert wrapped("a & b = c", 3) == "a &amp; b =<br>c"


def test_every_similarity_of_a_study_has_a_title() -> None:
    for name in (*SIMILARITIES, *RBO_KIN):
        assert measure_title(name) != name
    assert "(1 + v) / 2" in measure_title("spearman")


def test_floors_are_those_of_rbo_only() -> None:
    rows = STATES["usual"]
    assert "Floors: random ranking 0.12; another picture 0.20." in similarity_violins(rows).alt
    assert "Floors" not in similarity_violins(rows, similarity="spearman").alt


def test_the_rows_need_no_categoricals() -> None:
    rows = STATES["usual"]
    plain = rows.astype(dict.fromkeys(IDS, str))
    for name, draw in FROM_ROWS.items():
        assert draw(plain).alt == draw(rows).alt, name
