"""Time reading, filtering and drawing a study of a million pairs, and measure its memory.

    python -m benchmarks.study_rows                     # a million simulated rows
    python -m benchmarks.study_rows --rows 200000 --pictures 500

Every action is timed as on the Study page: from the rows in memory to a figure as JSON. For so many rows, the page
computes intervals only on request; they are timed last. ``simulated_rows`` makes rows in a study's schema without any
network, for these timings and for tests.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camlab.common.wording import table
from camlab.drawing.charts.look import Chart
from camlab.metrics import SIMILARITIES, random_ranking_floor
from camlab.study.analysis.filters import OUTCOMES, Filters
from camlab.study.analysis.paper_table import html, paper_table
from camlab.study.analysis.summary import DEFAULT_BY, columns, merge_methods, records, scored
from camlab.study.charts.dots import value_dots
from camlab.study.charts.heat import value_heatmap
from camlab.study.charts.paired import paired_lines
from camlab.study.charts.pictures import property_correlations, similarity_against
from camlab.study.charts.plane import cr_plane
from camlab.study.charts.ranks import value_ranks
from camlab.study.charts.severity import severity_spread, severity_values
from camlab.study.charts.spread import (
    similarity_histogram,
    similarity_ridges,
    similarity_steps,
    similarity_violins,
)
from camlab.study.store import COLUMNS, IMAGE_COLUMNS, Study, open_study
from camlab.study.store.schema import arrow_schema

MODELS = ("efficientnet_lite0", "resnet18", "mobilenetv3")
SETS = ("photos", "objects")
METHODS = ("gradcam", "gradcam++", "xgradcam", "ablationcam", "hirescam", "eigencam", "randomcam")
LAYERS = ("blocks.5", "blocks.6")
NOISES = (
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur", "defocus_blur", "fog",
    "brightness", "contrast", "jpeg_compression",
)  # fmt: skip
STEADY = {"gaussian_blur", "defocus_blur", "brightness", "contrast", "jpeg_compression"}  # one seed
SEVERITIES = (1.0, 2.0, 3.0, 4.0, 5.0)
SEEDS = 3
CLASSES = 1000

#: Methods that coincide on the last layer, as on a pooled layer of a real network.
COINCIDE = tuple(
    {
        "model": model,
        "layer": LAYERS[-1],
        "methods": ["gradcam", "xgradcam", "hirescam"],
        "reason": "simulated",
    }
    for model in MODELS
)


def simulated_rows(n: int, seed: int = 0, pictures: int | None = None, models: Sequence[str] = MODELS) -> pd.DataFrame:
    """Simulate n rows in the form of ``Study.rows``, drawn from a whole grid of pairs, ids as categoricals.

    pictures: number of pictures in all sets; by default as many as n rows need. Similarities fall with severity,
    differ by method, and are little lower for flipped pairs; 2 % are degenerate, 0.1 % tied.
    """
    rng = np.random.default_rng(seed)
    draws = [(t, k) for t in NOISES for k in range(1 if t in STEADY else SEEDS)]
    cells = len(models) * len(METHODS) * len(LAYERS) * len(draws) * len(SEVERITIES)
    pictures = pictures or max(2, -(-n // cells))
    # Within a model the picture changes last, as an unfinished study lacks pictures, not methods.
    shape = (len(models), pictures, len(METHODS), len(LAYERS), len(draws), len(SEVERITIES))
    whole = int(np.prod(shape))
    chosen = np.arange(whole) if n >= whole else np.sort(rng.permutation(whole)[:n])
    model, image, method, layer, draw, level = np.unravel_index(chosen, shape)
    n = len(chosen)
    severity = np.array(SEVERITIES)[level]
    noise = np.array([NOISES.index(t) for t, _ in draws])[draw]
    # Predictions belong to a picture's version: they are equal for all methods and layers.
    version = np.ravel_multi_index((model, image, draw, level), (len(models), pictures, len(draws), 5))
    many = len(models) * pictures * len(draws) * 5
    hardness = rng.random(pictures)[image]
    flipped = rng.random(many)[version] < hardness * severity / 5.5
    near = flipped & (rng.random(many)[version] < 0.6)
    clean_index = rng.integers(0, CLASSES, (len(models), pictures))[model, image].astype(np.int32)
    clean_prob = rng.beta(4, 2, (len(models), pictures))[model, image]
    moved = ((clean_index + 1 + rng.integers(0, CLASSES - 1, many)[version]) % CLASSES).astype(np.int32)
    degenerate = rng.random(n) < 0.02
    good = 0.75 - 0.07 * severity + 0.03 * (len(METHODS) - method) - 0.04 * flipped
    segments = rng.integers(25, 60, pictures)[image].astype(np.int32)
    floors = np.array([random_ranking_floor(k) if k else np.nan for k in range(60)])

    def measured(low: float, spread: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        value = np.clip(good + spread * rng.standard_normal(n), 0, 1)
        return np.where(degenerate, np.nan, low + (1 - low) * value)

    in_set = np.arange(pictures) % len(SETS)
    names = [f"{SETS[s]}/{i:05d}" for i, s in enumerate(in_set)]
    return pd.DataFrame(
        {
            "model": pd.Categorical.from_codes(model, list(models)),
            "image_set": pd.Categorical.from_codes(in_set[image], list(SETS)),
            "image": pd.Categorical.from_codes(image, names),
            "method": pd.Categorical.from_codes(method, list(METHODS)),
            "layer": pd.Categorical.from_codes(layer, list(LAYERS)),
            "noise": pd.Categorical.from_codes(noise, list(NOISES)),
            "severity": severity,
            "seed": np.array([k for _, k in draws], np.int32)[draw],
            "clean_index": clean_index,
            "clean_prob": clean_prob,
            "clean_margin": clean_prob * rng.random((len(models), pictures))[model, image],
            "perturbed_index": np.where(flipped, moved, clean_index),
            "perturbed_prob": rng.beta(2, 2, many)[version],
            "clean_class_prob": np.where(flipped, 0.2, 0.9) * clean_prob,
            "flipped": flipped,
            "near": near,
            "tied": rng.random(many)[version] < 0.001,
            "degenerate": degenerate,
            "segments": segments,
            **{name: measured(entry.low, 0.15) for name, entry in SIMILARITIES.items()},
            "rbo_cells": measured(0.0, 0.2),
            "rbo_slic50": measured(0.0, 0.2),
            "random_floor": floors[segments],
            "other_floor": 0.15 + 0.1 * rng.random((len(models), pictures))[model, image],
            "rbo_class_only": np.full(n, np.nan),
            "rbo_noise_only": np.full(n, np.nan),
            "seconds": rng.random(n).astype(np.float32),
        }
    )


def simulated_pictures(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Simulate the table of pictures for these rows, one row per picture and model, with random properties."""
    rng = np.random.default_rng(seed)
    one = rows.drop_duplicates(["model", "image_set", "image"])
    measured = {name: rng.random(len(one)) for name in ("object_share", "clutter", "contrast", "sharpness")}
    known = one[["model", "image_set", "image", "clean_index", "clean_prob", "clean_margin"]]
    texts = {column.name: "" for column in IMAGE_COLUMNS if column.name not in {*known, *measured}}
    whole: pd.DataFrame = known.assign(**measured, **texts)[[column.name for column in IMAGE_COLUMNS]]
    return whole.reset_index(drop=True)


