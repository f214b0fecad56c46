"""The report of a study: what holds over its pictures, with the tests that say so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from camlab.cams import CAMS
from camlab.cams.coincidence import BASELINE, JOINT, is_baseline
from camlab.common.errors import BadStudy, CamLabError
from camlab.common.wording import decimal, percent, plural
from camlab.drawing.charts.titles import level_title, model_title
from camlab.drawing.report.material import Credit, Material, Photo, Table, credit_of
from camlab.explore.output.report import pair_photos
from camlab.explore.state import ExploreState, settle
from camlab.images import find_picture
from camlab.metrics.intervals import REPLICATES
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.striking import KINDS, striking
from camlab.study.analysis.summary import columns, merge_methods, records, scored
from camlab.study.analysis.values import weighted_floors
from camlab.study.report_parts import numbers, per_severity, plots, tested, value_text
from camlab.study.store import Study

if TYPE_CHECKING:
    from camlab.explore.results import Shown
    from camlab.explore.scene import Scene

QUICK = 300_000  # rows up to which intervals are drawn
MOST_WARNINGS, MOST_CREDITS = 4, 400
EXAMPLES = 2  # striking pairs of a kind that are shown with their pictures


def study_rows(study: Study, similarity: str = "rbo", filters: Filters | None = None) -> pd.DataFrame:
    """The rows that pass, scored, methods that are one merged. Raises BadStudy where there are none."""
    wanted = dict.fromkeys([*columns(similarity), "seed", "image"])
    rows = merge_methods(scored(study.rows(list(wanted)), similarity), study.coincide)
    rows = rows if filters is None else filters.apply(rows)
    if not len(rows):
        raise BadStudy(f"“{study.name}” has no pair that passes; let it run first, or clear a filter.")
    return rows


def study_material(
    study: Study,
    similarity: str = "rbo",
    filters: Filters | None = None,
    note: Callable[[str], None] = lambda _: None,
    pictures: bool = True,
) -> Material:
    """What a report says about a study, or about the part of it that passes the filters.

    pictures: whether the pairs that say most are computed again to be shown, where model and pictures are at hand.
    Raises BadStudy for one without rows.
    """
    rows = study_rows(study, similarity, filters)
    replicates = REPLICATES if len(rows) <= QUICK else 0
    methods = records(rows, ("method",), similarity, replicates=replicates)
    tests, verdicts, cautions = tested(rows, note)
    photos, shown = _examples(rows, note) if pictures else ([], [])
    flips = int(rows["flipped"].sum())
    return Material(
        title=study.name,
        subtitle=f"A study of {plural(int(rows['image'].nunique()), 'picture')} and {len(rows):,} pairs"
        + (" (filtered)" if filters not in (None, Filters()) else ""),
        summary=[
            f"{plural(len(rows), 'pair')} of a clean and a noisy picture: {_several(rows, 'model')}, "
            f"{_several(rows, 'method')} and {_several(rows, 'noise')}. {percent(flips / len(rows))} of the "
            f"predictions flipped.",
            _best(methods),
            *verdicts,
        ],
        caveats=[*_caveats(study, rows, methods, replicates), *cautions],
        facts=study_facts(study),
        photos=photos,
        plots=plots(rows, methods, similarity, replicates),
        tables=[numbers(methods), per_severity(rows, similarity, replicates), *_left_out(study)],
        tests=tests,
        versions={str(k): str(v) for k, v in (study.manifest.get("versions") or {}).items()},
        reproduce=_reproduce(study),
        credits=[*shown, *_credits(rows, shown)],
    )


def _several(rows: pd.DataFrame, column: str) -> str:
    names = {"model": "model", "method": "CAM method", "noise": "noise type"}
    levels = list(dict.fromkeys(str(v) for v in rows[column]))
    if len(levels) == 1:
        return model_title(levels[0]) if column == "model" else level_title(column, levels[0])
    return plural(len(levels), names[column])


def _best(methods: Sequence[Mapping[str, Any]]) -> str:
    told = [r for r in methods if r["consistency"] is not None and not is_baseline(str(r["method"]))]
    if not told:
        return "No method has a kept pair that counts, so nothing can be said about consistency."
    order = sorted(told, key=lambda r: -float(r["consistency"]))
    first, last = order[0], order[-1]
    said = (
        f"Maps stay most where the prediction stays with {level_title('method', first['method'])} "
        f"(consistency {value_text(first, 'consistency')})"
    )
    if last is not first:
        said += f", least with {level_title('method', last['method'])} ({value_text(last, 'consistency')})"
    random = next((r for r in methods if is_baseline(str(r["method"]))), None)
    if random is not None and random["consistency"] is not None:
        said += f"; a map that knows nothing scores {random['consistency']:.2f}"
    return f"{said}. Whether such differences are more than chance is what the tests say."


def _caveats(
    study: Study, rows: pd.DataFrame, methods: Sequence[Mapping[str, Any]], replicates: int
) -> list[str]:
    count = int(rows["image"].nunique())
    said = [
        f"n = {plural(count, 'picture')}: pictures are what intervals and tests count by, however many "
        "pairs each has. "
        + (
            "Intervals are 95 %, drawn again over pictures with all their rows."
            if replicates
            else "There are so many rows that intervals were left out; `python -m camlab summary` draws them."
        )
    ]
    if count < 20:
        said.append(
            "So few pictures show only large differences; “not shown to differ” is no proof of being equal."
        )
    floors = weighted_floors(methods)
    if floors:
        said.append(
            "Chance level: "
            + "; ".join(f"{name} scores {value:.2f}" for name, value in floors.items())
            + ". Read similarities and C against these, not against 0."
        )
    if not any(is_baseline(str(r["method"])) for r in methods):
        said.append(
            f"The study has no {BASELINE}, so whether a map that knows nothing would do as well is not known."
        )
    dull = int(rows["degenerate"].sum())
    if dull:
        worst = [
            f"{level_title('method', r['method'])} {r['n_degenerate']} of {r['n']}"
            for r in methods
            if r["n_degenerate"]
        ]
        said.append(
            f"{plural(dull, 'pair')} with a degenerate map (one that favours no place) count in neither "
            "C nor R: "
            f"{', '.join(worst[:4])}."
        )
    if rows["severity"].nunique() > 1:
        said.append(
            "C and R pooled over severities mostly compare mild with strong noise; the values severity by severity "
            "stand beside them."
        )
    said.append("RM alone misleads: a random map has a high R. Read C and R apart, with gap and AUROC.")
    first: dict[str, str] = {}
    for record in methods:
        for warning in record["warnings"]:
            first.setdefault(" ".join(warning.split()[:2]), warning)
    said += list(first.values())[:MOST_WARNINGS]
    for each in study.coincide:
        names = level_title("method", JOINT.join(each["methods"]))
        said.append(f"{names} on {each['layer']} of {model_title(str(each['model']))}: one map, told once.")
    if not study.manifest.get("finished"):
        said.append("The study was not finished when this report was written.")
    if study.manifest.get("imported"):
        said.append("The study was brought in from elsewhere; its settings are as its maker wrote them.")
    return said


def _left_out(study: Study) -> list[Table]:
    lost = [(s["image"], s["model"], s["reason"]) for s in study.skipped()]
    return (
        [Table("Pictures that could not be used", ("Picture", "Model", "Why"), lost, folded=True)]
        if lost
        else []
    )


def study_facts(study: Study) -> dict[str, str]:
    """Settings of a study by what they are called; a stranger's manifest may say anything."""
    manifest = study.manifest
    settings = manifest.get("settings") or {}

    def several(name: str) -> list[Any]:
        found = settings.get(name)
        return found if isinstance(found, list) else []

    created = manifest.get("created")
    models = manifest.get("models") or {}
    layers = [
        f"{layer['name']} of {model_title(str(name))}"
        for name, about in models.items()
        if isinstance(about, dict)
        for layer in about.get("layers") or ()
        if isinstance(layer, dict) and "name" in layer
    ]
    severities = (f"{s:g}" if isinstance(s, (int, float)) else str(s) for s in several("severities"))
    digests = (
        f"{name} {about.get('fingerprint', '')}" for name, about in models.items() if isinstance(about, dict)
    )
    found = {
        "Made": time.strftime("%Y-%m-%d %H:%M", time.localtime(created))
        if isinstance(created, (int, float))
        else "",
        "Models": ", ".join(model_title(str(m)) for m in several("models")),
        "Model digests": ", ".join(digests),
        "Image sets": ", ".join(Path(str(name)).name for name in several("image_sets")),
        "Pictures of each set": str(settings.get("limit") or "all"),
        "CAM methods": ", ".join(level_title("method", m) for m in several("methods")),
        "Layers": ", ".join(layers),
        "Noise types": ", ".join(level_title("noise", n) for n in several("noises")),
        "Severities": ", ".join(severities),
        "Seeds": str(settings.get("seeds") or ""),
        "Schema of the rows": str(manifest.get("schema", "")),
    }
    return {name: text for name, text in found.items() if text}


