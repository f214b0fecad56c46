"""What ``python -m camlab study`` takes and does."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camlab.cli.terminal import dump, note, say
from camlab.common.errors import BadSetting

if TYPE_CHECKING:
    from camlab.study import Estimate, Status, StudyPlan

NAME = "study"
HELP = "measure whole image sets: models × pictures × methods × noise types × severities × seeds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = (
        "What is not named is the preset's, which is `quick` where none is named. A study that was stopped goes "
        "on with --resume --out DIR."
    )
    add = parser.add_argument
    add("--preset", metavar="P", help="quick, paper or full; all else changes it")
    add(
        "--model",
        metavar="M",
        help="see `list models`; this and the next six may be repeated",
        action="append",
    )
    add("--images", metavar="SET", help="a set (see `list images`), a data set, or a folder", action="append")
    add("--method", metavar="A", help="see `list methods`", action="append")
    add("--noise", metavar="T", help="see `list noises`", action="append")
    add("--severity", metavar="S", type=float, help="over 0, up to 5", action="append")
    add(
        "--layer",
        metavar="L",
        help="a layer's name, default (the pooled one) or before (the one before)",
        action="append",
    )
    add("--seeds", metavar="N", type=_count, help="draws of each noise type that draws: seeds 0 to N − 1")
    add("--limit", metavar="K", type=_count, help="at most so many pictures of each set, evenly picked")
    add(
        "--decompose",
        action="store_true",
        help="also what the class and what the noise alone does to the maps",
    )
    add("--keep-maps", action="store_true", help="store the maps, too")
    add(
        "--fitting",
        action="store_true",
        help="each model on those of the sets only whose classes it can know",
    )
    add("--name", metavar="TEXT", help="what the study is called; default: the preset's name or the folder's")
    add("--out", metavar="DIR", type=Path, help="the study's folder; needed to run it")
    add("--resume", action="store_true", help="go on with the study in DIR")
    add("--plan-only", action="store_true", help="say what it would cost, and run nothing")
    add("--workers", metavar="W", type=_count, help="processes that compute; default: one a processor or GPU")
    add(
        "--batch",
        metavar="N",
        type=_count,
        default=16,
        help="pictures that are computed at once, on a CPU in sixes; a matter of memory; default 16",
    )
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--backend", metavar="B", default="local", help="local (default) or ray")
    add("--address", metavar="A", help="of the Ray cluster; default: the one on this machine")
    add("--json", action="store_true", help="print a list with one record per group of pairs")


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 1 on")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    """Plan, run and sum up a study."""
    from camlab.study import estimate
    from camlab.study.sources import check_plan

    going_on = arguments.resume and arguments.out is not None and (arguments.out / "manifest.json").exists()
    if arguments.resume and arguments.out is None:
        raise BadSetting("--resume needs the study's folder; name it with --out DIR.")
    if going_on:
        plan = _planned(arguments)
    else:
        plan = plan_of(arguments)
        check_plan(plan)
    if arguments.plan_only:
        cost = estimate(plan, arguments.workers, arguments.device)
        if arguments.json:
            dump(dataclasses.asdict(cost))
        else:
            say(cost_text(plan, cost))
        return
    if arguments.out is None:
        raise BadSetting("A study is written into a folder; name it with --out DIR, or add --plan-only.")
    found = _run(arguments, plan)
    for reason in _losses(arguments.out, found):
        note(reason)
    _sum_up(arguments, found)


def plan_of(arguments: argparse.Namespace) -> StudyPlan:
    """The preset with whatever is named in its place. Raises UnknownName."""
    from camlab.study import PRESETS
    from camlab.study.plan import ALL, FITTING

    plan = PRESETS[arguments.preset or "quick"].make()
    given: dict[str, Any] = {}
    from camlab.study.presets import OPTIONS

    for field, option in OPTIONS.items():
        if (value := getattr(arguments, option)) is not None:
            given[field] = tuple(dict.fromkeys(value))
    given |= {k: v for k in ("seeds", "limit", "name") if (v := getattr(arguments, k)) is not None}
    if arguments.images and arguments.limit is None and arguments.preset is None:
        given["limit"] = None  # whoever names a set means all of it
    if arguments.preset is None and given and "name" not in given:
        given["name"] = ""
    if arguments.model and arguments.images:
        given["pairing"] = FITTING if arguments.fitting else ALL  # who names both means just that
    given |= {k: True for k in ("decompose", "keep_maps") if getattr(arguments, k)}
    return dataclasses.replace(plan, **given)


def _planned(arguments: argparse.Namespace) -> StudyPlan:
    """The plan of the study that is gone on with; what is named besides must not change it."""
    from camlab.study import StudyPlan
    from camlab.study.prepare import read_manifest

    plan = StudyPlan.from_json(read_manifest(arguments.out)["settings"])
    named = ("model", "images", "method", "noise", "severity", "layer", "seeds", "limit", "name", "preset")
    if any(getattr(arguments, option) is not None for option in named):
        raise BadSetting("A study goes on as it was planned; leave out all but --resume and --out.")
    return plan


def _run(arguments: argparse.Namespace, plan: StudyPlan) -> Status:
    from camlab.cli.terminal import Bar
    from camlab.common.wording import time_left
    from camlab.study import run_study

    with Bar(0, sys.stderr) as bar:

        def tell(now: Status) -> None:
            words = f"{now.done:,} of {now.total:,} pairs{time_left(now.seconds_left)}"
            bar.reach(now.done, now.total, words if now.total else "loading models")

        try:
            return run_study(
                plan,
                arguments.out,
                resume=arguments.resume,
                workers=arguments.workers,
                batch=arguments.batch,
                device=arguments.device,
                backend=arguments.backend,
                address=arguments.address,
                on_progress=tell,
            )
        except KeyboardInterrupt:
            command = f"python -m camlab study --resume --out {shlex.quote(str(arguments.out))}"
            note(f"stopped; nothing is lost, and `{command}` goes on")
            raise


def _losses(folder: Path, found: Status) -> list[str]:
    """What is missing from a study, in a sentence each."""
    from camlab.study.store import open_study

    study = open_study(folder)
    said = [
        f"{each['method'] or 'a layer'} is left out at {each['layer']} of {model}: {each['reason']}"
        for model, about in study.manifest.get("models", {}).items()
        for each in about["skipped"]
    ]
    if found.skipped:
        first = study.skipped()[0]
        said.append(
            f"{found.skipped} pictures could not be used; the first is {first['image']}: {first['reason']}"
        )
    if found.state == "cancelled":
        said.append(f"cancelled with {found.done:,} of {found.total:,} pairs; --resume goes on")
    return said


def _sum_up(arguments: argparse.Namespace, found: Status) -> None:
    from camlab.common.wording import duration, plural
    from camlab.study.store import open_study

    study = open_study(arguments.out)
    if arguments.json:
        from camlab.study.analysis.summary import columns, records

        dump(records(study.rows(columns()), coincide=study.coincide))
        return
    took = duration(found.seconds_spent)
    say(
        f"{study.name}: {found.done:,} pairs of {plural(found.units_done - found.skipped, 'picture')} under a model, "
        f"{took} of computing, in {arguments.out}."
    )


def cost_text(plan: StudyPlan, cost: Estimate) -> str:
    """What a plan costs, for people."""
    from camlab.common.wording import duration, megabytes, plural, table

    rows = [
        [model, f"{pairs:,} pairs", duration(seconds)] for model, (pairs, seconds) in cost.by_model.items()
    ]
    lines = [
        f"{cost.pairs:,} pairs: {plural(cost.pictures, 'picture')} under a model × {plan.versions()} versions "
        f"× methods and layers",
        f"about {duration(cost.seconds)} with {plural(cost.workers, 'worker')} on this machine, "
        f"{megabytes(max(cost.bytes, 1e6))} on the disk",
        *table(rows),
        *(
            f"left out: {s['method'] or 'a layer'} at {s['layer']} of {s['model']}: {s['reason']}"
            for s in cost.skipped
        ),
    ]
    return "\n".join(lines)
