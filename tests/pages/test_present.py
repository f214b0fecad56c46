"""The Present page without a browser: steps, sources, links, films, reports, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from camlab.drawing.slides import STEPS
from camlab.explore.output.presets import stories
from camlab.explore.state import ExploreState, to_query
from camlab.study.store import Study
from pages.present.state import page
from pages.shared import session
from pages.shared.navigation import PRESENT
from tests.pages.conftest import alerts, downloads, html, open_app, open_at, wait_for, widget_key
from tests.study.conftest import study as study

LIGHT = to_query(ExploreState(model="shapes_resnet", image="shapes/0-1", severity=1.0, draws=5))


def open_present(**query: str) -> AppTest:
    return open_at(PRESENT, query)


def address(at: AppTest) -> dict[str, str]:
    """The link; the harness gives a list where the test has set it, and text where the page has."""
    return {n: v if isinstance(v, str) else v[0] for n, v in at.query_params.items()}


def headline(at: AppTest) -> str:
    return html(at).split('<section class="cl-slide"><h2>')[1].split("</h2>")[0]


def test_a_story_goes_on_and_back_and_its_link_restores_it() -> None:
    at = open_present(story="explore", **LIGHT)
    seen = [headline(at)]
    assert at.button(key="story_back").disabled and "Step 1 of 5" in html(at)
    for step in range(2, len(STEPS) + 1):
        at.button(key="story_next").click().run()
        assert not at.exception
        seen.append(headline(at))
        assert address(at)["step"] == str(step)
    assert len(set(seen)) == len(STEPS) and at.button(key="story_next").disabled
    at.button(key="story_back").click().run()
    assert headline(at) == seen[3]
    query = address(at)
    assert query["model"] == "shapes_resnet" and query["image"] == "shapes/0-1"
    assert headline(open_present(**query)) == seen[3]


def test_the_first_preset_is_told_without_a_link() -> None:
    at = open_present()
    first = next(iter(stories().values()))
    assert address(at)["story"] == first.name
    assert at.selectbox(key=widget_key(at, "story", "present")).value == first.name


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"story": "no-such-story"}, "There is no story called"),
        ({"mode": "opera"}, "is unknown; the story is shown"),
        ({"step": "9"}, "starts at the first"),
        ({"story": "study:none"}, "There is no study “none” on this machine"),
        ({"story": "explore", "noise": "gravel"}, "gravel"),
        ({"story": "explore", "image": "upload/0123456789ab"}, "upload"),
    ],
)
def test_a_link_that_cannot_be_followed_says_so(query: dict[str, str], words: str) -> None:
    at = open_present(**query)
    assert words in alerts(at)
    assert at.selectbox(key=widget_key(at, "story", "present")).value


def test_a_study_is_told_and_has_nothing_to_play(study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMLAB_STUDIES_DIR", str(study.folder.parent))
    name = f"study:{study.folder.name}"
    at = open_present(story=name, step="3")
    assert "3 pictures" in headline(at) and not alerts(at)
    at = open_present(story=name, mode="autoplay")
    assert any("Autoplay needs one picture" in each.value for each in at.info)
    at = open_present(story=name, mode="report")
    at.button(key="report.start").click().run()
    wait_for(at, lambda at: any("Download the report" in label for label in downloads(at)))


def test_a_report_is_made_in_the_background() -> None:
    at = open_present(story="explore", mode="report", **{**LIGHT, "draws": "1"})
    at.button(key="report.start").click().run()
    wait_for(at, lambda at: any("Download the report" in label for label in downloads(at)))
    assert not alerts(at)


def test_autoplay_shows_panels_gauges_and_offers_films() -> None:
    at = open_present(story="explore", mode="autoplay", **{**LIGHT, "draws": "1"})
    assert html(at).count("cl-gauge") >= 3 and not alerts(at)
    labels = [each.label for each in at.button]
    assert "Make a GIF" in labels and "Make an MP4" in labels
    at.button(key="film.gif.start").click().run()
    wait_for(at, lambda at: any("Download the GIF" in label for label in downloads(at)))


def test_what_explore_shows_is_told() -> None:
    at = open_app(**LIGHT)
    at.switch_page(PRESENT).run()
    at.selectbox(key=widget_key(at, "story", "present")).select("explore").run()
    assert not at.exception and address(at)["image"] == "shapes/0-1"
    assert session.key("image") == "explore.image"


def test_moves_of_the_keys_are_made_once_each_and_stay_within_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    assert page.take_moves({"source": "a", "count": 3, "last": [1, 1, -1]}) and page.chosen("step") == 2
    assert not page.take_moves({"source": "a", "count": 3, "last": [1, 1, -1]}) and page.chosen("step") == 2
    assert page.take_moves({"source": "a", "count": 4, "last": [1, 1, -1, 1]}) and page.chosen("step") == 3
    assert page.take_moves({"source": "b", "count": 9, "last": [1] * 9}) and page.chosen("step") == len(STEPS)
    for report in (None, 7, {}, {"source": 1, "count": 1, "last": [1]}, {"source": "b", "count": "10", "last": [1]}):
        assert not page.take_moves(report)
    assert page.take_moves({"source": "b", "count": 10, "last": ["x"]}) and page.chosen("step") == len(STEPS)
