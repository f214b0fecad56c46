"""Plans that are ready to run: one function a preset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from camlab.common.registry import Registry
from camlab.study.analysis.summary import BASELINE
from camlab.study.plan import BEFORE, DEFAULT, FITTING, StudyPlan


@dataclass(frozen=True)
class Preset:
    """A plan with its name and a line about it."""

    name: str
    title: str
    summary: str
    make: Callable[[], StudyPlan]


PRESETS: Registry[Preset] = Registry("preset")

_SETS = ("photos", "composites", "places", "objects", "shapes")


def _preset(
    name: str, title: str, summary: str
) -> Callable[[Callable[[], StudyPlan]], Callable[[], StudyPlan]]:
    def register(make: Callable[[], StudyPlan]) -> Callable[[], StudyPlan]:
        PRESETS.add(name, Preset(name, title, summary, make))
        return make

    return register


def _six() -> tuple[str, ...]:
    """The methods of the paper, and the one that knows nothing."""
    from camlab.cams import PAPER_SIX

    return (*PAPER_SIX, BASELINE)


def _bundled() -> tuple[str, ...]:
    from camlab.models import MODELS

    return tuple(MODELS)


def _noises(attacks: bool) -> tuple[str, ...]:
    from camlab.noise import NOISES

    return tuple(
        name
        for name, kind in NOISES.items()
        if not kind.needs or (attacks and kind.needs == "model" and not name.endswith("_targeted"))
    )


@_preset("quick", "Quick look", "Twelve photographs, five noise types at three levels: under a minute.")
def _quick() -> StudyPlan:
    return StudyPlan(
        models=("efficientnet_lite0",),
        image_sets=("photos",),
        methods=_six(),
        noises=("gaussian_noise", "gaussian_blur", "fog", "contrast", "jpeg_compression"),
        severities=(1.0, 3.0, 5.0),
        seeds=1,
        layers=(BEFORE,),
        limit=12,  # with seven methods, under 10 pictures no two of them can be told apart
        pairing=FITTING,
        name="Quick look",
    )


@_preset(
    "paper",
    "Paper",
    "The six methods of the paper and random maps, all noise types but attacks, all bundled models and sets.",
)
def _paper() -> StudyPlan:
    return StudyPlan(
        models=_bundled(),
        image_sets=_SETS,
        methods=_six(),
        noises=_noises(attacks=False),
        seeds=3,
        layers=(BEFORE, DEFAULT),
        limit=60,  # every built-in picture (a set has 44 at most) and 60 generated scenes
        pairing=FITTING,
        name="Paper",
    )


@_preset("full", "Full", "All methods that take no pass a channel, attacks included, five seeds.")
def _full() -> StudyPlan:
    from camlab.cams import CAMS

    return StudyPlan(
        models=_bundled(),
        image_sets=_SETS,
        methods=tuple(name for name, entry in CAMS.items() if entry.cost == "shared" or name in _six()),
        noises=_noises(attacks=True),
        seeds=5,
        layers=(BEFORE, DEFAULT),
        pairing=FITTING,
        decompose=True,
        name="Full",
    )
