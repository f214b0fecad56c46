"""The panels of a pair and the phrases beside them."""

from __future__ import annotations

import dataclasses

import numpy as np

from camlab.common.wording import percent
from camlab.drawing.pictures import VIEWS, draw_difference
from camlab.engine.engine import Engine
from camlab.explore.output.panels import MARKED, draw_change, draw_panel, perturbed_title, shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.images import Picture
from tests.explore.output.conftest import STATE


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
