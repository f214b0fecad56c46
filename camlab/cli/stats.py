"""``camlab stats``: test the differences that a study found."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camlab.cli.terminal import dump, names_in, say
from camlab.common.errors import BadSetting
from camlab.common.wording import plural, table

if TYPE_CHECKING:
    import pandas as pd

    from camlab.study.stats import PairResult, PowerNote, TestResult, Verdict

MOST_NAMED = 3  # groups that one sentence names
EMPTY = "–"  # a cell without a number

NAME = "stats"
HELP = "test a study's differences: methods, noise types, severities, kept against flipped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("study", metavar="STUDY", type=Path, help="a study's folder")
    add(
        "--by",
        metavar="COLUMNS",
        default="model,layer",
        help="columns to group the tests by, separated by commas: model, image_set, method, layer, noise, "
        "severity; default: model,layer",
    )
    add(
        "--response",
        metavar="R",
        default="kept",
        help="kept: consistency (default); flipped: responsiveness; all: similarity of all pairs",
    )
    add("--similarity", metavar="S", default="rbo", help="similarity to compare; default: rbo")
    add("--test", metavar="T", action="append", help="name of a test; may be repeated; default: all")
    add("--json", action="store_true", help="print one object with all numbers: verdicts, tests and power")


def run(arguments: argparse.Namespace) -> None:
    """Test the study and print the results."""
    from camlab.study.analysis.summary import columns
    from camlab.study.stats import TESTS, record
    from camlab.study.stats.blocks import RESPONSES
    from camlab.study.store import open_study

    RESPONSES[arguments.response]
    for name in arguments.test or ():
        TESTS[name]
    study = open_study(arguments.study)
    found = findings(
        study.rows(columns(arguments.similarity)),
        names_in([arguments.by]),
        arguments.response,
        arguments.test,
        similarity=arguments.similarity,
        coincide=study.coincide,
    )
    if arguments.json:
        dump(record(found))
    else:
        say(text(found))


def findings(
    rows: pd.DataFrame,
    by: Sequence[str] = ("model", "layer"),
    response: str = "kept",
    tests: Sequence[str] | None = None,
    *,
    similarity: str | None = None,
    coincide: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Test a study's rows by group and give a verdict for every model, layer and noise type.

    similarity: None for rows that are already scored; for the other arguments see `camlab.study.stats.run_tests`.
    Raises BadSetting for a study without rows or an unknown column, UnknownName for a response or a test.
    """
    from camlab.study.stats import power_note, prepare, run_tests, verdict

    results = run_tests(rows, by, response, tests, similarity=similarity, coincide=coincide)
    if not results:
        raise BadSetting("The study has no rows yet; run it first.")
    verdicts, notes = [], []
    for group, part in prepare(rows, similarity, coincide).split(["model", "layer"]):
        notes.append({"group": group, "note": power_note(part, response)})
        for place, _ in part.split(["noise"]):
            verdicts.append(verdict(part, **group, **place, response=response))
    return {"verdicts": verdicts, "tests": results, "power": notes}


def text(found: dict[str, Any]) -> str:
    """Return the findings as text: the sentences, and the pairs of every test in a table."""
    parts = [_verdicts(found["verdicts"])]
    title = ""
    for result in found["tests"]:
        if result.title != title:
            title = result.title
            parts.append(f"{title}: {result.question}")
            undone: dict[str, list[str]] = {}
            for each in found["tests"]:
                if each.title == title and not each.done:
                    undone.setdefault(each.reason, []).append(_place(each.group))
            parts += [f"  Cannot be tested {_in(places)}: {why}" for why, places in undone.items()]
        if result.done:
            parts.append("\n".join(_test(result)))
    parts.append("\n".join(["How many pictures are needed", *(_power(**each) for each in found["power"])]))
    return "\n\n".join(parts)


def _verdicts(verdicts: list[Verdict]) -> str:
    lines = ["Which CAM to trust"]
    for each in verdicts:
        lines += [f"  {each.sentence}", *(f"    {caution}" for caution in each.cautions)]
    return "\n".join(lines)


def _place(group: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in group.values() if str(value))


def _in(places: Sequence[str]) -> str:
    """Name the groups that share a reason, the first MOST_NAMED of them."""
    named = [place for place in places if place][:MOST_NAMED]
    if not named:
        return "in any group"
    more = len(places) - len(named)
    return f"in {plural(len(places), 'group')} ({'; '.join(named)}{f'; {more} more' if more else ''})"


def _power(group: dict[str, Any], note: PowerNote) -> str:
    place = _place(group)
    return f"  {place + ': ' if place else ''}{note.sentence}"


def _test(result: TestResult) -> list[str]:
    lines = [f"  {result.sentence}", *(f"    {each}" for each in result.left_out)]
    lines += [f"    Caution: {each.says}" for each in result.assumptions if each.holds is False]
    if result.pairs:
        head = ["pair", "n", "effect", "95 % interval", "p", "p adjusted", ""]
        rows = [
            [
                f"{pair.a} / {pair.b}",
                str(pair.n),
                EMPTY if pair.effect is None else f"{pair.effect.value:+.3f}",
                EMPTY
                if pair.effect is None or pair.effect.low is None
                else f"{pair.effect.low:+.3f} to {pair.effect.high:+.3f}",
                _p(pair.p),
                _p(pair.p_adjusted),
                _outcome(pair),
            ]
            for pair in result.pairs
        ]
        lines += [f"    {line}" for line in table([head, *rows])]
    return lines


def _p(p: float | None) -> str:
    return EMPTY if p is None else f"{p:.3g}"


def _outcome(pair: PairResult) -> str:
    """Say that two levels differ, or why they cannot be tested."""
    return "differ" if pair.differ else f"not tested: {pair.note}" if pair.p_adjusted is None else ""
