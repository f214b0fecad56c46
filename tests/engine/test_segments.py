"""Segments: shipped, cached, or cut beside other work; always those that `segment` gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.make_segments import photo_models
from camlab.common.errors import BadSetting, UnknownName
from camlab.engine import segments as module
from camlab.engine.cache.database import Database
from camlab.engine.cache.disk import DiskStore
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.segments import ARCHIVE, begin_segments, picture_segments, shipped_key, shipped_segments
from camlab.engine.spec import CLEAN
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, built_in_pictures
from camlab.metrics import SEGMENTATIONS, segment
from camlab.models import load_classifier
from camlab.models.classifier import Classifier

DEFAULT = ExploreState()
MODELS = photo_models()
PICTURES = built_in_pictures()


def random_picture(side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


def cut(clean: torch.Tensor, name: str = DEFAULT.segmentation, **parameters: float) -> np.ndarray:
    """The rule itself, with nothing kept."""
    return segment(np.ascontiguousarray(clean.numpy().transpose(1, 2, 0)), name, **parameters)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the segmentations that were really run."""
    run: list[str] = []

    def counting(image: np.ndarray, name: str, **parameters: float) -> np.ndarray:
        run.append(name)
        return segment(image, name, **parameters)

    monkeypatch.setattr(module, "segment", counting)
    return run


@pytest.fixture
def forgetful() -> Iterator[Callable[[], None]]:
    """Forgets what is known of the archive, now and after the test."""

    def forget() -> None:
        shipped_segments.cache_clear()
        module._shipped_names.cache_clear()

    yield forget
    forget()


# cached


@pytest.mark.parametrize("name", list(SEGMENTATIONS))
def test_cached_equals_cut(name: str, tmp_path: Path, counted: list[str]) -> None:
    clean = random_picture()
    twin = cut(clean, name)
    store = DiskStore(Database(tmp_path))
    cache = MapCache(store=store)
    found = picture_segments(clean, name, {}, cache)
    assert store.flush()
    again = picture_segments(clean, name, {}, cache)
    later = picture_segments(clean, name, {}, MapCache(store=DiskStore(Database(tmp_path))))
    assert again is found and later is not found and counted == [name]
    for labels in (found, later):
        assert labels.dtype == np.int32 and not labels.flags.writeable
        assert np.array_equal(labels, twin)


def test_segments_are_cut_once_however_many_ask(counted: list[str]) -> None:
    clean, cache, barrier = random_picture(), MapCache(), threading.Barrier(6)

    def ask(_: int) -> np.ndarray:
        barrier.wait()
        return picture_segments(clean, "cells", {"rows": 4}, cache)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    assert counted == ["cells"] and all(labels is found[0] for labels in found)
    assert not module._under_way


