"""What ``python -m camlab train-shapes`` takes and does."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from camlab.cli.terminal import note, say
from camlab.common.wording import table

NAME = "train-shapes"
HELP = "train the ShapeScenes networks anew, which takes a while"

_SETTINGS = ("close_epochs", "epochs", "scenes", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("--net", metavar="NAME", action="append", help="may be given more than once; default: all three")
    add(
        "--close-epochs",
        metavar="N",
        type=_count,
        help="how often each object is first seen from close up; both by default: as NET needs",
    )
    add("--epochs", metavar="N", type=_count, help="how often each scene is then seen whole")
    add("--scenes", metavar="N", type=_count, help="how many scenes to train on; default 16,000")
    add("--seed", metavar="K", type=_count, help="draws scenes and weights: 1, 2, 3 …; default 1")
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--out", metavar="DIR", type=Path, help="write into this folder; default: where the app reads them")


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 1 on")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    """Train the networks and print a row for each."""
    from camlab.explore.output.explain import writable

    names, folder = chosen(arguments)
    say("\n".join(table(train(arguments, names, writable(folder), note))))


def chosen(arguments: argparse.Namespace) -> tuple[list[str], Path]:
    """The networks that are asked for, each once, and the folder to write into. Raises UnknownName."""
    from camlab.models.shape_nets import FOLDER, SHAPE_NETS

    names = list(dict.fromkeys(arguments.net or SHAPE_NETS))
    return [SHAPE_NETS[name].name for name in names], arguments.out or FOLDER


def train(
    arguments: argparse.Namespace, names: list[str], folder: Path, say: Callable[[str], None]
) -> list[list[str]]:
    """Train the networks and return one row of texts for each. Raises what `camlab.models.shape_training.train_shapes` does."""
    from camlab.models.shape_training import Settings, summary, train_shapes

    given = {key: value for key in _SETTINGS if (value := getattr(arguments, key)) is not None}
    records = train_shapes(names, folder, Settings(**given), arguments.device, say)
    return [summary(record) for record in records]
