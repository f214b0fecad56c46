"""The Study page: planning, running, filtering, testing, comparing, bringing in; and what goes wrong."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs

import cv2
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from camlab.drawing.charts.titles import titled
from camlab.study import PRESETS, Estimate, StudyPlan, create, run_study, status
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.summary import merge_methods, records, scored
from camlab.study.stats import TESTS, prepare, run_tests, verdict
from camlab.study.store import list_studies, open_study
from pages.shared.navigation import EXPLORE, STUDY
from pages.study.state import TAB_CHOICES, TABS
from tests.material import png
from tests.pages.conftest import PATIENCE, alerts, open_app, open_at, said, widget_key

OVERVIEW = 4  # charts of the tab that is shown first
PLAN = StudyPlan(
    models=("shapes_vgg",),
    image_sets=("shapes",),
    methods=("gradcam", "hirescam", "layercam", "randomcam"),
    noises=("gaussian_noise", "brightness"),
    severities=(2.0, 5.0),
    seeds=2,
    layers=("before", "default"),
    limit=4,
    name="Small",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, only to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "small"
    run_study(PLAN, folder, workers=1, device="cpu")
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of studies."""
    monkeypatch.setenv("CAMLAB_STUDIES_DIR", str(tmp_path / "studies"))
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


@pytest.fixture
def shelf(root: Path, finished: Path) -> Path:
    """The folder of studies with the finished one in it."""
    shutil.copytree(finished, root / "small")
    return root


def open_page(**link: str) -> AppTest:
    """A new session that follows a link to the page."""
    return open_at(STUDY, link)


def press(at: AppTest, label: str) -> AppTest:
    next(button for button in at.button if button.label == label).click().run()
    assert not at.exception
    return at


