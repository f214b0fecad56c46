"""``camlab train-shapes``: train the ShapeScenes networks."""

import argparse
from pathlib import Path

from camlab.cli.terminal import note, say, whole_number, writable
from camlab.common.wording import table

NAME = "train-shapes"
HELP = "train the ShapeScenes networks again (takes a while)"

_SETTINGS = ("close_epochs", "epochs", "scenes", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--net", metavar="NAME", action="append", help="may be repeated; default: all three")
    add(
        "--close-epochs",
        metavar="N",
        type=whole_number(1),
        help="epochs on close-ups of each object, first; default: what the network needs",
    )
    add(
        "--epochs",
        metavar="N",
        type=whole_number(1),
        help="epochs on whole scenes, after that; default: what the network needs",
    )
    add("--scenes", metavar="N", type=whole_number(1), help="how many scenes to train on; default 16,000")
    add("--seed", metavar="K", type=whole_number(1), help="seed of scenes and weights: 1, 2, 3 …; default 1")
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add(
        "--out",
        metavar="DIR",
        type=Path,
        help="write into this folder; default: the folder that the app reads",
    )


def run(arguments: argparse.Namespace) -> None:
    """Train the networks and print one row for each. Raises UnknownName and what `train_shapes` raises."""
    from camlab.models.shape_nets import FOLDER, SHAPE_NETS
    from camlab.models.shape_training import Settings, summary, train_shapes

    names = [SHAPE_NETS[name].name for name in dict.fromkeys(arguments.net or SHAPE_NETS)]
    folder = writable(arguments.out or FOLDER)
    given = {key: value for key in _SETTINGS if (value := getattr(arguments, key)) is not None}
    records = train_shapes(names, folder, Settings(**given), arguments.device, note)
    say("\n".join(table([summary(record) for record in records])))
