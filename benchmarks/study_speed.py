"""Measure the pairs per second of one study worker on this machine, and where its time goes.

    python -m benchmarks.study_speed --model efficientnet_lite0 --device cpu

It computes one picture of the paper preset (175 versions, 7 methods, 2 layers: 2,450 pairs) with one thread, after
warming up with another. It reads two clocks: processor time, which other programs affect little, and wall time, which
counts if a GPU computes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch
from threadpoolctl import threadpool_limits

from camlab.common.wording import table
from camlab.engine.inputs import Inputs
from camlab.study import PRESETS, rows
from camlab.study.prepare import plan_at_hand
from camlab.study.sources import fits

#: The parts of a unit's time, and the functions that are timed for them.
PARTS = {
    "perturbing": (Inputs, "make"),
    "network and maps, perturbing included": (rows._UnitWork, "_explain"),
    "segments": (rows, "picture_segments"),
    "similarities": (rows._UnitWork, "_similarities"),
}


def timed(call: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    """Wrap a function so that its wall time is added up under a name."""

    def run(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - begun

    return run


def measure(model: str, device: str) -> list[list[str]]:
    """Return rows of text: pairs per second by both clocks, then the seconds of each part."""
    torch.set_num_threads(1)
    label = next(name for name in ("photos", "shapes") if fits(model, name))
    plan = dataclasses.replace(PRESETS["paper"].make(), models=(model,), image_sets=(label,), limit=2)
    ready, _ = plan_at_hand(plan, device)
    worker, spent = rows.UnitWorker(ready), dict.fromkeys(PARTS, 0.0)
    worker.compute(ready.units[0])
    with ExitStack() as patched, threadpool_limits(1):
        for words, (owner, name) in PARTS.items():
            call = timed(getattr(owner, name), spent, words)
            patched.enter_context(mock.patch.object(owner, name, call))
        processor, wall = time.process_time(), time.perf_counter()
        count = worker.compute(ready.units[1]).note.rows
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return [
        [model, f"{count} pairs on {device}", ""],
        ["pairs per second, processor time", f"{count / processor:.0f}", f"{processor:.2f} s"],
        ["pairs per second, wall time", f"{count / wall:.0f}", f"{wall:.2f} s"],
        *([f"  {words}", f"{100 * spent[words] / wall:.0f} %", f"{spent[words]:.2f} s"] for words in PARTS),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="may be repeated; default: all bundled models")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    arguments = parser.parse_args()
    for model in arguments.model or PRESETS["paper"].make().models:
        print("\n".join(table(measure(model, arguments.device))), flush=True)


if __name__ == "__main__":
    main()
