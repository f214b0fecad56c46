"""One picture explained by several methods, measured as the page does: as data, in words and in files."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camlab.cams import CAMS
from camlab.cams.smoothing import PLAIN
from camlab.common.errors import BadSetting, BadSource, UnknownName
from camlab.common.jobs import Job
from camlab.common.wording import decimal, duration, json_number, table
from camlab.drawing.pictures import encode_png, to_image
from camlab.engine.shared import REFERENCE_COUNT
from camlab.explore.attack.outcome import attack_npz, attack_png, attack_record, begin, sentences
from camlab.explore.attack.search import ExplanationAttack
from camlab.explore.output.export import draw_panel, perturbed_title, prediction, shown_verdict
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.explore.trials.faithfulness import PASSES as FAITHFUL_PASSES
from camlab.explore.trials.faithfulness import Faithful, FaithfulnessRun
from camlab.explore.trials.localisation import Localisation, localise, why_not
from camlab.images import Picture, built_in_pictures, find_picture, picture_from_path
from camlab.metrics import SIMILARITIES
from camlab.metrics.faithfulness import FAITHFULNESS
from camlab.metrics.localisation import LOCALISATIONS
from camlab.models import find_model

WORTH_A_NOTE = 5.0  # seconds of waiting that are announced
COLUMNS = 4  # methods side by side in the text


@dataclass(frozen=True)
class Finding:
    """What one method says about the pair."""

    scene: Scene
    shown: Shown
    floors: Floors
    localised: Localisation | None = None
    faithful: Faithful | None = None
    attacked: ExplanationAttack | None = None


def picture_named(name: str) -> Picture:
    """A built-in or generated picture by its id, else a file by its path. Raises UnknownName, BadImage."""
    built_in = [picture.id for picture in built_in_pictures()]
    with contextlib.suppress(UnknownName, BadSource):
        return find_picture(name)
    if os.path.lexists(name) and not Path(name).is_dir():
        return picture_from_path(name)
    # Somebody who leaves the set out ("bison") means the picture too.
    known = {part: each for each in built_in for part in (each.partition("/")[2], each)}
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    hint = (
        f"did you mean {known[near[0]]!r}?"
        if near
        else "check the path, or see `python -m camlab list images`."
    )
    raise UnknownName(f"There is no picture file and no built-in picture called {name[:200]!r}; {hint}")


def find_class(class_names: Sequence[str], text: str) -> int:
    """Index of a class given by its index, its name ("tabby, tabby cat") or one of its synonyms ("tabby").

    Case does not matter; a whole or first name goes before a later synonym. An index comes back as it is: its
    range is checked where the class is used. Raises UnknownName where no class or more than one is meant.
    """
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    wanted = text.strip().casefold()
    first: list[int] = []
    later: list[int] = []
    known: dict[str, None] = {}
    for index, name in enumerate(class_names):
        synonyms = [part.strip().casefold() for part in name.split(",")]
        known |= dict.fromkeys(synonyms)
        if wanted in (name.casefold(), synonyms[0]):
            first.append(index)
        elif wanted in synonyms:
            later.append(index)
    found = first or later
    if len(found) == 1:
        return found[0]
    if found:
        meant = " or ".join(f"{index} ({class_names[index]})" for index in found)
        raise UnknownName(f"Several classes are called {text[:60]!r}; give the index: {meant}.")
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give a name, or an index up to {len(class_names) - 1}."
    raise UnknownName(f"There is no class called {text[:60]!r}; {hint}")


def measure(scene: Scene, note: Callable[[str], None], other_pictures: bool | None = None) -> Finding:
    """The shown pair and its floors; ``note`` is told beforehand what takes long.

    The other-picture floor takes 24 more maps. With ``other_pictures`` False it counts as not observed, with
    None it does so only where each of those maps takes a pass a channel.
    """
    title, state = scene.method.title, scene.state
    if scene.cost == "full":
        note(f"{title} runs the whole model once a channel, which takes a while")
    shown = scene.shown(state.severity, state.shown_seed)
    if other_pictures is None and scene.cost == "full":
        note(
            f"the floor with {REFERENCE_COUNT} other pictures is left out, as each takes as long; --floor measures it"
        )
        other_pictures = False
    if other_pictures is False:
        return Finding(scene, shown, Floors(scene.random_floor, None, 0))
    if not shown.clean.degenerate[state.method]:
        start = time.perf_counter()
        # The engine remembers every one of them, so that floors() finds them all there.
        for done, _ in enumerate(scene.references(), 1):
            left = (time.perf_counter() - start) / done * (REFERENCE_COUNT - done)
            if done == 1 and left > WORTH_A_NOTE:
                note(f"{title} needs about {duration(left)} more, for {REFERENCE_COUNT} other pictures")
    return Finding(scene, shown, scene.floors())


def examine(
    finding: Finding,
    note: Callable[[str], None],
    *,
    localised: bool = False,
    faithful: bool = False,
    attack: Mapping[str, Any] | None = None,
) -> Finding:
    """The finding with localisation, faithfulness and an attack on the clean map, where they are asked for.

    ``attack`` are the settings of ``attacked.begin``; ``note`` is told what takes long. Raises BadSetting for
    localisation without an outline of the object and for an attack that cannot be had, BadImage for an outline that
    cannot be read.
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
        search = begin(scene, **attack)
        note(f"the attack on {scene.method.title} takes {search.attack.steps} steps")
        _finish(search.job)
        finding = dataclasses.replace(finding, attacked=search)
    return finding


