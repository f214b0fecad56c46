"""A pair as plain data: settings, results and versions in strict JSON that can be read back."""

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
from camlab.engine.engine import Engine
from camlab.explore.output.panels import shown_verdict
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
from tests.explore.output.conftest import STATE


def strict(value: Any) -> Any:
    """Through a file that any JSON reader takes."""
    return json.loads(json.dumps(value, allow_nan=False), parse_constant=pytest.fail)


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


def test_prediction_is_plain_data(scene: Scene, shown: Shown) -> None:
    found = prediction(scene, shown.clean)
    assert found == {"index": 347, "label": "bison", "prob": shown.clean.probability}
    assert type(found["prob"]) is float and type(found["index"]) is int