def charts(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


def test_without_a_study_the_page_says_what_one_is_and_how_to_begin(root: Path) -> None:
    at = open_page()
    assert "One picture is an anecdote" in "".join(each.value for each in at.markdown)
    assert {"Run the quick look", "New study", "Import"} <= {button.label for button in at.button}
    assert not at.error and not at.warning and charts(at) == 0


def test_every_tab_shows_the_study(shelf: Path) -> None:
    at = open_page(study="small")
    rows = open_study(shelf / "small").count()
    assert rows == 4 * 6 * 4 * 2
    # Of the two layers the first is looked at, and said to be.
    assert at.query_params["layers"] == "features.26"
    assert f"{rows // 2:,} of " in said(at)
    expected = {
        "overview": 4,
        "distributions": 1,
        "severity": 3,
        "pictures": 3,
        "about": 0,
        "compare": 0,
        "table": 0,
    }
    for tab in TABS:
        at.segmented_control(key=widget_key(at, "tab", "study")).set_value(tab).run()
        assert not at.exception and not at.error, tab
        if tab in expected:
            assert charts(at) == expected[tab], tab
        assert at.query_params.get("tab", "overview") == tab


def test_the_table_has_the_values_of_the_summary(shelf: Path) -> None:
    at = open_page(study="small", tab="table", layers="features.26")
    study = open_study(shelf / "small")
    rows = study.rows()
    rows = rows[rows["layer"] == "features.26"]
    found = {(r["method"], r["noise"]): r for r in records(rows, ("method", "noise"), coincide=study.coincide)}
    shown = next(each.value for each in at.html if 'class="cl-paper' in each.value)
    for line in re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", shown):
        cells = re.findall(r"<td title=\"(.*?)\">(?:<strong>)?(.*?)(?:</strong>)?</td>", line[1])
        method = {"Grad-CAM": "gradcam", "HiResCAM": "hirescam", "LayerCAM": "layercam"}.get(line[0], "randomcam")
        for noise, (_, text) in zip(("gaussian_noise", "brightness"), cells, strict=False):
            value = found[method, noise]["rm"]
            assert text == ("–" if value is None else f"{value:.2f}")
    # The mean of the severities' own values is another number, and the table says which of the two it shows.
    assert "all pairs pooled" in shown
    at.segmented_control(key="study.over.table").set_value("stratified_").run()
    averaged = next(each.value for each in at.html if 'class="cl-paper' in each.value)
    assert "mean of the severities" in averaged
    value = found["gradcam", "gaussian_noise"]["stratified_rm"]
    assert ("–" if value is None else f"{value:.2f}") in averaged.split("Grad-CAM</th>")[1].split("</tr>")[0]
    assert "Random-CAM (baseline)" in shown
    assert not re.search(r"baseline\)</th>(?:<td[^>]*>[^<]*</td>)*<td[^>]*><strong>", shown)


def test_filters_are_kept_in_the_link_and_change_what_is_shown(shelf: Path) -> None:
    at = open_page(study="small", methods="gradcam", noises="brightness", outcome="kept")
    kept = open_study(shelf / "small").rows(["method", "noise", "flipped"])
    count = int(((kept["method"] == "gradcam") & (kept["noise"] == "brightness") & ~kept["flipped"]).sum())
    assert f"{count:,} of " in said(at)
    at.multiselect(key=widget_key(at, "noises", "study")).set_value(["gaussian_noise"]).run()
    assert at.query_params["noises"] == "gaussian_noise" and at.query_params["methods"] == "gradcam"
    press(at, "Clear the filters")
    assert "noises" not in at.query_params
    # Two of the four methods are one and the same map on the pooled layer.
    assert f"{4 * 6 * (4 + 3)} of {4 * 6 * (4 + 3)} pairs" in said(at)
    at.multiselect(key=widget_key(at, "severities", "study")).set_value([5.0]).run()
    at.selectbox(key=widget_key(at, "outcome", "study")).set_value("far").run()
    if "No pair passes" in said(at):
        assert charts(at) == 0


def test_nonsense_in_the_link_is_one_sentence_each(shelf: Path) -> None:
    at = open_page(study="small", tab="nowhere", similarity="magic", noises="gravity", severities="nan", outcome="lost")
    told = alerts(at)
    for word in ("nowhere", "magic", "gravity", "nan", "lost"):
        assert word in told
    assert charts(at) == OVERVIEW
    at = open_page(study="<b>x</b>")
    assert "There is no study" in alerts(at) and charts(at) == OVERVIEW  # the newest one instead


def test_statistics_say_what_can_and_what_cannot_be_tested(root: Path) -> None:
    plan = dataclasses.replace(PLAN, noises=("gaussian_noise",), seeds=1, layers=("before",), limit=12)
    run_study(plan, root / "more", workers=1, device="cpu")
    at = open_page(study="more", tab="statistics", layers="features.26")
    study = open_study(root / "more")
    rows = merge_methods(scored(study.rows()), study.coincide)
    rows = rows[rows["layer"] == "features.26"]

    def words() -> str:
        return said(at) + "".join(each.value.replace("\\", "") for each in [*at.markdown, *at.success])

    assert "picture" in words()
    assert re.search(r"(at least|it takes|too few|needs) ?\d*", words())
    judged = verdict(prepare(rows), model="shapes_vgg", layer="features.26", response="kept")
    assert judged.sentence and titled(judged.sentence) in words()
    done = set()
    for name, response in itertools.product(TESTS, ("kept", "all")):
        at.segmented_control(key=widget_key(at, "response", "study")).set_value(response)
        at.selectbox(key=widget_key(at, "test", "study")).set_value(name).run()
        assert not at.exception and not at.error
        results = run_tests(rows, response=response, tests=[name])
        assert results
        for result in results:
            done.add(result.done)
            sentence = titled(result.sentence if result.done else result.reason)
            # The page begins a reason with a capital.
            assert sentence[1:] in words()
            if result.done and result.statistic is not None:
                assert f"{result.statistic_name} = {result.statistic:.4g}" in words()
    assert done == {True, False}, "some can be done and some cannot"


def test_about_says_how_to_open_and_run_it(shelf: Path) -> None:
    at = open_page(study="small", tab="about")
    code = "\n".join(each.value for each in at.code)
    assert f'pd.read_parquet("{shelf}/small/rows")' in code
    assert "camlab study" in code and "--limit 4" in code
    assert len(pd.read_parquet(shelf / "small" / "rows")) == 4 * 6 * 4 * 2


def test_a_study_is_renamed_and_deleted_after_asking(shelf: Path) -> None:
    at = open_page(study="small")
    press(at, "Manage")
    at.text_input(key="study.name").set_value("Other words").run()
    assert open_study(shelf / "small").name == "Other words"
    assert any("Other words" in option for option in at.selectbox(key=widget_key(at, "folder", "study")).options)
    delete = next(button for button in at.button if button.label == "Delete this study")
    assert delete.disabled
    at.checkbox(key=widget_key(at, "sure", "study")).check().run()
    press(at, "Delete this study")
    assert not (shelf / "small").exists()
    assert "deleted" in said(at) and "Run the quick look" in {button.label for button in at.button}


def test_a_study_that_goes_while_it_is_open_is_said_to_be_gone(shelf: Path) -> None:
    at = open_page(study="small")
    shutil.rmtree(shelf / "small")
    at.run()
    assert not at.exception
    assert "There is no study “small” on this machine" in alerts(at)


def test_rubbish_is_not_imported_and_a_colleagues_study_is(shelf: Path, tmp_path: Path) -> None:
    from camlab.study.store import export

    at = open_page(study="small")
    press(at, "Import")
    at.file_uploader(key="study.file").set_value(("x.parquet", b"no parquet at all", "application/x")).run()
    assert not at.exception
    assert at.error and len(list_studies(shelf)) == 1
    data = export(open_study(shelf / "small"), "parquet", tmp_path / "all.parquet").read_bytes()
    at.file_uploader(key="study.file").set_value(("colleague.parquet", data, "application/x")).run()
    assert not at.exception
    assert len(list_studies(shelf)) == 2
    assert "Imported “colleague”: 192 pairs." in said(at) and charts(at) == OVERVIEW
    at.segmented_control(key=widget_key(at, "tab", "study")).set_value("compare").run()
    assert not at.exception and charts(at) == 1 and len(at.dataframe) == 1


def test_a_damaged_study_is_a_sentence(shelf: Path) -> None:
    (shelf / "small" / "manifest.json").write_text("{")
    at = open_page(study="small")
    assert not at.exception
    assert "There is no study" in alerts(at) or "cannot be read" in alerts(at)


def test_a_plan_is_checked_costed_and_started(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page()
    press(at, "New study")
    at.multiselect(key=widget_key(at, "models", "study.plan")).set_value([]).run()
    assert "at least one model" in alerts(at)
    at.multiselect(key=widget_key(at, "models", "study.plan")).set_value(["shapes_vgg"]).run()
    assert "None of the image sets fits shapes_vgg" in alerts(at)
    at.multiselect(key=widget_key(at, "image_sets", "study.plan")).set_value(["shapes"]).run()
    at.multiselect(key=widget_key(at, "methods", "study.plan")).set_value(["gradcam", "fullgrad"]).run()
    at.number_input(key=widget_key(at, "limit", "study.plan")).set_value(3).run()
    at.text_input(key=widget_key(at, "name", "study.plan")).set_value("Mine").run()
    assert not at.error
    # Two methods are one pair: 2 · 2⁻ⁿ ≤ .05 from six pictures on.
    few = "3 pictures per model cannot separate any two of 2 methods"
    assert f"{few}, however large the difference: a verdict needs 6 or more." in said(at)
    at.number_input(key=widget_key(at, "limit", "study.plan")).set_value(6).run()
    assert "cannot separate any two" not in said(at)
    at.number_input(key=widget_key(at, "limit", "study.plan")).set_value(3).run()
    assert next(button for button in at.button if button.label == "Start the study").disabled
    press(at, "Plan")
    deadline = time.monotonic() + PATIENCE
    while not at.metric:
        assert time.monotonic() < deadline
        time.sleep(0.3)
        at.run()
        assert not at.exception
    tiles = {metric.label: metric.value for metric in at.metric}
    assert tiles["Pictures × models"] == "3"
    assert int(tiles["Pairs"].replace(",", "")) in (3 * 15, 3 * 15 * 2)
    started: list[Path] = []
    monkeypatch.setattr("pages.study.plan.start", lambda folder: started.append(folder))
    # Another name costs nothing, another limit has to be planned anew.
    at.number_input(key=widget_key(at, "limit", "study.plan")).set_value(2).run()
    assert next(button for button in at.button if button.label == "Start the study").disabled
    at.number_input(key=widget_key(at, "limit", "study.plan")).set_value(3).run()
    press(at, "Start the study")
    (study,) = list_studies(root)
    assert started == [study.folder] and study.name == "Mine"
    assert status(study.folder).state == "planned" and charts(at) == 0
    assert at.query_params["study"] == study.folder.name


def test_a_preset_fills_the_form_and_no_older_request_can_undo_it(root: Path) -> None:
    at = open_page()
    press(at, "New study")
    before = {name: widget_key(at, name, "study.plan") for name in ("seeds", "models")}
    at.segmented_control(key="study.plan.preset").set_value("paper").run()
    assert not at.exception
    plan = PRESETS["paper"].make()
    after = {name: widget_key(at, name, "study.plan") for name in before}
    assert at.number_input(key=after["seeds"]).value == plan.seeds
    assert tuple(at.multiselect(key=after["models"]).value) == plan.models
    # What a browser reports that has not seen the preset yet comes under the old keys.
    assert not set(before.values()) & set(after.values())


def test_a_study_that_waits_is_started_and_fills_the_page(
    root: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr("pages.study.run.start", started.append)
    create(PLAN, root / "waiting")
    at = open_page(study="waiting")
    assert "Plots appear here with the first pairs" in said(at) and charts(at) == 0
    press(at, "Start")
    assert started == [root / "waiting"]
    shutil.copytree(finished, root / "waiting", dirs_exist_ok=True)
    at.run()
    assert not at.exception and charts(at) == OVERVIEW


@pytest.mark.parametrize(
    ("state", "words", "buttons"),
    [
        ("running", "Interrupted", {"Resume"}),  # nobody runs it any more
        ("cancelled", "Stopped", {"Resume"}),
        ("failed", "the disk is full", {"Resume"}),
    ],
)
def test_a_study_that_ended_early_says_so_and_can_go_on(shelf: Path, state: str, words: str, buttons: set[str]) -> None:
    path = shelf / "small" / "progress.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": state, "error": "the disk is full"}))
    at = open_page(study="small")
    shown = "".join(str(each.proto.text) for each in at.get("progress")) + said(at)
    assert words in shown
    assert buttons <= {button.label for button in at.button} and "Pause" not in {b.label for b in at.button}
    assert charts(at) == OVERVIEW  # what is there can be looked at


