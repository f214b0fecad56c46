"""The outcome of an explanation attack on a scene's picture: drawn, in words and as data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.common.wording import json_number, percent
from camlab.drawing.pictures import ENLARGE, Bytes, draw_difference, enlarge, overlay, to_image
from camlab.explore.attack.search import AttackResult, ExplanationAttack
from camlab.explore.scene import Scene
from camlab.metrics import SIMILARITIES
from camlab.models import short_name


def amplification(change: NDArray[np.floating[Any]]) -> int:
    """Return the factor (1 to 255) that brings the largest change of a picture to half the range of grey."""
    largest = float(np.abs(change).max(initial=0.0))
    return int(min(max(0.5 / largest, 1), 255)) if largest else 1


def draw_amplified(clean: NDArray[np.float32], attacked: NDArray[np.float32]) -> Bytes:
    """Draw the change of a picture (3, H, W), amplified around grey, as uint8 RGB at ENLARGE times its size."""
    change = to_image(attacked - clean)
    grey = np.clip(0.5 + change * amplification(change), 0, 1).astype(np.float32)
    return np.repeat(np.repeat((grey * 255).round().astype(np.uint8), ENLARGE, axis=0), ENLARGE, axis=1)


def panels(scene: Scene, result: AttackResult) -> list[tuple[str, Bytes]]:
    """Draw picture and map before and after the attack, and the change of the picture, each with its title."""
    clean = scene.input.numpy()
    times = amplification(result.picture - clean)
    state = scene.state

    return [
        ("Picture before", enlarge(to_image(clean))),
        ("Picture after", enlarge(to_image(result.picture))),
        (f"What was added, × {times}", draw_amplified(clean, result.picture)),
        ("Map before", overlay(to_image(clean), result.before, state.colormap, state.opacity)),
        ("Map after", overlay(to_image(result.picture), result.after, state.colormap, state.opacity)),
        (
            "Difference (after − before)",
            draw_difference(result.after - result.before, scene.classifier.input_size, scene.comparison.labels, []),
        ),
    ]


def sentences(scene: Scene, run: ExplanationAttack) -> list[str]:
    """Describe the best picture so far, one fact per sentence; empty before the first step."""
    result = run.result
    if result is None:
        return []
    name = scene.state.similarity
    label = short_name(scene.classifier.class_names[result.index])
    value = result.similarities(scene.comparison)[name]
    found = [
        f"Similarity of the two maps ({SIMILARITIES[name].title}): {value:.2f}, correlation {result.kept:.2f}.",
        f"Prediction kept: {label} {percent(result.probability_before)} → {percent(result.probability_after)}.",
        f"No value of the picture moved by more than {result.largest * 255:.1f}/255.",
    ]
    if result.reached is not None:
        before, after = result.reached
        found.insert(1, f"Correlation with the goal: {before:.2f} → {after:.2f}.")
    found.append(
        f"Found in step {result.step} of {run.attack.steps}."
        if result.step
        else "No step found a picture that keeps the prediction and moves the map; this is the clean picture."
    )
    return found


def attack_record(scene: Scene, run: ExplanationAttack) -> dict[str, Any]:
    """Return settings and outcome as plain data for JSON."""
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
            "similarity": {n: json_number(v) for n, v in result.similarities(scene.comparison).items()},
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
