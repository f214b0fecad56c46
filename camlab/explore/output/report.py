"""The report of Explore: one picture, one method and one noise type, with all draws measured so far."""

import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from camlab.cams import CAMS
from camlab.common.errors import CamLabError
from camlab.common.wording import decimal, plural
from camlab.drawing.pictures import VIEWS
from camlab.drawing.report.material import Material, Photo, Plot, Table, credit_of, photo
from camlab.engine.spec import Explained
from camlab.explore.charts.curve import sweep_curve
from camlab.explore.charts.draws import sweep_ecdf, sweep_violin
from camlab.explore.output import pair_html
from camlab.explore.output.panels import draw_change, draw_panel, perturbed_title, shown_verdict
from camlab.explore.output.record import package_versions, settings
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState, to_query
from camlab.explore.sweep import Scores, Sweep
from camlab.explore.trials.faithfulness import Faithful
from camlab.images import OWN_KINDS
from camlab.images.picture import as_stored
from camlab.metrics import SIMILARITIES
from camlab.metrics.faithfulness import FAITHFULNESS
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.models import OWN_PREFIX, model_on_command_line, short_name
from camlab.noise import NOISES


def measured_sweep(scene: Scene, note: Callable[[str], None] = lambda _: None) -> Sweep:
    """Measure all draws of a scene over all severities in this thread; ``note`` is told the progress.

    Raises CamLabError if the work fails.
    """
    sweep = Sweep(scene, scene.state.severity, patient=True)
    noted = 0.0
    while sweep.job.running:
        sweep.job.touch()
        sweep.job.step()
        if sweep.job.elapsed - noted > 10:
            noted = sweep.job.elapsed
            note(f"{sweep.job.done} of {sweep.job.total} draws measured")
    if sweep.job.error:
        raise CamLabError(sweep.job.error)
    return sweep


def scene_material(scene: Scene, shown: Shown, sweep: Sweep, faithful: Faithful | None = None) -> Material:
    """Return the report of the shown pair and its draws; draws that the sweep lacks are not computed."""
    state, picture = scene.state, scene.picture
    scores = sweep.scores(float(shown.row["severity"]))
    noise = NOISES[state.noise]
    return Material(
        title=f"{scene.method.title} on “{picture.title}” under {noise.title.lower()}",
        subtitle=f"{scene.classifier.title}, layer {scene.layer}, severity {state.severity:g}",
        summary=_summary(scene, shown, sweep, scores),
        caveats=_caveats(scene, shown, sweep, scores),
        facts=facts(scene),
        photos=[("The pair", pair_photos(scene, shown))],
        gauges=list(pair_html.gauges(sweep, scores, "severity").values()),
        plots=[
            Plot("From clean to unrecognisable", sweep_curve(sweep, scores, state.severity), "severity_curve"),
            Plot(
                f"The draws at severity {state.severity:g}",
                sweep_violin(sweep, state.severity, state.shown_seed),
                "similarity_violin",
            ),
            Plot("Their distribution", sweep_ecdf(sweep, state.severity), "similarity_ecdf"),
        ],
        tables=[_similarities(shown), *_levels(sweep), *_faithful(faithful)],
        versions=package_versions(),
        reproduce=reproduce(state, scene),
        link="" if picture.image_set in OWN_KINDS else "/?" + urlencode(to_query(state)),
        credits=[credit_of(picture)],
    )