def test_a_point_leads_to_its_pictures_and_into_explore(shelf: Path) -> None:
    at = open_page(study="small", tab="distributions", layers="features.26")
    assert "Choose a point in a plot above" in said(at)
    row = open_study(shelf / "small").rows().iloc[0]
    at.session_state["study.pair.of"] = at.session_state["study.folder"]
    at.session_state["study.pair"] = {
        name: row[name] for name in ("model", "image", "method", "layer", "noise", "severity", "seed", "image_set")
    }
    at.run()
    assert not at.exception and not at.error
    assert len(at.image) == 3
    (leads,) = at.get("page_link")
    query = parse_qs(leads.proto.query_string)
    assert query["image"] == [row["image"]] and query["noise"] == [row["noise"]]
    at.session_state["study.pair"] = {**at.session_state["study.pair"], "image": "folder/0123456789ab"}
    at.run()
    assert not at.exception and "its pictures cannot be shown" in said(at)


def test_every_number_is_in_a_table_by_what_the_visitor_chooses(shelf: Path) -> None:
    at = open_page(study="small", tab="table", layers="features.26")
    study = open_study(shelf / "small")
    rows = study.rows()
    rows = rows[rows["layer"] == "features.26"]
    (table,) = at.dataframe
    assert len(table.value) == 4 * 2  # methods × severities
    assert table.proto.placeholder == "not observed"
    at.multiselect(key=widget_key(at, "by", "study")).set_value(["noise"]).run()
    assert not at.exception
    shown = at.dataframe[0].value
    expected = records(rows, ("noise",), coincide=study.coincide)
    assert shown["Pairs"].tolist() == [r["n"] for r in expected]
    for column, name in (
        ("C", "consistency"),
        ("RM", "rm"),
        ("R far", "responsiveness_far"),
        ("C from", "consistency_low"),
    ):
        if column in shown:
            values = [None if pd.isna(v) else v for v in shown[column]]
            wanted = [r[name] for r in expected]
            assert values == [None if w is None else pytest.approx(w, abs=5e-4) for w in wanted]


