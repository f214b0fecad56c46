"""``camlab summary``: print C, R, RM and related values of a study."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camlab.cli.terminal import dump, names_in, note, say

NAME = "summary"
HELP = "print what a study found: C, R, RM and related values"

#: Columns of the text output and their names in a record; --json has all values.
SHOWN = {
    "C": "consistency",
    "R": "responsiveness",
    "RM": "rm",
    "blind": "blind",
    "gap": "gap",
    "AUROC": "auroc",
}
#: Further columns, shown if a line spans several severities.
BESIDE = {
    "C per severity": "stratified_consistency",
    "R per severity": "stratified_responsiveness",
    "RM per severity": "stratified_rm",
}
COUNTS = {
    "n": "n",
    "pictures": "n_pictures",
    "flips": "n_flipped",
    "near": "n_near",
    "degenerate": "n_degenerate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = (
        "Rows are pooled; cells are never averaged. Intervals are 95 %, over pictures. “Per severity” is the mean of "
        "each severity's value, with the number of severities."
    )
    add = parser.add_argument
    add("study", metavar="DIR", type=Path, help="a study's folder")
    add(
        "--by",
        metavar="COLUMNS",
        action="append",
        help="columns to group by, separated by commas: model, image_set, image, method, layer, noise, "
        "severity, seed; default: all but image and seed",
    )
    add("--similarity", metavar="N", default="rbo", help="see `list similarities`; default rbo")
    add("--macro", action="store_true", help="also give the mean of the pictures' own values (with --json)")
    add("--no-intervals", action="store_true", help="leave out the intervals, which is much faster")
    add("--json", action="store_true", help="print a list with one record per line")


def run(arguments: argparse.Namespace) -> None:
    """Summarise the study and print the result."""
    from camlab.metrics.intervals import REPLICATES
    from camlab.study.analysis.summary import DEFAULT_BY, columns, records
    from camlab.study.store import open_study

    by = names_in(arguments.by) if arguments.by else list(DEFAULT_BY)
    needed = columns(arguments.similarity, by)
    study = open_study(arguments.study)
    if not study.manifest.get("finished"):
        note("this study is unfinished; the values cover the pairs measured so far")
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
    """Return records as a table with their warnings below it."""
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
    averaged = "" if over is None or value is None else f" over {over}"
    return decimal(value) + ("" if low is None else f" [{low:.2f}, {high:.2f}]") + averaged
