"""Measure the lessons and write the results into docs/teaching.md.

    python -m benchmarks.measure_lessons                  # measures all seven with their default picture and settings
    python -m benchmarks.measure_lessons --lesson cam     # measures one of them (may be repeated)
    python -m benchmarks.measure_lessons --check          # writes nothing; fails if the page is stale

Goals, tasks, observations and answers are between marks, as in `benchmarks.make_docs`; the rest is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.make_docs import DOCS
from camlab.common.errors import CamLabError
from camlab.engine.shared import engine_for
from camlab.images import find_picture
from camlab.lessons import LESSONS, LessonState, Setting, Sheet, finish

PAGE = DOCS / "teaching.md"
_MARKS = re.compile(r"(<!-- begin: lesson-(?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def measured(name: str) -> Sheet:
    """Measure a lesson with its default picture and settings. Raises CamLabError if it cannot be measured."""
    state = LessonState(lesson=name, **LESSONS[name].defaults)
    setting = Setting(engine_for(state.model), find_picture(state.image), state)
    run = finish(LESSONS[name].begin(setting))
    if run.job.error:
        raise CamLabError(run.job.error)
    return run.sheet()


def part(name: str, sheet: Sheet) -> str:
    """Return the page's part about a lesson as Markdown."""
    lesson, asked = LESSONS[name], sheet.question
    options = [f"{option} (right)" if i == asked.right else option for i, option in enumerate(asked.options)]
    return "\n".join(
        [
            f"About {lesson.minutes} minutes. Afterwards learners can:",
            "",
            *_bullets(lesson.goals),
            "",
            "What they do:",
            "",
            *(f"{i}. {step}" for i, step in enumerate(lesson.steps, 1)),
            "",
            "What they should observe, as measured:",
            "",
            *_bullets(sheet.observations),
            "",
            f"Question: {asked.text} {' · '.join(options)}.",
            "",
            f"Answer: {asked.because}",
        ]
    ).replace("\u202f", " ")


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def rewritten(page: str, names: Sequence[str], measure: Callable[[str], Sheet] = measured) -> str:
    """Return the page's text with the parts of the named lessons generated again."""
    return _MARKS.sub(
        lambda m: f"{m[1]}{part(m['name'], measure(m['name']))}\n{m[3]}" if m["name"] in names else m[0], page
    )


def update(path: Path, names: Sequence[str], write: bool, measure: Callable[[str], Sheet] = measured) -> bool:
    """Return whether the page was stale; rewrite it if ``write`` is true."""
    page = path.read_text(encoding="utf-8")
    fresh = page
    for name in names:
        fresh = rewritten(fresh, [name], measure)
        if write and fresh != page:  # after each lesson, so that an interruption loses only one
            path.write_text(fresh, encoding="utf-8")
    return fresh != page


def main() -> int:
    """Read the arguments, measure, write or compare; return 1 if --check finds the page stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lesson", action="append", choices=list(LESSONS), help="default: all")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    stale = update(PAGE, given.lesson or list(LESSONS), not given.check)
    print(f"{'stale' if given.check else 'changed'}: docs/teaching.md" if stale else "up to date")
    return int(stale and given.check)


if __name__ == "__main__":
    sys.exit(main())
