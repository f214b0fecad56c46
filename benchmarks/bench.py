"""Time the work of a page on this machine, as ratios to one plain forward pass of the same network.

Ratios can be compared between machines, and a busy machine distorts them less than milliseconds. The first view is
timed in a fresh process, but its files are already in the system's memory; starting the web server and the browser
comes on top.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from camlab.common.directories import HOME, IMPORT_ROOT
from camlab.common.errors import CamLabError

if TYPE_CHECKING:
    from camlab.explore.results import Shown
    from camlab.explore.scene import Scene
    from camlab.images import Picture
    from camlab.models import Classifier

REPEATS, QUICK_REPEATS = 20, 6
COLD_STARTS, QUICK_COLD_STARTS = 3, 1
WARM_UP_SEEDS = range(2)
FIRST_SEED = 1000  # of measured draws, so that none was drawn while warming up

# Runs in a fresh process, in which nothing is imported yet.
_COLD_START = "import sys; from benchmarks.bench import first_view; first_view(*sys.argv[1:])"

Progress = Callable[[str], None]


def bench(
    models: Sequence[str] | None,
    *,
    device: str = "auto",
    quick: bool = False,
    progress: Progress = lambda _: None,
    warn: Progress = lambda _: None,
) -> list[dict[str, Any]]:
    """Measure models (default: the page's) and return one record per model.

    Networks of `side_by_side.UNTRAINED` get only the ratios of `side_by_side`. `progress` is called `steps` times;
    `warn` is called with the reason if the figures are unreliable.

    A record begins with the results of `side_by_side`: its ``ratios``, ``pairs_per_second``, ``exponent`` and
    ``peak_bytes``. The other ``ratios`` and ``seconds`` time the page; all are medians:
    ``first_view``, from starting a process to drawing the first pair, and its parts;
    ``severity_change_<method>``, a new draw computed and drawn, for each gradient method;
    ``repaint``, a cached pair drawn again; ``sweep_pair``, one pair of a sweep; ``forward``, the plain pass.
    A ratio is the median divided by that of the forward pass. Further entries: ``sweep_pairs_per_second``,
    ``repeats``, ``machine`` (with its load average before the run) and ``versions``.

    Raises UnknownName, BadSetting, MissingWeights.
    """
    from benchmarks.side_by_side import UNTRAINED, side_by_side, untrained
    from camlab.explore.output.record import package_versions
    from camlab.models import MODELS, load_classifier

    names = _names(models)
    for name in names:
        if name not in UNTRAINED:
            MODELS[name]
    # A missing model or device ends the run before it begins.
    classifiers = [(untrained if name in UNTRAINED else load_classifier)(name, device) for name in names]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is not None and load >= (os.cpu_count() or 1):
        warn(f"this machine is busy (load {load:.1f} on {os.cpu_count()} CPUs): the milliseconds are too high")
    records = []
    for name, classifier in zip(names, classifiers, strict=True):
        about = {"machine": machine(str(classifier.device)) | {"load": load}, "versions": package_versions()}
        if name in UNTRAINED:
            times = _alone(classifier, QUICK_REPEATS)
            core = side_by_side(classifier, quick=quick, progress=progress)
            core["seconds"] = {"forward": median(times), **core["seconds"]}
            records.append({"model": name, **core, "repeats": {"forward": len(times)}, **about})
            continue
        cold_starts = QUICK_COLD_STARTS if quick else COLD_STARTS
        progress(f"{name}: first view, {cold_starts} × in a fresh process")
        cold = [_cold_start(name, device) for _ in range(cold_starts)]
        warm = _measure(classifier, QUICK_REPEATS if quick else REPEATS, progress)
        seconds = {key: median(start[key] for start in cold) for key in cold[0]}
        seconds |= {key: median(times) for key, times in warm.items()}
        forward = seconds.pop("forward")
        core = side_by_side(classifier, quick=quick, progress=progress)
        records.append(
            {
                "model": name,
                "ratios": core["ratios"] | {key: value / forward for key, value in seconds.items()},
                "seconds": {"forward": forward, **seconds, **core["seconds"]},
                "pairs_per_second": core["pairs_per_second"],
                "exponent": core["exponent"],
                "peak_bytes": core["peak_bytes"],
                "sweep_pairs_per_second": 1 / seconds["sweep_pair"],
                "repeats": {"first_view": cold_starts, "other": len(warm["repaint"])},
                **about,
            }
        )
    return records


def steps(models: Sequence[str] | None, quick: bool = False) -> int:
    """Return how often `bench` reports progress for these models, without warnings."""
    from benchmarks import side_by_side

    page = 3 + len(_gradient_methods())
    names = _names(models)
    return sum(side_by_side.steps(quick) + page * (name not in side_by_side.UNTRAINED) for name in names)


def _names(models: Sequence[str] | None) -> list[str]:
    from camlab.explore.state import ExploreState

    return list(dict.fromkeys(models or [ExploreState().model]))


def _gradient_methods() -> list[str]:
    from camlab.cams import CAMS

    return [name for name, method in CAMS.items() if method.uses_gradients]


def _alone(classifier: Classifier, repeats: int) -> list[float]:
    """Time the plain pass of one picture, in seconds."""
    from camlab.explore.state import ExploreState
    from camlab.images import find_picture

    forward = _forward(classifier, find_picture(ExploreState().image))
    forward()
    return [_timed(forward) for _ in range(repeats)]


def machine(device: str) -> dict[str, Any]:
    """Describe the machine that the figures are measured on."""
    import torch

    return {
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": device,
        "architecture": platform.machine(),
        "system": platform.system(),
    }


def paint(scene: Scene, shown: Shown) -> list[bytes]:
    """Draw the three panels as the page sends them to the browser."""
    from camlab.drawing.pictures import encode_png
    from camlab.explore.output.panels import draw_change, draw_panel

    pictures = [
        draw_panel(scene, shown.clean),
        draw_panel(scene, shown.perturbed),
        draw_change(scene, shown),
    ]
    return [encode_png(picture) for picture in pictures]


def first_view(model: str, device: str = "auto") -> None:
    """Show the default pair; print the seconds for importing, loading and showing as JSON."""
    marks = [time.perf_counter()]
    from camlab.engine.shared import engine_for
    from camlab.explore.output import panels  # noqa: F401  imported by paint()
    from camlab.explore.scene import Scene
    from camlab.explore.state import ExploreState
    from camlab.images import find_picture

    marks.append(time.perf_counter())
    state = dataclasses.replace(ExploreState(), model=model)
    engine = engine_for(model, device)
    marks.append(time.perf_counter())
    scene = Scene(engine, find_picture(state.image), state)
    paint(scene, scene.shown(state.severity, state.seed))
    marks.append(time.perf_counter())
    parts = (after - before for before, after in pairwise(marks))
    print(json.dumps(dict(zip(("import", "load", "show"), parts, strict=True))), flush=True)


def _cold_start(model: str, device: str) -> dict[str, float]:
    """Time a new interpreter from its start to its first drawn pair, with the parts, in seconds."""
    # First on the path, so that the new process measures this copy of the package and of the benchmarks.
    path = os.pathsep.join([str(IMPORT_ROOT), str(HOME), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _COLD_START, model, device]
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # an error occurs in this process, too, with a clear message
        # Without the disk cache of earlier processes, so that the first view is computed.
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "CAMLAB_CACHE_DIR": "off"},
        text=True,
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        seconds = time.perf_counter() - start  # without shutting down, which no visitor waits for
    if child.returncode != 0 or not line:
        raise CamLabError(f"The fresh process for {model} failed; run `camlab explain` to see why.")
    return {"first_view": seconds} | {f"first_view_{part}": value for part, value in json.loads(line).items()}


def _measure(classifier: Classifier, repeats: int, progress: Progress) -> dict[str, list[float]]:
    """Time every repeat of each action, in seconds.

    The forward pass is timed between all other actions, so that a machine that becomes busy slows both sides of a
    ratio.
    """
    from camlab.cams import CAMS
    from camlab.engine.cache.memory import MapCache
    from camlab.engine.engine import Engine
    from camlab.explore.scene import Scene
    from camlab.explore.state import ExploreState
    from camlab.explore.sweep import STEP_IMAGES
    from camlab.images import find_picture

    # Use a new cache, so that no earlier result of this process answers.
    engine = Engine(classifier, MapCache())
    base = dataclasses.replace(ExploreState(), model=classifier.name)
    picture = find_picture(base.image)
    methods = _gradient_methods()
    scenes = {name: Scene(engine, picture, dataclasses.replace(base, method=name)) for name in methods}
    times: dict[str, list[float]] = {"forward": []}
    forward = _forward(classifier, picture)

    progress(f"{classifier.name}: warming up")
    for scene in scenes.values():
        for seed in WARM_UP_SEEDS:
            paint(scene, scene.shown(base.severity, seed))
            forward()
    draws = fresh_draws()

    for name, scene in scenes.items():
        progress(f"{classifier.name}: severity change, {CAMS[name].title}, {repeats} ×")
        for _ in range(repeats):
            times["forward"].append(_timed(forward))
            times.setdefault(f"severity_change_{name}", []).append(_timed(_change, scene, next(draws)))
    scene = scenes[base.method] if base.method in scenes else next(iter(scenes.values()))

    progress(f"{classifier.name}: repaint from the cache and sweep, {repeats} ×")
    step = STEP_IMAGES[scene.cost]
    for _ in range(repeats):
        draw = next(draws)
        _change(scene, draw)
        times["forward"].append(_timed(forward))
        times.setdefault("repaint", []).append(_timed(_repaint, scene, draw))
        pairs = [next(draws) for _ in range(step)]
        times.setdefault("sweep_pair", []).append(_timed(scene.rows, pairs) / step)
    return times


def fresh_draws() -> Iterator[tuple[float, int]]:
    """Yield (severity, seed) pairs, each once, over all severities of the slider above 0."""
    from camlab.explore.sweep import sweep_severities

    severities = [severity for severity in sweep_severities("gaussian_noise") if severity > 0]
    seed = FIRST_SEED
    while True:
        # 7 is coprime to the 20 steps: neighbours are far apart, and every severity occurs.
        yield severities[(seed * 7) % len(severities)], seed
        seed += 1


def _forward(classifier: Classifier, picture: Picture) -> Callable[[], None]:
    import torch

    from camlab.engine.shared import model_input

    batch = model_input(classifier, picture)[None]

    def forward() -> None:
        with torch.inference_mode():
            classifier.logits(batch).cpu()  # on a GPU the copy waits for the result

    return forward


def _change(scene: Scene, draw: tuple[float, int]) -> None:
    shown = scene.shown(*draw)
    assert not shown.perturbed.cached, "a new draw came from the cache"
    paint(scene, shown)


def _repaint(scene: Scene, draw: tuple[float, int]) -> None:
    shown = scene.shown(*draw)
    assert shown.cached, "a cached pair was computed again"
    paint(scene, shown)


def _timed(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def report(record: dict[str, Any]) -> str:
    """Format a record as text: ratios with milliseconds, then the machine and the versions."""
    seconds, forward = record["seconds"], record["seconds"]["forward"]
    page = {name: ratio for name, ratio in record["ratios"].items() if name in seconds}
    core = {name: ratio for name, ratio in record["ratios"].items() if name not in page}
    rows = [("", "× forward pass", "ms")]
    rows += [(name, f"{ratio:.1f}", f"{seconds[name] * 1000:.1f}") for name, ratio in page.items()]
    rows += [(name, "", f"{value * 1000:.1f}") for name, value in seconds.items() if name not in (*page, "forward")]
    rows += [("forward (one picture)", "1", f"{forward * 1000:.1f}")]
    wide = max(len(name) for name, _, _ in rows)
    lines = [record["model"]]
    lines += [f"{name:<{wide}}  {'-' if ratio is None else f'{ratio:.4g}':>14}" for name, ratio in core.items()]
    lines += [f"{name:<{wide}}  {ratio:>14}  {ms:>10}" for name, ratio, ms in rows]
    lines.append(
        f"paper's six methods: {record['pairs_per_second']:.1f} pairs per second; "
        f"time grows with the number of pictures to the power {record['exponent']:.2f}"
    )
    if record["peak_bytes"]:
        lines.append(f"peak memory of the run, pytorch-grad-cam included: {record['peak_bytes'] / 2**20:.0f} MiB")
    if "sweep_pairs_per_second" in record:
        lines.append(f"sweep: {record['sweep_pairs_per_second']:.1f} pairs per second")
    for name in ("repeats", "machine", "versions"):
        lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in record[name].items()))
    return "\n".join(lines)
