"""A lesson's choices in a link, and RBO taken apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from camlab.common.errors import BadSetting
from camlab.lessons import LessonState, parse_link, to_link
from camlab.lessons.rankings import agreements, build, ranks
from camlab.metrics import random_ranking_floor, rbo

NAMES = tuple(f.name for f in dataclasses.fields(LessonState) if f.name != "lesson")


def test_a_link_gives_the_same_state_back() -> None:
    state = LessonState(
        "measure", "shapes_vit", "shapes/0-3", "eigencam", "fog", 1.25, 7, (0, 12), True, True, 0.7, 4, "kf" * 6,
        2.5, 10, 3, "abba", 2, True, True, True,
    )  # fmt: skip
    base = LessonState("measure")
    link = to_link(state, base, NAMES)
    assert parse_link(link, base) == (state, [])
    assert to_link(base, base, NAMES) == {"lesson": "measure"}
    started = dataclasses.replace(base, run=True)  # off is said where on is the start
    assert parse_link(to_link(base, started, NAMES), started)[0] == base


@pytest.mark.parametrize(
    ("name", "text"),
    [("p", "nan"), ("p", "1"), ("placed", "kf"), ("placed", "x" * 12), ("answers", "abc"), ("off", "a"), ("steps", "0"),
     ("image", "photos/nobody"), ("model", "nothing"), ("run", "maybe"), ("seed", "-1"), ("nonsense", "1")],
)  # fmt: skip
def test_what_a_link_cannot_say_is_told_and_changes_nothing(name: str, text: str) -> None:
    base = LessonState()
    state, problems = parse_link({name: text}, base)
    assert state == base
    assert len(problems) == 1 and name in problems[0]


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_rbo_by_depth_adds_up_to_rbo_with_and_without_ties(p: float) -> None:
    draw = np.random.default_rng(3)
    for x, y in ((draw.random(30), draw.random(30)), (draw.integers(0, 5, 30), draw.integers(0, 5, 30))):
        built = build(x.astype(float), y.astype(float), p)
        assert built.value == pytest.approx(float(rbo(x[None].astype(float), y[None].astype(float), p)[0]))
        assert built.weight.sum() == pytest.approx(1.0) == built.agreement[-1]
        assert built.floor == random_ranking_floor(30, p)
        assert float((built.chance * built.weight).sum()) == pytest.approx(built.floor)


def test_agreement_by_hand() -> None:
    x, y = np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0])  # abc / bac
    assert agreements(x, y).tolist() == [0.0, 1.0, 1.0]
    assert ranks(np.array([1.0, 5.0, 5.0])).tolist() == [3.0, 1.5, 1.5]
    with pytest.raises(BadSetting):
        build(x, y, 1.0)
