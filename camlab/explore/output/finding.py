"""One method's results for a pair, for ``camlab explain``: similarities, floors and the requested trials."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from camlab.common.errors import BadSetting
from camlab.common.jobs import Job
from camlab.common.wording import duration, json_number
from camlab.engine.shared import REFERENCE_COUNT
from camlab.explore.attack.outcome import attack_record
from camlab.explore.attack.search import ExplanationAttack
from camlab.explore.output.record import prediction
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.trials.faithfulness import PASSES as FAITHFUL_PASSES
from camlab.explore.trials.faithfulness import Faithful, FaithfulnessRun
from camlab.explore.trials.localisation import PairLocalisation, localise, why_not

WORTH_A_NOTE = 5.0  # seconds; a longer wait is announced


@dataclass(frozen=True)
class Finding:
    """One method's pair with its floors and trials; None: the trial was not requested."""

    scene: Scene
    shown: Shown
    floors: Floors
    localised: PairLocalisation | None = None
    faithful: Faithful | None = None
    attacked: ExplanationAttack | None = None


def measure(scene: Scene, note: Callable[[str], None], other_pictures: bool | None = None) -> Finding:
    """Measure the shown pair and its floors; ``note`` is called before anything slow.

    The other-picture floor takes 24 more maps. ``other_pictures`` False leaves it out (not observed); None leaves it
    out only if each of these maps takes one pass per channel.
    """
    title, state = scene.method.title, scene.state
    if scene.cost == "full":
        note(f"{title} runs the whole model once per channel, which takes a while")
    shown = scene.shown(state.severity, state.shown_seed)
    if other_pictures is None and scene.cost == "full":
        note(f"the floor of {REFERENCE_COUNT} other pictures is left out, as it is slow; --floor measures it")
        other_pictures = False
    if other_pictures is False:
        return Finding(scene, shown, Floors(scene.random_floor, None, 0))
    if not shown.clean.degenerate[state.method]:
        start = time.perf_counter()
        # Fill the engine's cache, in which floors() then finds all maps.
        for done, _ in enumerate(scene.references(), 1):
            left = (time.perf_counter() - start) / done * (REFERENCE_COUNT - done)
            if done == 1 and left > WORTH_A_NOTE:
                note(f"{title} needs about {duration(left)} more for {REFERENCE_COUNT} other pictures")
    return Finding(scene, shown, scene.floors())


def examine(
    finding: Finding,
    note: Callable[[str], None],
    *,
    localised: bool = False,
    faithful: bool = False,
    attack: ExplanationAttack | None = None,
) -> Finding:
    """Return the finding with the requested localisation, faithfulness and attack on the clean map.

    ``attack``: prepared for the finding's scene; ``note`` is called before anything slow. Raises BadSetting for
    localisation without an outline of the object and for a trial that fails, BadImage for an unreadable outline.
    """
    scene, shown = finding.scene, finding.shown
    if localised:
        finding = dataclasses.replace(finding, localised=localise(scene, shown))
        if finding.localised is None:
            raise BadSetting(why_not(scene))
    if faithful:
        note(f"the faithfulness of {scene.method.title} takes {FAITHFUL_PASSES} passes and fills in pixels")
        run = FaithfulnessRun(scene, shown)
        _finish(run.job)
        finding = dataclasses.replace(finding, faithful=run.found)
    if attack is not None:
        note(f"the attack on {scene.method.title} takes {attack.attack.steps} steps")
        _finish(attack.job)
        finding = dataclasses.replace(finding, attacked=attack)
    return finding


def _finish(job: Job) -> None:
    while job.running:
        job.step()
    if job.error:
        raise BadSetting(job.error)


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return the finding as plain data for JSON; None means "not observed"."""
    scene, shown, row = finding.scene, finding.shown, finding.shown.row
    return {
        **{name: row[name] for name in ("method", "model", "layer", "noise", "severity", "seed")},
        "smoothing": dataclasses.asdict(scene.state.smoothing),
        "clean": prediction(scene, shown.clean),
        "perturbed": prediction(scene, shown.perturbed),
        "flipped": row["flipped"],
        "similarity": {name: json_number(value) for name, value in shown.values.items()},
        "segments": row["segments"],
        "chance_rbo": json_number(finding.floors.random),
        "other_picture_rbo": json_number(finding.floors.other),
        "degenerate": row["degenerate"],
        "localisation": None if finding.localised is None else finding.localised.record(),
        "faithfulness": None if finding.faithful is None else finding.faithful.record(),
        "attack": None if finding.attacked is None else attack_record(scene, finding.attacked),
    }
