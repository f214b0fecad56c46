"""The options that describe a checkpoint file, and the models that a command line names: by name or by file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from camlab.cli.terminal import note, number
from camlab.common.errors import BadSetting

_SETTINGS = ("classes", "classes_as", "mean", "std", "size", "crop")


def add_checkpoint_options(add: Callable[..., Any]) -> None:
    """Declare the options of a checkpoint; ``add`` is the parser's or group's ``add_argument``."""
    add("--architecture", metavar="N", help="checkpoint: its name in timm; default: found in the file")
    add("--classes", metavar="FILE", type=Path, help="checkpoint: its class names (txt, csv, json, yaml, py)")
    add("--classes-as", metavar="KEY", help="checkpoint: how to read --classes, if it can be read in several ways")
    add("--mean", metavar="R,G,B", help="checkpoint: mean of each colour, in [0, 1]")
    add("--std", metavar="R,G,B", help="checkpoint: standard deviation of each colour, in [0, 1]")
    add("--size", metavar="N", help="checkpoint: its input size, 224 or 192x256 (H x W); default: the file's")
    add("--crop", metavar="S", type=number(), help="checkpoint: share of the shorter side that it sees")


def checkpoint_option(arguments: argparse.Namespace) -> str:
    """Return the first option given that describes a checkpoint, such as ``--classes``; empty if there is none."""
    for name in ("architecture", *_SETTINGS):
        if getattr(arguments, name) is not None:
            return f"--{name.replace('_', '-')}"
    return ""


def models_named(names: Iterable[str], arguments: argparse.Namespace) -> list[str]:
    """Return the names of the models to load; each checkpoint file becomes a model of this process.

    The options hold for all files. Raises BadSetting if one is given and no file is named, and what `model_from_file`
    raises.
    """
    from camlab.models.own.model import is_checkpoint

    asked = list(names)
    files = [name for name in asked if is_checkpoint(name)]
    if not files and arguments.architecture is not None:
        files = asked
    if (option := checkpoint_option(arguments)) and not files:
        which = f", which {asked[0]!r} is not; leave it out" if asked else "; name it with --model FILE"
        raise BadSetting(f"{option} describes a checkpoint file{which}.")
    return [_from_file(name, arguments) if name in files else name for name in asked]


def _from_file(name: str, arguments: argparse.Namespace) -> str:
    from camlab.models.own.model import model_from_file, three_numbers
    from camlab.models.sizes import parse_size

    row = model_from_file(
        Path(name),
        arguments.architecture,
        arguments.classes,
        arguments.classes_as,
        mean=three_numbers(arguments.mean or "", "mean"),
        std=three_numbers(arguments.std or "", "standard deviation"),
        input_size=parse_size(arguments.size or ""),
        crop_pct=arguments.crop,
    )
    note(row.summary)
    return row.name
