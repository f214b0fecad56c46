"""Lessons on a small network and a generated scene, each run once for all tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from camlab.engine.shared import engine_for
from camlab.images import find_picture
from camlab.lessons import LESSONS, LessonRun, LessonState, Setting, finish


def setting(lesson: str, **changes: Any) -> Setting:
    values = {"model": "shapes_vgg", "image": "shapes/0-0", **LESSONS[lesson].defaults, **changes}
    state = LessonState(lesson=lesson, **values)
    return Setting(engine_for(state.model), find_picture(state.image), state)


def quick(lesson: str) -> dict[str, int]:
    """The settings that keep a lesson short."""
    return {"steps": 5} if lesson == "attack" else {}


@cache
def finished(lesson: str, **changes: Any) -> LessonRun:
    run = finish(LESSONS[lesson].begin(setting(lesson, **changes)))
    assert run.complete, run.job.error
    return run
