"""A process that computes units of a study, one chunk after the other: ``python -m camlab.study.run.worker FOLDER``.

It is told what to do in lines of JSON on stdin: ``{"do": [unit, …]}``, ``{"pause": true}`` or false, ``{"stop":
true}``; and ends when stdin is closed, so that it never outlives who started it. It writes the parts itself and
tells on stdout: ``{"ready": true}``, ``{"done": [number, rows, seconds, reason] …}`` or ``{"error": sentence}``.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camlab.common.errors import CamLabError, Cancelled

if TYPE_CHECKING:
    from camlab.study.rows import UnitRows, UnitWorker
    from camlab.study.store.parts import UnitNote

_LOOK = 0.1  # seconds between two looks at whether a pause is over


class _Wishes:
    """What the coordinator wants, read on a thread of its own."""

    def __init__(self) -> None:
        self.work: queue.Queue[list[int] | None] = queue.Queue()
        self.stopped = False
        self.paused = False

    def listen(self) -> None:
        for line in sys.stdin:
            wish = json.loads(line)
            if "do" in wish:
                self.work.put([int(number) for number in wish["do"]])
            self.paused = bool(wish.get("pause", self.paused))
            if wish.get("stop"):
                self.stopped = True
                self.work.put(None)
        os._exit(1)  # nobody is there any more to ask for anything

    def check(self) -> None:
        """Raise Cancelled once the work is to stop; wait while it is paused."""
        while self.paused and not self.stopped:
            time.sleep(_LOOK)
        if self.stopped:
            raise Cancelled


def main(argv: Sequence[str]) -> int:
    """Serve one study until told to stop."""
    folder = Path(argv[0])
    # Ctrl-C reaches the whole group of processes; what becomes of the work is the coordinator's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not come between the lines that the coordinator reads.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(**what: Any) -> None:
        print(json.dumps(what), file=told, flush=True)

    wishes = _Wishes()
    threading.Thread(target=wishes.listen, daemon=True).start()
    import torch

    from camlab.study.rows import UnitWorker  # takes seconds, and overlaps with the coordinator's own work

    tell(ready=True)
    worker: UnitWorker | None = None
    while (numbers := wishes.work.get()) is not None:
        try:
            if worker is None:
                from camlab.study.prepare import THREADS, read_prepared

                prepared = read_prepared(folder)
                torch.set_num_threads(THREADS)
                worker = UnitWorker(prepared)
            notes = compute_part(worker, folder, numbers, wishes.check)
            tell(done=[[note.unit, note.rows, note.seconds, note.skipped] for note in notes])
        except Cancelled:
            break
        except (CamLabError, OSError) as error:
            tell(error=str(error))
        except Exception as error:
            traceback.print_exc()
            tell(error=f"The computation stopped unexpectedly ({type(error).__name__}); see run.log.")
    # Threads of the segmentation may be in native code, which a normal end would wait for.
    told.flush()
    os._exit(0)


def compute_part(
    worker: UnitWorker, folder: Path, numbers: Sequence[int], check: Callable[[], None]
) -> list[UnitNote]:
    """Compute units and write their part; cancelled, what is finished of it is written before Cancelled is raised."""
    from camlab.study.store.parts import write_part

    done: list[UnitRows] = []
    try:
        for number in numbers:
            done.append(worker.compute(worker.prepared.units[number], check))
    finally:
        if done:
            for each in done:
                write_maps(folder, each)
            write_part(folder, [each.note for each in done], [each.table for each in done])
    return [each.note for each in done]


def write_maps(folder: Path, rows: UnitRows) -> None:
    """Write the maps of a unit, where they are kept: arrays (versions, h, w), the clean one first, by layer/method."""
    if not rows.maps:
        return
    import numpy as np

    from camlab.study.store.files import write_whole

    def save(half: Path) -> None:
        with half.open("wb") as stream:
            np.savez_compressed(stream, **rows.maps)  # type: ignore[arg-type]  # names are free

    path = folder / "maps" / f"unit-{rows.note.unit:07d}.npz"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, save)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
