"""Files of a pair and of an attack: PNG figures, NumPy archives, and the folder that ``camlab explain`` writes."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import camlab
from camlab.common.errors import BadSetting
from camlab.common.wording import decimal, percent
from camlab.drawing.pictures import encode_png, panels_figure, to_image
from camlab.engine.spec import Explained
from camlab.explore.attack.outcome import attack_record, panels, sentences
from camlab.explore.attack.search import AttackResult, ExplanationAttack
from camlab.explore.output.finding import Finding
from camlab.explore.output.panels import draw_change, draw_panel, perturbed_title, shown_verdict
from camlab.explore.output.record import settings
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.metrics import SIMILARITIES
from camlab.models import short_name


def panels_png(scene: Scene, shown: Shown) -> bytes:
    """Return the three panels with titles, predictions, colour bars and settings as one PNG file."""
    names = scene.classifier.class_names

    def top(explained: Explained) -> str:
        return "\n".join(f"{short_name(names[i])}  {p * 100:.1f} %" for i, p in explained.top(3))

    measure = SIMILARITIES[scene.state.similarity].scored_title
    score = decimal(None if shown.row["degenerate"] else shown.row["similarity"], 3)
    drawn = [
        ("Original", top(shown.clean), draw_panel(scene, shown.clean)),
        (perturbed_title(shown.row), top(shown.perturbed), draw_panel(scene, shown.perturbed)),
        ("Difference (perturbed − clean)", "", draw_change(scene, shown)),
    ]
    caption = (
        f"{shown_verdict(scene, shown.row)} · map similarity {score}, {measure}\n"
        f"{scene.classifier.title}, layer {scene.layer}, {scene.method.title}; {_credit(scene)}"
    )
    return panels_figure(drawn, scene.state.colormap, caption)


def maps_npz(scene: Scene, shown: Shown) -> bytes:
    """Return both maps (float32, the layer's resolution), inputs, probabilities and segments as a NumPy archive."""
    method = scene.state.method
    return _npz(
        settings(scene),
        clean_map=shown.clean.maps[method],
        perturbed_map=shown.perturbed.maps[method],
        clean_input=shown.clean_input,
        perturbed_input=shown.perturbed_input,
        clean_probabilities=shown.clean.probabilities,
        perturbed_probabilities=shown.perturbed.probabilities,
        segments=scene.comparison.labels,
    )


def attack_png(scene: Scene, run: ExplanationAttack) -> bytes:
    """Return the attacked picture and the maps before and after as one PNG file. Raises BadSetting without a result."""
    result = _result(run)
    drawn = dict(panels(scene, result))
    label = short_name(scene.classifier.class_names[result.index])
    before, after = (f"{label}  {percent(p)}" for p in (result.probability_before, result.probability_after))
    texts = {"Picture after": "", "Map before": before, "Map after": after, "Difference (after − before)": ""}
    caption = (
        f"Explanation attack on {scene.method.title}, layer {run.layer}, ε = {run.attack.epsilon * 255:g}/255. "
        f"{' '.join(sentences(scene, run))}\n{scene.classifier.title}; {_credit(scene)}"
    )
    figure = [(title, text, drawn[title]) for title, text in texts.items()]
    return panels_figure(figure, scene.state.colormap, caption)


def attack_npz(scene: Scene, run: ExplanationAttack) -> bytes:
    """Return both pictures (3, H, W) and both maps, float32, as a NumPy archive. Raises BadSetting without a result."""
    result = _result(run)
    return _npz(
        attack_record(scene, run),
        clean_input=scene.input.numpy(),
        attacked_input=result.picture,
        clean_map=result.before,
        attacked_map=result.after,
    )


def save_findings(findings: Sequence[Finding], folder: Path) -> None:
    """Write the input pictures, and each method's maps and overlays, and its attack if any. Raises OSError."""
    for finding in findings:
        scene, shown, method = finding.scene, finding.shown, finding.scene.state.method
        if finding.attacked is not None:
            (folder / f"{method}_attack.png").write_bytes(attack_png(scene, finding.attacked))
            (folder / f"{method}_attack.npz").write_bytes(attack_npz(scene, finding.attacked))
        for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
            picture = (to_image(explained.pixels()) * 255).round().astype(np.uint8)
            (folder / f"{side}.png").write_bytes(encode_png(picture))
            np.save(folder / f"{method}_{side}.npy", explained.maps[method].astype(np.float32, copy=False))
            overlay = draw_panel(scene, explained, "overlay")
            (folder / f"{method}_{side}_overlay.png").write_bytes(encode_png(overlay))


def _npz(about: Mapping[str, Any], **arrays: NDArray[Any]) -> bytes:
    """Return a compressed NumPy archive of arrays, with settings as JSON text."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {**arrays, "settings": np.array(json.dumps(about))}
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def _credit(scene: Scene) -> str:
    picture = scene.picture
    return f"picture “{picture.title}” by {picture.author} ({picture.licence}) · CAM Lab {camlab.__version__}"


def _result(run: ExplanationAttack) -> AttackResult:
    if run.result is None:
        raise BadSetting("The attack has no result yet; wait for its first step.")
    return run.result
