"""Segment the built-in pictures in advance: writes assets/segments.npz.

    python -m benchmarks.make_segments            # all pictures at every bundled model's input size; takes minutes
    python -m benchmarks.make_segments --jobs 4

Quickshift takes half a second per picture, longer than the rest of a picture's first view. The archive holds the
segments of the default segmentation, each under a digest of its pixels and parameters
(`camlab.engine.segments.shipped_key`). Run this script again when either changes, because the archive's segments are
then no longer found. Equal segments give an equal file, byte by byte.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from camlab.engine.segments import ARCHIVE, shipped_key
from camlab.explore.state import ExploreState
from camlab.images import built_in_pictures, find_picture
from camlab.metrics import segment
from camlab.models import MODELS, load_classifier


def photo_models() -> list[str]:
    """Return the bundled models trained on photographs, for which the built-in pictures are meant."""
    return [name for name, row in MODELS.items() if row.family != "ShapeScenes"]


def cut(model: str, picture_id: str) -> tuple[str, np.ndarray]:
    """Segment one picture as one model sees it; return its key and labels (uint8, H, W)."""
    torch.set_num_threads(1)
    state = ExploreState()
    clean = load_classifier(model, "cpu").preprocess(find_picture(picture_id).load())
    image = np.ascontiguousarray(clean.numpy().transpose(1, 2, 0))
    labels = segment(image, state.segmentation, **state.segment_parameters)
    if labels.max() > np.iinfo(np.uint8).max:
        raise SystemExit(f"{picture_id} has {labels.max() + 1} segments for {model}: too many for a byte.")
    return shipped_key(clean, state.segmentation, state.segment_parameters), labels.astype(np.uint8)


def main(argv: Sequence[str] | None = None) -> None:
    """Segment all pictures and write the archive; print its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once; default: one per CPU")
    jobs = parser.parse_args(argv).jobs
    work = [(model, picture.id) for model in photo_models() for picture in built_in_pictures()]
    found: dict[str, np.ndarray] = {}
    # Spawn processes: a forked one inherits torch's threads in an undefined state.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done, (key, labels) in enumerate(pool.map(cut, *zip(*work, strict=True)), 1):
            found[key] = labels
            print(f"\r{done} of {len(work)}", end="", flush=True)
    np.savez_compressed(ARCHIVE, **dict(sorted(found.items())))  # type: ignore[arg-type]
    print(f"\r{ARCHIVE.name}: {len(found)} pictures, {ARCHIVE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
