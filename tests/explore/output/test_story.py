"""What a story says follows from what was measured."""

from __future__ import annotations

import dataclasses
import re

import pytest

from camlab.drawing.help import LOOKING
from camlab.drawing.slides import STEPS, Slide
from camlab.engine.shared import engine_for
from camlab.explore.output.story import Measured, measure, scene_slides
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.trials.steadiness import OUTCOMES
from camlab.images import find_picture
from camlab.study.store import Study
from camlab.study.story import study_slides


@pytest.fixture(scope="module")
def found() -> Measured:
    state = ExploreState(model="shapes_resnet", image="shapes/0-1", severity=1.0, draws=6)
    return measure(Scene(engine_for(state.model), find_picture(state.image), state))


def text(slide: Slide) -> str:
    return " ".join([slide.headline, *slide.words, *slide.points])


def test_a_story_has_its_five_steps_and_something_to_see(found: Measured) -> None:
    slides = scene_slides(found)
    assert [each.step for each in slides] == list(STEPS)
    assert len(slides[0].images) == len(slides[1].images) == 2 and slides[2].chart and len(slides[3].gauges) == 3
    assert all(image.alt and image.pixels.ndim == 3 for slide in slides for image in slide.images)
    assert all(slide.about in LOOKING for slide in slides if slide.about)
    assert f"{found.shown.row['similarity']:.2f}" in text(slides[1])
    assert (slides[1].images[0].pixels != slides[1].images[1].pixels).any()


def test_the_words_follow_the_outcome(found: Measured) -> None:
    first = found.steady[0]
    said = {}
    for outcome, similarity in (("holds", 0.95), ("moves", 0.3)):
        steady = [dataclasses.replace(e, similarity=similarity, low=similarity - 0.01, high=similarity + 0.01)
                  for e in found.steady]  # fmt: skip
        slides = scene_slides(dataclasses.replace(found, steady=steady))
        said[outcome] = [text(each) for each in slides]
    assert first.outcome == "holds" and "Do not show one heat map as proof" in said["moves"][4]
    assert "This map holds" in said["holds"][4] and re.search(r"All \d+ different maps hold here", said["holds"][2])
    assert re.search(r"None of \d+ different maps holds here", said["moves"][2])
    flipped = dataclasses.replace(found.shown, row=found.shown.row | {"flipped": True})
    assert "whether the prediction holds" in text(scene_slides(dataclasses.replace(found, shown=flipped))[4])
    unseen = [dataclasses.replace(e, similarity=None, kept=0, measured=0) for e in found.steady]
    assert "nothing to compare" in text(scene_slides(dataclasses.replace(found, steady=unseen))[2])
    assert set(OUTCOMES) == {"moves", "holds", "unsure", "unseen"}


def test_a_study_tells_its_worst_pair_and_then_the_rule(study: Study) -> None:
    slides = study_slides(study)
    assert [each.step for each in slides] == list(STEPS)
    rows = study.rows(["rbo", "flipped", "method", "degenerate"])
    assert len(slides[1].images) == 2 and slides[2].chart and slides[3].chart
    worst = rows[~rows["flipped"] & ~rows["degenerate"] & (rows["method"] != "randomcam")]["rbo"].min()
    assert f"{worst:.2f}" in text(slides[1])
    assert "3 pictures" in text(slides[2]) and f"{len(rows):,}"[:1] in text(slides[2])
    assert slides[4].points