def write_study(folder: Path, n: int, pictures: int | None) -> None:
    """Write a simulated study in the form of a finished one, in one part."""
    rows = simulated_rows(n, pictures=pictures)
    (folder / "rows").mkdir(parents=True)
    for frame, kinds, path in (
        (rows, COLUMNS, folder / "rows" / "part-0000000.parquet"),
        (simulated_pictures(rows), IMAGE_COLUMNS, folder / "images.parquet"),
    ):
        stored = pa.Table.from_pandas(frame[[column.name for column in kinds]], preserve_index=False)
        pq.write_table(stored.cast(arrow_schema(kinds)), path, compression="zstd")
    (folder / "manifest.json").write_text(
        json.dumps({"name": "simulated", "settings": {}, "coincide": list(COINCIDE), "finished": "yes"})
    )


Step = tuple[str, Callable[[], Any]]


def filters_of(rows: pd.DataFrame) -> Iterator[tuple[str, Filters]]:
    """Yield a filter of every kind, and several at once."""
    lists: dict[str, Any] = {k: tuple(v[:2]) for k, v in Filters.options(rows).items() if k not in ("outcome", "same")}
    for name, values in lists.items():
        yield name, Filters(**{name: values[:1]})
    for name in OUTCOMES:
        yield f"outcome {name}", Filters(outcome=name)
    for name in ("outcomes", "severities"):
        yield f"same pictures, {name}", Filters(same=name)
    yield "all at once", Filters(**lists, outcome="flipped", same="outcomes")