def test_a_pair_worth_a_look_is_chosen_by_name(shelf: Path) -> None:
    at = open_page(study="small", tab="distributions", layers="features.26")
    choice = at.selectbox(key=widget_key(at, "striking", "study"))
    assert choice.options and choice.value is None
    choice.select_index(0).run()
    assert not at.exception and not at.error
    assert len(at.image) == 3 and at.get("page_link")
    # What the filters leave out is offered no more, and what was chosen stays on screen.
    at.multiselect(key=widget_key(at, "methods", "study")).set_value(["randomcam"]).run()
    assert not at.exception
    assert at.selectbox(key=widget_key(at, "striking", "study")).value is None and len(at.image) == 3


def test_methods_that_cannot_serve_are_marked_with_the_reason(root: Path) -> None:
    at = open_page()
    press(at, "New study")
    at.multiselect(key=widget_key(at, "models", "study.plan")).set_value(["shapes_vit"]).run()
    at.multiselect(key=widget_key(at, "image_sets", "study.plan")).set_value(["shapes"]).run()
    options = at.multiselect(key=widget_key(at, "methods", "study.plan")).options
    marked = [option for option in options if option.endswith("unavailable")]
    assert marked and options[-len(marked) :] == marked
    reasons = "".join(each.value for each in at.markdown)
    assert all(option.split(" · ")[0] in reasons.replace("\\", "") for option in marked)
    # The layers of one model can be named; those that another lacks are not offered, nor kept.
    layer = at.multiselect(key=widget_key(at, "layers", "study.plan")).options[2]
    at.multiselect(key=widget_key(at, "layers", "study.plan")).set_value([layer]).run()
    assert not at.error
    at.multiselect(key=widget_key(at, "models", "study.plan")).set_value(["shapes_vgg"]).run()
    assert layer not in at.multiselect(key=widget_key(at, "layers", "study.plan")).options
    assert "at least one layer" in alerts(at)


