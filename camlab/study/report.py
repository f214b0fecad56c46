"""The report of a study: its results over all pictures, with plots, tables and tests."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from camlab.cams import CAMS
from camlab.cams.coincidence import BASELINE, JOINT, is_baseline
from camlab.common.errors import BadStudy, CamLabError
from camlab.common.wording import decimal, percent, plural
from camlab.drawing.charts.titles import level_title, model_title, titled
from camlab.drawing.report.material import Credit, Material, Photo, Plot, Table, credit_of
from camlab.engine.shared import engine_for
from camlab.explore.output.report import pair_photos
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState, settle
from camlab.images import find_picture
from camlab.metrics.intervals import REPLICATES
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.striking import KINDS, striking
from camlab.study.analysis.summary import columns, merge_methods, records, scored
from camlab.study.analysis.values import Record, weighted_floors
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.plane import cr_plane
from camlab.study.charts.severity import severity_values
from camlab.study.charts.spread import similarity_violins
from camlab.study.plan import StudyPlan
from camlab.study.presets import command_line
from camlab.study.stats import Verdict, layer_verdicts, power_note, prepare, run_tests
from camlab.study.store import Study

QUICK = 300_000  # rows up to which intervals are computed
MOST_WARNINGS, MOST_CREDITS, MOST_TESTS = 4, 400, 40
EXAMPLES = 2  # striking pairs of each kind that are shown with their pictures
VALUE_COLUMNS = {"C": "consistency", "R": "responsiveness", "RM": "rm", "gap": "gap", "AUROC": "auroc"}


def study_rows(study: Study, similarity: str = "rbo", filters: Filters | None = None) -> pd.DataFrame:
    """Return the rows that pass, scored and with coinciding methods merged. Raises BadStudy without any."""
    wanted = dict.fromkeys([*columns(similarity), "seed", "image"])
    rows = merge_methods(scored(study.rows(list(wanted)), similarity), study.coincide)
    rows = rows if filters is None else filters.apply(rows)
    if not len(rows):
        raise BadStudy(f"“{study.name}” has no pair that passes the filters; run the study first, or clear a filter.")
    return rows


def study_material(
    study: Study,
    similarity: str = "rbo",
    filters: Filters | None = None,
    note: Callable[[str], None] = lambda _: None,
    pictures: bool = True,
) -> Material:
    """Build the report of a study, or of the part that passes the filters.

    pictures: whether to compute and show the striking pairs, if their models and pictures are available.
    Raises BadStudy for a study without rows.
    """
    rows = study_rows(study, similarity, filters)
    replicates = REPLICATES if len(rows) <= QUICK else 0
    methods = records(rows, ("method",), similarity, replicates=replicates)
    tests, verdicts, cautions = _tested(rows, note)
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
        plots=_plots(rows, methods, similarity, replicates),
        tables=[*_numbers(rows, methods, similarity, replicates), *_left_out(study)],
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


def by_consistency(methods: Sequence[Record]) -> list[Record]:
    """Sort the records of methods by consistency, highest first, without baselines and unobserved values."""
    found = [r for r in methods if r["consistency"] is not None and not is_baseline(str(r["method"]))]
    return sorted(found, key=lambda r: -float(r["consistency"]))


def _best(methods: Sequence[Record]) -> str:
    order = by_consistency(methods)
    if not order:
        return "No method has a kept pair that counts, so consistency was not observed."
    first, last = order[0], order[-1]
    sentence = (
        f"Where the prediction is kept, {level_title('method', first['method'])} keeps its map steadiest "
        f"(consistency {value_text(first, 'consistency')})"
    )
    if last is not first:
        sentence += f", {level_title('method', last['method'])} least ({value_text(last, 'consistency')})"
    random = next((r for r in methods if is_baseline(str(r["method"]))), None)
    if random is not None and random["consistency"] is not None:
        sentence += f"; a random map scores {random['consistency']:.2f}"
    return f"{sentence}. The tests tell which differences exceed chance."


def _caveats(study: Study, rows: pd.DataFrame, methods: Sequence[Mapping[str, Any]], replicates: int) -> list[str]:
    count = int(rows["image"].nunique())
    caveats = [
        f"n = {plural(count, 'picture')}: intervals and tests count pictures, however many pairs each has. "
        + (
            "Intervals are 95 % bootstrap intervals over pictures with all their rows."
            if replicates
            else "Intervals were left out, since there are so many rows; `camlab summary` computes them."
        )
    ]
    if count < 20:
        caveats.append("So few pictures show only large differences; “not shown to differ” does not prove equality.")
    floors = weighted_floors(methods)
    if floors:
        caveats.append(
            "Chance level: "
            + "; ".join(f"{name} scores {value:.2f}" for name, value in floors.items())
            + ". Compare similarities and C with these, not with 0."
        )
    if not any(is_baseline(str(r["method"])) for r in methods):
        caveats.append(f"The study has no {BASELINE}, so a random map might score just as well.")
    dull = int(rows["degenerate"].sum())
    if dull:
        worst = [
            f"{level_title('method', r['method'])} {r['n_degenerate']} of {r['n']}"
            for r in methods
            if r["n_degenerate"]
        ]
        caveats.append(
            f"{plural(dull, 'pair')} with a degenerate map (one that favours no place) are left out of C and R: "
            f"{', '.join(worst[:4])}."
        )
    if rows["severity"].nunique() > 1:
        caveats.append(
            "C and R pooled over severities mostly compare mild with strong noise; compare the values per severity."
        )
    caveats.append("RM alone misleads: a random map has a high R. Read C and R apart, with gap and AUROC.")
    first: dict[str, str] = {}
    for record in methods:
        for warning in record["warnings"]:
            first.setdefault(" ".join(warning.split()[:2]), warning)
    caveats += list(first.values())[:MOST_WARNINGS]
    for each in study.coincide:
        names = level_title("method", JOINT.join(each["methods"]))
        caveats.append(f"{names} on {each['layer']} of {model_title(str(each['model']))}: one map, reported once.")
    if not study.manifest.get("finished"):
        caveats.append("The study was not finished when this report was written.")
    if study.manifest.get("imported"):
        caveats.append("The study was imported; its settings are as its author wrote them.")
    return caveats


def _left_out(study: Study) -> list[Table]:
    lost = [(s["image"], s["model"], s["reason"]) for s in study.skipped()]
    return [Table("Pictures that could not be used", ("Picture", "Model", "Why"), lost, folded=True)] if lost else []


def study_facts(study: Study) -> dict[str, str]:
    """Return the settings of a study by title, whatever an imported manifest contains."""
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
    digests = (f"{name} {about.get('fingerprint', '')}" for name, about in models.items() if isinstance(about, dict))
    found = {
        "Made": time.strftime("%Y-%m-%d %H:%M", time.localtime(created)) if isinstance(created, (int, float)) else "",
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


def _examples(rows: pd.DataFrame, note: Callable[[str], None]) -> tuple[list[tuple[str, list[Photo]]], list[Credit]]:
    """Draw the striking pairs whose pictures and models are available on this machine."""
    note("drawing the striking pairs")
    found, credits = [], []
    for kind, entry in KINDS.items():
        for scene, shown in drawable(rows, striking(rows, kind, EXAMPLES)):
            headline = f"{entry.title[:1].upper()}{entry.title[1:]}: {scene.method.title}"
            title = f"{headline}, similarity {decimal(shown.row['similarity'])}"
            found.append((title, pair_photos(scene, shown)))
            credits.append(credit_of(scene.picture))
    return found, credits


def drawable(rows: pd.DataFrame, places: Iterable[int]) -> Iterator[tuple[Scene, Shown]]:
    """Yield scene and pair of each row at these positions, except those that this machine cannot draw."""
    for place in places:
        state = row_state(rows.iloc[place].to_dict())
        try:
            scene = Scene(engine_for(state.model), find_picture(state.image), state)
            shown = scene.shown(state.severity, state.shown_seed, brief=True)
        except CamLabError:
            continue
        yield scene, shown


def row_state(row: Mapping[str, Any]) -> ExploreState:
    """Return the Explore state that shows a row of a study, with the first of merged methods."""
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
    """Credit every picture: author and licence, or the id alone if the picture is unavailable."""
    found = []
    for name in list(dict.fromkeys(str(v) for v in rows["image"]))[:MOST_CREDITS]:
        try:
            found.append(credit_of(find_picture(name)))
        except CamLabError:
            found.append(Credit(name, "not on this machine", "not stated"))
    return [each for each in found if each not in set(known)]


def _reproduce(study: Study) -> list[str]:
    again = [] if study.manifest.get("imported") else [
        command_line(StudyPlan.from_json(study.manifest.get("settings") or {}))
    ]  # fmt: skip
    return [*again, "camlab report DIR --out report.html"]


def value_text(record: Mapping[str, Any], name: str) -> str:
    """Write a value of a record with its interval."""
    value, low, high = (record.get(name + end) for end in ("", "_low", "_high"))
    return decimal(value) + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def _tested(
    rows: pd.DataFrame, note: Callable[[str], None]
) -> tuple[list[tuple[str, list[str]]], list[str], list[str]]:
    """Run the tests; return the tests with their sentences, the verdicts, and the verdicts' cautions."""
    note("testing")
    cells = prepare(rows)
    parts: dict[str, list[str]] = {}
    undone: dict[str, int] = {}
    shown = 0
    for result in run_tests(cells):
        title = f"{result.title}: {result.question}"
        sentences = parts.setdefault(title, [])
        if not result.done:
            undone[title] = undone.get(title, 0) + 1
        elif shown < MOST_TESTS:
            shown += 1
            sentences.append(titled(result.sentence))
            sentences += [f"Caution: {titled(each.says)}" for each in result.assumptions if each.holds is False]
    for title, count in undone.items():
        parts[title].append(f"Not possible in {plural(count, 'group')}: too few pairs of the kind it needs.")
    verdicts, cautions = verdict_texts(layer_verdicts(cells))
    parts["Pictures needed"] = [
        titled(power_note(part, "kept").sentence) for _, part in cells.split(["model", "layer"])
    ]
    return [(t, sentences) for t, sentences in parts.items() if sentences], verdicts, cautions


