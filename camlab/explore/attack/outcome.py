"""An explanation attack on a scene's picture: what it can aim at, how its result is drawn and taken away."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

import camlab
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.wording import percent
from camlab.drawing.pictures import (
    ENLARGE,
    Bytes,
    blend,
    colourise,
    draw_difference,
    enlarge,
    panels_figure,
    to_image,
    upsample,
)
from camlab.explore.attack.goals import CORNERS, corner_map
from camlab.explore.attack.search import Attack, AttackResult, ExplanationAttack, attackable
from camlab.explore.scene import Scene
from camlab.images import Picture
from camlab.metrics import SIMILARITIES
from camlab.models import short_name
from camlab.models.network.split import PLUS

Map = NDArray[np.floating[Any]]

AWAY, PICTURE = "away", "picture"

#: What an attack can aim at, by name: its title.
GOALS: Registry[str] = Registry("goal of an attack")
GOALS.add(AWAY, "Away from the clean map")
for _corner in CORNERS:
    GOALS.add(_corner, f"Into the {_corner} corner")
GOALS.add(PICTURE, "Like another picture's map")


def unattackable(scene: Scene) -> str | None:
    """Why the scene's map cannot be attacked, in one sentence that says what to do; None: it can."""
    if PLUS in scene.layer:
        return "An attack moves the map of one layer, and here several are averaged; choose one target layer."
    return attackable(scene.state.method) or scene.method.serves(scene.classifier, scene.layer)


def goal_for(scene: Scene, name: str, other: Picture | None = None) -> Map | None:
    """The map that an attack aims at; None: away from the clean one.

    ``other``: the picture of the goal "picture", explained as the scene explains, for its own prediction. Raises
    UnknownName for the goal, BadSetting where the other picture is missing.
    """
    GOALS[name]
    if name == AWAY:
        return None
    info = scene.classifier.layer_info(scene.layer)
    if name in CORNERS:
        return corner_map(info.height, info.width, name)
    if other is None:
        raise BadSetting("No picture was named whose map the attack is to imitate; choose one.")
    state = dataclasses.replace(scene.state, image=other.id, rule="own", target=None, **_PLAIN)
    return Scene(scene.engine, other, state).clean().maps[state.method]


# An attack moves the map itself, not a mean over many.
_PLAIN: dict[str, Any] = {"eigen": False, "augment": False, "copies": 0}


def begin(
    scene: Scene, *, epsilon: float, steps: int, slack: float, goal: str = AWAY, other: Picture | None = None
) -> ExplanationAttack:
    """An attack on the scene's clean picture, not yet running: submit its ``job``.

    epsilon: in [0, 1]; steps; slack: what the prediction's probability may lose, in [0, 1]. Raises BadSetting
    where the method or a setting does not allow it.
    """
    if reason := unattackable(scene):
        raise BadSetting(reason)
    wanted = goal_for(scene, goal, other)
    attack = Attack(scene.state.method, scene.layer, epsilon, steps, slack, wanted)
    return ExplanationAttack(scene.engine, scene.input, scene.picture.digest, attack)


def amplification(change: NDArray[np.floating[Any]]) -> int:
    """By how much a change of a picture is multiplied so that its largest value is just visible in full."""
    largest = float(np.abs(change).max(initial=0.0))
    return int(min(max(0.5 / largest, 1), 255)) if largest else 1


def draw_amplified(clean: NDArray[np.float32], attacked: NDArray[np.float32]) -> Bytes:
    """The change of a picture (3, H, W), amplified around grey, uint8 RGB at twice the size."""
    change = to_image(attacked - clean)
    grey = np.clip(0.5 + change * amplification(change), 0, 1).astype(np.float32)
    return np.repeat(np.repeat((grey * 255).round().astype(np.uint8), ENLARGE, axis=0), ENLARGE, axis=1)


def panels(scene: Scene, result: AttackResult) -> list[tuple[str, Bytes]]:
    """Six pictures with their titles: before, after, their difference; first the pictures, then the maps."""
    clean = scene.input.numpy()
    times = amplification(result.picture - clean)
    state = scene.state

    def overlay(pixels: NDArray[np.float32], map_: NDArray[np.float32]) -> Bytes:
        picture = enlarge(to_image(pixels))
        heat = colourise(upsample(map_, (picture.shape[0], picture.shape[1])), state.colormap)
        return blend(picture, heat, state.opacity)

    return [
        ("Picture before", enlarge(to_image(clean))),
        ("Picture after", enlarge(to_image(result.picture))),
        (f"What was added, × {times}", draw_amplified(clean, result.picture)),
        ("Map before", overlay(clean, result.before)),
        ("Map after", overlay(result.picture, result.after)),
        (
            "Difference (after − before)",
            draw_difference(
                result.after - result.before, scene.classifier.input_size, scene.comparison.labels, []
            ),
        ),
    ]


