"""A lesson's choices in a link."""

from __future__ import annotations

import dataclasses

import pytest

from camlab.lessons import LessonState, parse_link, to_link

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
