"""What a user takes away: archives and files that hold all of it, and nothing that cannot be read back."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import platform
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

import camlab
import camlab.explore.sweep
from camlab.common.wording import percent
from camlab.drawing.pictures import VIEWS, draw_difference
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.output.files import maps_npz, panels_png
from camlab.explore.output.panels import MARKED, draw_change, draw_panel, perturbed_title, shown_verdict
from camlab.explore.output.record import (
    PACKAGES,
    floors_record,
    package_versions,
    prediction,
    record,
    results,
    settings,
)
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState, parse_json, to_json
from camlab.explore.sweep import Sweep
from camlab.images import Picture, picture_from_bytes
from camlab.models.classifier import Classifier

STATE = ExploreState(
    image="photos/bison",
    severity=5.0,
    seed=2,
    draws=3,
    segmentation="slic",
    segments=(("n_segments", 30.0),),
    p=0.85,
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_for("efficientnet_lite0", "cpu")


@pytest.fixture(scope="module")
def scene(engine: Engine, pictures: tuple[Picture, ...]) -> Scene:
    return Scene(engine, pictures[0], STATE)


@pytest.fixture(scope="module")
def shown(scene: Scene) -> Shown:
    return scene.shown(5.0, 2)


@pytest.fixture(scope="module")
def sweep(scene: Scene, shown: Shown) -> Sweep:
    """Some draws, one of them without a similarity, and the floors."""
    sweep = Sweep(scene, 5.0)
    for row in (*scene.rows([(0.0, 0), (5.0, 0), (2.5, 0), (2.5, 1)]), shown.row):
        sweep.add(row)
    lost = scene.rows([(4.0, 1)])[0] | {"degenerate": True, "similarity": math.nan, "rbo": math.nan}
    sweep.add(lost)
    sweep.floors = Floors(0.25, 0.5, 24)
    return sweep


def strict(value: Any) -> Any:
    """Through a file that any JSON reader takes."""
    return json.loads(json.dumps(value, allow_nan=False), parse_constant=pytest.fail)


# numbers for NumPy


def test_the_archive_holds_what_was_shown(scene: Scene, shown: Shown) -> None:
    with np.load(io.BytesIO(maps_npz(scene, shown)), allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    expected = {
        "clean_map": shown.clean.maps["gradcam"],
        "perturbed_map": shown.perturbed.maps["gradcam"],
        "clean_input": shown.clean_input,
        "perturbed_input": shown.perturbed_input,
        "clean_probabilities": shown.clean.probabilities,
        "perturbed_probabilities": shown.perturbed.probabilities,
        "segments": scene.comparison.labels,
    }
    assert set(found) == {*expected, "settings"}
    for name, array in expected.items():
        assert np.array_equal(found[name], array) and found[name].dtype == array.dtype, name
    assert found["clean_map"].dtype == np.float32 and found["clean_map"].shape == (7, 7)
    assert found["clean_input"].shape == (3, 224, 224) and found["segments"].shape == (224, 224)
    assert found["segments"].dtype == np.int32 and found["clean_probabilities"].shape == (1000,)
    assert json.loads(str(found["settings"])) == settings(scene)
    assert not np.array_equal(found["clean_map"], found["perturbed_map"])


def test_the_archive_is_the_same_each_time(scene: Scene, shown: Shown) -> None:
    first, second = (np.load(io.BytesIO(maps_npz(scene, shown)), allow_pickle=False) for _ in range(2))
    assert first.files == second.files
    assert all(np.array_equal(first[name], second[name]) for name in first.files)


# settings, results, versions


def test_settings_spell_out_what_decides_the_pair(
    scene: Scene, lite0: Classifier, pictures: tuple[Picture, ...]
) -> None:
    assert strict(settings(scene)) == {
        "model": "efficientnet_lite0",
        "model_fingerprint": lite0.fingerprint,
        "image": "photos/bison",
        "image_digest": pictures[0].digest,
        "method": "gradcam",
        "layer": "bn2",
        "class_rule": "own",
        "fixed_class": None,
        "noise": "gaussian_noise",
        "severity": 5.0,
        "seed": 2,
        "similarity": "rbo",
        "rbo_p": 0.85,
        "smoothing": {"eigen": False, "augment": False, "noisy": 0, "sigma": 0.15},
        "segmentation": {"name": "slic", "n_segments": 30.0, "compactness": 10.0},
    }


def test_settings_name_the_fixed_class_and_no_seed_that_was_not_used(
    engine: Engine, pictures: tuple[Picture, ...]
) -> None:
    fixed = dataclasses.replace(STATE, rule="fixed", target=281, noise="contrast")
    found = settings(Scene(engine, pictures[0], fixed))
    assert (found["class_rule"], found["fixed_class"], found["seed"]) == ("fixed", 281, 0)


def test_versions_name_what_decides_the_numbers() -> None:
    import torch

    found = package_versions()
    assert found["camlab"] == camlab.__version__
    assert found["python"] == platform.python_version() == sys.version.split()[0]
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]  # what follows names the build
    assert found["numpy"] == np.__version__
    assert {"timm", "scipy", "scikit-image", "pillow", "streamlit", "plotly"} <= set(found)
    assert all(isinstance(text, str) and text for text in found.values())


def test_a_package_that_is_not_there_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camlab.explore.output.record.PACKAGES", (*PACKAGES, "no-package-of-this-name"))
    assert "no-package-of-this-name" not in package_versions() and "torch" in package_versions()


def test_results_are_strict_json_and_hold_everything(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    found = strict(results(scene, shown, sweep))
    assert list(found) == [
        *("settings", "clean", "perturbed", "flipped", "verdict", "degenerate", "similarity"),
        *("what_moved_the_map", "segments", "segments_moved", "localisation", "faithfulness", "averaging"),
        *("floors", "scores", "draws", "draws_complete"),
        "versions",
    ]
    assert found["settings"] == strict(settings(scene)) and found["versions"] == package_versions()
    names = scene.classifier.class_names
    for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
        index = int(np.argmax(explained.probabilities))
        prob = float(explained.probabilities[index])
        assert found[side] == {"index": index, "label": names[index], "prob": prob}
    assert found["clean"]["label"] == "bison" and found["flipped"] is True and found["degenerate"] is False
    assert found["verdict"] == shown_verdict(scene, shown.row)
    assert found["similarity"] == shown.values and found["similarity"]["rbo"] == shown.row["rbo"]
    assert shown.decomposition is not None
    assert found["what_moved_the_map"] == dataclasses.asdict(shown.decomposition)
    assert found["segments"] == scene.comparison.n_segments
    assert found["segments_moved"] == [dataclasses.asdict(move) for move in shown.moves] != []
    assert found["floors"] == {"random_ranking": 0.25, "other_picture": 0.5, "other_pictures": 24}
    assert found["draws_complete"] is False


def test_every_draw_is_in_the_results(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    draws = strict(results(scene, shown, sweep))["draws"]
    keys = [(draw["severity"], draw["seed"]) for draw in draws]
    assert keys == [(0.0, 0), (2.5, 0), (2.5, 1), (4.0, 1), (5.0, 0), (5.0, 2)]
    rows = scene.rows(keys)
    for draw, row in zip(draws, rows, strict=True):
        if draw["severity"] == 4.0:
            assert draw["similarity"] is None and draw["rbo"] is None and draw["degenerate"] is True
        else:
            assert draw == row
        assert type(draw["flipped"]) is bool and type(draw["seed"]) is int
    assert draws[-1] == shown.row


def test_scores_are_those_of_the_shown_severity(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    found = strict(results(scene, shown, sweep))["scores"]
    scores = sweep.scores(5.0)
    assert set(found) == {
        "severity",
        "pooled",
        "stratified",
        "breaks_at",
        "flips_at",
        "threshold_known",
        "complete",
    }
    assert found["severity"]["n"] == 2 and found["pooled"]["n"] == 5
    assert found["pooled"]["n_degenerate"] == 1
    for part in ("severity", "pooled", "stratified"):
        for name in ("consistency", "responsiveness", "rm", "gap", "auroc", "blind"):
            assert found[part][name] == getattr(getattr(scores, part), name)
    assert found["flips_at"] == scores.flips_at


def test_results_before_the_draws_are_there(scene: Scene, shown: Shown) -> None:
    found = strict(results(scene, shown, Sweep(scene, 5.0)))
    assert found["floors"] is None and found["draws"] == [] and found["draws_complete"] is False
    assert found["scores"]["severity"]["consistency"] is None and found["scores"]["severity"]["n"] == 0


def test_results_of_a_picture_that_says_nothing(engine: Engine) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), (128, 128, 128)).save(buffer, "PNG")
    picture = picture_from_bytes(buffer.getvalue(), "<b>grey</b>.png")
    scene = Scene(engine, picture, dataclasses.replace(STATE, image=picture.id, rule="clean"))
    shown = scene.shown(5.0, 2)
    sweep = Sweep(scene, 5.0)
    sweep.add(shown.row)
    found = strict(results(scene, shown, sweep))
    assert found["degenerate"] is True and set(found["similarity"].values()) == {None}
    assert found["what_moved_the_map"] is None and found["draws"][0]["similarity"] is None
    assert found["settings"]["image"] == picture.id


def test_the_saved_file_restores_the_state(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    text = to_json(STATE, results(scene, shown, sweep))
    assert parse_json(text) == (STATE, [])
    assert parse_json(text.encode(), base=ExploreState(layer="blocks.4", target=3)) == (STATE, [])
    again = Scene(scene.engine, scene.picture, parse_json(text)[0])
    assert again.shown(STATE.severity, STATE.shown_seed).row == shown.row
    assert json.loads(text)["results"]["draws"][-1] == shown.row


@dataclasses.dataclass(frozen=True)
class Inner:
    value: Any


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (math.nan, None),
        (np.float64("nan"), None),
        (-math.inf, None),
        ("nan", "nan"),
        ((1, math.nan, (2,)), [1, None, [2]]),
        ({1.5: math.inf, "a": {"b": np.int32(1)}}, {"1.5": None, "a": {"b": 1}}),
        (Inner(Inner((np.float64(1), math.nan))), {"value": {"value": [1.0, None]}}),
        ([], []),
    ],
)
def test_record_is_plain_data(value: Any, plain: Any) -> None:
    found = record(value)
    assert found == plain and type(found) is type(plain)
    assert strict(found) == plain


def test_floors_record() -> None:
    assert floors_record(None) is None
    assert floors_record(Floors(None, None, 0)) == {
        "random_ranking": None,
        "other_picture": None,
        "other_pictures": 0,
    }


# words


def test_the_verdict_names_classes_by_their_first_name(scene: Scene, shown: Shown) -> None:
    row = shown.row
    label = scene.classifier.class_names[row["perturbed_index"]].split(",")[0]
    clean, noisy = percent(row["clean_prob"]), percent(row["perturbed_prob"])
    where = "to another of the clean top 5" if row["near"] else "to a class outside the clean top 5"
    assert shown_verdict(scene, row) == f"flipped: bison {clean} → {label} {noisy} ({where})"
    kept = scene.rows([(0.0, 0)])[0]
    assert shown_verdict(scene, kept) == f"kept: bison {clean} → {clean}"


def test_what_was_done_to_the_picture() -> None:
    assert (
        perturbed_title({"noise": "gaussian_noise", "severity": 3.0, "seed": 4}) == "Gaussian noise, severity 3, seed 4"
    )
    assert perturbed_title({"noise": "contrast", "severity": 2.25, "seed": 0}) == "Contrast, severity 2.25"


def test_prediction_is_plain_data(scene: Scene, shown: Shown) -> None:
    found = prediction(scene, shown.clean)
    assert found == {"index": 347, "label": "bison", "prob": shown.clean.probability}
    assert type(found["prob"]) is float and type(found["index"]) is int


# pictures


def test_panels_are_drawn_as_the_state_says(engine: Engine, pictures: tuple[Picture, ...]) -> None:
    shows = {"colormap": ("overlay", "heat", "segments"), "opacity": ("overlay", "segments")}
    for view in VIEWS:
        state = dataclasses.replace(STATE, view=view, colormap="viridis", opacity=0.3)
        scene = Scene(engine, pictures[0], state)
        shown = scene.shown(5.0, 2)
        drawn = draw_panel(scene, shown.perturbed)
        assert drawn.shape == (448, 448, 3) and drawn.dtype == np.uint8
        other = Scene(engine, pictures[0], dataclasses.replace(state, view="overlay"))
        assert np.array_equal(drawn, draw_panel(other, shown.perturbed, view))
        for change in ({"colormap": "gray"}, {"opacity": 0.9}):
            changed = draw_panel(
                Scene(engine, pictures[0], dataclasses.replace(state, **change)),
                shown.perturbed,
            )
            matters = view in shows[next(iter(change))]
            assert np.array_equal(drawn, changed) != matters, (view, change)


def test_the_change_is_perturbed_minus_clean_with_the_first_moves_numbered(scene: Scene, shown: Shown) -> None:
    delta = shown.perturbed.maps["gradcam"] - shown.clean.maps["gradcam"]
    marks = [(move.segment, number) for move, number in zip(shown.moves, "123", strict=False)]
    assert len(marks) == MARKED == 3
    expected = draw_difference(delta, (224, 224), scene.comparison.labels, marks)
    assert np.array_equal(draw_change(scene, shown), expected)
    assert not np.array_equal(expected, draw_difference(-delta, (224, 224), scene.comparison.labels, marks))


@pytest.fixture(scope="module")
def figure(scene: Scene, shown: Shown) -> bytes:
    return panels_png(scene, shown)


def test_the_figure_shows_what_the_page_shows(
    figure: bytes, scene: Scene, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(io.BytesIO(figure)) as image:
        image.load()
        assert image.format == "PNG" and image.width > 2 * image.height
    told: dict[str, Any] = {}

    def noting(panels: Any, colormap: str, caption: str) -> bytes:
        told.update(panels=panels, colormap=colormap, caption=caption)
        return b""

    monkeypatch.setattr("camlab.explore.output.files.panels_figure", noting)
    panels_png(scene, shown)
    titles = [title for title, _, _ in told["panels"]]
    assert titles == ["Original", "Gaussian noise, severity 5, seed 2", "Difference (perturbed − clean)"]
    drawn = [picture for _, _, picture in told["panels"]]
    assert np.array_equal(drawn[0], draw_panel(scene, shown.clean))
    assert np.array_equal(drawn[1], draw_panel(scene, shown.perturbed))
    assert np.array_equal(drawn[2], draw_change(scene, shown))
    first = told["panels"][0][1].splitlines()
    assert len(first) == 3 and first[0] == f"bison  {shown.clean.probability * 100:.1f} %"
    names = scene.classifier.class_names
    for (_, text, _), explained in zip(told["panels"], (shown.clean, shown.perturbed), strict=False):
        said = [f"{names[i].split(',')[0]}  {p * 100:.1f} %" for i, p in explained.top(3)]
        assert text.splitlines() == said
    assert any("," in names[i] for e in (shown.clean, shown.perturbed) for i, _ in e.top(3)), "there is more to a name"
    assert told["colormap"] == STATE.colormap
    assert shown_verdict(scene, shown.row) in told["caption"]
    assert f"map similarity {shown.row['similarity']:.3f}, Rank-biased overlap (RBO)\n" in told["caption"]
    assert "EfficientNet-Lite0, layer bn2, Grad-CAM" in told["caption"]
    assert f"by {scene.picture.author} ({scene.picture.licence})" in told["caption"]
    lost = dataclasses.replace(shown, row=shown.row | {"degenerate": True, "similarity": math.nan})
    panels_png(scene, lost)
    assert "map similarity not observed" in told["caption"]


def test_a_picture_may_be_called_anything(figure: bytes, engine: Engine, scene: Scene, shown: Shown) -> None:
    title = r"$\frac{ <img src=x onerror=alert(1)> 100 $"
    named = Scene(engine, dataclasses.replace(scene.picture, title=title, author="$x^ & Söhne"), STATE)
    other = panels_png(named, shown)
    assert other.startswith(b"\x89PNG") and other != figure
