"""What is said about a pair: labels of any kind stay text, and each piece says what it should."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from camlab.explore.output import pair_html
from camlab.explore.results import Decomposition, Floors
from camlab.explore.state import ExploreState
from camlab.explore.sweep import ticks
from camlab.images import find_picture, picture_from_bytes
from tests.material import png

NASTY = ("<img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "</p><script>alert(1)</script>", "a & b")


def scene(label: str, **changes: Any) -> Any:
    """As much of a scene as the pieces read, with one class of that name."""
    return SimpleNamespace(
        state=ExploreState(**changes),
        classifier=SimpleNamespace(class_names=[label]),
        picture=SimpleNamespace(label=label, label_index=None),
        random_floor=0.19,
    )


def row(**changes: Any) -> dict[str, Any]:
    pair = {
        "clean_index": 0,
        "perturbed_index": 0,
        "clean_prob": 0.9,
        "perturbed_prob": 0.5,
        "similarity": 0.25,
    }
    return pair | {"flipped": False, "near": False, "degenerate": False} | changes


@pytest.mark.parametrize("label", NASTY)
def test_no_label_becomes_more_than_text(label: str) -> None:
    explained: Any = SimpleNamespace(top=lambda k: [(0, 0.5)], target=0, index=0)
    for html in (
        pair_html.title(label),
        pair_html.headline(scene(label), row()),
        pair_html.predictions(scene(label), explained),
    ):
        assert "<img" not in html and "<script" not in html and '" onmouseover' not in html
        assert "&" in html


def test_the_headline_says_verdict_similarity_and_measure() -> None:
    html = pair_html.headline(scene("cat", similarity="spearman"), row())
    assert "kept: cat" in html and "<b>0.25</b>" in html and "as (1 + v) / 2" in html
    assert "<b>not observed</b>" in pair_html.headline(scene("cat"), row(degenerate=True))
    assert "(1 + v)" not in pair_html.headline(scene("cat"), row())
    assert "(RBO) · chance 0.19<" in pair_html.headline(scene("cat"), row())
    without = scene("cat")
    without.random_floor = None
    assert "chance" not in pair_html.headline(without, row()), "a measure without a formula for it"


def test_what_moved_the_map_says_that_one_class_changes_nothing() -> None:
    parts = Decomposition(1.0, 0.4, None)
    assert "same class, nothing to change" in pair_html.moved_by(parts, False, None)
    flipped = pair_html.moved_by(parts, True, Floors(None, 0.3, 24))
    assert "clean picture, new class" in flipped and "not observed" in flipped and "left:30.00%" in flipped
    assert "cl-tick" not in pair_html.moved_by(parts, True, Floors(0.2, None, 0))


@pytest.mark.parametrize(("of", "expected"), [("similarity", [0.2, 0.3]), ("difference", [0.8, 0.7])])
def test_floors_are_ticks_on_either_scale(of: str, expected: list[float]) -> None:
    sweep: Any = SimpleNamespace(floors=Floors(0.2, 0.3, 24), scene=SimpleNamespace(random_floor=0.1))
    assert list(ticks(sweep, of).values()) == pytest.approx(expected)
    sweep.floors = None
    assert list(ticks(sweep, "similarity").items()) == [("random ranking", 0.1)]


@pytest.mark.parametrize(
    ("label", "index", "said"),
    [("cat", 0, "right"), ("cat", 1, "wrong"), ("emu", 0, "not a class of this model"), (None, 0, "")],
)
def test_predictions_say_what_the_label_says(label: str | None, index: int, said: str) -> None:
    explained: Any = SimpleNamespace(top=lambda k: [(index, 0.5)], target=index, index=index)
    shown = scene("cat")
    shown.classifier.class_names.append("dog")
    shown.picture.label = label
    html = pair_html.predictions(shown, explained)
    assert html.startswith("<ol") and ("cl-truth" in html) == bool(said) and said in html


def test_a_visitors_own_picture_has_no_author_to_name() -> None:
    own = picture_from_bytes(png(1), "holiday.png")
    assert "Your own picture · uploaded file" in pair_html.credit(own) and "not stated" not in pair_html.credit(own)
    bison = find_picture("photos/bison")
    assert bison.author in pair_html.credit(bison) and bison.licence in pair_html.credit(bison)