def _summary(scene: Scene, shown: Shown, sweep: Sweep, scores: Scores) -> list[str]:
    state, row, score = scene.state, shown.row, scores.severity
    names = scene.classifier.class_names
    measure = SIMILARITIES[state.similarity].scored_title
    clean = short_name(names[row["clean_index"]])
    similar = "no similarity" if row["degenerate"] else f"a similarity of {decimal(row['similarity'])}"
    kept = "kept its prediction" if not row["flipped"] else "changed its prediction"
    sentences = [
        f"Shown the picture under {perturbed_title(row).lower()}, {scene.classifier.title} {kept} "
        f"({shown_verdict(scene, row)}). Its {scene.method.title} map and that of the clean "
        f"picture have {similar} ({measure}; 1 means identical)."
    ]
    floors = sweep.floors
    if floors and floors.other is not None and not row["degenerate"]:
        far = row["similarity"] < (floors.threshold or 0)
        sentences.append(
            f"The maps of {floors.others} other pictures score {floors.other:.2f} here, so a map counts "
            "as broken below "
            f"{floors.threshold:.2f}: this one has {'moved' if far else 'held'}."
        )
    if score.n:
        kept_n = score.n - score.n_flipped
        interval = score.intervals.get("consistency")
        span = f" (95 % interval {interval.low:.2f} to {interval.high:.2f})" if interval else ""
        sentences.append(
            f"Of {plural(score.n, 'noise draw')} at this severity, {kept_n} kept the prediction “{clean}”"
            + (
                f"; their maps are {decimal(score.consistency)} similar on average{span}. "
                if score.consistency is not None
                else ", so consistency was not observed here. "
            )
            + (
                f"The maps of the {score.n_flipped} that flipped moved by {decimal(score.responsiveness)}."
                if score.n_flipped
                else "None flipped, so responsiveness was not observed here."
            )
        )
    sentences.append(scores.sentence)
    return sentences


def _caveats(scene: Scene, shown: Shown, sweep: Sweep, scores: Scores) -> list[str]:
    state, score = scene.state, scores.severity
    floors = sweep.floors
    caveats = [
        f"This is one picture: n = {plural(score.n, 'noise draw')} at this severity, not a sample of pictures. "
        "Intervals describe how the draws vary, not other pictures; a study does that."
    ]
    if not NOISES[state.noise].stochastic:
        caveats.append(f"{NOISES[state.noise].title} is not random: there is one pair per severity, and no interval.")
    elif score.n_consistency < FEWEST_PAIRS:
        caveats.append(f"Fewer than {FEWEST_PAIRS} draws kept the prediction: C has no interval.")
    if floors is None or floors.other is None:
        caveats.append(
            "The chance level of other pictures was not measured, so the report cannot say whether the map broke."
        )
    else:
        random = "" if floors.random is None else f"; a random ranking scores {floors.random:.2f}"
        caveats.append(
            f"Chance level: the maps of other pictures score {floors.other:.2f}{random}. Compare every "
            "similarity with these, not with 0."
        )
    if score.n_degenerate:
        low, high = score.consistency_bounds or (None, None)
        caveats.append(
            f"{plural(score.n_degenerate, 'pair')} had a degenerate map (the same value everywhere) and "
            "count in no score; with them, "
            f"C could be {decimal(low)} to {decimal(high)}."
        )
    if shown.row["degenerate"]:
        caveats.append("A map of the pair shown is degenerate: it highlights nothing.")
    if not sweep.complete:
        caveats.append("Some draws were not measured yet when this report was written; the curve shows the others.")
    caveats += [
        " = ".join(CAMS[name].title for name in each.methods) + f" on this layer: one map. {each.reason}"
        for each in scene.coincidences
        if state.method in each.methods
    ]
    if state.rule != "own":
        caveats.append(
            "Both maps explain the same class, so a flip of the prediction does not change what is explained."
        )
    if not score.n_flipped or score.n == score.n_flipped:
        caveats.append(
            "R and RM need flipped and kept draws at the same severity; otherwise they are “not observed”, "
            "which is not zero."
        )
    caveats.append("A map that holds is not necessarily right, and a map that moves does not prove the model wrong.")
    return caveats


def facts(scene: Scene) -> dict[str, str]:
    """Return method and settings of a scene by their titles."""
    found: dict[str, Any] = settings(scene)
    state, smoothing = scene.state, scene.state.smoothing
    segmentation = ", ".join(f"{name} {value:g}" for name, value in state.segment_parameters.items())
    noise = NOISES[state.noise]
    return {
        "Picture": f"{scene.picture.title} ({scene.picture.id}, digest {found['image_digest'][:16]})",
        "Model": f"{scene.classifier.title} (fingerprint {found['model_fingerprint'][:16]})",
        "CAM method": f"{scene.method.title}: {scene.method.summary}",
        "Source of the method": scene.method.source,
        "Target layer": scene.layer,
        "Class rule": str(state.rule),
        "Maps": smoothing.words,
        "Noise": f"{noise.title}: {noise.summary}",
        "Severity": f"{state.severity:g} of 5",
        "Seed shown": str(state.shown_seed),
        "Noise draws": f"{len(state.seeds)} (seeds {state.seeds[0]} to {state.seeds[-1]})",
        "Similarity": SIMILARITIES[state.similarity].title
        + (f", p = {state.p:g}" if state.similarity == "rbo" else ""),
        "Segments": f"{scene.comparison.n_segments} of {state.segmentation} ({segmentation})",
        "Device": str(scene.classifier.device),
    }


