"""``camlab explain``: explain one picture, clean and perturbed, and compare the maps."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from camlab.cli.own_model import add_checkpoint_options, models_named
from camlab.cli.terminal import dump, note, number, say, whole_number, writable
from camlab.common.errors import BadSetting
from camlab.explore.attack.settings import DEFAULTS

if TYPE_CHECKING:
    from camlab.explore.attack.search import ExplanationAttack
    from camlab.explore.scene import Scene
    from camlab.explore.state import ExploreState

NAME = "explain"
HELP = "explain one picture, clean and perturbed, and compare the maps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("image", metavar="IMAGE", help="a file, or a built-in picture such as photos/bison")

    parser.add_argument(
        "--bits",
        metavar="N",
        type=whole_number(1),
        help="read a file of 16 bits per value as numbers of N bits, as cameras store them: 10, 12 or 14, for example",
    )

    add = parser.add_argument_group("model").add_argument
    add("--model", metavar="M", help="see `list models`, `list catalogue`; or a checkpoint file")
    add_checkpoint_options(add)
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")

    add = parser.add_argument_group("noise").add_argument
    add("--noise", metavar="T", help="see `list noises`")
    add(
        "--severity",
        metavar="S",
        type=number("a number from 0 to 5"),
        help="any number from 0 (no noise) to 5; default 3",
    )
    add("--seed", metavar="K", type=whole_number(0), help="which noise draw: 0, 1, 2 …; default 0")
    add(
        "--pair",
        metavar="NOISY",
        help="your own noisy picture of the same scene: sets the noise to `captured` and the severity to 5",
    )

    add = parser.add_argument_group("map").add_argument
    add("--method", metavar="A", action="append", help="see `list methods`; may be repeated")
    add("--layer", metavar="L", help="target layer, such as blocks.6 or blocks[-1]; default: the pooled layer")
    add("--target", metavar="CLASS", help="explain this class, by index or name, in both pictures")
    add(
        "--eigen-smooth",
        action="store_true",
        help="use the first principal component of the channels, not their sum",
    )
    add("--aug-smooth", action="store_true", help="mean map over mirrored, darker and brighter versions")
    add(
        "--average",
        metavar="N",
        type=whole_number(0),
        default=0,
        help="mean map over N noisy copies of each version",
    )
    add(
        "--sigma",
        metavar="X",
        type=number("a number above 0, up to 1"),
        help="standard deviation of the noise in these copies; default 0.15 of the range",
    )

    add = parser.add_argument_group("measures").add_argument
    add(
        "--floor",
        action=argparse.BooleanOptionalAction,
        help="measure the floor of 24 other pictures; default: unless the method takes one pass per channel",
    )
    add("--localise", action="store_true", help="compare the maps with the outline of the object")
    add(
        "--faithfulness",
        action="store_true",
        help="deletion, insertion and ROAD; takes half a minute per method",
    )

    add = parser.add_argument_group("attack").add_argument
    add(
        "--attack",
        action="store_true",
        help="search for a picture that looks the same and keeps its class, but has another map",
    )
    for name, kind, what in (
        ("epsilon", number(), "how far the attack may change any value, of 255"),
        ("steps", whole_number(0), "number of steps"),
        ("slack", number(), "how far the prediction's probability may fall, 0 to 1"),
        ("goal", str, "away, a corner such as “top left”, or picture"),
    ):
        add(f"--{name}", metavar=name[0].upper(), type=kind, help=f"{what}; default {DEFAULTS[name]}")
    add("--imitate", metavar="IMAGE", help="the picture whose map the goal `picture` imitates")

    add = parser.add_argument_group("output").add_argument
    add("--save", metavar="DIR", type=Path, help="write pictures, maps and overlays into this folder")
    add("--json", action="store_true", help="print a list with one record per method")


def run(arguments: argparse.Namespace) -> None:
    """Check all arguments, then measure, save and print."""
    scenes = _scenes(arguments)
    from camlab.cli.finding_text import finding_text
    from camlab.explore.output import files, finding
    from camlab.explore.trials.localisation import object_mask, why_not

    attacks = _attacks(arguments, scenes)
    folder = None if arguments.save is None else writable(arguments.save)
    state = scenes[0].state
    if state.shown_seed != state.seed:
        note(f"{state.noise} is not random, so seed 0 stands for {state.seed}")
    if arguments.localise and object_mask(scenes[0]) is None:
        raise BadSetting(why_not(scenes[0]))
    found = [finding.measure(scene, note, arguments.floor) for scene in scenes]
    asked = {"localised": arguments.localise, "faithful": arguments.faithfulness}
    found = [finding.examine(each, note, attack=attack, **asked) for each, attack in zip(found, attacks, strict=True)]
    if folder is not None:
        files.save_findings(found, folder)
    if arguments.json:
        dump([finding.finding_record(each) for each in found])
    else:
        say(finding_text(found))


def _scenes(arguments: argparse.Namespace) -> list[Scene]:
    """Return one scene per method. Raises CamLabError for wrong arguments, before anything is computed."""
    from camlab.cams import CAMS
    from camlab.cli.lookup import at_depth, find_class, picture_named
    from camlab.engine.shared import engine_for
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
    named = [picture_named(name) for name in (arguments.image, arguments.pair) if name is not None]
    picture, *noisy = at_depth(arguments.bits, *named)
    if noisy:
        picture = paired(picture, noisy[0])
        if warning := set_companion(picture, noisy[0]).warning:
            note(warning)
    state = dataclasses.replace(state, model=models_named([state.model], arguments)[0], image=picture.id)
    engine = engine_for(state.model, arguments.device)
    if arguments.target is not None:
        target = find_class(engine.classifier.class_names, arguments.target)
        state = dataclasses.replace(state, rule="fixed", target=target)
    scenes = [Scene(engine, picture, dataclasses.replace(state, method=name)) for name in methods]
    if state.severity > 0 and (reason := scenes[0].lacking):
        raise BadSetting(reason)
    return scenes


def _smoothed(state: ExploreState, arguments: argparse.Namespace) -> ExploreState:
    """Return the state with the requested smoothing. Raises BadSetting for values out of range."""
    if arguments.sigma is not None and not arguments.average:
        raise BadSetting("--sigma describes the noisy copies; add --average N, or leave --sigma out.")
    asked = {"eigen": arguments.eigen_smooth, "augment": arguments.aug_smooth, "copies": arguments.average}
    if arguments.sigma is not None:
        asked["sigma"] = arguments.sigma
    state = dataclasses.replace(state, **asked)
    _ = state.smoothing  # checks its values, before anything is computed
    return state


def _attacks(arguments: argparse.Namespace, scenes: Sequence[Scene]) -> list[ExplanationAttack | None]:
    """Prepare one attack per scene, or None without the option. Raises BadSetting for unusable settings."""
    given = {name: value for name in DEFAULTS if (value := getattr(arguments, name)) is not None}
    if not arguments.attack:
        if given or arguments.imitate is not None:
            name = next(iter(given), "imitate")
            raise BadSetting(f"--{name} is a setting of the attack; add --attack, or leave it out.")
        return [None] * len(scenes)
    from camlab.cli.lookup import at_depth, picture_named
    from camlab.explore.attack.prepare import prepare_attack

    wanted = DEFAULTS | given
    wanted["epsilon"] /= 255
    wanted["other"] = None
    if arguments.imitate is not None:
        other = picture_named(arguments.imitate)
        (wanted["other"],) = at_depth(arguments.bits if other.depth[0] == 16 else None, other)
    return [prepare_attack(scene, **wanted) for scene in scenes]
