"""What a user takes away from a shown pair: pictures, maps and the whole state with its results."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import camlab
from camlab.common.environment import versions_of
from camlab.common.errors import BadImage
from camlab.common.wording import decimal, json_number, verdict
from camlab.drawing.pictures import (
    VIEWS,
    Bytes,
    Panel,
    draw_difference,
    lay_over,
    object_ink,
    panels_figure,
    to_image,
)
from camlab.engine.spec import Explained
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep
from camlab.explore.trials.averaging import Averaged
from camlab.explore.trials.faithfulness import Faithful
from camlab.explore.trials.localisation import localise, object_mask
from camlab.metrics import SIMILARITIES
from camlab.models import short_name
from camlab.noise import NOISES

PACKAGES = (
    "torch",
    "timm",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "pillow",
    "streamlit",
    "plotly",
)
MARKED = 3  # segments numbered on the difference map


def versions() -> dict[str, str]:
    """Versions of CAM Lab, Python and the packages that decide its numbers."""
    return versions_of(PACKAGES)


def shown_verdict(scene: Scene, row: Mapping[str, Any]) -> str:
    """The sentence on a pair's prediction: kept or flipped, with classes and probabilities."""
    names = scene.classifier.class_names
    clean, perturbed = short_name(names[row["clean_index"]]), short_name(names[row["perturbed_index"]])
    return verdict(clean, row["clean_prob"], perturbed, row["perturbed_prob"], row["flipped"], row["near"])


def draw_panel(
    scene: Scene, explained: Explained, pixels: NDArray[np.float32], view: str | None = None
) -> Bytes:
    """One panel, uint8 RGB: pixels are the model-input picture, (3, H, W) in [0, 1]; view defaults to the state's."""
    state = scene.state
    panel = Panel(
        to_image(pixels),
        explained.maps[state.method],
        scene.comparison.labels,
        scene.segment_values(explained),
    )
    drawn = VIEWS[view or state.view].draw(panel, state.colormap, state.opacity)
    layer = outline_layer(scene)
    return drawn if layer is None else lay_over(drawn, layer)


def outline_layer(scene: Scene) -> Bytes | None:
    """The object's outline as a layer over a panel, RGBA; None where none is wanted, known or to be seen."""
    if not scene.state.outline:
        return None
    try:
        mask = object_mask(scene)
    except BadImage:  # said where the map is compared with it; a panel is worth drawing without
        return None
    return None if mask is None else object_ink(mask)


def draw_change(scene: Scene, shown: Shown) -> Bytes:
    """The signed difference map, uint8 RGB, with the segments that moved most in rank numbered."""
    delta = shown.perturbed.maps[scene.state.method] - shown.clean.maps[scene.state.method]
    return draw_difference(
        delta, scene.classifier.input_size, scene.comparison.labels, marked_segments(shown)
    )


def marked_segments(shown: Shown) -> list[tuple[int, str]]:
    """The segments that moved most in rank, each with its number on the difference map."""
    return [(move.segment, str(i + 1)) for i, move in enumerate(shown.moves[:MARKED])]


def perturbed_title(row: Mapping[str, Any]) -> str:
    """What was done to the perturbed picture of a pair, in words."""
    noise = NOISES[row["noise"]]
    seed = f", seed {row['seed']}" if noise.stochastic else ""
    return f"{noise.title}, severity {row['severity']:g}{seed}"


def panels_png(scene: Scene, shown: Shown) -> bytes:
    """The three panels with titles, predictions, colour bars and settings as one PNG file."""
    names = scene.classifier.class_names

    def said(explained: Explained) -> str:
        return "\n".join(f"{short_name(names[i])}  {p * 100:.1f} %" for i, p in explained.top(3))

    state = scene.state
    measure = SIMILARITIES[state.similarity].scored_title
    score = decimal(None if shown.row["degenerate"] else shown.row["similarity"], 3)
    caption = (
        f"{shown_verdict(scene, shown.row)} · map similarity {score}, {measure}\n"
        f"{scene.classifier.title}, layer {scene.layer}, {scene.method.title}; picture “{scene.picture.title}” by "
        f"{scene.picture.author} ({scene.picture.licence}) · CAM Lab {camlab.__version__}"
    )
    panels = [
        ("Original", said(shown.clean), draw_panel(scene, shown.clean, shown.clean_input)),
        (
            perturbed_title(shown.row),
            said(shown.perturbed),
            draw_panel(scene, shown.perturbed, shown.perturbed_input),
        ),
        ("Difference (perturbed − clean)", "", draw_change(scene, shown)),
    ]
    return panels_figure(panels, state.colormap, caption)


def maps_npz(scene: Scene, shown: Shown) -> bytes:
    """Both maps (float32, the layer's resolution), inputs, probabilities and segments as a NumPy archive."""
    buffer = io.BytesIO()
    method = scene.state.method
    np.savez_compressed(
        buffer,
        clean_map=shown.clean.maps[method],
        perturbed_map=shown.perturbed.maps[method],
        clean_input=shown.clean_input,
        perturbed_input=shown.perturbed_input,
        clean_probabilities=shown.clean.probabilities,
        perturbed_probabilities=shown.perturbed.probabilities,
        segments=scene.comparison.labels,
        settings=np.array(json.dumps(settings(scene))),
    )
    return buffer.getvalue()


def settings(scene: Scene) -> dict[str, Any]:
    """Everything that decides the shown pair, spelled out."""
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
    """A prediction as index, label and probability."""
    label = scene.classifier.class_names[explained.index]
    return {"index": explained.index, "label": label, "prob": explained.probability}


def floors_record(floors: Floors | None) -> dict[str, Any] | None:
    """Both floors of the similarity, and over how many other pictures the second one is a mean."""
    if floors is None:
        return None
    return {"random_ranking": floors.random, "other_picture": floors.other, "other_pictures": floors.others}


def localisation_record(scene: Scene, shown: Shown) -> dict[str, Any] | None:
    """The pair against the outline of the object; None without one that can be read."""
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
    """What the page shows, as plain data: the pair, its measures, every draw so far, scores, floors, versions.

    ``faithful``, ``averaged``: what was computed of them for this pair, on demand.
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
        "versions": versions(),
    }


def record(value: Any) -> Any:
    """Plain data for JSON: dataclasses become mappings, NumPy scalars Python's own, and NaN null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: record(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): record(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [record(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return json_number(value) if isinstance(value, float) else value
