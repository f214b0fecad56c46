"""Presets of studies, and the command line of a plan."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from camlab.cams import CAMS, PAPER_SIX
from camlab.cams.coincidence import BASELINE
from camlab.common.registry import Registry
from camlab.models import MODELS, model_on_command_line
from camlab.noise import NOISES
from camlab.study.plan import BEFORE, DEFAULT, FITTING, StudyPlan


@dataclass(frozen=True)
class StudyPreset:
    """A ready plan with its name and summary."""

    name: str
    title: str
    summary: str
    make: Callable[[], StudyPlan]


#: Fields of a plan that take several values, and their options on the command line.
OPTIONS = {
    "models": "model",
    "image_sets": "images",
    "methods": "method",
    "noises": "noise",
    "severities": "severity",
    "layers": "layer",
}

_SIX = (*PAPER_SIX, BASELINE)
_SETS = ("photos", "composites", "places", "objects", "shapes")


def _noises(attacks: bool) -> tuple[str, ...]:
    return tuple(
        name
        for name, kind in NOISES.items()
        if not kind.needs or (attacks and kind.needs == "model" and not name.endswith("_targeted"))
    )


PRESETS: Registry[StudyPreset] = Registry("preset")
for _entry in (
    StudyPreset(
        "quick",
        "Quick look",
        "Twelve photographs, five noise types at three levels: under a minute.",
        lambda: StudyPlan(
            models=("efficientnet_lite0",),
            image_sets=("photos",),
            methods=_SIX,
            noises=("gaussian_noise", "gaussian_blur", "fog", "contrast", "jpeg_compression"),
            severities=(1.0, 3.0, 5.0),
            seeds=1,
            layers=(BEFORE,),
            limit=12,  # with seven methods, fewer than 10 pictures cannot show any difference
            pairing=FITTING,
            name="Quick look",
        ),
    ),
    StudyPreset(
        "paper",
        "Paper",
        "The paper's six methods and random maps, all noise types except attacks, all bundled models and sets.",
        lambda: StudyPlan(
            models=tuple(MODELS),
            image_sets=_SETS,
            methods=_SIX,
            noises=_noises(attacks=False),
            seeds=3,
            layers=(BEFORE, DEFAULT),
            limit=60,  # every built-in picture (a set has 44 at most) and 60 generated scenes
            pairing=FITTING,
            name="Paper",
        ),
    ),
    StudyPreset(
        "full",
        "Full",
        "All methods without extra passes and the paper's six, all noise types including attacks, five seeds.",
        lambda: StudyPlan(
            models=tuple(MODELS),
            image_sets=_SETS,
            methods=tuple(name for name, entry in CAMS.items() if entry.cost == "shared" or name in _SIX),
            noises=_noises(attacks=True),
            seeds=5,
            layers=(BEFORE, DEFAULT),
            pairing=FITTING,
            decompose=True,
            name="Full",
        ),
    ),
):
    PRESETS.add(_entry.name, _entry)


def irreversible(base: StudyPlan, plan: StudyPlan) -> bool:
    """Return whether the base has a setting that no command-line option can undo: a limit or a flag."""
    return (base.limit is not None and plan.limit is None) or any(
        getattr(base, flag) and not getattr(plan, flag) for flag in ("decompose", "keep_maps")
    )


def _argument(field: str, value: object) -> str:
    if field == "models":
        return model_on_command_line(str(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def command_line(plan: StudyPlan, folder: str = "DIR") -> str:
    """Return the command that runs a plan: the nearest preset with every option that differs from it."""

    def differing(preset: str) -> list[str]:
        base = PRESETS[preset].make()
        names = (*OPTIONS, "seeds", "limit", "decompose", "keep_maps")
        return [name for name in names if getattr(base, name) != getattr(plan, name)]

    fit = [name for name in PRESETS if not irreversible(PRESETS[name].make(), plan)] or ["paper"]
    preset = min(fit, key=lambda name: len(differing(name)))
    changed = differing(preset)
    parts = ["camlab study", f"--preset {preset}"]
    for field, option in OPTIONS.items():
        if field in changed:
            values = (_argument(field, each) for each in getattr(plan, field))
            parts += [f"--{option} {shlex.quote(value)}" for value in values]
    parts += [f"--{name} {getattr(plan, name)}" for name in ("seeds", "limit") if name in changed]
    if {"models", "image_sets"} <= set(changed) and plan.pairing == FITTING:
        parts.append("--fitting")
    parts += [f"--{name.replace('_', '-')}" for name in ("decompose", "keep_maps") if name in changed]
    if plan.name and plan.name != PRESETS[preset].make().name:
        parts.append(f"--name {shlex.quote(plan.name)}")
    return " ".join([*parts, f"--out {shlex.quote(folder)}"])
