"""A report: one file, nothing from outside, every text escaped, the caveats that apply."""

from __future__ import annotations

import dataclasses
import json
import re

import pandas as pd
import pytest

from camlab.cli import main
from camlab.common.errors import BadSetting, BadStudy
from camlab.drawing.charts.look import Chart
from camlab.drawing.report import html as page
from camlab.drawing.report.html import SECTIONS, report_html
from camlab.drawing.report.material import Credit, Material, Plot, Table
from camlab.engine.shared import engine_for
from camlab.explore.compare.report import ReportPair, pairs_material
from camlab.explore.output.report import measured_sweep, scene_material
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState, to_json
from camlab.explore.sweep import Sweep
from camlab.images import find_picture
from camlab.study.analysis.filters import Filters
from camlab.study.report import study_material
from camlab.study.store import Study

STATE = ExploreState(model="shapes_resnet", image="shapes/0-1", severity=2.0, draws=5)


@pytest.fixture(scope="module")
def told() -> tuple[Scene, Shown, Sweep]:
    scene = Scene(engine_for(STATE.model), find_picture(STATE.image), STATE)
    return scene, scene.shown(STATE.severity, STATE.shown_seed), measured_sweep(scene)


def test_a_report_of_a_pair_holds_every_section(told: tuple[Scene, Shown, Sweep]) -> None:
    scene, shown, sweep = told
    material = scene_material(scene, shown, sweep)
    text = report_html(material)
    assert len(text.encode()) < page.LIMIT
    filled = set(re.findall(r'<section id="(\w+)">', text))
    assert filled == set(SECTIONS) - {"tests"}
    score = sweep.scores(2.0).severity
    said = " ".join(material.summary)
    assert f"{shown.row['similarity']:.2f}" in said and f"Of {score.n} noise draws" in said
    assert len(re.findall(r"<img src=\"data:image/jpeg", text)) == 3
    assert len(re.findall(r"data-plot=\"plot\d\"", text)) == 3
    assert scene.classifier.fingerprint[:16] in text and "CC0" in text and "torch" in material.versions
    # The command is one that the command line takes.
    assert main.command_parser().parse_args(material.reproduce[0].split()[1:]).method == ["gradcam"]


def test_nothing_is_asked_of_anybody(told: tuple[Scene, Shown, Sweep]) -> None:
    text = report_html(scene_material(*told))
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', own) and "@import" not in own
    assert "default-src 'none'" in own and "img-src data: blob:; font-src data:" in own


def test_every_text_is_escaped_and_no_data_ends_a_script(told: tuple[Scene, Shown, Sweep]) -> None:
    bad = '</script><img src=x onerror="alert(1)">'
    figure = dataclasses.replace(Plot(bad, Chart(scene_material(*told).plots[0].chart.figure, bad), "severity_curve"))
    figure.chart.figure.update_layout(title_text=bad)
    material = Material(
        bad, bad, [bad], [bad], {bad: bad}, plots=[figure], tables=[Table(bad, [bad], [[bad, bad]], bad)],
        tests=[(bad, [bad])], versions={bad: bad}, reproduce=[bad], link=bad, credits=[Credit(bad, bad, bad, bad)],
    )  # fmt: skip
    text = report_html(material)
    assert "<img" not in text.replace(page._plotly(), "") and text.count("&lt;/script&gt;") > 12
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)
    assert data and json.loads(data[1])["layout"]["title"]["text"] == bad


def test_the_caveats_are_those_that_apply(told: tuple[Scene, Shown, Sweep]) -> None:
    scene, shown, sweep = told
    whole = " ".join(scene_material(scene, shown, sweep).caveats)
    assert "5 noise draws" in whole and "Chance level" in whole and "were not measured yet" not in whole
    assert "one map" in whole  # Grad-CAM = HiResCAM … at the pooled layer
    begun = Sweep(scene, 2.0)
    begun.add(shown.row)
    part = " ".join(scene_material(scene, shown, begun).caveats)
    assert "were not measured yet" in part and "was not measured" in part
    still = dataclasses.replace(STATE, noise="gaussian_blur")
    blurred = Scene(scene.engine, scene.picture, still)
    only = Sweep(blurred, 2.0)
    pair = blurred.shown(2.0, 0)
    only.add(pair.row)
    assert "is not random" in " ".join(scene_material(blurred, pair, only).caveats)
    dull = dataclasses.replace(shown, row=shown.row | {"degenerate": True, "similarity": float("nan")})
    assert "degenerate" in " ".join(scene_material(scene, dull, sweep).caveats)


