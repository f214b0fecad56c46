"""Every choice of the Learn page as one value that fits a link."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from camlab.common.errors import BadSetting, CamLabError
from camlab.common.parsing import flag
from camlab.explore.state import field_text, parse_field

PAIRS = 12  # pairs that are sorted by hand in the lesson on measuring
QUESTIONS = 8  # of the quiz
MOST_STEPS = 200  # of the attack


@dataclass(frozen=True)
class LessonState:
    """What is on screen: the lesson, its picture and settings, what the learner did, and the teacher's choices.

    off: channels switched off, by their place among the strongest; placed: a letter a pair, k(ept) or f(lipped),
    empty: as measured; answers: a letter a question of the quiz, a or b; answer: the option chosen in the lesson's
    question; layers: how many layers are random; run: the measurement was started; hide: without answers; fixed:
    settings are the teacher's.
    """

    lesson: str = "cam"
    model: str = "efficientnet_lite0"
    image: str = "photos/german_shepherd"
    method: str = "gradcam"
    noise: str = "gaussian_noise"
    severity: float = 3.0
    seed: int = 0
    off: tuple[int, ...] = ()
    smooth: bool = False
    before: bool = False
    p: float = 0.9
    depth: int = 10
    placed: str = ""
    epsilon: float = 4.0
    steps: int = 30
    layers: int = 1
    answers: str = ""
    answer: int | None = None
    run: bool = False
    hide: bool = False
    fixed: bool = False


#: Choices that belong to every lesson.
COMMON = ("model", "image", "answer", "run", "hide", "fixed")


def _number(low: float, high: float, kind: type = int) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise BadSetting(f"{text[:30]!r} is not a number from {low:g} to {high:g}.") from None
        if not low <= value <= high:
            raise BadSetting(f"{text[:30]} is outside {low:g} to {high:g}.")
        return value

    return parse


def _letters(allowed: str, most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(f"[{allowed}]{{0,{most}}}", text):
            raise BadSetting(f"{text[:30]!r} is not made of up to {most} letters {' or '.join(allowed)}.")
        return text

    return parse


def _places(text: str) -> tuple[int, ...]:
    found = [_number(0, 99)(part) for part in filter(None, text.split(","))]
    return tuple(sorted(set(found)))


def _all_or_none(text: str) -> str:
    placed = _letters("kf", PAIRS)(text)
    if placed and len(placed) != PAIRS:
        raise BadSetting(f"{text[:30]!r} does not place all {PAIRS} pairs.")
    return placed


def _shared(name: str) -> Callable[[str], Any]:
    return lambda text: parse_field(name, text)


#: How a choice's text becomes its value; those that the Explore page has too are read as there.
_PARSERS: dict[str, Callable[[str], Any]] = {
    **{name: _shared(name) for name in ("model", "image", "method", "noise", "severity", "seed")},
    "p": _number(0.5, 0.98, float),
    "off": _places,
    "smooth": flag,
    "before": flag,
    "depth": _number(1, 999),
    "placed": _all_or_none,
    "epsilon": _number(0.5, 16, float),
    "steps": _number(5, MOST_STEPS),
    "layers": _number(0, 99),
    "answers": _letters("ab", QUESTIONS),
    "answer": _number(0, 9),
    "run": flag,
    "hide": flag,
    "fixed": flag,
}


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else field_text(value)


def to_link(state: LessonState, base: LessonState, names: tuple[str, ...]) -> dict[str, str]:
    """Link parameters for the choices named that differ from ``base``, and the lesson itself."""
    changed = {n: getattr(state, n) for n in names if getattr(state, n) != getattr(base, n)}
    return {"lesson": state.lesson, **{n: _as_text(v) or "0" for n, v in changed.items()}}


def parse_link(link: Mapping[str, str], base: LessonState) -> tuple[LessonState, list[str]]:
    """The state that link parameters describe on top of ``base``, and a sentence for each that cannot be used."""
    problems: list[str] = []
    state = base
    for name, text in link.items():
        if name == "lesson":
            continue
        if name not in _PARSERS:
            problems.append(f"This link names {str(name)[:40]!r}, which is no setting here; it was ignored.")
            continue
        try:
            state = dataclasses.replace(state, **{name: _PARSERS[name](str(text))})
        except CamLabError as error:
            problems.append(f"The link's {name} could not be used: {str(error).rstrip('.')}.")
    return state, problems
