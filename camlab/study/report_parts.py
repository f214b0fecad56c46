"""What a study's report holds beside its words: plots, tables and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from camlab.common.wording import decimal, plural
from camlab.drawing.charts.titles import level_title, titled
from camlab.drawing.report.material import Plot, Table
from camlab.study.analysis.summary import records
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.plane import cr_plane
from camlab.study.charts.severity import severity_values
from camlab.study.charts.spread import similarity_violins

MOST_TESTS = 40


def value_text(record: Mapping[str, Any], name: str) -> str:
    """A value of a record with its interval."""
    value, low, high = (record.get(name + end) for end in ("", "_low", "_high"))
    return decimal(value) + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def tested(
    rows: pd.DataFrame, note: Callable[[str], None]
) -> tuple[list[tuple[str, list[str]]], list[str], list[str]]:
    """The tests with their sentences; the verdicts for the summary; what has to be said beside these."""
    from camlab.study.stats import power_note, prepare, run_tests, verdict

    note("testing")
    cells = prepare(rows)
    parts: dict[str, list[str]] = {}
    undone: dict[str, int] = {}
    told = 0
    for result in run_tests(cells):
        title = f"{result.title}: {result.question}"
        said = parts.setdefault(title, [])
        if not result.done:
            undone[title] = undone.get(title, 0) + 1
        elif told < MOST_TESTS:
            told += 1
            said.append(titled(result.sentence))
            said += [f"Mind: {titled(each.says)}" for each in result.assumptions if each.holds is False]
    for title, count in undone.items():
        parts[title].append(
            f"Could not be done in {plural(count, 'group')}: too few pairs of the kind it needs."
        )
    verdicts, cautions = [], []
    for group, part in cells.split(["model", "layer"]):
        found = verdict(part, **group, response="kept")
        verdicts.append(titled(found.sentence or found.reason))
        cautions += [titled(each) for each in found.cautions]
        note_of = power_note(part, "kept")
        parts.setdefault("How many pictures it takes", []).append(titled(note_of.sentence or note_of.reason))
    return [(t, said) for t, said in parts.items() if said], verdicts, list(dict.fromkeys(cautions))


def plots(rows: pd.DataFrame, methods: list[dict[str, Any]], similarity: str, replicates: int) -> list[Plot]:
    """The charts that say most, each severity and noise type apart where there are several."""
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


_VALUES = {"C": "consistency", "R": "responsiveness", "RM": "rm", "gap": "gap", "AUROC": "auroc"}


def _counts(record: Mapping[str, Any]) -> list[str]:
    return [f"{record[name]:,}" for name in ("n", "n_pictures", "n_flipped", "n_degenerate")]


def numbers(methods: Sequence[Mapping[str, Any]]) -> Table:
    """Every method with its counts and values."""
    rows = [
        [level_title("method", r["method"]), *_counts(r), *(value_text(r, v) for v in _VALUES.values())]
        for r in methods
    ]
    head = ("CAM method", "Pairs", "Pictures", "Flips", "Degenerate", *_VALUES)
    return Table("Every method", head, rows, "95 % intervals over pictures. “Not observed” is no zero.")


def per_severity(rows: pd.DataFrame, similarity: str, replicates: int) -> Table:
    """Every method at every severity, folded."""
    each = records(rows, ("method", "severity"), similarity, replicates=replicates)
    lines = [
        [
            level_title("method", r["method"]),
            f"{r['severity']:g}",
            *_counts(r),
            *(value_text(r, v) for v in _VALUES.values()),
        ]
        for r in each
    ]
    head = ("CAM method", "Severity", "Pairs", "Pictures", "Flips", "Degenerate", *_VALUES)
    return Table("Every method at every severity", head, lines, folded=True)
