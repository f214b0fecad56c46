"""``camlab report``: write one self-contained HTML file about a study or a saved state."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from camlab.cli.own_model import add_checkpoint_options, checkpoint_option, models_named
from camlab.cli.terminal import note, say
from camlab.common.errors import BadSetting, BadState

if TYPE_CHECKING:
    from camlab.drawing.report.material import Material

NAME = "report"
HELP = "write one self-contained HTML file about a study or a saved state"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add(
        "source",
        metavar="STUDY|STATE.json",
        type=Path,
        help="a study's folder, or a file saved by “State and results” in Explore",
    )
    add("--out", metavar="F.html", type=Path, required=True, help="the file to write")
    add("--similarity", metavar="N", default="rbo", help="study: see `list similarities`; default rbo")
    add("--no-pictures", action="store_true", help="study: leave out the most striking pairs")
    add("--device", metavar="D", default="auto", help="state: auto (default), cpu, cuda or mps")
    add("--model", metavar="FILE", help="state: the checkpoint file that it was saved with")
    add_checkpoint_options(parser.add_argument_group("the state's checkpoint").add_argument)


def run(arguments: argparse.Namespace) -> None:
    """Write the report atomically."""
    out: Path = arguments.out
    if out.is_dir():
        raise BadSetting(f"{out} is a folder; name the file to write, such as {out / 'report.html'}.")
    if not out.parent.is_dir():
        raise BadSetting(f"There is no folder {out.parent}; create it, or name another file.")
    from camlab.drawing.report.html import report_html

    text = report_html(_material(arguments))
    handle, scratch = tempfile.mkstemp(dir=out.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(out)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    say(f"{out} ({len(text.encode()) / 1e6:.1f} MB)")


def _material(arguments: argparse.Namespace) -> Material:
    source: Path = arguments.source
    if source.is_dir():
        from camlab.study.report import study_material
        from camlab.study.store import open_study

        if option := "--model" if arguments.model is not None else checkpoint_option(arguments):
            raise BadSetting(
                f"{option} describes the checkpoint of a state, and a study keeps its models; leave it out."
            )
        study = open_study(source)
        return study_material(study, arguments.similarity, note=note, pictures=not arguments.no_pictures)
    if not source.exists():
        raise BadSetting(f"There is no study and no state file {str(source)[:200]!r}; check the path.")
    return _of_state(source.read_bytes(), arguments)


def _of_state(data: bytes, arguments: argparse.Namespace) -> Material:
    from camlab.engine.shared import engine_for
    from camlab.explore.output.report import measured_sweep, scene_material
    from camlab.explore.scene import Scene
    from camlab.explore.state import parse_json
    from camlab.images import OWN_KINDS, find_picture, set_of

    state, problems = parse_json(data)
    if problems:
        # With a substitute for a missing picture or method, the report would describe something else.
        raise BadState(" ".join(problems))
    if set_of(state.image) in OWN_KINDS:
        raise BadState(
            "This state shows an uploaded picture, which is not in the file; open the picture in the app and "
            "export the report there."
        )
    _check_model(state.model, arguments)
    scene = Scene(engine_for(state.model, arguments.device), find_picture(state.image), state)
    if reason := scene.lacking:
        raise BadState(reason)
    shown = scene.shown(state.severity, state.shown_seed)
    return scene_material(scene, shown, measured_sweep(scene, note))


def _check_model(name: str, arguments: argparse.Namespace) -> None:
    """Load the checkpoint of a state from its file. Raises BadState if it is missing, or another model than then."""
    from camlab.models import OWN_PREFIX

    own = name.startswith(OWN_PREFIX)
    if not own and arguments.model is not None:
        raise BadState(f"This state was saved with {name}, not with a checkpoint file; leave --model out.")
    if own and arguments.model is None:
        raise BadState("This state was saved with your own checkpoint; name its file with --model FILE.")
    found = models_named([] if arguments.model is None else [arguments.model], arguments)
    if own and found != [name]:
        # The name stands for the file and every setting, so another one would show other maps.
        raise BadState(
            f"{arguments.model} is not the model of this state: its weights, class names or settings are others; name "
            "the file and the options of then."
        )
