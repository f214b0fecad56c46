"""The settings of an explanation attack in forms, on the command line and in links."""

from collections.abc import Callable, Mapping
from typing import Any

from camlab.common.errors import CamLabError
from camlab.common.parsing import integer, member, number
from camlab.common.registry import Registry

AWAY, PICTURE = "away", "picture"
#: Corners that a map can be drawn to: the end of the rows and the end of the columns (0 first, 1 last).
CORNERS: Registry[tuple[int, int]] = Registry("corner")
CORNERS.add("top left", (0, 0))
CORNERS.add("top right", (0, 1))
CORNERS.add("bottom left", (1, 0))
CORNERS.add("bottom right", (1, 1))
#: Titles of the goals of an attack by name.
GOALS: Registry[str] = Registry("goal of an attack")
GOALS.add(AWAY, "Away from the clean map")
for _corner in CORNERS:
    GOALS.add(_corner, f"Into the {_corner} corner")
GOALS.add(PICTURE, "Like another picture's map")

#: epsilon: in units of 1/255; slack: the largest fall of the prediction's probability, in [0, 1]; goal: of GOALS.
DEFAULTS: dict[str, Any] = {"epsilon": 4.0, "steps": 40, "slack": 0.1, "goal": AWAY}
#: Smallest and largest value of each number in a form or a link.
RANGES = {"epsilon": (0.5, 64.0), "steps": (5, 200), "slack": (0.0, 1.0)}
OTHER = "other"  # the setting that holds the id of the picture for the goal "picture"
_PARSERS: dict[str, Callable[[str], Any]] = {
    "epsilon": number(*RANGES["epsilon"]),
    "steps": integer(*map(int, RANGES["steps"])),
    "slack": number(*RANGES["slack"]),
    "goal": member(GOALS),
    OTHER: str,
}
PREFIX = "attack."  # begins the settings' names in a link


def to_link(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return link parameters for the settings that differ from the defaults; ``from_link`` reads them back."""
    known: dict[str, Any] = {**DEFAULTS, OTHER: ""}
    changed = {name: settings[name] for name in known if settings.get(name, known[name]) != known[name]}
    if settings.get("goal") != PICTURE:
        changed.pop(OTHER, None)
    return {
        f"{PREFIX}{name}": f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in changed.items()
    }


def from_link(link: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that link parameters describe, and one sentence for each unusable parameter.

    Missing and unusable settings get their defaults; parameters without PREFIX are ignored.
    """
    settings: dict[str, Any] = {**DEFAULTS, OTHER: ""}
    problems = []
    for parameter, text in link.items():
        if not parameter.startswith(PREFIX):
            continue
        name = parameter.removeprefix(PREFIX)
        if name not in settings:
            problems.append(f"This link names {parameter[:40]!r}, which is not a setting; it was ignored.")
            continue
        try:
            settings[name] = _PARSERS[name](text)
        except CamLabError:
            problems.append(
                f"The attack's {name} cannot be {text[:30]!r}; CAM Lab uses {settings[name]}. Choose another below."
            )
    return settings, problems
