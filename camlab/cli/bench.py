"""What ``python -m camlab bench`` takes and does."""

from __future__ import annotations

import argparse
import sys

from camlab.cli.terminal import dump, note, say

NAME = "bench"
HELP = "time the page's work on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add(
        "--model",
        metavar="M",
        action="append",
        help="may be given more than once; default: the page's; also resnet50, for timing only",
    )
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--quick", action="store_true", help="fewer repeats")
    add("--json", action="store_true", help="print a list with one record a model")


def run(arguments: argparse.Namespace) -> None:
    """Time the work and print the report."""
    from benchmarks.bench import bench, steps
    from benchmarks.bench_report import report
    from camlab.cli.progress import Bar

    with Bar(steps(arguments.model, arguments.quick), sys.stderr) as bar:
        records = bench(
            arguments.model, device=arguments.device, quick=arguments.quick, progress=bar.step, warn=note
        )
    if arguments.json:
        dump(records)
    else:
        say("\n\n".join(report(each) for each in records))
