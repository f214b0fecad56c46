"""The quiz: questions from a seed, marks, and the exact chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from camlab.lessons import LESSONS
from camlab.lessons.quiz import Quiz, by_chance
from camlab.lessons.settings import QUESTIONS
from tests.lessons.material import finished, setting


@pytest.mark.parametrize("right", range(QUESTIONS + 1))
def test_chance_is_the_exact_binomial_tail(right: int) -> None:
    assert by_chance(right, QUESTIONS) == pytest.approx(binom.sf(right - 1, QUESTIONS, 0.5))


def test_one_seed_makes_one_quiz_and_another_seed_another() -> None:
    run = finished("quiz")
    assert isinstance(run, Quiz)
    assert len(run.items) == QUESTIONS
    assert {item.kind for item in run.items} == {"noisy", "flipped"}
    assert len({item.text.split(":")[0] for item in run.items}) > 4  # several pictures
    for item in run.items:
        assert not np.array_equal(item.a[1], item.b[1])
    again = LESSONS["quiz"].begin(setting("quiz"))
    other = LESSONS["quiz"].begin(setting("quiz", seed=1))
    assert isinstance(again, Quiz) and isinstance(other, Quiz)
    for each in (again, other):
        each.job.step()
    assert again.items[0].because == run.items[0].because
    assert np.array_equal(again.items[0].a[1], run.items[0].a[1])
    assert other.items[0].because != run.items[0].because


def test_marks_count_what_is_right_of_what_is_answered() -> None:
    run = finished("quiz")
    assert isinstance(run, Quiz)
    key = "".join(item.right for item in run.items)
    wrong = key.translate(str.maketrans("ab", "ba"))
    assert (run.mark(key).right, run.mark(wrong).right, run.mark("").answered) == (QUESTIONS, 0, 0)
    assert run.mark(key[:3]).right == run.mark(key[:3]).answered == 3
    assert run.mark(key).chance == pytest.approx(2.0**-QUESTIONS)
    assert f"{QUESTIONS} of {QUESTIONS} right" in run.mark(key).sentence
