"""Segments of model-input pictures: shipped with built-in pictures, else cached, else computed in the background."""

import threading
import zipfile
import zlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import torch

from camlab.common.directories import ASSETS
from camlab.engine.cache.memory import MapCache, content_key, pixel_digest
from camlab.metrics.segments import SEGMENTATIONS, Labels, segment

#: Part of the keys: raise it when `segment` returns other labels for the same picture and parameters.
SEGMENT_VERSION = 1

#: Labels (uint8) by `shipped_key`, written by `python -m benchmarks.make_segments`.
ARCHIVE = ASSETS / "segments.npz"

_lock = threading.Lock()
_under_way: dict[tuple[int, str], Future[Labels]] = {}
_pool = ThreadPoolExecutor(2, thread_name_prefix="camlab-segments")


def begin_segments(clean: torch.Tensor, name: str, parameters: Mapping[str, float], cache: MapCache) -> Future[Labels]:
    """Return the segments of a model-input picture as a future: done if they are known, else computed in a thread.

    clean: (3, H, W) float32 in [0, 1]; the result is read-only int32 (H, W), or what `segment` raises. Equal
    requests share one future while it runs. Raises UnknownName for the segmentation.
    """
    settings = _settings(name, parameters)
    shipped = shipped_key(clean, name, settings)
    if (known := shipped_segments(shipped, (clean.shape[1], clean.shape[2]))) is not None:
        return _done(known)
    key = content_key("segments", _scikit_image(), shipped)
    if (known := _cached(cache, key, clean)) is not None:
        return _done(known)
    place = (id(cache), key)
    with _lock:
        if (under_way := _under_way.get(place)) is not None:
            return under_way
        if (known := _cached(cache, key, clean)) is not None:  # another thread has finished meanwhile
            return _done(known)
        future = _under_way[place] = _pool.submit(_cut, clean, name, dict(parameters), cache, key)
    future.add_done_callback(lambda _: _under_way.pop(place, None))
    return future


def picture_segments(clean: torch.Tensor, name: str, parameters: Mapping[str, float], cache: MapCache) -> Labels:
    """Wait for `begin_segments` and return the labels. Raises UnknownName and BadSetting as `segment` does."""
    return begin_segments(clean, name, parameters, cache).result()


def shipped_key(clean: torch.Tensor, name: str, parameters: Mapping[str, float]) -> str:
    """Return the digest of what decides the segments of a picture: pixels, segmentation, parameters, our version.

    It leaves out scikit-image's version: the archive fixes the segments of the built-in pictures, so that their
    scores survive a change of scikit-image.
    """
    pixels = np.ascontiguousarray(clean.numpy())
    settings = _settings(name, parameters)
    return content_key(SEGMENT_VERSION, pixels.shape, pixel_digest(pixels), name, tuple(sorted(settings.items())))


@lru_cache(maxsize=96)
def shipped_segments(key: str, shape: tuple[int, int]) -> Labels | None:
    """Load labels from the archive, read-only int32 (H, W); None if it has none for this key."""
    if key not in _shipped_names():
        return None
    try:
        with np.load(ARCHIVE) as archive:  # unpickles nothing
            labels: Labels = archive[key].astype(np.int32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    if labels.shape != shape or (np.bincount(labels.ravel()) == 0).any():
        return None
    labels.setflags(write=False)
    return labels


@lru_cache(maxsize=1)
def _shipped_names() -> frozenset[str]:
    try:
        with np.load(ARCHIVE) as archive:
            return frozenset(archive.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        return frozenset()


@lru_cache(maxsize=1)
def _scikit_image() -> str:
    return version("scikit-image")


def _settings(name: str, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return all parameters with defaults filled in; `segment` refuses unknown ones."""
    defaults = {p.name: p.default for p in SEGMENTATIONS[name].parameters}
    return {key: float(value) for key, value in {**defaults, **parameters}.items()}


def _cached(cache: MapCache, key: str, clean: torch.Tensor) -> Labels | None:
    return cache.get(key, (clean.shape[1], clean.shape[2]), np.int32)


def _cut(clean: torch.Tensor, name: str, parameters: Mapping[str, float], cache: MapCache, key: str) -> Labels:
    labels = segment(np.ascontiguousarray(clean.numpy().transpose(1, 2, 0)), name, **parameters)
    return cache.put(key, labels)


def _done(labels: Labels) -> Future[Labels]:
    future: Future[Labels] = Future()
    future.set_result(labels)
    return future