def _examples(
    rows: pd.DataFrame, note: Callable[[str], None]
) -> tuple[list[tuple[str, list[Photo]]], list[Credit]]:
    """The pairs that say most with their pictures; those that cannot be had on this machine are left out."""
    note("drawing the pairs that say most")
    found, credits = [], []
    for kind, entry in KINDS.items():
        for scene, shown in drawable(rows, striking(rows, kind, EXAMPLES)):
            what = f"{entry.title[:1].upper()}{entry.title[1:]}: {scene.method.title}"
            title = f"{what}, similarity {decimal(shown.row['similarity'])}"
            found.append((title, pair_photos(scene, shown)))
            credits.append(credit_of(scene.picture))
    return found, credits


def drawable(rows: pd.DataFrame, places: Iterable[int]) -> Iterator[tuple[Scene, Shown]]:
    """The scene and the pair of each row at these places, but for those that cannot be drawn on this machine."""
    from camlab.engine.shared import engine_for
    from camlab.explore.scene import Scene

    for place in places:
        state = row_state(rows.iloc[place].to_dict())
        try:
            scene = Scene(engine_for(state.model), find_picture(state.image), state)
            shown = scene.shown(state.severity, state.shown_seed, brief=True)
        except CamLabError:
            continue
        yield scene, shown