def charts_of(rows: pd.DataFrame, images: pd.DataFrame) -> Iterator[Step]:
    """Yield every chart of the page, from the rows that pass the filters."""

    def summed(*by: str) -> list[dict[str, Any]]:
        return records(rows, by, replicates=0)

    yield "heat map", lambda: value_heatmap(summed("method", "noise"))
    yield "dots", lambda: value_dots(summed("method"))
    yield "dots per noise type", lambda: value_dots(summed("method", "noise"), groups="noise")
    yield "C–R plane", lambda: cr_plane(summed("method"))
    yield "ranks", lambda: value_ranks(summed("method", "severity"))
    yield (
        "values over severity",
        lambda: severity_values(summed("method", "severity"), beside=summed("method"), noises=NOISES),
    )
    yield "violins per method", lambda: similarity_violins(rows)
    yield "violins per noise type", lambda: similarity_violins(rows, by="noise")
    yield "ridges", lambda: similarity_ridges(rows)
    yield "ECDF", lambda: similarity_steps(rows)
    yield "histogram", lambda: similarity_histogram(rows)
    yield "severity curves", lambda: severity_spread(rows)
    yield "paired lines", lambda: paired_lines(rows)
    yield "paired lines, severities", lambda: paired_lines(rows, across="severity")
    yield "similarity against clutter", lambda: similarity_against(rows, images)
    yield "correlations", lambda: property_correlations(rows, images)
    yield "the paper's table", lambda: html(paper_table(summed("method", "noise"), summed("method")))


def read(study: Study) -> pd.DataFrame:
    """Read the rows as the page does."""
    return merge_methods(scored(study.rows(columns())), study.coincide)


Line = tuple[str, float, float, float, str]


def run(folder: Path) -> Iterator[Line]:
    """Run every action once; yield its name, wall seconds, processor seconds, peak memory so far (MB) and result."""

    def timed(name: str, action: Callable[[], Any]) -> tuple[Any, Line]:
        begin, busy = time.perf_counter(), time.process_time()
        found = action()
        result = _result(found)  # a figure counts once it can be sent
        seconds, worked = time.perf_counter() - begin, time.process_time() - busy
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return found, (name, seconds, worked, peak, result)

    study = open_study(folder)
    images = study.images()
    yield timed("(libraries, no rows)", lambda: None)[1]
    rows, line = timed("open the study", lambda: read(study))
    yield line
    yield timed("options of the filters", lambda: Filters.options(rows))[1]
    for name, filters in filters_of(rows):
        yield timed(f"filter: {name}", partial(filters.apply, rows))[1]
    for name, draw in charts_of(rows, images):
        yield timed(f"chart: {name}", draw)[1]
    yield timed("filter and chart: one noise type, heat map", lambda: value_heatmap(
        records(Filters(noises=NOISES[:1]).apply(rows), ("method", "noise"), replicates=0)
    ))[1]  # fmt: skip
    yield timed("summary, one record per cell", lambda: records(rows, replicates=0))[1]
    for by in (("method",), ("method", "noise"), ("method", "severity"), DEFAULT_BY):
        yield timed(f"on request: intervals by {', '.join(by)}", partial(records, rows, by))[1]


def _result(found: Any) -> str:
    if isinstance(found, Chart):
        points = sum(len(trace.x) for trace in found.figure.data if trace.x is not None)
        return f"{points:,} points, {len(found.figure.to_json()) / 1000:,.0f} kB"
    if isinstance(found, pd.DataFrame):
        return f"{len(found):,} rows"
    return f"{len(found):,} records" if isinstance(found, list) else ""


def main() -> None:
    """Write a simulated study in a child process, run every action in this one, print a table."""
    parser = argparse.ArgumentParser(description="Time the Study page's work on simulated rows.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, help="default: as many as the rows need")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_study(arguments.write, arguments.rows, arguments.pictures)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "study"
        command = [sys.executable, "-m", "benchmarks.study_rows", *sys.argv[1:], "--write", str(folder)]
        subprocess.run(command, check=True)  # so that the memory for making the rows does not count
        lines = [["action", "seconds", "processor", "peak MB", "result"]]
        for name, seconds, worked, peak, result in run(folder):
            lines.append([name, f"{seconds:.2f}", f"{worked:.2f}", f"{peak:,.0f}", result])
            print(f"{len(lines) - 1}: {name}", file=sys.stderr)
    print("\n".join(table(lines)))


if __name__ == "__main__":
    main()