def test_a_long_plan_warns_and_one_too_large_for_the_disk_is_not_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10**12]
    cost = Estimate(1_000_000, 500, 9 * 3600.0, 10**9, 2, {})
    monkeypatch.setattr("pages.study.plan.estimate", lambda plan, check: cost)
    monkeypatch.setattr("pages.study.plan._free", lambda: free[0])
    at = open_page()
    press(at, "New study")
    press(at, "Plan")
    while not at.metric:
        time.sleep(0.05)
        at.run()
    start = next(button for button in at.button if button.label == "Start the study")
    assert start.disabled and "about 9.0 h" in alerts(at)
    at.checkbox(key="study.plan.sure").check().run()
    assert not next(button for button in at.button if button.label == "Start the study").disabled
    free[0] = 10**9
    at.run()
    assert next(button for button in at.button if button.label == "Start the study").disabled
    assert "1,000 MB left" in alerts(at)


def test_a_folder_that_is_not_allowed_is_no_image_set(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "allowed").mkdir()
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path / "allowed"))
    at = open_page()
    press(at, "New study")
    for path in ("assets", "../..", str(tmp_path), "/etc"):
        at.text_input(key=widget_key(at, "folder", "study.plan")).set_value(path).run()
        assert not at.exception
        assert re.search("outside the folders|There is no folder|holds no pictures", alerts(at)), path
        assert not any(button.label == "Start the study" for button in at.button)