def sentences(scene: Scene, run: ExplanationAttack) -> list[str]:
    """What the best picture so far does, one fact a sentence; empty before there is one."""
    result = run.result
    if result is None:
        return []
    name = scene.state.similarity
    label = short_name(scene.classifier.class_names[result.index])
    value = result.similarities(scene.comparison)[name]
    said = [
        f"Similarity of the two maps ({SIMILARITIES[name].title}): {value:.2f}, correlation {result.kept:.2f}.",
        f"Prediction kept: {label} {percent(result.probability_before)} → {percent(result.probability_after)}.",
        f"No value of the picture moved by more than {result.largest * 255:.1f}/255.",
    ]
    if result.reached is not None:
        before, after = result.reached
        said.insert(1, f"Correlation with the goal: {before:.2f} → {after:.2f}.")
    said.append(
        f"Found in step {result.step} of {run.attack.steps}."
        if result.step
        else "No step has found a picture that keeps the prediction and moves the map; this is the clean one."
    )
    return said


def attack_record(scene: Scene, run: ExplanationAttack) -> dict[str, Any]:
    """Settings and outcome as plain data for JSON."""
    result = run.result
    asked = run.attack
    outcome: dict[str, Any] | None = None
    if result is not None:
        outcome = {
            "class": result.index,
            "label": scene.classifier.class_names[result.index],
            "probability": {"before": result.probability_before, "after": result.probability_after},
            "correlation": result.kept,
            "goal_correlation": None if result.reached is None else list(result.reached),
            "similarity": {
                n: v if np.isfinite(v) else None for n, v in result.similarities(scene.comparison).items()
            },
            "largest_change": result.largest,
            "step": result.step,
        }
    return {
        "model": scene.classifier.name,
        "model_fingerprint": scene.classifier.fingerprint,
        "image": scene.picture.id,
        "image_digest": scene.picture.digest,
        "method": asked.method,
        "layer": run.layer,
        "epsilon": asked.epsilon,
        "steps": asked.steps,
        "slack": asked.slack,
        "goal": None if run.goal is None else run.goal.tolist(),
        "seed": asked.seed,
        "result": outcome,
    }


def attack_png(scene: Scene, run: ExplanationAttack) -> bytes:
    """Maps before and after with their pictures as one PNG file. Raises BadSetting before there is a result."""
    result = _result(run)
    drawn = dict(panels(scene, result))
    before, after = (drawn[name] for name in ("Map before", "Map after"))
    label = short_name(scene.classifier.class_names[result.index])
    said = [f"{label}  {percent(p)}" for p in (result.probability_before, result.probability_after)]
    figure = [
        ("Picture after", "", drawn["Picture after"]),
        ("Map before", said[0], before),
        ("Map after", said[1], after),
        ("Difference (after − before)", "", drawn["Difference (after − before)"]),
    ]
    caption = (
        f"Explanation attack on {scene.method.title}, layer {run.layer}, ε = {run.attack.epsilon * 255:g}/255. "
        + " ".join(sentences(scene, run))
        + f"\n{scene.classifier.title}; picture “{scene.picture.title}” by {scene.picture.author} "
        f"({scene.picture.licence}) · CAM Lab {camlab.__version__}"
    )
    return panels_figure(figure, scene.state.colormap, caption)


def attack_npz(scene: Scene, run: ExplanationAttack) -> bytes:
    """Both pictures (3, H, W) and both maps, float32, with settings, as a NumPy archive. Raises BadSetting."""
    result = _result(run)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        clean_input=scene.input.numpy(),
        attacked_input=result.picture,
        clean_map=result.before,
        attacked_map=result.after,
        settings=np.array(json.dumps(attack_record(scene, run))),
    )
    return buffer.getvalue()


def _result(run: ExplanationAttack) -> AttackResult:
    if run.result is None:
        raise BadSetting("The attack has not looked at the picture yet; wait for its first step.")
    return run.result