def test_whatever_decides_the_segments_is_part_of_the_key(counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clean, cache = random_picture(), MapCache()

    def was_cut(clean: torch.Tensor = clean, name: str = "cells", **parameters: float) -> bool:
        before = len(counted)
        picture_segments(clean, name, parameters, cache)
        return len(counted) > before

    assert was_cut(rows=4) and not was_cut(rows=4)
    assert not was_cut(rows=4.0, cols=7)  # a default that is said is the same
    assert was_cut(rows=5) and was_cut(cols=4)
    assert was_cut(name="slic", n_segments=9) and was_cut(name="slic", n_segments=9, compactness=2)
    other = clean.clone()
    other[0, 0, 0] = torch.nextafter(other[0, 0, 0], torch.tensor(2.0))
    assert was_cut(other, rows=4)
    assert was_cut(clean.reshape(3, 16, 64), rows=4)
    monkeypatch.setattr(module, "_scikit_image", lambda: "another")
    assert was_cut(rows=4)
    monkeypatch.undo()
    monkeypatch.setattr(module, "SEGMENT_VERSION", 999)
    key = shipped_key(clean, "cells", {})
    monkeypatch.undo()
    assert shipped_key(clean, "cells", {}) != key


def test_a_broken_entry_is_cut_again(counted: list[str]) -> None:
    clean, cache = random_picture(), MapCache()
    twin = picture_segments(clean, "cells", {}, cache)
    (key,) = cache._entries
    for broken in (twin[:-1], -twin - 1, twin.astype(np.int64), twin.astype(np.float32)):
        cache._entries[key] = broken
        assert np.array_equal(picture_segments(clean, "cells", {}, cache), twin)
    assert len(counted) == 5


def test_what_cannot_be_cut_is_said_when_it_is_asked_for() -> None:
    future = begin_segments(random_picture(), "cells", {"rows": 64, "cols": 64}, MapCache())
    with pytest.raises(BadSetting, match="has no room for"):
        future.result()
    with pytest.raises(BadSetting, match="has no setting 'nope'"):
        picture_segments(random_picture(), "cells", {"nope": 1}, MapCache())
    with pytest.raises(UnknownName):
        begin_segments(random_picture(), "nope", {}, MapCache())
    assert not module._under_way


# beside the forward pass


def test_an_uploaded_pictures_segments_are_cut_while_the_network_runs(
    lite0: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, passed = threading.Event(), threading.Event()

    def late(image: np.ndarray, name: str, **parameters: float) -> np.ndarray:
        begun.set()
        assert passed.wait(60), "the network waited for the segments"
        return segment(image, "cells")

    monkeypatch.setattr(module, "segment", late)
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    uploaded = Picture("upload/x", "upload", "x", None, None, "", "", "", "", lambda: image)
    scene = Scene(Engine(lite0, MapCache()), uploaded, DEFAULT)
    assert begun.wait(60), "nobody had to ask for them"
    scene.explain([CLEAN])
    passed.set()
    assert scene.comparison.n_segments == 49


# shipped


@pytest.mark.parametrize("model", MODELS)
def test_every_built_in_picture_ships_its_segments(model: str, counted: list[str]) -> None:
    classifier, cache = load_classifier(model, "cpu"), MapCache()
    for picture in PICTURES[:: 1 if model == DEFAULT.model else 7]:
        clean = classifier.preprocess(picture.load())
        labels = picture_segments(clean, DEFAULT.segmentation, DEFAULT.segment_parameters, cache)
        assert labels.shape == classifier.input_size and 5 < labels.max() < 255, picture.id
    assert not counted and not cache.stats().entries


@pytest.mark.parametrize(
    ("model", "index"), [(model, i) for i, model in enumerate(MODELS)] + [(DEFAULT.model, 60), (DEFAULT.model, 139)]
)  # fmt: skip
def test_what_is_shipped_is_what_would_be_cut(model: str, index: int) -> None:
    clean = load_classifier(model, "cpu").preprocess(PICTURES[index].load())
    labels = shipped_segments(shipped_key(clean, DEFAULT.segmentation, {}), tuple(clean.shape[1:]))
    assert labels is not None and labels.dtype == np.int32 and not labels.flags.writeable
    assert np.array_equal(labels, cut(clean))


def test_another_pixel_or_parameter_is_not_what_was_shipped(inputs: torch.Tensor, counted: list[str]) -> None:
    cache = MapCache()
    changed = inputs[0].clone()
    changed[1, 100, 100] = 1 - changed[1, 100, 100]
    found = picture_segments(changed, "quickshift", {}, cache)
    assert len(counted) == 1 and np.array_equal(found, cut(changed))
    found = picture_segments(inputs[0], "quickshift", {"rng": 43}, cache)
    assert len(counted) == 2 and np.array_equal(found, cut(inputs[0], rng=43))


@pytest.mark.parametrize("damage", ["missing", "text", "short", "hole", "size"])
def test_a_damaged_archive_is_not_used(
    damage: str,
    inputs: torch.Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forgetful: Callable[[], None],
    counted: list[str],
) -> None:
    path = tmp_path / "segments.npz"
    key = shipped_key(inputs[0], "quickshift", {})
    whole = cut(inputs[0]).astype(np.uint8)
    if damage == "text":
        path.write_text("no archive")
    elif damage != "missing":
        given = {"hole": whole + (whole > 0), "size": whole[:-1]}.get(damage, whole)
        np.savez_compressed(path, allow_pickle=False, **{key: given.astype(np.uint8)})
    if damage == "short":
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[: middle - 40] + bytes(80) + data[middle + 40 :])
    monkeypatch.setattr(module, "ARCHIVE", path)
    forgetful()
    assert np.array_equal(picture_segments(inputs[0], "quickshift", {}, MapCache()), whole)
    assert counted == ["quickshift"]


def test_the_archive_is_small() -> None:
    assert ARCHIVE.stat().st_size < 3_000_000
    assert len(module._shipped_names()) == len(PICTURES) * len(MODELS)
