"""The two phrases that every view of a pair repeats: what was done to the picture, and what the model then said."""

from collections.abc import Mapping
from typing import Any

from camlab.common.wording import verdict
from camlab.explore.scene import Scene
from camlab.models import short_name
from camlab.noise import NOISES


def perturbed_title(version: Mapping[str, Any]) -> str:
    """Name a perturbation ("Gaussian noise, severity 3, seed 0") from its ``noise``, ``severity`` and ``seed``."""
    noise = NOISES[version["noise"]]
    seed = f", seed {version['seed']}" if noise.stochastic else ""
    return f"{noise.title}, severity {version['severity']:g}{seed}"


def shown_verdict(scene: Scene, row: Mapping[str, Any]) -> str:
    """Say whether a pair's prediction was kept or flipped, with both classes and probabilities."""
    names = scene.classifier.class_names
    clean, perturbed = short_name(names[row["clean_index"]]), short_name(names[row["perturbed_index"]])
    return verdict(clean, row["clean_prob"], perturbed, row["perturbed_prob"], row["flipped"], row["near"])