def test_a_folder_named_like_a_built_in_set_is_the_folder_and_is_described(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, name in (("train", "cat"), ("train", "dog"), ("dev", "cat")):
        place = tmp_path / "photos" / split / name
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(png(len(split), 16, 12))
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path))
    at = open_page()
    press(at, "New study")
    at.text_input(key=widget_key(at, "folder", "study.plan")).set_value("photos").run()
    assert not at.exception and not at.error
    assert "folder/photos: 3 pictures in 2 classes; the folders “dev” and “train” are read as splits" in said(at)
    assert "nearly black" not in said(at)


def test_a_folder_of_nearly_black_files_is_said_before_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scope").mkdir()
    values = np.linspace(0, 4095, 12 * 16).reshape(12, 16).astype(np.uint16)
    (tmp_path / "scope" / "a.png").write_bytes(cv2.imencode(".png", values)[1].tobytes())
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path))
    at = open_page()
    press(at, "New study")
    at.text_input(key=widget_key(at, "folder", "study.plan")).set_value("scope").run()
    assert not at.exception and not at.error
    assert re.search("folder/scope: .*nearly black.* a study reads files as they are, so stretch them first", said(at))


def test_a_strangers_manifest_breaks_nothing(shelf: Path) -> None:
    path = shelf / "small" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest |= {
        "imported": True,
        "settings": {"models": "x", "severities": ["a", None], "seeds": {}, "image_sets": 3},
        "models": {"shapes_vgg": {"layers": "no", "skipped": [1]}, "b": 2},
        "versions": {"camlab": None},
    }
    path.write_text(json.dumps(manifest))
    at = open_page(study="small")
    for tab in ("about", "overview", "pictures"):
        at.segmented_control(key=widget_key(at, "tab", "study")).set_value(tab).run()
        assert not at.exception and not at.error, tab


def test_two_studies_of_one_name_are_told_apart(shelf: Path, finished: Path) -> None:
    shutil.copytree(finished, shelf / "other")
    path = shelf / "other" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "created": manifest["created"] - 86400}))
    at = open_page(study="small")
    options = at.selectbox(key=widget_key(at, "folder", "study")).options
    assert len(set(options)) == 2 and all(option.startswith("Small, ") for option in options)


def test_whoever_comes_back_from_explore_finds_the_study_as_it_was_left(
    shelf: Path, finished: Path, still: ExitStack
) -> None:
    shutil.copytree(finished, shelf / "other")
    at = open_app(draws="1", model="shapes_vgg", image="shapes/0-0")
    at.query_params.clear()
    link = {"study": "other", "tab": "table", "noises": "brightness", "outcome": "kept", "similarity": "rbo_cells"}
    for name, value in link.items():
        at.query_params[name] = value
    at.switch_page(STUDY).run()
    assert not at.exception
    left = dict(at.query_params)
    shown = next(each.value for each in at.html if 'class="cl-paper' in each.value)
    at.query_params.clear()
    at.switch_page(EXPLORE).run()
    assert not at.exception
    at.query_params.clear()
    at.switch_page(STUDY).run()
    assert not at.exception and not at.warning
    assert dict(at.query_params) == left
    assert shown in {each.value for each in at.html}


