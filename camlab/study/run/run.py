"""Running or resuming a study to completion."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from camlab.common.errors import BadSetting, BadStudy, CamLabError, Cancelled
from camlab.common.registry import Registry
from camlab.study.folders import with_full_paths
from camlab.study.plan import StudyPlan
from camlab.study.prepare import Prepared, create, prepare, read_manifest
from camlab.study.run.control import CONTROL, Status, status, wish
from camlab.study.run.local import Chunk, LocalPool, default_workers
from camlab.study.run.progress import OnProgress, Progress
from camlab.study.sources import per_part
from camlab.study.store.files import held, read_json, sweep, write_json
from camlab.study.store.parts import ROWS, UnitNote, all_notes, skipped_pictures, write_images
from camlab.study.store.study import MANIFEST


class Pool(Protocol):
    """A backend's workers, which compute chunks of units and write their parts."""

    size: int

    def run(self, prepared: Prepared, chunks: Sequence[Chunk], progress: Progress, look: Callable[[], bool]) -> None:
        """Compute all chunks; ``look`` returns whether to pause, and raises Cancelled to end the run."""

    def close(self) -> None:
        """End all workers."""


#: Makes a pool for (folder, workers, device, address).
PoolMaker = Callable[[Path, int | None, str, str | None], Pool]
BACKENDS: Registry[PoolMaker] = Registry("backend")


def _local(folder: Path, workers: int | None, device: str, address: str | None) -> Pool:
    if address is not None:
        raise BadSetting("An address goes with the ray backend only; leave it out.")
    return LocalPool(folder, default_workers(device) if workers is None else workers)


def _ray(folder: Path, workers: int | None, device: str, address: str | None) -> Pool:
    from camlab.study.run.cluster import RayPool

    return RayPool(folder, workers, device, address)


BACKENDS.add("local", _local)
BACKENDS.add("ray", _ray)


def run_study(
    plan: StudyPlan | Path | str,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    batch: int = 16,
    device: str = "auto",
    backend: str = "local",
    address: str | None = None,
    on_progress: OnProgress | None = None,
    check: Callable[[], None] = lambda: None,
) -> Status:
    """Run or resume a study, and return its status once it is finished or cancelled.

    plan: a plan, to be created in ``folder``, or the folder of a created study. resume: continue the study in the
    folder; a plan must then equal the study's. workers: worker processes, by default one per processor or GPU; their
    number does not affect the rows. batch: pictures computed at once; on a CPU it does not affect the rows either. A
    resumed study keeps its first batch size and device. backend: local, or ray (see ``docs/scaling.md``); address: of
    the Ray cluster. on_progress regularly receives the status. check may raise Cancelled.

    Raises CamLabError, which the study's status also records, if the study cannot run.
    """
    maker = BACKENDS[backend]
    place = _place(plan, folder, resume, batch=batch, device=device)
    run = read_manifest(place)["run"]

    def look() -> bool:
        check()
        wanted = wish(place)
        if wanted == "cancel":
            raise Cancelled
        return wanted == "pause"

    with held(place):
        _clear_wish(place)
        for each in (place, place / ROWS):
            each.mkdir(exist_ok=True)
            sweep(each)
        progress = Progress(place, on_progress)
        progress.say("running", now=True)
        pool: Pool | None = None
        try:
            pool = maker(place, workers, str(run["device"]), address)
            prepared = prepare(place)
            progress.begin(prepared, all_notes(place, remove_damaged=True), pool.size)
            pool.run(prepared, _chunks(prepared, progress.finished), progress, look)
        except (Cancelled, KeyboardInterrupt) as stop:
            _end(pool, place, progress, "cancelled")
            if isinstance(stop, KeyboardInterrupt):
                raise
        except (CamLabError, OSError) as error:
            _end(pool, place, progress, "failed", str(error))
            raise
        except BaseException as error:
            _end(pool, place, progress, "failed", f"The run stopped unexpectedly ({type(error).__name__}).")
            raise
        else:
            _end(pool, place, progress, "finished")
    return status(place)


def _place(
    plan: StudyPlan | Path | str,
    folder: str | Path | None,
    resume: bool,
    *,
    batch: int,
    device: str,
) -> Path:
    """Return the study's folder; create it if it is new. Raises BadStudy, and what `create` raises."""
    if not isinstance(plan, StudyPlan):
        place = Path(plan if folder is None else folder).absolute()
        read_manifest(place)
        return place
    if folder is None:
        raise BadSetting("A study needs a folder to be written into; name one.")
    place = Path(folder).absolute()
    if resume and (place / MANIFEST).exists():
        known = StudyPlan.from_json(read_manifest(place)["settings"])
        if known != plan and known != with_full_paths(plan):
            raise BadStudy("The study in this folder has another plan; choose another folder for this plan.")
        return place
    return create(plan, place, batch=batch, device=device)


def _clear_wish(folder: Path) -> None:
    """Forget requests to an earlier run, but not one to this process, which may already be cancelled."""
    control = read_json(folder / CONTROL) or {}
    if control.get("pid") != os.getpid():
        write_json(folder / CONTROL, {"wish": "run"})


def _chunks(prepared: Prepared, finished: set[int]) -> list[Chunk]:
    """Cut the unfinished units into chunks: consecutive units of one model and set, as many as a part holds."""
    size, chunks = per_part(len(prepared.units)), []
    current: list[int] = []
    for unit in prepared.units:
        if unit.number in finished:
            continue
        last = prepared.units[current[-1]] if current else unit
        if len(current) == size or (last.model, last.image_set) != (unit.model, unit.image_set):
            chunks.append(tuple(current))
            current = []
        current.append(unit.number)
    return [*chunks, tuple(current)] if current else chunks


def _end(pool: Pool | None, folder: Path, progress: Progress, state: str, error: str = "") -> None:
    """Stop the workers, record the finished units, and report the final state."""
    if pool is not None:
        pool.close()
    notes = all_notes(folder)
    write_images(folder, notes)
    if state == "finished":
        _complete_manifest(folder, notes)
    progress.recount(notes)
    progress.say(state, error, now=True)


def _complete_manifest(folder: Path, notes: Sequence[UnitNote]) -> None:
    manifest = read_manifest(folder)
    digests: dict[str, dict[str, str]] = {label: {} for label in manifest["image_sets"]}
    for note in notes:
        if note.image_row is not None:
            digests[note.image_set][note.image] = str(note.image_row["digest"])
    done = {
        "finished": True,
        "image_digests": digests,
        "skipped_pictures": skipped_pictures(notes),
        "pairs": sum(note.rows for note in notes),
    }
    write_json(folder / MANIFEST, {**manifest, **done})


def run_in_background(arguments: Sequence[str]) -> None:
    """Run the study in a folder, with a number of workers if given, and exit; errors are in its status."""
    folder, *workers = arguments
    try:
        found = run_study(Path(folder), resume=True, workers=int(workers[0]) if workers else None)
    except (CamLabError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(1)
    sys.exit(0 if found.state in ("finished", "cancelled") else 1)
