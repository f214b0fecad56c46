"""``camlab download``: fetch the weights of a timm model, or a data set."""

import argparse
import sys

from camlab.cli.terminal import Bar, note, say

NAME = "download"
HELP = "fetch the weights of a timm model, or a data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="see `list catalogue` and `list datasets`: timm/resnet50.a1_in1k, imagenette …; or hf:OWNER/NAME, "
        "a data set on the Hugging Face hub",
    )


def run(arguments: argparse.Namespace) -> None:
    """Fetch the weights or the data set and print its path."""
    from camlab.common.wording import megabytes
    from camlab.images.datasets.catalogue import DATASETS

    with Bar(0, sys.stderr) as bar:

        def reached(done: int, total: int) -> None:
            bar.reach(done, total, f"{megabytes(done)} of {megabytes(total)}")

        name = arguments.name
        if name.startswith("hf:"):
            from camlab.images.datasets.hub import look_up

            name = look_up(name).name
        if name in DATASETS:
            from camlab.images.datasets import download

            dataset = DATASETS[name]
            note(f"{dataset.title}: {dataset.megabytes:,} MB, licence: {dataset.licence}")
            path = download.download(name, progress=reached)
        else:
            from camlab.models.hub import download as hub

            path = hub.download(name, reached)
    say(str(path))
