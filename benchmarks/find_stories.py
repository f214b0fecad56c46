"""Search the built-in pictures for the strongest stories and write them to assets/stories.csv.

    python -m benchmarks.find_stories              # all 140 pictures, and 40 generated scenes; minutes
    python -m benchmarks.find_stories --report     # prints the strength of the stories in the file

Every picture × noise type × method is tried with one draw at low severity. The most promising candidates are measured
with sixteen draws and compared with the other-picture floor. Those whose whole interval lies furthest from the
threshold are kept: no picture twice, no noise type or method more than a few times, and some maps that hold.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from camlab.cams import CAMS
from camlab.cams.coincidence import is_baseline
from camlab.engine.shared import engine_for
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.output.presets import FILE, SEEDS, stories
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.trials.steadiness import Steady, distinct, steadiness, usable_methods
from camlab.images import built_in_pictures, find_picture
from camlab.metrics import similarity
from camlab.noise import NOISES

MODELS = ("efficientnet_lite0", "shapes_resnet", "shapes_vit")
NOISE_TYPES = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "motion_blur", "fog")
SEVERITIES = (1.0, 2.0)
SCENES = tuple(f"shapes/0-{i}" for i in range(40))
KINDS = {"moves": 8, "holds": 2}  # stories kept per outcome
PROMISING = 36  # candidates measured per outcome and model
MOST = 3  # stories per noise type, and per method, within an outcome


def tries(model: str) -> Iterator[tuple[ExploreState, float]]:
    """Yield each state of one model whose prediction is kept in one draw, with the similarity of its maps.

    All versions of a picture are computed together. The random baseline is left out.
    """
    engine = engine_for(model)
    names = SCENES if model.startswith("shapes") else [picture.id for picture in built_in_pictures()]
    specs = [Spec(noise, severity, 0) for noise in NOISE_TYPES for severity in SEVERITIES]
    for name in names:
        base = ExploreState(model=model, image=name)
        scene = Scene(engine, find_picture(name), base)
        methods = [group[0] for group in distinct(scene, usable_methods(scene)) if not is_baseline(group[0])]
        clean, *versions = engine.explain(scene.input, scene.picture.digest, [CLEAN, *specs], methods, scene.layer)
        for method in methods:
            maps = np.stack([version.maps[method] for version in versions])
            first = np.repeat(clean.maps[method][None], len(maps), axis=0)
            values = similarity(base.similarity, first, maps, scene.comparison)
            for spec, version, value in zip(specs, versions, values.tolist(), strict=True):
                dull = clean.degenerate[method] or version.degenerate[method]
                if version.index == clean.index and not dull:
                    noise = spec.noise or base.noise
                    state = dataclasses.replace(base, method=method, noise=noise, severity=spec.severity)
                    yield state, value


def measured(state: ExploreState) -> Steady:
    """Measure the state's own method over all draws, with its floor."""
    scene = Scene(engine_for(state.model), find_picture(state.image), state)
    return steadiness(scene, SEEDS, [state.method])[0]


def promising(found: Sequence[tuple[ExploreState, float]], outcome: str) -> list[ExploreState]:
    """Return the candidates of an outcome to measure: one per picture and method, the most extreme first."""
    sign = 1 if outcome == "moves" else -1
    order = sorted(found, key=lambda each: sign * each[1])
    chosen: dict[tuple[str, str], ExploreState] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for state, _ in order:
        # A story of a map that holds is worth more under the stronger noise.
        if outcome == "holds" and state.severity < max(SEVERITIES):
            continue
        kind = (state.method, state.noise)
        if (state.image, state.method) not in chosen and seen[kind] < PROMISING // 6:
            seen[kind] += 1
            chosen[state.image, state.method] = state
        if len(chosen) == PROMISING:
            break
    return list(chosen.values())


def pick(found: Sequence[tuple[ExploreState, Steady]], outcome: str) -> list[tuple[ExploreState, Steady]]:
    """Return the strongest, differing stories of an outcome whose prediction is kept in every draw."""
    order = sorted(found, key=lambda each: -each[1].strength)
    chosen: list[tuple[ExploreState, Steady]] = []
    for state, each in order:
        used = [s for s, _ in chosen]
        alike = max(
            sum(s.noise == state.noise for s in used),
            sum(s.method == state.method for s in used),
        )
        networks = sum(s.model == state.model for s in used if s.model.startswith("shapes"))
        if each.outcome != outcome or each.kept < each.n or each.measured < each.n:
            continue
        if state.image in {s.image for s in used} or alike >= MOST or networks >= 1:
            continue
        chosen.append((state, each))
        if len(chosen) == KINDS[outcome]:
            break
    return chosen


def rows() -> list[dict[str, Any]]:
    """Search everything and return one row per story."""
    candidates: dict[str, list[tuple[ExploreState, Steady]]] = {kind: [] for kind in KINDS}
    count = 0
    for model in MODELS:
        start = time.monotonic()
        found = list(tries(model))
        count += len(found)
        for kind in KINDS:
            candidates[kind] += [(state, measured(state)) for state in promising(found, kind)]
        print(f"{model}: {len(found):,} maps tried in {time.monotonic() - start:.0f} s", flush=True)
    kept = [(kind, *each) for kind in KINDS for each in pick(candidates[kind], kind)]
    return [_row(kind, state, each, count) for kind, state, each in kept]


def _row(kind: str, state: ExploreState, each: Steady, searched: int) -> dict[str, Any]:
    picture = find_picture(state.image)
    verb = "holds" if kind == "holds" else "moves"
    return {
        "name": "-".join((verb, state.image.split("/")[1].replace("_", "-"), state.method.replace("+", "p"))),
        "title": f"{picture.title[:1].upper()}{picture.title[1:]}: {CAMS[state.method].title} {verb} under "
        f"{NOISES[state.noise].title.lower()}",
        "outcome": kind,
        **{name: getattr(state, name) for name in ("model", "image", "method", "noise", "severity", "seed")},
        "draws": each.n,
        "kept": each.kept,
        **{
            name: round(getattr(each, name), 4)
            for name in ("similarity", "low", "high", "floor", "threshold", "strength")
        },
        "searched": searched,
    }


def main() -> None:
    """Search and write the stories, or print those in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--report", action="store_true", help="do not search; print the stories in the file")
    if not parser.parse_args().report:
        start = time.monotonic()
        found = rows()
        with FILE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
        print(f"{len(found)} stories in {time.monotonic() - start:.0f} s: {FILE}")
    stories.cache_clear()
    for each in stories().values():
        print(f"{each.strength:5.2f}  {each.outcome}  {each.similarity:.2f} [{each.low:.2f}, "
        f"{each.high:.2f}] against "
              f"{each.threshold:.2f}  {each.kept} of {each.draws} kept  {each.title}")  # fmt: skip


if __name__ == "__main__":
    main()
