"""The settings of an explanation attack as people state them: in a form, on a command line, in a link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: By name: ε of 255, steps, what the prediction's probability may lose, in [0, 1], and the goal (``attacked.GOALS``).
DEFAULTS: dict[str, Any] = {"epsilon": 4.0, "steps": 40, "slack": 0.1, "goal": "away"}
#: What a form offers of the numbers: from, to.
RANGES = {"epsilon": (0.5, 64.0), "steps": (5, 200), "slack": (0.0, 1.0)}
OTHER = "other"  # the id of the picture whose map is the goal "picture"
PREFIX = "attack."  # of their names in a link


def to_link(settings: Mapping[str, Any]) -> dict[str, str]:
    """Link parameters for what differs from the defaults; ``from_link`` gives the same settings back."""
    known: dict[str, Any] = {**DEFAULTS, OTHER: ""}
    changed = {name: settings[name] for name in known if settings.get(name, known[name]) != known[name]}
    if settings.get("goal") != "picture":
        changed.pop(OTHER, None)
    return {
        f"{PREFIX}{name}": f"{value:.6g}" if isinstance(value, float) else str(value)
        for name, value in changed.items()
    }


def from_link(link: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The settings that link parameters describe, and one sentence for each that cannot be used.

    What is missing or unusable has its default; parameters without PREFIX are somebody else's.
    """
    from camlab.explore.attack.outcome import GOALS

    settings: dict[str, Any] = {**DEFAULTS, OTHER: ""}
    problems = []
    for parameter, text in link.items():
        if not parameter.startswith(PREFIX):
            continue
        name = parameter.removeprefix(PREFIX)
        if name in RANGES:
            value: Any = _number(text, *RANGES[name], whole=name == "steps")
        elif name == "goal":
            value = text if text in GOALS else None
        else:
            value = text if name == OTHER else None
        if name not in settings:
            problems.append(f"This link names {parameter[:40]!r}, which is no setting here; it was ignored.")
        elif value is None:
            problems.append(
                f"The attack's {name} cannot be {text[:30]!r}; {settings[name]} is used, choose another below."
            )
        else:
            settings[name] = value
    return settings, problems


def _number(text: str, low: float, high: float, whole: bool) -> float | int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or not low <= value <= high or (whole and not value.is_integer()):
        return None
    return int(value) if whole else value