def test_a_tray_of_cells(told: tuple[Scene, Shown, Sweep]) -> None:
    scene, shown, _ = told
    other = Scene(scene.engine, scene.picture, dataclasses.replace(STATE, method="eigencam"))
    cells = [ReportPair(scene, shown), ReportPair(other, other.shown(2.0, 0), "mine & yours")]
    text = report_html(pairs_material(cells, summary=["What the page says."]))
    assert "mine &amp; yours" in text and "What the page says." in text
    assert text.count('src="data:image/jpeg') == 6
    assert ("Side by side" in text and '"plotly' in text) or "Plotly" in text
    material = pairs_material(cells)
    (plot,) = material.plots
    drawn = [x for trace in plot.chart.figure.data if trace.name in ("kept", "flipped") for x in trace.x]
    assert sorted(drawn) == sorted(cell.shown.row["similarity"] for cell in cells)
    assert f"{cells[1].shown.row['similarity']:.3f}" in text
    with pytest.raises(BadSetting, match="1 to 12 cells, not 0"):
        pairs_material([])


def test_a_report_of_a_study(study: Study) -> None:
    material = study_material(study)
    text = report_html(material)
    assert set(re.findall(r'<section id="(\w+)">', text)) == set(SECTIONS) - {"scores"}
    said = " ".join([*material.summary, *material.caveats])
    assert "3 pictures" in said and "random" in said and "one map" in said and "Chance level" in said
    assert any(lines for title, lines in material.tests if "Which" in title or "methods" in title)
    count = study.count()
    assert f"{len(study_rows_of(study)):,} pairs" in said and count >= len(study_rows_of(study))
    assert all(re.search(r"similarity 0\.\d\d$|similarity 1\.00$", title) for title, _ in material.photos)
    fog = study_material(study, filters=Filters(noises=("saturate",)), pictures=False)
    assert "(filtered)" in fog.subtitle and not fog.photos and material.photos
    with pytest.raises(BadStudy, match="no pair that passes"):
        study_material(study, filters=Filters(noises=("fog",)))


def test_a_studys_table_says_what_was_not_observed(study: Study) -> None:
    material = study_material(study, filters=Filters(noises=("saturate",)), pictures=False)
    assert any("not observed" in row for row in material.tables[1].rows)
    own = re.sub(r"<script>.*?</script>", "", report_html(material), flags=re.S)
    assert ">not observed<" in own and not re.search(r">(None|nan)<", own)


def study_rows_of(study: Study) -> pd.DataFrame:
    from camlab.study.report import study_rows

    return study_rows(study)


def test_too_large_a_report_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIMIT", 2000)
    with pytest.raises(BadSetting, match="filter the study"):
        report_html(Material("x" * 3000))


def test_the_command_writes_a_file_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("out")
    out = folder / "r.html"
    assert main.main(["report", str(study.folder), "--out", str(out), "--no-pictures"]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>") and "MB" in capsys.readouterr().out
    state = folder / "state.json"
    state.write_text(to_json(dataclasses.replace(STATE, draws=1)), encoding="utf-8")
    assert main.main(["report", str(state), "--out", str(out)]) == 0
    assert "Grad-CAM on" in out.read_text(encoding="utf-8")
    capsys.readouterr()
    before = out.read_bytes()
    own = folder / "own.json"
    own.write_text(to_json(STATE).replace("shapes/0-1", "upload/0123456789ab"), encoding="utf-8")
    broken = folder / "broken.json"
    broken.write_text("{", encoding="utf-8")
    strange = folder / "strange.json"
    strange.write_text(to_json(STATE).replace('"gradcam"', '"nocam"'), encoding="utf-8")
    for source, target, words in (
        (own, out, "uploaded picture"),
        (broken, out, "not readable JSON"),
        (strange, out, "nocam"),
        (folder / "none.json", out, "no study and no state file"),
        (folder, out, "is not a study"),
        (state, folder, "is a folder"),
        (state, folder / "no" / "r.html", "There is no folder"),
    ):
        assert main.main(["report", str(source), "--out", str(target)]) == main.BAD_INPUT
        assert words in capsys.readouterr().err
    assert out.read_bytes() == before and not list(folder.glob("*.part"))
