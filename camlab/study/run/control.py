"""Control of a study from outside: start it in a background process, watch, pause, resume and cancel it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camlab.common.directories import IMPORT_ROOT
from camlab.common.errors import BadStudy
from camlab.study.store.files import is_held, read_json, write_json
from camlab.study.store.study import MANIFEST

PROGRESS, CONTROL, LOG = "progress.json", "control.json", "run.log"
START_WITHIN = 30.0  # seconds for a new process to take the study's lock
#: Final states that a run reports; any other state without a process means "interrupted".
ENDS = ("cancelled", "failed", "finished")
_RUN = "import sys; from camlab.study.run.run import run_in_background; run_in_background(sys.argv[1:])"
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Status:
    """The progress of a study.

    state: planned, running, paused, cancelled, interrupted (its process died), failed or finished; all but "finished"
    can be resumed. done, total: pairs. units_done, units_total: units, each a picture under a model. by: done and
    total pairs by model and noise type. seconds_left: None if unknown. alive: a process runs the study. skipped:
    unusable pictures. error: one sentence on why the study failed.
    """

    state: str
    done: int = 0
    total: int = 0
    units_done: int = 0
    units_total: int = 0
    by: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    seconds_left: float | None = None
    seconds_spent: float = 0.0
    pairs_per_second: float | None = None
    skipped: int = 0
    error: str = ""
    alive: bool = False
    workers: int = 0

    @property
    def share(self) -> float:
        """The finished share of the pairs, in [0, 1]."""
        return self.done / self.total if self.total else 0.0

    @property
    def can_resume(self) -> bool:
        """Whether `start` can resume it."""
        return not self.alive and self.state != "finished"


def status(folder: str | Path) -> Status:
    """Return the status of the study in a folder. Raises BadStudy if there is none."""
    place = Path(folder)
    manifest = read_json(place / MANIFEST)
    if manifest is None:
        raise BadStudy(f"“{place.name}” contains no study; plan one first.")
    if manifest.get("imported"):
        pairs = int(manifest.get("pairs") or 0)
        return Status("finished", pairs, pairs)
    alive = is_held(place)
    reported = read_json(place / PROGRESS)
    control = read_json(place / CONTROL) or {}
    if not alive and _is_starting(control, reported):
        return from_progress(reported or {}, "running", True)
    if reported is None:
        return from_progress({"total": manifest.get("pairs", 0)}, "running" if alive else "planned", alive)
    state = str(reported.get("state", "running"))
    if not alive and state not in ENDS:
        state = "interrupted"
    if alive and state in ENDS:
        state = "running"  # a resumed run has the lock, but has not reported yet
    return from_progress(reported, state, alive)


def from_progress(reported: dict[str, Any], state: str, alive: bool) -> Status:
    """Build the status from a run's own report, under a state that may have changed since."""
    by = {
        model: {noise: (int(pair[0]), int(pair[1])) for noise, pair in noises.items()}
        for model, noises in (reported.get("by") or {}).items()
    }
    names = ("done", "total", "units_done", "units_total", "seconds_spent", "skipped", "workers")
    numbers = {name: reported[name] for name in names if name in reported}
    return Status(
        state,
        by=by,
        seconds_left=reported.get("seconds_left") if alive else None,
        pairs_per_second=reported.get("pairs_per_second"),
        error=str(reported.get("error") or "") if state == "failed" else "",
        alive=alive,
        **numbers,
    )


def start(folder: str | Path, workers: int | None = None) -> None:
    """Run or resume a created study in a process that outlives this one. Raises BadStudy.

    Later errors are in the study's status, and the process's output in ``run.log``.
    """
    place = Path(folder).absolute()
    now = status(place)
    if now.alive:
        raise BadStudy("This study is running already; wait for it, or cancel it first.")
    if now.state == "finished":
        raise BadStudy("This study is finished; start a new one for more pairs.")
    command = [sys.executable, "-c", _RUN, str(place)]
    if workers is not None:
        command.append(str(workers))
    control = {"wish": "run", "started": time.time()}
    write_json(place / CONTROL, control)
    with (place / LOG).open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place,
            env=environment(),
            start_new_session=True,  # shields it from Ctrl-C and from the end of this terminal
        )
    # Poll earlier children, so that no finished one remains a zombie.
    _children[:] = [each for each in (*_children, child) if each.poll() is None]
    write_json(place / CONTROL, {**control, "pid": child.pid})


def environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment of a process that runs this project, optionally with a number of threads."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(IMPORT_ROOT), found.get("PYTHONPATH"))))
    if threads is not None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        found |= dict.fromkeys(names, str(threads))
    return found


def pause(folder: str | Path) -> None:
    """Ask a running study to pause within its current batch; its models stay loaded."""
    _ask(Path(folder), "pause")


def resume(folder: str | Path) -> None:
    """Let a paused study continue; `start` resumes one that no process runs."""
    _ask(Path(folder), "run")


def cancel(folder: str | Path) -> None:
    """Ask a running study to end within its current batch; finished rows stay, and `start` resumes it."""
    _ask(Path(folder), "cancel")


def wish(folder: Path) -> str:
    """Return the user's request to the study: run, pause or cancel."""
    try:
        return str((read_json(folder / CONTROL) or {}).get("wish", "run"))
    except BadStudy:
        return "run"


def _ask(folder: Path, request: str) -> None:
    if not status(folder).alive:
        raise BadStudy("This study is not running; start it first.")
    write_json(folder / CONTROL, {**(read_json(folder / CONTROL) or {}), "wish": request})


def _is_starting(control: dict[str, Any], reported: dict[str, Any] | None) -> bool:
    """Return whether a process was started recently and has not taken the lock yet."""
    started = float(control.get("started") or 0.0)
    if not 0 <= time.time() - started < START_WITHIN or float((reported or {}).get("updated") or 0.0) > started:
        return False
    for child in _children:
        if child.pid == control.get("pid"):
            return child.poll() is None
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(int(control["pid"]), 0)
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return True
