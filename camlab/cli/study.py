"""``camlab study``: measure whole image sets."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camlab.cli.own_model import add_checkpoint_options, checkpoint_option, models_named
from camlab.cli.terminal import Bar, dump, note, say, whole_number
from camlab.common.errors import BadSetting

if TYPE_CHECKING:
    from camlab.study import Estimate, Status, StudyPlan

NAME = "study"
HELP = "measure whole image sets: models × pictures × methods × noise types × severities × seeds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = (
        "The preset, by default `quick`, fills in every option that you leave out. Continue a stopped study with "
        "--resume --out DIR."
    )
    add = parser.add_argument
    add("--preset", metavar="P", help="quick, paper or full; the other options change it")
    add(
        "--model",
        metavar="M",
        help="see `list models`, or a checkpoint file; this and the next five may be repeated",
        action="append",
    )
    add("--images", metavar="SET", help="a set (see `list images`), a data set, or a folder", action="append")
    add("--method", metavar="A", help="see `list methods`", action="append")
    add("--noise", metavar="T", help="see `list noises`", action="append")
    add("--severity", metavar="S", type=float, help="above 0, up to 5", action="append")
    add(
        "--layer",
        metavar="L",
        help="a layer's name, `default` (the pooled layer) or `before` (the block before it)",
        action="append",
    )
    add("--seeds", metavar="N", type=whole_number(1), help="draws of each random noise type: seeds 0 to N − 1")
    add("--limit", metavar="K", type=whole_number(1), help="at most K pictures of each set, picked evenly")
    add(
        "--decompose",
        action="store_true",
        help="also measure what the class alone and the noise alone do to the maps",
    )
    add("--keep-maps", action="store_true", help="also store the maps")
    add("--fitting", action="store_true", help="use each model only on the sets whose classes it knows")
    add("--name", metavar="TEXT", help="name of the study; default: that of the preset or the folder")
    add("--out", metavar="DIR", type=Path, help="the study's folder; needed to run it")
    add("--resume", action="store_true", help="continue the study in DIR")
    add(
        "--moved",
        metavar=("OLD", "NEW"),
        nargs=2,
        action="append",
        default=[],
        help="with --resume: a folder of pictures of its plan, and where it is now; may be repeated",
    )
    add("--plan-only", action="store_true", help="print the expected cost, and run nothing")
    add(
        "--workers",
        metavar="W",
        type=whole_number(1),
        help="worker processes; default: one per processor or GPU",
    )
    add(
        "--batch",
        metavar="N",
        type=whole_number(1),
        default=16,
        help="pictures per batch (a CPU takes six at once); lower it to save memory; default 16",
    )
    add_checkpoint_options(parser.add_argument_group("checkpoint files named with --model").add_argument)
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--backend", metavar="B", default="local", help="local (default) or ray")
    add("--address", metavar="A", help="address of the Ray cluster; default: this machine")
    add("--json", action="store_true", help="print a list with one record per group of pairs")


def run(arguments: argparse.Namespace) -> None:
    """Plan, run and summarise a study."""
    from camlab.study import estimate
    from camlab.study.prepare import plan_here
    from camlab.study.sources import check_plan, folder_remarks

    going_on = arguments.resume and arguments.out is not None and (arguments.out / "manifest.json").exists()
    if arguments.resume and arguments.out is None:
        raise BadSetting("--resume needs the study's folder; name it with --out DIR.")
    if arguments.moved and not going_on:
        raise BadSetting("--moved goes with --resume and a study that has begun; name that study with --out DIR.")
    if going_on:
        plan = _planned(arguments)
    else:
        plan = plan_of(arguments)
        check_plan(plan)
        for remark in folder_remarks(plan):
            note(remark)
    if arguments.plan_only:
        cost = estimate(plan_here(arguments.out) if going_on else plan, arguments.workers, arguments.device)
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
    """Return the preset's plan, changed by the options given, with the full paths of its folders.

    Raises UnknownName, BadSetting, and what `models_named` raises.
    """
    from camlab.images.find import meant_set
    from camlab.study import PRESETS
    from camlab.study.folders import with_full_paths
    from camlab.study.plan import ALL, FITTING

    plan = PRESETS[arguments.preset or "quick"].make()
    given: dict[str, Any] = {}
    from camlab.study.presets import OPTIONS

    for field, option in OPTIONS.items():
        if (value := getattr(arguments, option)) is not None:
            given[field] = tuple(dict.fromkeys(value))
    if arguments.images:
        given["image_sets"] = tuple(dict.fromkeys(map(meant_set, arguments.images)))
    if models := models_named(arguments.model or (), arguments):
        given["models"] = tuple(dict.fromkeys(models))
    given |= {k: v for k in ("seeds", "limit", "name") if (v := getattr(arguments, k)) is not None}
    if arguments.images and arguments.limit is None and arguments.preset is None:
        given["limit"] = None  # use a named set as a whole
    if arguments.preset is None and given and "name" not in given:
        given["name"] = ""
    if arguments.model and arguments.images:
        given["pairing"] = FITTING if arguments.fitting else ALL  # both are named: every combination
    given |= {k: True for k in ("decompose", "keep_maps") if getattr(arguments, k)}
    return with_full_paths(dataclasses.replace(plan, **given))


def _planned(arguments: argparse.Namespace) -> StudyPlan:
    """Return the plan of the study to resume, after its folders have been found.

    Raises BadSetting if an option would change it, and what `point_study_to` raises.
    """
    from camlab.study import StudyPlan
    from camlab.study.prepare import point_study_to, read_manifest

    plan = StudyPlan.from_json(read_manifest(arguments.out)["settings"])
    named = ("model", "images", "method", "noise", "severity", "layer", "seeds", "limit", "name", "preset")
    if checkpoint_option(arguments) or any(getattr(arguments, option) is not None for option in named):
        raise BadSetting("A resumed study keeps its plan; leave out all options but --resume and --out.")
    for old, new in arguments.moved:
        point_study_to(arguments.out, old, new)
    return plan


def _run(arguments: argparse.Namespace, plan: StudyPlan) -> Status:
    from camlab.common.wording import time_left
    from camlab.study import run_study

    with Bar(0, sys.stderr) as bar:

        def show(now: Status) -> None:
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
                on_progress=show,
            )
        except KeyboardInterrupt:
            command = f"camlab study --resume --out {shlex.quote(str(arguments.out))}"
            note(f"stopped; nothing is lost, `{command}` continues")
            raise


def _losses(folder: Path, found: Status) -> list[str]:
    """Return one sentence for each thing that a study lacks."""
    from camlab.models import model_on_command_line as named
    from camlab.study.store import open_study

    study = open_study(folder)
    losses = [
        f"{each['method'] or 'a layer'} is left out at {each['layer']} of {named(model)}: {each['reason']}"
        for model, about in study.manifest.get("models", {}).items()
        for each in about["skipped"]
    ]
    if found.skipped:
        first = study.skipped()[0]
        losses.append(f"{found.skipped} pictures could not be used; the first is {first['image']}: {first['reason']}")
    if found.state == "cancelled":
        losses.append(f"cancelled with {found.done:,} of {found.total:,} pairs; --resume continues")
    return losses


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
    """Return the cost of a plan as text."""
    from camlab.common.wording import duration, megabytes, plural, table
    from camlab.models import model_on_command_line as named

    rows = [[named(model), f"{pairs:,} pairs", duration(seconds)] for model, (pairs, seconds) in cost.by_model.items()]
    lines = [
        f"{cost.pairs:,} pairs: {plural(cost.pictures, 'picture')} under a model × {plan.versions()} versions "
        f"× methods and layers",
        f"about {duration(cost.seconds)} with {plural(cost.workers, 'worker')} on this machine, "
        f"{megabytes(max(cost.bytes, 1e6))} on disk",
        *table(rows),
        *(
            f"left out: {s['method'] or 'a layer'} at {s['layer']} of {named(s['model'])}: {s['reason']}"
            for s in cost.skipped
        ),
    ]
    return "\n".join(lines)
