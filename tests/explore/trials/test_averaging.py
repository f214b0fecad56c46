"""Averaging as a remedy, against scenes that average; its chart and its words."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.explore.charts.trials import averaging_chart
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.trials.averaging import Averaged, Remedy, sentence
from camlab.images import find_picture
from camlab.models.classifier import Classifier


def test_each_number_of_copies_has_the_similarity_of_a_scene_that_averages(lite0: Classifier) -> None:
    engine = Engine(lite0, queue=DeviceQueue())
    picture = find_picture("photos/german_shepherd")
    state = ExploreState(draws=1, method="eigencam", similarity="ssim")
    scene = Scene(engine, picture, state)
    remedy = Remedy(scene, 2.0, 5, 0.2, (4, 0, 2))
    assert remedy.copies == (0, 2, 4) and remedy.job.total == 2 * (1 + 2 + 4)
    while remedy.job.running:
        remedy.job.step()
    assert remedy.job.error is None and remedy.job.done == remedy.job.total
    plain = scene.clean().maps["eigencam"]
    for each, copies in zip(remedy.found, (0, 2, 4), strict=True):
        other = Scene(Engine(lite0, queue=DeviceQueue()), picture, dataclasses.replace(state, copies=copies, sigma=0.2))
        assert each.copies == copies
        assert each.similarity == pytest.approx(other.rows([(2.0, 5)])[0]["similarity"], abs=1e-5)
        one, two = (upsampled(m) for m in (plain, other.clean().maps["eigencam"]))
        assert each.kept == pytest.approx(np.corrcoef(one, two)[0, 1], abs=1e-4)
    assert remedy.found[0].kept == pytest.approx(1)
    assert remedy.found[2].kept is not None and remedy.found[2].kept < 1


def upsampled(map_: np.ndarray) -> np.ndarray:
    import torch

    small = torch.from_numpy(map_.copy())[None, None].double()
    return torch.nn.functional.interpolate(small, (224, 224), mode="bilinear").numpy().ravel()


def test_a_cancelled_comparison_keeps_what_it_has(lite0: Classifier) -> None:
    scene = Scene(Engine(lite0, queue=DeviceQueue()), find_picture("photos/bison"), ExploreState(draws=1))
    remedy = Remedy(scene, 1.0, 0, 0.15)
    for _ in range(2):
        remedy.job.step()
    remedy.job.cancel()
    remedy.job.step()
    assert [each.copies for each in remedy.found] == [0] and not remedy.job.running


FOUND = (Averaged(0, 0.5, 1.0), Averaged(1, None, -0.2), Averaged(4, 0.625, 0.9), Averaged(16, 0.75, 0.8))


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (
            FOUND,
            "Averaging 16 noisy copies raises the similarity of the two maps: 0.50 without, 0.75 with it.",
        ),
        ((Averaged(0, 0.5, 1.0), Averaged(1, 0.25, 1.0)), "Averaging 1 noisy copy lowers"),
        ((Averaged(0, 0.5, 1.0), Averaged(4, 0.51, 1.0)), "hardly changes"),
    ],
)
def test_the_sentence_says_which_way_it_went(found: tuple[Averaged, ...], word: str) -> None:
    assert word in sentence(found)


@pytest.mark.parametrize("found", [(), FOUND[:1], FOUND[:2], (Averaged(0, None, None), Averaged(4, 0.5, None))])
def test_nothing_is_said_where_there_is_nothing_to_compare(found: tuple[Averaged, ...]) -> None:
    assert sentence(found) == ""


def test_the_chart_shows_what_was_found_and_says_it() -> None:
    chart = averaging_chart(FOUND, copies=(0, 1, 4, 16), similarity_title="<RBO>")
    pair, itself = chart.figure.data
    assert list(pair.x) == [0, 2, 3] and list(pair.y) == [
        0.5,
        0.625,
        0.75,
    ]  # what is not observed has no point
    assert list(itself.x) == [0, 1, 2, 3] and list(itself.y) == [1.0, 0.0, 0.9, 0.8]
    assert "-0.20" in itself.hovertext[1] and "1 noisy copy" in itself.hovertext[1]
    assert "no noisy copies" in itself.hovertext[0]
    assert (pair.line.dash, pair.marker.symbol) != (itself.line.dash, itself.marker.symbol)
    assert list(chart.figure.layout.xaxis.ticktext) == ["none", "1", "4", "16"]
    assert "&lt;RBO&gt;" in chart.figure.layout.yaxis.title.text
    assert "none: 0.50; 1: not observed; 4: 0.62; 16: 0.75" in chart.alt or "4: 0.63" in chart.alt
    assert "raises" in chart.alt
    assert all(math.isfinite(v) for trace in chart.figure.data for v in trace.y)
    empty = averaging_chart((), copies=(0, 1), similarity_title="RBO")
    assert not empty.figure.data and "Nothing has been averaged" in empty.alt
