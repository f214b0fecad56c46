"""``camlab bench``: time the page's work on this machine."""

import argparse
import sys
from importlib import import_module
from types import ModuleType

from camlab.cli.terminal import Bar, dump, note, say
from camlab.common.directories import HOME
from camlab.common.errors import BadSetting

NAME = "bench"
HELP = "time the page's work on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add(
        "--model",
        metavar="M",
        action="append",
        help="may be repeated; default: the page's; also resnet50, for timing only",
    )
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--quick", action="store_true", help="fewer repeats")
    add("--json", action="store_true", help="print a list with one record per model")


def run(arguments: argparse.Namespace) -> None:
    """Time the work and print the report. Raises BadSetting if the benchmarks are missing."""
    timing = _benchmarks()
    with Bar(timing.steps(arguments.model, arguments.quick), sys.stderr) as bar:
        records = timing.bench(
            arguments.model, device=arguments.device, quick=arguments.quick, progress=bar.step, warn=note
        )
    if arguments.json:
        dump(records)
    else:
        say("\n\n".join(timing.report(each) for each in records))


def _benchmarks() -> ModuleType:
    """Import the benchmarks, which lie beside the package in a checkout, and in HOME if it is installed."""
    try:
        return import_module("benchmarks.bench")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("benchmarks"):
            raise
    if (HOME / "benchmarks" / "bench.py").is_file():
        sys.path.append(str(HOME))
        return import_module("benchmarks.bench")
    raise BadSetting("The benchmarks are not installed; run `camlab bench` in a checkout of CAM Lab.")
