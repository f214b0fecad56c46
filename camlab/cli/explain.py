"""What ``python -m camlab explain`` takes and does."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camlab.cli.terminal import dump, note, say
from camlab.common.errors import BadSetting
from camlab.explore.attack.settings import DEFAULTS

if TYPE_CHECKING:
    from camlab.explore.scene import Scene
    from camlab.explore.state import ExploreState

NAME = "explain"
HELP = "explain one picture, clean and perturbed, and compare the maps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="a file, or a built-in picture such as photos/bison")
    add("--model", metavar="M", help="see `list models`, `list catalogue`; or a checkpoint's file")
    add(
        "--architecture",
        metavar="N",
        help="of a checkpoint's file: timm's name; default: found by its tensors",
    )
    add(
        "--classes",
        metavar="FILE",
        type=Path,
        help="of a checkpoint's file: its class names (txt, csv, json)",
    )
    add("--mean", metavar="R,G,B", help="of a checkpoint's file: what is taken off each colour, in [0, 1]")
    add("--std", metavar="R,G,B", help="of a checkpoint's file: what it is divided by then")
    add("--size", metavar="N", type=_size, help="of a checkpoint's file: its input, 224 or 192x256 (H x W)")
    add("--crop", metavar="S", type=_number, help="of a checkpoint's file: share of the shorter side it sees")
    add(
        "--pair",
        metavar="NOISY",
        help="your own noisy picture of the same scene: the noise is `captured`, severity 5 unless said otherwise",
    )
    add("--method", metavar="A", action="append", help="see `list methods`; may be given more than once")
    add("--noise", metavar="T", help="see `list noises`")
    add("--severity", metavar="S", type=_severity, help="any number from 0 (nothing) to 5; default 3")
    add("--seed", metavar="K", type=_seed, help="which draw of the noise: 0, 1, 2 …; default 0")
    add("--layer", metavar="L", help="target layer, such as blocks.6 or blocks[-1]; default: the pooled one")
    add("--target", metavar="CLASS", help="explain this class, by index or name, in both pictures")
    add("--eigen-smooth", action="store_true", help="first principal component instead of the sum of terms")
    add("--aug-smooth", action="store_true", help="mean map over mirrored, darker and brighter versions")
    add("--average", metavar="N", type=_seed, default=0, help="mean map over N noisy copies of each version")
    add(
        "--sigma",
        metavar="X",
        type=_sigma,
        help="standard deviation of their noise; default 0.15 of the range",
    )
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--save", metavar="DIR", type=Path, help="write pictures, maps and overlays into this folder")
    add(
        "--floor",
        action=argparse.BooleanOptionalAction,
        help="measure the floor with 24 other pictures; default: unless the method takes a pass a channel",
    )
    add("--localise", action="store_true", help="compare the maps with the outline of the object")
    add(
        "--faithfulness",
        action="store_true",
        help="deletion, insertion and ROAD; takes half a minute a method",
    )
    add(
        "--attack",
        action="store_true",
        help="search for a picture that looks and is classified the same, and has another map",
    )
    for name, kind, what in (
        ("epsilon", _number, "of 255: how far the attack may move any value"),
        ("steps", _seed, "of the attack"),
        ("slack", _number, "how far the attack may let the prediction's probability fall, 0 to 1"),
        ("goal", str, "of the attack: away, top left and so on, or picture"),
    ):
        add(f"--{name}", metavar=name[0].upper(), type=kind, help=f"{what}; default {DEFAULTS[name]}")
    add("--imitate", metavar="IMAGE", help="the picture whose map is the attack's goal `picture`")
    add("--json", action="store_true", help="print a list with one record a method")


def _severity(text: str) -> float:
    try:
        return float(text)  # its range is checked by the noise
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to 5") from None


def _number(text: str) -> float:
    try:
        return float(text)  # its range is checked where it is used
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number") from None


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a size such as 224 or 192x256")
    return int(found[1]), int(found[2] or found[1])


def _sigma(text: str) -> float:
    try:
        return float(text)  # its range is checked by the smoothing
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number over 0, up to 1") from None


def _seed(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 0 on")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    """Measure what is asked for, save it and print it."""
    scenes = _scenes(arguments)
    from camlab.explore.output import explain
    from camlab.explore.trials.localisation import object_mask, why_not

    attack = _attack(arguments, scenes)
    folder = None if arguments.save is None else explain.writable(arguments.save)
    state = scenes[0].state
    if state.shown_seed != state.seed:
        note(f"{state.noise} has nothing to draw, so seed 0 stands for {state.seed}")
    if arguments.localise and object_mask(scenes[0]) is None:
        raise BadSetting(why_not(scenes[0]))
    found = [explain.measure(scene, note, arguments.floor) for scene in scenes]
    asked = {"localised": arguments.localise, "faithful": arguments.faithfulness, "attack": attack}
    found = [explain.examine(each, note, **asked) for each in found]
    if folder is not None:
        explain.save(found, folder)
    if arguments.json:
        dump([explain.record(each) for each in found])
    else:
        say(explain.text(found))


def _scenes(arguments: argparse.Namespace) -> list[Scene]:
    """One scene a method. What is wrong with the arguments comes out here, before any computing."""
    from camlab.cams import CAMS
    from camlab.engine.shared import engine_for
    from camlab.explore.output.explain import find_class, picture_named
    from camlab.explore.scene import Scene
    from camlab.explore.state import ExploreState
    from camlab.images.photo_pairs import PAIR_NOISE, PAIR_SEVERITY, paired, set_companion
    from camlab.noise import parameters_at

    fields = ("model", "noise", "severity", "seed", "layer")
    given = {name: value for name in fields if (value := getattr(arguments, name)) is not None}
    if arguments.pair is not None:
        given = {"noise": PAIR_NOISE, "severity": PAIR_SEVERITY} | given
    state = dataclasses.replace(ExploreState(), **given)
    parameters_at(state.noise, state.severity)
    state = _smoothed(state, arguments)
    methods = list(dict.fromkeys(arguments.method or [state.method]))
    for name in methods:
        CAMS[name]
    picture = picture_named(arguments.image)
    if arguments.pair is not None:
        noisy = picture_named(arguments.pair)
        picture = paired(picture, noisy)
        if warning := set_companion(picture, noisy).warning:
            note(warning)
    state = dataclasses.replace(state, model=_model(state.model, arguments))
    engine = engine_for(state.model, arguments.device)
    state = dataclasses.replace(state, image=picture.id)
    if arguments.target is not None:
        target = find_class(engine.classifier.class_names, arguments.target)
        state = dataclasses.replace(state, rule="fixed", target=target)
    scenes = [Scene(engine, picture, dataclasses.replace(state, method=name)) for name in methods]
    if state.severity > 0 and (reason := scenes[0].lacking):
        raise BadSetting(reason)
    return scenes


def _smoothed(state: ExploreState, arguments: argparse.Namespace) -> ExploreState:
    """The state with the smoothing asked for. Raises BadSetting for one that cannot be had."""
    if arguments.sigma is not None and not arguments.average:
        raise BadSetting("--sigma is that of the noisy copies; say how many with --average, or leave it out.")
    from camlab.cams.smoothing import Smoothing

    asked = {"eigen": arguments.eigen_smooth, "augment": arguments.aug_smooth, "copies": arguments.average}
    if arguments.sigma is not None:
        asked["sigma"] = arguments.sigma
    state = dataclasses.replace(state, **asked)
    Smoothing(state.eigen, state.augment, state.copies, state.sigma)  # before anything is computed
    return state


def _attack(arguments: argparse.Namespace, scenes: Sequence[Scene]) -> dict[str, Any] | None:
    """The attack's settings; None where none is asked for. Raises BadSetting for what cannot be had."""
    given = {name: value for name in DEFAULTS if (value := getattr(arguments, name)) is not None}
    if not arguments.attack:
        if given or arguments.imitate is not None:
            name = next(iter(given), "imitate")
            raise BadSetting(f"--{name} is a setting of the attack; add --attack, or leave it out.")
        return None
    from camlab.explore.attack.outcome import begin
    from camlab.explore.output.explain import picture_named

    found = DEFAULTS | given
    found["epsilon"] /= 255
    found["other"] = None if arguments.imitate is None else picture_named(arguments.imitate)
    for scene in scenes:
        begin(scene, **found)  # its checks: nothing is to be computed before a wrong setting is told
    return found


def _model(name: str, arguments: argparse.Namespace) -> str:
    """The name to load a model by: what is a file becomes a model of this process."""
    from camlab.models.own.model import SUFFIXES, model_from_file, three_numbers

    is_file = name.lower().endswith(SUFFIXES) or arguments.architecture is not None
    settings = {each: getattr(arguments, each) for each in ("classes", "mean", "std", "size", "crop")}
    given = [each for each, value in settings.items() if value is not None]
    if not is_file and not given:
        return name
    if not is_file:
        raise BadSetting(f"--{given[0]} goes with a checkpoint's file, and {name!r} is none; leave it out.")
    row = model_from_file(
        Path(name),
        arguments.architecture,
        arguments.classes,
        mean=three_numbers(arguments.mean or "", "mean"),
        std=three_numbers(arguments.std or "", "standard deviation"),
        input_size=arguments.size,
        crop_pct=arguments.crop,
    )
    note(row.summary)
    return row.name