def verdict_texts(found: Sequence[Verdict]) -> tuple[list[str], list[str]]:
    """Return the sentences of verdicts, and their cautions, each once."""
    cautions = dict.fromkeys(titled(each) for one in found for each in one.cautions)
    return [titled(each.sentence) for each in found], list(cautions)


def _plots(rows: pd.DataFrame, methods: list[dict[str, Any]], similarity: str, replicates: int) -> list[Plot]:
    """Draw the main charts, by severity and noise type if there are several."""
    found = [
        Plot("Consistency against responsiveness", cr_plane(methods), "cr_plane"),
        Plot("Consistency of each method", value_dots(methods, value="consistency"), "value_dots"),
        Plot("RM of each method", value_dots(methods, value="rm"), "value_dots"),
    ]
    if rows["noise"].nunique() > 1:
        each = records(rows, ("method", "noise"), similarity, replicates=0)
        found.append(
            Plot(
                "Consistency by noise type",
                value_heatmap(each, value="consistency", columns="noise"),
                "value_heatmap",
            )
        )
    if rows["severity"].nunique() > 1:
        each = records(rows, ("method", "severity"), similarity, replicates=replicates)
        noises = [str(noise) for noise in rows["noise"].unique()]
        found.append(
            Plot(
                "Consistency severity by severity",
                severity_values(each, value="consistency", beside=methods, noises=noises),
                "severity_values",
            )
        )
    found.append(
        Plot(
            "Similarity, kept against flipped",
            similarity_violins(rows, similarity=similarity, by="method"),
            "similarity_violins",
        )
    )
    return found


def _numbers(rows: pd.DataFrame, methods: Sequence[Record], similarity: str, replicates: int) -> tuple[Table, Table]:
    """Tabulate every method with its counts and values, and the same per severity, folded."""
    each = records(rows, ("method", "severity"), similarity, replicates=replicates)

    def line(record: Record, *more: str) -> list[str]:
        counts = [f"{record[name]:,}" for name in ("n", "n_pictures", "n_flipped", "n_degenerate")]
        values = [value_text(record, name) for name in VALUE_COLUMNS.values()]
        return [level_title("method", record["method"]), *more, *counts, *values]

    head = ("Pairs", "Pictures", "Flips", "Degenerate", *VALUE_COLUMNS)
    return (
        Table(
            "Every method",
            ("CAM method", *head),
            [line(r) for r in methods],
            "95 % intervals over pictures. “Not observed” does not mean zero.",
        ),
        Table(
            "Every method at every severity",
            ("CAM method", "Severity", *head),
            [line(r, f"{r['severity']:g}") for r in each],
            folded=True,
        ),
    )
