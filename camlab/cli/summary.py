"""What ``python -m camlab summary`` takes and does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camlab.cli.terminal import dump, names_in, note, say

NAME = "summary"
HELP = "say what a study found: C, R, RM and their kin"

#: The values of a line of text, by their names in a record; --json has all of them.
SHOWN = {
    "C": "consistency",
    "R": "responsiveness",
    "RM": "rm",
    "blind": "blind",
    "gap": "gap",
    "AUROC": "auroc",
}
#: Those that stand beside them where a line spans several severities.
BESIDE = {"C a severity": "stratified_consistency", "R a severity": "stratified_responsiveness",
          "RM a severity": "stratified_rm"}  # fmt: skip
COUNTS = {
    "n": "n",
    "pictures": "n_pictures",
    "flips": "n_flipped",
    "near": "n_near",
    "degenerate": "n_degenerate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    parser.epilog = (
        "Rows are pooled, never cells averaged. Intervals are 95 %, over pictures. “A severity” means: the mean "
        "of each severity's value, and over how many of them."
    )
    add = parser.add_argument
    add("study", metavar="DIR", type=Path, help="a study's folder")
    add(
        "--by",
        metavar="COLUMNS",
        action="append",
        help="what the lines are: model, image_set, image, method, layer, noise, severity, seed, with commas "
        "between them; default: all but image and seed",
    )
    add("--similarity", metavar="N", default="rbo", help="see `list similarities`; default rbo")
    add("--macro", action="store_true", help="also the means of each picture's values (in --json)")
    add("--no-intervals", action="store_true", help="leave them out, which takes a fraction of the time")
    add("--json", action="store_true", help="print a list with one record a line")


def run(arguments: argparse.Namespace) -> None:
    """Sum up the study and print it."""
    from camlab.metrics.intervals import REPLICATES
    from camlab.study.analysis.summary import DEFAULT_BY, columns, records
    from camlab.study.store import open_study

    by = names_in(arguments.by) if arguments.by else list(DEFAULT_BY)
    needed = columns(arguments.similarity, by)
    study = open_study(arguments.study)
    if not study.manifest.get("finished"):
        note("this study is not finished; what follows is about the pairs that it has so far")
    found = records(
        study.rows(needed),
        by,
        arguments.similarity,
        study.coincide,
        replicates=0 if arguments.no_intervals else REPLICATES,
        with_macro=arguments.macro,
    )
    if arguments.json:
        dump(found)
    else:
        say(text(found, by))


def text(records: Sequence[dict[str, Any]], by: Sequence[str]) -> str:
    """Records as lines below one another, with warnings below them."""
    from camlab.common.wording import table

    if not records:
        return "This study has no pairs yet."
    beside = BESIDE if any("stratified_rm" in record for record in records) else {}
    rows = [[*by, *COUNTS, *SHOWN, *beside]]
    warnings = []
    for record in records:
        keys = [_key(record[name]) for name in by]
        values = [_value(record, name) for name in (*SHOWN.values(), *beside.values())]
        rows.append([*keys, *(str(record[name]) for name in COUNTS.values()), *values])
        warnings += [f"{', '.join(keys) or 'all pairs'}: {warning}" for warning in record["warnings"]]
    return "\n".join([*table(rows), *(["", *warnings] if warnings else [])])


def _key(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(record: dict[str, Any], name: str) -> str:
    from camlab.common.wording import decimal

    value, low, high = (record.get(name + end) for end in ("", "_low", "_high"))
    over = record.get(f"{name}_averaged")
    told = "" if over is None or value is None else f" over {over}"
    return decimal(value) + ("" if low is None else f" [{low:.2f}, {high:.2f}]") + told