def _finish(job: Job) -> None:
    while job.running:
        job.step()
    if job.error:
        raise BadSetting(job.error)


def record(finding: Finding) -> dict[str, Any]:
    """The finding as plain data; None is "not observed"."""
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


def text(findings: Sequence[Finding]) -> str:
    """The findings for people: the prediction once, then the methods side by side."""
    scene, shown = findings[0].scene, findings[0].shown
    names, target, row = scene.classifier.class_names, scene.state.target, shown.row
    sides = (("clean", shown.clean), ("perturbed", shown.perturbed))
    lines = [
        f"{scene.picture.title} ({scene.picture.id}): {perturbed_title(row)}",
        f"{find_model(row['model']).title}, layer {scene.layer}, on {scene.classifier.device}",
        "",
        *table([[side, str(e.index), f"{e.probability:.4f}", names[e.index]] for side, e in sides]),
        shown_verdict(scene, row),
    ]
    if (smoothing := scene.state.smoothing) != PLAIN:
        lines.append(f"Maps are {smoothing.words}.")
    if target is not None:
        lines.append(f"Both maps explain class {target}, {names[target]}.")
    for first in range(0, len(findings), COLUMNS):
        lines += ["", *table(_measures(findings[first : first + COLUMNS]))]
    for finding in findings:
        if finding.attacked is not None:
            said = " ".join(sentences(finding.scene, finding.attacked))
            lines += ["", f"The attack on {finding.scene.method.title}: {said}"]
    asked = {finding.scene.state.method for finding in findings}
    for group in scene.coincidences:
        if asked.intersection(group.methods):
            lines += ["", f"One and the same map on this layer: {', '.join(group.methods)}. {group.reason}"]
    return "\n".join(lines)


def _measures(findings: Sequence[Finding]) -> list[list[str]]:
    """Cells of the table of measures: a heading, then a row a measure; a column a method."""
    records = [record(finding) for finding in findings]
    others = [str(finding.floors.others) if finding.floors.others else "–" for finding in findings]
    return [
        ["", *(CAMS[r["method"]].title for r in records)],
        *(
            [SIMILARITIES[name].title, *(decimal(r["similarity"][name], 3) for r in records)]
            for name in SIMILARITIES
        ),
        ["RBO of random rankings", *(decimal(r["chance_rbo"], 3) for r in records)],
        ["RBO with other pictures", *(decimal(r["other_picture_rbo"], 3) for r in records)],
        ["  (how many)", *others],
        ["Segments", *(str(r["segments"]) for r in records)],
        ["Degenerate", *("yes" if r["degenerate"] else "no" for r in records)],
        *_examined(findings),
    ]


def _examined(findings: Sequence[Finding]) -> list[list[str]]:
    """Rows of what was asked for beside the similarities: clean → perturbed."""

    def cell(clean: float | None, perturbed: float | None) -> str:
        return f"{decimal(clean)} → {decimal(perturbed)}"

    rows = []
    if all(finding.localised for finding in findings):
        for i, name in enumerate(LOCALISATIONS):
            each = [finding.localised.measures[i] for finding in findings if finding.localised]
            title = f"{LOCALISATIONS[name].title} (chance {each[0].chance:.2f})"
            rows.append([title, *(cell(m.clean, m.perturbed) for m in each)])
    if all(finding.faithful for finding in findings):
        for name, entry in FAITHFULNESS.items():
            found = [finding.faithful.values for finding in findings if finding.faithful]
            good = "high" if entry.higher_is_better else "low"
            cells = [cell(v.get((name, "clean")), v.get((name, "perturbed"))) for v in found]
            rows.append([f"{entry.title} ({good} is faithful)", *cells])
    return rows


def writable(folder: Path) -> Path:
    """The folder, made and found writable before anything is computed. Raises BadSetting."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise BadSetting(f"Nothing can be saved in {str(folder)!r} ({why}); name another folder.") from error


def save(findings: Sequence[Finding], folder: Path) -> None:
    """Write the model's input pictures, and each method's low-res maps and overlays. Raises OSError."""
    for finding in findings:
        scene, shown, method = finding.scene, finding.shown, finding.scene.state.method
        if finding.attacked is not None:
            (folder / f"{method}_attack.png").write_bytes(attack_png(scene, finding.attacked))
            (folder / f"{method}_attack.npz").write_bytes(attack_npz(scene, finding.attacked))
        for side, explained, pixels in (
            ("clean", shown.clean, shown.clean_input),
            ("perturbed", shown.perturbed, shown.perturbed_input),
        ):
            picture = (to_image(pixels) * 255).round().astype(np.uint8)
            (folder / f"{side}.png").write_bytes(encode_png(picture))
            np.save(folder / f"{method}_{side}.npy", explained.maps[method].astype(np.float32, copy=False))
            overlay = draw_panel(scene, explained, pixels, "overlay")
            (folder / f"{method}_{side}_overlay.png").write_bytes(encode_png(overlay))
