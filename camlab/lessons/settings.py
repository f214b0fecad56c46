"""The state of the Learn page: every choice as one value that fits a link."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from camlab.common.errors import BadSetting, CamLabError
from camlab.common.parsing import flag, integer, number
from camlab.explore.state import field_text, parse_field

PAIRS = 12  # pairs that the learner sorts in the lesson on measuring
QUESTIONS = 8  # questions of the quiz
MOST_STEPS = 200  # steps of the attack


@dataclass(frozen=True)
class LessonState:
    """The choices on the Learn page: lesson, picture and settings, the learner's moves and the teacher's options.

    off: channels switched off, by their place among the strongest; placed: one letter per pair, k(ept) or f(lipped),
    empty: as measured; answers: one letter per question of the quiz, a or b; answer: the option chosen in the
    lesson's question; layers: how many layers are random; run: the measurement was started; hide: keep the answers
    hidden; fixed: the teacher has fixed the settings.
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


#: Choices of every lesson.
COMMON = ("model", "image", "answer", "run", "hide", "fixed")


def _letters(allowed: str, most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(f"[{allowed}]{{0,{most}}}", text):
            raise BadSetting(f"{text[:30]!r} is not a series of up to {most} letters {' or '.join(allowed)}.")
        return text

    return parse


def _places(text: str) -> tuple[int, ...]:
    return tuple(sorted({integer(0, 99)(part) for part in filter(None, text.split(","))}))


def _placed(text: str) -> str:
    placed = _letters("kf", PAIRS)(text)
    if placed and len(placed) != PAIRS:
        raise BadSetting(f"{text[:30]!r} does not place all {PAIRS} pairs.")
    return placed


#: Parsers of the choices; Explore's parsers serve the choices that both pages have.
_PARSERS: dict[str, Callable[[str], Any]] = {
    **{name: partial(parse_field, name) for name in ("model", "image", "method", "noise", "severity", "seed")},
    "p": number(0.5, 0.98),
    "off": _places,
    "smooth": flag,
    "before": flag,
    "depth": integer(1, 999),
    "placed": _placed,
    "epsilon": number(0.5, 16),
    "steps": integer(5, MOST_STEPS),
    "layers": integer(0, 99),
    "answers": _letters("ab", QUESTIONS),
    "answer": integer(0, 9),
    "run": flag,
    "hide": flag,
    "fixed": flag,
}


def to_link(state: LessonState, base: LessonState, names: tuple[str, ...]) -> dict[str, str]:
    """Return link parameters for the lesson and those of the choices ``names`` that differ from ``base``."""
    changed = {n: getattr(state, n) for n in names if getattr(state, n) != getattr(base, n)}
    texts = {n: ",".join(map(str, v)) if isinstance(v, tuple) else field_text(v) for n, v in changed.items()}
    return {"lesson": state.lesson, **{n: text or "0" for n, text in texts.items()}}


def parse_link(link: Mapping[str, str], base: LessonState) -> tuple[LessonState, list[str]]:
    """Return ``base`` with the choices of a link, and one sentence per parameter that cannot be used."""
    problems: list[str] = []
    state = base
    for name, text in link.items():
        if name == "lesson":
            continue
        if name not in _PARSERS:
            problems.append(f"This link sets {str(name)[:40]!r}, which Learn does not know; it was ignored.")
            continue
        try:
            state = dataclasses.replace(state, **{name: _PARSERS[name](str(text))})
        except CamLabError as error:
            problems.append(f"The link's {name} cannot be used: {str(error).rstrip('.')}.")
    return state, problems