def row_state(row: Mapping[str, Any]) -> ExploreState:
    """The Explore state that shows a row of a study; of merged methods the first."""
    default = ExploreState()
    method = str(row["method"]).split(JOINT)[0]
    state, _ = settle(
        ExploreState(
            model=str(row["model"]),
            image=str(row["image"]),
            method=method if method in CAMS else default.method,
            layer=str(row.get("layer") or ""),
            noise=str(row["noise"]),
            severity=float(row["severity"] if row.get("severity") is not None else default.severity),
            seed=int(row.get("seed") or 0),
        )
    )
    return state


def _credits(rows: pd.DataFrame, known: Iterable[Credit]) -> list[Credit]:
    """Author and licence of every picture that is known here; of others the id."""
    found = []
    for name in list(dict.fromkeys(str(v) for v in rows["image"]))[:MOST_CREDITS]:
        try:
            found.append(credit_of(find_picture(name)))
        except CamLabError:
            found.append(Credit(name, "not on this machine", "not stated"))
    return [each for each in found if each not in set(known)]


def _reproduce(study: Study) -> list[str]:
    from camlab.study.plan import StudyPlan
    from camlab.study.presets import command_line

    again = [] if study.manifest.get("imported") else [
        command_line(StudyPlan.from_json(study.manifest.get("settings") or {}))
    ]  # fmt: skip
    return [*again, "python -m camlab report DIR --out report.html"]
