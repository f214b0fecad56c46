"""Files of a pair: the archive and the figure hold what the page shows, the same each time."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camlab.engine.engine import Engine
from camlab.explore.output.files import maps_npz, panels_png
from camlab.explore.output.panels import draw_change, draw_panel, shown_verdict
from camlab.explore.output.record import settings
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from tests.explore.output.conftest import STATE


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
