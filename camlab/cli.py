"""The command line: ``python -m camlab explain | list | bench | cache``.

It makes the calls that the Explore page makes. The result goes to stdout, everything else to stderr; what a
user can put right ends in one line and exit code 2. Nothing slow is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import camlab
from camlab.errors import BadSetting, CamLabError
from camlab.listing import LISTS, table

if TYPE_CHECKING:
    from camlab.scene import Scene

BAD_INPUT, INTERRUPTED, READER_GONE = 2, 130, 141  # the last two as a shell counts SIGINT and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` defaults to the process's arguments."""
    try:
        arguments = _parser().parse_args(argv)
        code: int | None = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # --help and --version end here
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except CamLabError as error:
        return _fail(str(error))
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{place}")
    return code or 0


def _fail(message: str) -> int:
    print("camlab:", " ".join(message.split()), file=sys.stderr)
    return BAD_INPUT


def _note(message: str) -> None:
    print("note:", message, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    """Print a result; a character that the terminal's encoding lacks must not end the program."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _dump(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in the one line that every other error gets."""

    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"{message}; {self.prog} --help says more.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m camlab",
        description="Measure how class activation maps react to noise.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"camlab {camlab.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    explain = commands.add_parser(
        "explain", help="explain one picture, clean and perturbed, and compare the maps", allow_abbrev=False
    )
    add = explain.add_argument
    add("image", metavar="IMAGE", help="a file, or a built-in picture such as photos/bison")
    add("--model", metavar="M", help="see `list models`")
    add("--method", metavar="A", action="append", help="see `list methods`; may be given more than once")
    add("--noise", metavar="T", help="see `list noises`")
    add("--severity", metavar="S", type=_severity, help="any number from 0 (nothing) to 5; default 3")
    add("--seed", metavar="K", type=_seed, help="which draw of the noise: 0, 1, 2 …; default 0")
    add("--layer", metavar="L", help="target layer, such as blocks.6 or blocks[-1]; default: the pooled one")
    add("--target", metavar="CLASS", help="explain this class, by index or name, in both pictures")
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--save", metavar="DIR", type=Path, help="write pictures, maps and overlays into this folder")
    add(
        "--floor",
        action=argparse.BooleanOptionalAction,
        help="measure the floor with 24 other pictures; default: unless the method takes a pass a channel",
    )
    add("--json", action="store_true", help="print a list with one record a method")
    explain.set_defaults(run=_explain)

    listing = commands.add_parser("list", help="list what can be chosen", allow_abbrev=False)
    listing.add_argument("what", metavar="WHAT", help=", ".join(LISTS))
    listing.add_argument("--json", action="store_true", help="print all fields as JSON")
    listing.set_defaults(run=_list)

    bench = commands.add_parser("bench", help="time the page's work on this machine", allow_abbrev=False)
    add = bench.add_argument
    add(
        "--model",
        metavar="M",
        action="append",
        help="may be given more than once; default: the page's; also resnet50, for timing only",
    )
    add("--device", metavar="D", default="auto", help="auto (default), cpu, cuda or mps")
    add("--quick", action="store_true", help="fewer repeats")
    add("--json", action="store_true", help="print a list with one record a model")
    bench.set_defaults(run=_bench)

    cache = commands.add_parser(
        "cache",
        help="look after the results kept on disk",
        description="info: where they are and how many; clear: remove them; verify: read them all, remove the "
        "broken and end with code 1 where there were any.",
        epilog="CAMLAB_CACHE_DIR names the directory (off: none), CAMLAB_CACHE_BYTES the most it may hold.",
        allow_abbrev=False,
    )
    cache.add_argument("what", metavar="WHAT", help="info, clear or verify")
    cache.add_argument("--json", action="store_true", help="print the fields as JSON")
    cache.set_defaults(run=_cache)
    return parser


def _severity(text: str) -> float:
    try:
        return float(text)  # its range is checked by the noise
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to 5") from None


def _seed(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 0 on")
    return int(text)


def _explain(arguments: argparse.Namespace) -> None:
    scenes = _scenes(arguments)
    from camlab import findings

    folder = None if arguments.save is None else _writable(arguments.save)
    state = scenes[0].state
    if state.shown_seed != state.seed:
        _note(f"{state.noise} has nothing to draw, so seed 0 stands for {state.seed}")
    found = [findings.measure(scene, _note, arguments.floor) for scene in scenes]
    if folder is not None:
        findings.save(found, folder)
    if arguments.json:
        _dump([findings.record(each) for each in found])
    else:
        _say(findings.text(found))


def _scenes(arguments: argparse.Namespace) -> list[Scene]:
    """One scene a method. What is wrong with the arguments comes out here, before any computing."""
    from camlab.cams import CAMS
    from camlab.findings import find_class, picture_named
    from camlab.noise import parameters_at
    from camlab.scene import Scene, engine_for
    from camlab.state import ExploreState

    fields = ("model", "noise", "severity", "seed", "layer")
    given = {name: value for name in fields if (value := getattr(arguments, name)) is not None}
    state = dataclasses.replace(ExploreState(), **given)
    parameters_at(state.noise, state.severity)
    methods = list(dict.fromkeys(arguments.method or [state.method]))
    for name in methods:
        CAMS[name]
    picture = picture_named(arguments.image)
    engine = engine_for(state.model, arguments.device)
    state = dataclasses.replace(state, image=picture.id)
    if arguments.target is not None:
        target = find_class(engine.classifier.class_names, arguments.target)
        state = dataclasses.replace(state, rule="fixed", target=target)
    return [Scene(engine, picture, dataclasses.replace(state, method=name)) for name in methods]


def _writable(folder: Path) -> Path:
    """The folder, made and found writable before anything is computed. Raises BadSetting."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise BadSetting(f"Nothing can be saved in {str(folder)!r} ({why}); name another folder.") from error


def _list(arguments: argparse.Namespace) -> None:
    listing = LISTS[arguments.what]
    rows = listing.rows()
    if arguments.json:
        _dump(rows)
    else:
        _say("\n".join(table([[str(row[column]) for column in listing.columns] for row in rows])))


def _bench(arguments: argparse.Namespace) -> None:
    from camlab.bar import Bar
    from camlab.bench import bench, steps
    from camlab.bench_report import report

    with Bar(steps(arguments.model, arguments.quick), sys.stderr) as bar:
        records = bench(
            arguments.model, device=arguments.device, quick=arguments.quick, progress=bar.step, warn=_note
        )
    if arguments.json:
        _dump(records)
    else:
        _say("\n\n".join(report(each) for each in records))


def _cache(arguments: argparse.Namespace) -> int:
    from camlab.upkeep import upkeep

    outcome = upkeep(arguments.what)
    if arguments.json:
        _dump(outcome.record)
    else:
        _say("\n".join(outcome.lines))
    return outcome.code