@pytest.mark.parametrize(
    ("tab", "name", "widget", "kind", "value", "text"),
    [
        ("overview", "value", "study.value.overview", "segmented_control", "auroc", "auroc"),
        ("overview", "over", "study.over.overview", "segmented_control", "stratified_", "stratified_"),
        ("distributions", "plot", "study.shape", "segmented_control", "ECDF", "ECDF"),
        ("distributions", "each", "study.spread", "selectbox", "noise", "noise"),
        ("severity", "value", "study.value.severity", "segmented_control", "gap", "gap"),
        ("pictures", "property", "study.property", "selectbox", "sharpness", "sharpness"),
        ("table", "rows", "study.by", "multiselect", ["noise", "model"], "noise,model"),
        ("table", "rows", "study.by", "multiselect", [], "none"),
        ("statistics", "response", "study.response", "segmented_control", "flipped", "flipped"),
        ("statistics", "question", "study.test", "selectbox", "severity_page", "severity_page"),
    ],
)
def test_a_choice_within_a_tab_is_in_the_link_and_comes_back(
    shelf: Path, tab: str, name: str, widget: str, kind: str, value: str | list[str], text: str
) -> None:
    at = open_page(study="small", tab=tab)
    assert name not in at.query_params, "the usual one needs no word"
    getattr(at, kind)(key=widget).set_value(value).run()
    assert not at.exception
    assert at.query_params[name] in (text, [text])
    again = open_page(study="small", tab=tab, **{name: text})
    assert getattr(again, kind)(key=widget).value == value
    assert again.query_params[name] in (text, [text]) and "The link" not in alerts(again)
    # It stays while other tabs are looked at, and the link of those says nothing of it.
    again.segmented_control(key=widget_key(again, "tab", "study")).set_value("about").run()
    assert name not in again.query_params
    again.segmented_control(key=widget_key(again, "tab", "study")).set_value(tab).run()
    assert getattr(again, kind)(key=widget).value == value


def test_a_choice_within_a_tab_that_there_is_not_is_said(shelf: Path) -> None:
    at = open_page(study="small", tab="table", value="charm", rows="noise,colour")
    at.run()
    assert at.segmented_control(key="study.value.table").value == "rm"
    assert at.multiselect(key=widget_key(at, "by", "study")).value == ["method", "severity"]
    for word in ("value 'charm'", "rows 'colour'"):
        assert word in alerts(at)


def test_names_of_choices_and_of_filters_in_the_link_differ() -> None:
    filtering = Filters(models=("a",), sets=("a",), methods=("a",), layers=("a",), noises=("a",), severities=(1.0,))
    assert not {*filtering.to_query(), "outcome", "same", "study", "tab", "similarity"} & set(TAB_CHOICES)


def test_the_chosen_pair_is_in_the_link_and_comes_back(shelf: Path) -> None:
    at = open_page(study="small", tab="distributions")
    striking = at.selectbox(key=widget_key(at, "striking", "study"))
    assert "pair" not in at.query_params
    striking.select_index(0).run()
    assert not at.exception
    (text,) = at.query_params["pair"] if isinstance(at.query_params["pair"], list) else [at.query_params["pair"]]
    point = at.session_state["study.pair"]
    assert json.loads(text) == list(point.values())
    again = open_page(study="small", tab="distributions", pair=text)
    assert again.session_state["study.pair"] == point
    assert any("Open in Explore" in str(each.proto) for each in again.get("page_link"))
    # Other tabs have no pair, and neither has another study.
    again.segmented_control(key=widget_key(again, "tab", "study")).set_value("table").run()
    assert "pair" not in again.query_params


def test_a_pair_that_there_is_not_is_said(shelf: Path) -> None:
    for text in ("[]", "no json", '["a","b","c","d","e",1,2,"f"]', "{}", "3"):
        at = open_page(study="small", tab="distributions", pair=text)
        at.run()
        assert not at.exception and "The link's pair is not among those shown" in alerts(at)
        assert at.session_state["study.pair"] is None and "pair" not in at.query_params
