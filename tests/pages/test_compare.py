"""The Compare page: rows, columns, order, link, tray; and what goes wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from camlab.common.errors import BadSetting
from camlab.explore.compare.state import MOST_PINS, CompareState, Place, parse_place
from camlab.explore.state import ExploreState
from pages.compare import grid as compare_view
from pages.compare.state import page
from pages.shared import report, session
from pages.shared.navigation import COMPARE, EXPLORE
from tests.pages.conftest import APP, PATIENCE, alerts, html, open_at, said, wait_for

SMALL = {"model": "shapes_vgg", "image": "shapes/0-0"}
FEW = {"methods": "gradcam,eigencam", "columns": "1,4"}
PIN = "eigencam~shapes_vgg~gaussian_noise~4~0"


def open_page(link: Mapping[str, str] | None = None, wait: bool = True, **more: str) -> AppTest:
    """A new session that follows a link to a comparison."""
    at = open_at(COMPARE, {**SMALL, **(link or {}), **more})
    return wait_for(at, complete) if wait else at


def complete(at: AppTest) -> bool:
    return "cells computed" in said(at)


def table(at: AppTest) -> pd.DataFrame:
    """The grid in words."""
    found: pd.DataFrame = at.table[0].value
    return found


def numbers(at: AppTest) -> list[float]:
    return [float(value) for value in table(at)["Robustness (mean similarity)"]]


def state(at: AppTest) -> CompareState:
    found: CompareState = at.session_state["compare.state"]
    return found


def test_the_first_view_says_every_cell_in_words_and_whose_picture_it_is() -> None:
    at = open_page()
    grid = table(at)
    assert list(grid.columns[-5:]) == [f"Severity {level}" for level in range(1, 6)]
    assert any(" = " in title for title in grid.index), "methods that coincide share a row"
    assert "Random-CAM" in grid.index and len(grid) >= 6
    # The mean beside a row is that of its cells.
    for _, row in grid.iterrows():
        cells = [float(text.split(",")[0]) for text in row.iloc[-5:]]
        assert float(row.iloc[0]) == pytest.approx(sum(cells) / 5, abs=0.011)
    assert "random rankings would score" in said(at)
    assert "CAM Lab" in html(at) and "CC0" in html(at)
    assert not alerts(at)


def test_rows_are_ordered_by_robustness_and_the_link_says_so() -> None:
    at = open_page(FEW)
    listed = list(table(at).index)
    at.segmented_control(key="compare.sort").set_value("most").run()
    assert numbers(at) == sorted(numbers(at), reverse=True)
    at.segmented_control(key="compare.sort").set_value("least").run()
    assert numbers(at) == sorted(numbers(at))
    assert sorted(table(at).index) == sorted(listed)
    assert at.query_params["sort"] == "least"


@pytest.mark.parametrize(
    ("axis", "columns", "heads"),
    [
        ("noise", "fog,contrast", ["Fog", "Contrast"]),
        ("seed", "3,1", ["Seed 1", "Seed 3"]),
        ("model", "shapes_vgg,shapes_resnet", ["ShapeScenes VGG", "ShapeScenes ResNet"]),
    ],
)
def test_columns_can_be_noise_types_seeds_and_models(axis: str, columns: str, heads: list[str]) -> None:
    at = open_page(axis=axis, columns=columns, methods="gradcam,eigencam")
    assert list(table(at).columns[-2:]) == heads
    cells = [float(text.split(",")[0]) for text in table(at).iloc[0, -2:]]
    assert min(cells) > 0 and cells[0] != cells[1]
    assert at.selectbox(key="compare.axis").value == axis
    # What the columns differ in is not asked for once more.
    keys = {w.key for kind in ("slider", "number_input", "selectbox") for w in getattr(at.sidebar, kind)}
    assert {"explore.noise", "explore.severity", "explore.seed"} & keys == {
        f"explore.{name}" for name in ("noise", "severity", "seed") if name != axis
    }


def test_another_axis_comes_with_columns_of_its_own_and_the_link_follows() -> None:
    at = open_page(FEW)
    at.selectbox(key="compare.axis").set_value("noise").run()
    wait_for(at, complete)
    assert "Fog" in table(at).columns and at.query_params["axis"] == "noise"
    at.multiselect(key="compare.columns.noise").set_value(["fog"]).run()
    wait_for(at, complete)
    assert list(table(at).columns[3:]) == ["Fog"] and at.query_params["columns"] == "fog"
    at.selectbox(key="compare.axis").set_value("severity").run()
    wait_for(at, complete)
    assert list(table(at).columns[3:]) == [f"Severity {level}" for level in range(1, 6)]
    assert at.query_params["methods"] == FEW["methods"] and "columns" not in at.query_params


def test_an_emptied_list_leaves_the_comparison_and_its_link_as_they_were() -> None:
    at = open_page(FEW)
    before = table(at)
    for name in ("methods", "columns.severity"):
        at.multiselect(key=f"compare.{name}").set_value([]).run()
        wait_for(at, complete)
        assert at.multiselect(key=f"compare.{name}").value == []
        assert table(at).equals(before)
        assert at.query_params["methods"] == FEW["methods"] and at.query_params["columns"] == FEW["columns"]
    # One chosen after that stands alone.
    at.multiselect(key="compare.methods").set_value(["layercam"]).run()
    at.multiselect(key="compare.columns.severity").set_value(["2"]).run()
    wait_for(at, complete)
    assert list(table(at).index) == ["LayerCAM"] and list(table(at).columns[3:]) == ["Severity 2"]
    # And another axis comes with columns, even where its list was emptied earlier.
    at.selectbox(key="compare.axis").set_value("seed").run()
    wait_for(at, complete)
    assert at.query_params["axis"] == "seed" and len(table(at).columns) == 3 + 5


def test_a_link_restores_the_comparison_with_tray_and_pair() -> None:
    link = {**FEW, "sort": "most", "pins": PIN, "a": PIN, "b": "gradcam~shapes_vgg~clean", "opacity": "0.7"}
    at = open_page(link)
    found = state(at)
    assert found.methods == ("gradcam", "eigencam") and found.columns == ("1", "4") and found.sort == "most"
    assert found.pins == (found.a,) == (Place("eigencam", "shapes_vgg", "gaussian_noise", 4.0, 0),)
    assert found.b == Place("gradcam", "shapes_vgg") and found.base.opacity == 0.7
    kept = dict(at.query_params.items())
    for name, value in {**SMALL, **link}.items():
        assert kept[name] == value or kept[name] == [value]
    again = open_page({name: v[0] if isinstance(v, list) else v for name, v in kept.items()})
    assert state(again) == found


def test_what_a_link_gets_wrong_is_said_and_the_rest_is_shown() -> None:
    at = open_page(methods="nocam", columns="1,4", pins="x", sort="loudest", model="shapes_vg")
    for word in ("methods", "pins", "sort", "model"):
        assert word in alerts(at), word
    assert list(table(at).columns[-2:]) == ["Severity 1", "Severity 4"]


def test_a_comparison_can_be_stopped_and_gone_on_with() -> None:
    with session.worker().foreground():  # no cell is computed meanwhile, however fast the machine is
        at = open_page(wait=False, methods="gradcam,eigencam", columns="1,3")
        next(button for button in at.button if button.label == "Stop").click().run()
    assert not complete(at) and "not computed yet" in said(at)
    next(button for button in at.button if button.label == "Resume").click().run()
    wait_for(at, complete)
    assert len(table(at)) == 2


def test_the_picture_chosen_in_explore_is_compared_and_stays_on_the_way_back() -> None:
    at = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    for name, value in {
        "draws": "1",
        "model": "shapes_resnet",
        "image": "shapes/0-5",
        "noise": "fog",
        "method": "scorecam_top",
        "severity": "2.75",
    }.items():
        at.query_params[name] = value
    at.run()
    at.query_params.clear()
    at.switch_page(COMPARE).run()
    assert state(at).base.image == "shapes/0-5" and state(at).base.noise == "fog"
    assert "scorecam_top" in state(at).rows and 2.75 in state(at).values, "what Explore shows is in the grid"
    assert "2.75" in at.multiselect(key="compare.columns.severity").value
    at.multiselect(key="compare.methods").set_value(["eigencam"]).run()
    at.query_params.clear()
    at.switch_page(EXPLORE).run()
    assert not at.exception
    explored: ExploreState = at.session_state["state"]
    assert (explored.image, explored.model, explored.noise) == ("shapes/0-5", "shapes_resnet", "fog")
    at.query_params.clear()
    at.switch_page(COMPARE).run()
    assert state(at).rows == ("eigencam",), "and the comparison is as it was left"


def test_a_cell_opens_in_explore_as_it_is() -> None:
    at = open_page(FEW)
    at.session_state["compare.open"] = PIN
    at.run()
    assert not at.exception
    explored: ExploreState = at.session_state["state"]
    assert (explored.method, explored.severity, explored.model) == ("eigencam", 4.0, "shapes_vgg")
    assert "cl-badge" in html(at)


def test_files_wait_for_a_pinned_cell() -> None:
    def disabled(at: AppTest) -> set[bool]:
        return {button.proto.disabled for button in at.get("download_button")}

    at = open_page(FEW)
    assert disabled(at) == {True}
    at = open_page(FEW, pins=PIN)
    assert disabled(at) == {False}
    next(button for button in at.button if button.label == "Empty the tray").click().run()
    assert disabled(at) == {True} and state(at).pins == () and "pins" not in at.query_params


def test_the_tray_becomes_a_report_that_says_what_is_pinned() -> None:
    def button(at: AppTest) -> Any:
        return at.button(key="compare.report.start")

    at = open_page(FEW)
    assert button(at).disabled and "Pin a cell" in button(at).help
    at = open_page(FEW, pins="gradcam~shapes_vgg~clean")
    assert button(at).disabled and "noisy picture" in button(at).help
    at = open_page(FEW, pins=f"gradcam~shapes_vgg~clean,{PIN}", opacity="0.7")
    button(at).click().run()
    wait_for(at, lambda page: any("the report" in each.proto.label for each in page.get("download_button")))
    (run,) = at.session_state["work.compare_report"].values()
    grid = at.session_state["compare.now"]
    known = grid.cell(parse_place(PIN))
    assert f"{known.similarity:.3f}" in run.html and "--severity 4 --seed 0" in run.html
    assert "Eigen-CAM, Gaussian noise, severity 4, seed 0, ShapeScenes VGG" in run.html
    assert run.html.count('src="data:image/jpeg') == 3 and "each pair shows its clean map" in run.html
    assert "/compare?" in run.html and "opacity=0.7" in run.html
    # Another tray has no report yet.
    next(button for button in at.button if button.label == "Empty the tray").click().run()
    assert button(at).disabled


def test_a_report_that_fails_says_so_and_the_figures_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise BadSetting("This report would be too large; unpin some cells.")

    monkeypatch.setattr(report, "report_html", fails)
    at = open_page(FEW, pins=PIN)
    at.button(key="compare.report.start").click().run()
    wait_for(at, lambda page: "unpin some cells" in alerts(page))
    assert {button.proto.disabled for button in at.get("download_button")} == {False}
    assert not at.button(key="compare.report.start").disabled


def test_an_uploaded_picture_is_compared_too() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((90, 60), 80).convert("RGB").save(buffer, "PNG")
    at = open_page(FEW)
    at.file_uploader(key="upload_file").upload("mine.png", buffer.getvalue(), "image/png").run()
    wait_for(at, lambda page: state(page).base.image.startswith("upload/") and complete(page))
    assert "Your own picture" in html(at)


def test_an_error_is_a_sentence_and_the_controls_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise BadSetting("There is no room for this; choose less.")

    monkeypatch.setattr(compare_view, "Grid", fails)
    at = open_page(FEW, wait=False, seed="77")
    assert "There is no room for this; choose less." in alerts(at)
    assert at.multiselect(key="compare.methods").value == ["gradcam", "eigencam"]


@pytest.mark.parametrize(
    "event",
    [None, 7, {}, {"pins": "gradcam"}, {"pins": [1, None, "x~y"], "a": 3, "b": "nocam~shapes_vgg~clean"},
     {"pins": [f"gradcam~shapes_vgg~fog~1~{i}" for i in range(MOST_PINS + 9)]}],
)  # fmt: skip
def test_a_browser_can_report_no_more_than_cells(event: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    page.take_choice(event)
    found = page.current()
    assert found.a is None and found.b is None and len(found.pins) <= MOST_PINS
    assert all(isinstance(pin, Place) for pin in found.pins)


def test_the_tray_and_the_pair_of_a_report_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    event = {"pins": [PIN, PIN], "a": PIN, "b": "", "turn": 1}
    assert page.take_choice(event)
    found = page.current()
    assert [pin.text for pin in found.pins] == [PIN] and found.a is not None and found.b is None


@pytest.mark.parametrize("report", [3, {"count": -1}, {"count": "2"}, [None]])
def test_a_table_that_reports_nothing_of_use_changes_nothing(report: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    for take in (compare_view._received, compare_view._opened):
        assert not take(report)
    assert not st.session_state
