"""A pair as plain data for JSON: its settings, its results and the versions of the software."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camlab.common.environment import versions_of
from camlab.common.errors import BadImage
from camlab.common.wording import json_number
from camlab.engine.spec import Explained
from camlab.explore.output.panels import shown_verdict
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep
from camlab.explore.trials.averaging import Averaged
from camlab.explore.trials.faithfulness import Faithful
from camlab.explore.trials.localisation import localise

PACKAGES = (
    *("torch", "timm", "numpy", "scipy", "scikit-image"),
    *("opencv-python-headless", "pillow", "streamlit", "plotly"),
)


def package_versions() -> dict[str, str]:
    """Return the versions of CAM Lab, Python and the installed PACKAGES by name."""
    return versions_of(PACKAGES)


def settings(scene: Scene) -> dict[str, Any]:
    """Return every setting that decides the shown pair."""
    state = scene.state
    return {
        "model": scene.classifier.name,
        "model_fingerprint": scene.classifier.fingerprint,
        "image": scene.picture.id,
        "image_digest": scene.picture.digest,
        "method": state.method,
        "layer": scene.layer,
        "class_rule": state.rule,
        "fixed_class": state.target if state.rule == "fixed" else None,
        "noise": state.noise,
        "severity": state.severity,
        "seed": state.shown_seed,
        "similarity": state.similarity,
        "rbo_p": state.p,
        "smoothing": dataclasses.asdict(state.smoothing),
        "segmentation": {"name": state.segmentation, **state.segment_parameters},
    }


def prediction(scene: Scene, explained: Explained) -> dict[str, Any]:
    """Return a prediction as index, label and probability."""
    label = scene.classifier.class_names[explained.index]
    return {"index": explained.index, "label": label, "prob": explained.probability}


def localisation_record(scene: Scene, shown: Shown) -> dict[str, Any] | None:
    """Return the localisation scores of a pair; None if the object has no readable outline."""
    try:
        found = localise(scene, shown)
    except BadImage:
        return None
    return None if found is None else found.record()


def results(
    scene: Scene,
    shown: Shown,
    sweep: Sweep,
    faithful: Faithful | None = None,
    averaged: Sequence[Averaged] = (),
) -> dict[str, Any]:
    """Return everything that Explore shows: the pair, its measures, all draws so far, scores, floors, versions.

    ``faithful``, ``averaged``: the trials that were run for this pair, if any.
    """
    return {
        "settings": settings(scene),
        "clean": prediction(scene, shown.clean),
        "perturbed": prediction(scene, shown.perturbed),
        "flipped": bool(shown.row["flipped"]),
        "verdict": shown_verdict(scene, shown.row),
        "degenerate": bool(shown.row["degenerate"]),
        "similarity": shown.values,
        "what_moved_the_map": record(shown.decomposition),
        "segments": shown.row["segments"],
        "segments_moved": record(shown.moves),
        "localisation": localisation_record(scene, shown),
        "faithfulness": None if faithful is None else faithful.record(),
        "averaging": record(list(averaged)),
        "floors": floors_record(sweep.floors),
        "scores": record(sweep.scores(shown.row["severity"])),
        "draws": record(sweep.frame().to_dict("records")),
        "draws_complete": sweep.complete,
        "versions": package_versions(),
    }


def floors_record(floors: Floors | None) -> dict[str, Any] | None:
    """Return both floors of the similarity, and the number of other pictures behind the second one."""
    if floors is None:
        return None
    return {"random_ranking": floors.random, "other_picture": floors.other, "other_pictures": floors.others}


def record(value: Any) -> Any:
    """Convert a value for JSON: dataclasses to mappings, NumPy scalars to Python's, NaN to null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: record(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): record(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [record(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return json_number(value) if isinstance(value, float) else value
