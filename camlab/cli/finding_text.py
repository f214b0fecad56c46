"""The findings of ``camlab explain`` as text: the prediction once, then the methods side by side."""

from collections.abc import Sequence

from camlab.cams import CAMS
from camlab.cams.smoothing import PLAIN
from camlab.common.wording import decimal, table
from camlab.explore.attack.outcome import sentences
from camlab.explore.output.finding import Finding, finding_record
from camlab.explore.output.panels import perturbed_title, shown_verdict
from camlab.metrics import SIMILARITIES
from camlab.metrics.faithfulness import FAITHFULNESS
from camlab.metrics.localisation import LOCALISATIONS
from camlab.models import find_model

COLUMNS = 4  # methods side by side


def finding_text(findings: Sequence[Finding]) -> str:
    """Return the findings on one picture as lines of text."""
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
            text = " ".join(sentences(finding.scene, finding.attacked))
            lines += ["", f"The attack on {finding.scene.method.title}: {text}"]
    asked = {finding.scene.state.method for finding in findings}
    for group in scene.coincidences:
        if asked.intersection(group.methods):
            lines += ["", f"One and the same map on this layer: {', '.join(group.methods)}. {group.reason}"]
    return "\n".join(lines)


def _measures(findings: Sequence[Finding]) -> list[list[str]]:
    """Return the cells of the table of measures: a heading, then one row per measure, one column per method."""
    records = [finding_record(finding) for finding in findings]
    others = [str(finding.floors.others) if finding.floors.others else "–" for finding in findings]
    return [
        ["", *(CAMS[r["method"]].title for r in records)],
        *([SIMILARITIES[name].title, *(decimal(r["similarity"][name], 3) for r in records)] for name in SIMILARITIES),
        ["RBO of random rankings", *(decimal(r["chance_rbo"], 3) for r in records)],
        ["RBO with other pictures", *(decimal(r["other_picture_rbo"], 3) for r in records)],
        ["  (how many)", *others],
        ["Segments", *(str(r["segments"]) for r in records)],
        ["Degenerate", *("yes" if r["degenerate"] else "no" for r in records)],
        *_examined(findings),
    ]


def _examined(findings: Sequence[Finding]) -> list[list[str]]:
    """Return the rows of the requested localisation and faithfulness scores: clean → perturbed."""

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