def pair_photos(scene: Scene, shown: Shown) -> list[Photo]:
    """Draw clean map, noisy map and their difference, each with its caption."""
    names, view = scene.classifier.class_names, VIEWS[scene.state.view].title.lower()

    def side(title: str, explained: Explained) -> Photo:
        label = short_name(names[explained.index])
        return photo(
            draw_panel(scene, explained),
            f"{title}: {label}, {explained.probability * 100:.1f} %",
            f"{title}: {view} of {scene.method.title} for {short_name(names[explained.target])} on "
            f"{scene.picture.title}",
        )

    return [
        side("Original", shown.clean),
        side(perturbed_title(shown.row), shown.perturbed),
        photo(
            draw_change(scene, shown),
            "Difference (perturbed − clean): orange grew, purple shrank; numbers mark the segments that moved most",
            "Signed difference of the two maps",
        ),
    ]


def _similarities(shown: Shown) -> Table:
    rows = [
        (
            e.title,
            decimal(shown.values.get(name), 3),
            f"{e.low:g} to {e.high:g}",
            f"{e.identical:g}",
            e.summary,
        )
        for name, e in SIMILARITIES.items()
    ]
    head = ("Measure", "Value", "Range", "Identical maps", "What it compares")
    return Table("All similarity measures of this pair", head, rows)


def _levels(sweep: Sweep) -> list[Table]:
    """Return the table of scores at the whole severities measured so far."""
    frame = sweep.noisy()
    rows = []
    for severity in sorted(s for s in frame["severity"].unique() if float(s).is_integer()):
        score = sweep.scores(float(severity)).severity
        interval = score.intervals.get("consistency")
        rows.append(
            (
                f"{severity:g}", str(score.n), str(score.n_flipped), str(score.n_degenerate),
                decimal(score.consistency) + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""),
                decimal(score.responsiveness), decimal(score.rm),
            )
        )  # fmt: skip
    head = ("Severity", "n", "Flipped", "Degenerate", "C", "R", "RM")
    note = "Intervals: 95 %, over noise draws of this picture. “Not observed” is not zero."
    return [Table("Severity by severity", head, rows, note)] if rows else []


def _faithful(faithful: Faithful | None) -> list[Table]:
    if faithful is None:
        return []
    rows = [
        (
            entry.title, decimal(faithful.values.get((name, "clean")), 3),
            decimal(faithful.values.get((name, "perturbed")), 3),
        )
        for name, entry in FAITHFULNESS.items()
    ]  # fmt: skip
    return [Table("Faithfulness", ("Measure", "Clean", "Perturbed"), rows)]


def reproduce(state: ExploreState, scene: Scene) -> list[str]:
    """Return the commands that compute the same pair and the same report."""
    picture = "PICTURE_FILE" if scene.picture.image_set in OWN_KINDS else state.image
    model = shlex.quote(model_on_command_line(state.model))
    parts = [
        "camlab explain", shlex.quote(picture), f"--model {model}",
        f"--method {shlex.quote(state.method)}", f"--noise {state.noise}", f"--severity {state.severity:g}",
        f"--seed {state.shown_seed}", f"--layer {shlex.quote(scene.layer)}",
    ]  # fmt: skip
    if state.rule == "fixed":
        parts.append(f"--target {state.target}")
    parts += ["--eigen-smooth"] if state.eigen else []
    parts += ["--aug-smooth"] if state.augment else []
    parts += [f"--average {state.copies} --sigma {state.sigma:g}"] if state.copies else []
    _, bits = as_stored(scene.picture.id)
    parts += [] if bits is None else [f"--bits {bits}"]
    own = f" --model {model}" if state.model.startswith(OWN_PREFIX) else ""
    return [" ".join(parts), f"camlab report STATE.json --out report.html{own}"]
