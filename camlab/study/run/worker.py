"""The worker process that computes units of a study: ``python -m camlab.study.run.worker FOLDER``.

It reads orders from stdin as lines of JSON: ``{"do": [unit, …]}``, ``{"pause": true}`` or false, ``{"stop": true}``.
It ends when stdin is closed, so that it never outlives its parent. It writes the parts itself and reports on stdout:
``{"ready": true}``, ``{"done": [number, rows, seconds, reason] …}`` or ``{"error": sentence}``.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camlab.common.errors import CamLabError, Cancelled
from camlab.study.prepare import THREADS, read_prepared
from camlab.study.rows import UnitRows, UnitWorker
from camlab.study.store.files import write_whole
from camlab.study.store.parts import UnitNote, write_part

_LOOK = 0.1  # seconds between two looks while paused


class Orders:
    """The coordinator's orders, which arrive on a separate thread."""

    def __init__(self) -> None:
        self.work: queue.Queue[list[int] | None] = queue.Queue()
        self.stopped = False
        self.paused = False

    def take(self, order: Mapping[str, Any]) -> None:
        """Take an order in."""
        if "do" in order:
            self.work.put([int(number) for number in order["do"]])
        self.paused = bool(order.get("pause", self.paused))
        if order.get("stop"):
            self.stopped = True
            self.work.put(None)

    def check(self) -> None:
        """Raise Cancelled once the work is stopped; wait while it is paused."""
        while self.paused and not self.stopped:
            time.sleep(_LOOK)
        if self.stopped:
            raise Cancelled


def main(argv: Sequence[str]) -> int:
    """Serve one study until told to stop."""
    folder = Path(argv[0])
    # Ctrl-C reaches the whole process group, but only the coordinator decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A library's own output must not mix with the lines that the coordinator reads.
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(**message: Any) -> None:
        print(json.dumps(message), file=pipe, flush=True)

    orders = Orders()

    def listen() -> None:
        for line in sys.stdin:
            orders.take(json.loads(line))
        os._exit(1)  # the coordinator has ended

    threading.Thread(target=listen, daemon=True).start()
    serve(folder, orders, send)
    # A normal exit would wait for threads of the segmentation in native code.
    pipe.flush()
    os._exit(0)


def serve(folder: Path, orders: Orders, send: Callable[..., None]) -> None:
    """Compute the units that are ordered, and send the coordinator what became of them, until told to stop."""
    send(ready=True)
    worker: UnitWorker | None = None
    while (numbers := orders.work.get()) is not None:
        try:
            if worker is None:
                torch.set_num_threads(THREADS)
                worker = UnitWorker(read_prepared(folder))
            notes = compute_part(worker, folder, numbers, orders.check)
            send(done=[[note.unit, note.rows, note.seconds, note.skipped] for note in notes])
        except Cancelled:
            break
        except (CamLabError, OSError) as error:
            send(error=str(error))
        except Exception as error:
            traceback.print_exc()
            send(error=f"The computation stopped unexpectedly ({type(error).__name__}); see run.log.")


def compute_part(worker: UnitWorker, folder: Path, numbers: Sequence[int], check: Callable[[], None]) -> list[UnitNote]:
    """Compute units and write their part; on Cancelled, write the finished units and raise it again."""
    done: list[UnitRows] = []
    try:
        for number in numbers:
            done.append(worker.compute(worker.prepared.units[number], check))
    finally:
        if done:
            write_units(folder, done)
    return [each.note for each in done]


def write_units(folder: Path, units: Sequence[UnitRows]) -> None:
    """Write units as one part, their maps first, so that a part's maps always exist. Raises OSError."""
    for each in units:
        _write_maps(folder, each)
    write_part(folder, [each.note for each in units], [each.table for each in units])


def _write_maps(folder: Path, rows: UnitRows) -> None:
    """Write a unit's kept maps: arrays (versions, h, w) by layer/method, the clean version first."""
    if not rows.maps:
        return

    def save(half: Path) -> None:
        with half.open("wb") as stream:
            np.savez_compressed(stream, **rows.maps)  # type: ignore[arg-type]  # names are free

    path = folder / "maps" / f"unit-{rows.note.unit:07d}.npz"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, save)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
