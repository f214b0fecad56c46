"""The compute core: caching, batching, cancelling, threads. Small classifiers, so that seconds suffice."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import camlab.engine.engine as engine_module
from benchmarks.visitors import left_behind, numbers
from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.cams.smoothing import Smoothing, smoothed
from camlab.common import environment
from camlab.common.errors import BadSetting, CamLabError, Cancelled, UnknownName
from camlab.engine.cache.database import Database
from camlab.engine.cache.disk import DiskStore
from camlab.engine.cache.memory import MapCache, content_key
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN, Explained, Spec, canonical
from camlab.models import load_classifier
from camlab.models.batching import AT_ONCE
from camlab.models.classifier import Classifier
from camlab.noise import perturb
from tests.cams.conftest import in_double, spread_pictures
from tests.cams.stub import Stub, pointwise_stub, pooled_stub, random_pictures, signed_stub
from tests.rounding import ROUNDED_ONCE, ROUNDED_TWICE, apart

METHODS = tuple(name for name, method in CAMS.items() if method.serves(signed_stub(), "cut") is None)
SPECS = [CLEAN, *(Spec("gaussian_noise", s, seed) for s in (1.0, 2.5, 5.0) for seed in (0, 1))]
CLEAN_PICTURE = random_pictures(1, seed=7)[0]


class Counting(Stub):
    """A stub that counts the pictures which enter its head and tail, and can run out of memory."""

    heads: list[int]
    tails: list[int]
    room: int

    @classmethod
    def of(cls, stub: Stub, room: int = 10**9) -> Counting:
        stub.__class__ = cls
        assert isinstance(stub, Counting)
        stub.heads, stub.tails, stub.room = [], [], room
        return stub

    def head(self, z: Tensor, layer: str) -> Tensor:
        self.heads.append(len(z))
        if len(z) > self.room:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return super().head(z, layer)

    def tail(self, activations: Tensor, layer: str) -> Tensor:
        self.tails.append(len(activations))
        return super().tail(activations, layer)


def explain(
    engine: Engine, specs: Sequence[Spec] = SPECS, methods: Sequence[str] = METHODS, **more: Any
) -> list[Explained]:
    return engine.explain(CLEAN_PICTURE, "digest", specs, methods, "cut", **more)


def same(a: Explained, b: Explained, close: float = 0.0) -> bool:
    """The same bits, or, for calculations in float64 that add in another order, finished maps this close."""
    return (
        a.target == b.target
        and a.maps.keys() == b.maps.keys()
        and a.degenerate == b.degenerate
        and np.abs(a.probabilities - b.probabilities).max() <= close
        and all(np.abs(a.maps[name] - b.maps[name]).max() <= close for name in a.maps)
    )


# what comes out


def test_equals_the_pass_by_hand() -> None:
    stub = signed_stub().double()
    found = explain(Engine(stub))
    for spec, one in zip(SPECS, found, strict=True):
        picture = CLEAN_PICTURE[None]
        if spec.noise:
            picture = perturb(picture, spec.noise, spec.severity, spec.seed, "digest")
        shared = shared_pass(stub, "cut", picture, [None], ["x"])
        assert apart(one.probabilities, shared.logits.softmax(1)[0]).max() <= ROUNDED_ONCE
        assert one.index == one.target == int(shared.logits.argmax())
        assert one.probability == one.probabilities.max()
        for name in METHODS:
            if name != "randomcam":  # that one depends on the key, not on the pass alone
                maps, degenerate = scale_maps(CAMS[name].apply(shared))
                assert apart(one.maps[name], maps[0]).max() <= ROUNDED_TWICE, (spec, name)
                assert one.degenerate[name] == bool(degenerate[0])
        assert list(one.maps) == list(METHODS) and not one.cached


def test_inputs_are_the_perturbed_pictures_in_order() -> None:
    specs = [
        Spec("fog", 2.0, 1),
        CLEAN,
        Spec("gaussian_noise", 3.0, 4),
        Spec("fog", 0.0, 0),
        Spec("fog", 2.0, 2),
    ]
    found = Engine(signed_stub()).inputs(CLEAN_PICTURE, "digest", specs)
    assert torch.equal(found[1], CLEAN_PICTURE) and torch.equal(found[3], CLEAN_PICTURE)
    for row in (0, 2, 4):
        spec = specs[row]
        alone = perturb(CLEAN_PICTURE[None], str(spec.noise), spec.severity, spec.seed, "digest")[0]
        assert torch.equal(found[row], alone)
    assert Engine(signed_stub()).inputs(CLEAN_PICTURE, "digest", []).shape == (0, 3, 12, 10)


def test_top_lists_the_best_classes_first() -> None:
    probabilities = np.array([0.1, 0.4, 0.1, 0.4], dtype=np.float32)
    one = Explained(probabilities, 1, {}, {}, cached=False)
    assert [index for index, _ in one.top(3)] == [1, 3, 0]
    (index, probability), *_ = one.top()
    assert index == 1 and probability == np.float32(0.4) and len(one.top(9)) == 4


def test_targets_per_version() -> None:
    stub = signed_stub()
    methods = ["gradcam", "ablationcam", "scorecam", "eigencam"]
    own = explain(Engine(stub), methods=methods)
    goals = [None, 0, 1, None, 2, 3, 4]
    mixed = explain(Engine(stub), methods=methods, targets=goals)
    one = explain(Engine(stub), methods=methods, targets=2)
    for row, goal in enumerate(goals):
        assert mixed[row].target == (own[row].index if goal is None else goal)
        assert mixed[row].index == own[row].index
        assert np.array_equal(mixed[row].maps["eigencam"], own[row].maps["eigencam"])
        if mixed[row].target != own[row].target:
            assert np.abs(mixed[row].maps["gradcam"] - own[row].maps["gradcam"]).max() > 0.01
    assert [x.target for x in one] == [2] * len(SPECS)
    assert same(one[4], mixed[4])


def test_nothing_asked_nothing_done() -> None:
    stub = Counting.of(signed_stub())
    assert explain(Engine(stub), specs=[]) == [] and not stub.heads
    only = explain(Engine(stub), specs=[CLEAN], methods=[])
    assert only[0].maps == {} and only[0].probabilities.shape == (5,)


def test_predictions_alone_take_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    original = shared_pass

    def watched(*args: Any, **options: Any) -> Any:
        asked.append(options["gradients"])
        return original(*args, **options)

    monkeypatch.setattr("camlab.engine.device_queue.shared_pass", watched)
    for methods, gradients in ([], False), (["eigencam", "scorecam"], False), (["eigencam", "gradcam"], True):
        explain(Engine(signed_stub()), methods=methods)
        assert asked.pop() is gradients and not asked
    # A gradient method that is known already asks for nothing.
    engine = Engine(signed_stub())
    explain(engine, methods=["gradcam"])
    explain(engine, methods=["gradcam", "eigencam"])
    assert asked == [True, False]


# mistakes


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"methods": ["gradcm"]}, UnknownName, "did you mean 'gradcam'"),
        ({"layer": "nowhere"}, UnknownName, "no layer called 'nowhere'"),
        ({"specs": [Spec("fogg", 1.0, 0)]}, UnknownName, "did you mean 'fog'"),
        ({"specs": [Spec("fogg", 0.0, 0)]}, UnknownName, "did you mean 'fog'"),
        ({"specs": [Spec("fog", 5.5, 0)]}, BadSetting, "5.5"),
        ({"specs": [Spec("fog", float("nan"), 0)]}, BadSetting, "nan"),
        ({"targets": 5}, BadSetting, "no class 5; choose a number from 0 to 4"),
        ({"targets": -1}, BadSetting, "no class -1"),
        ({"targets": [1, 2]}, BadSetting, "2 target classes for 1 pictures"),
        ({"clean": torch.zeros(3, 10, 12)}, BadSetting, "12 × 10 pixels"),
    ],
)
def test_mistakes_are_told_in_one_sentence(change: dict[str, Any], error: type[Exception], words: str) -> None:
    settings: dict[str, Any] = {
        "clean": CLEAN_PICTURE,
        "digest": "d",
        "specs": [Spec("fog", 1.0, 0)],
        "methods": ["gradcam"],
        "layer": "cut",
    }
    with pytest.raises(error, match=words) as caught:
        Engine(signed_stub()).explain(**(settings | change))
    assert isinstance(caught.value, CamLabError) and "\n" not in str(caught.value)


def test_a_batch_of_nothing_is_a_mistake() -> None:
    with pytest.raises(BadSetting, match="choose 1 or more"):
        Engine(signed_stub(), batch=0)


# the cache


def test_cached_equals_computed_bit_for_bit() -> None:
    stub = Counting.of(signed_stub())
    engine = Engine(stub)
    first = explain(engine)
    passes = len(stub.heads)
    again = explain(engine)
    assert len(stub.heads) == passes
    for a, b in zip(first, again, strict=True):
        assert same(a, b) and not a.cached and b.cached
        assert a.maps["gradcam"] is b.maps["gradcam"]


def test_what_is_returned_is_read_only() -> None:
    for one in explain(Engine(signed_stub()), specs=SPECS[:2]):
        for array in (one.probabilities, *one.maps.values()):
            assert array.dtype == np.float32
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_only_the_misses_are_computed() -> None:
    stub = Counting.of(signed_stub())
    engine = Engine(stub)
    explain(engine, SPECS[:3], ["gradcam"])
    assert sum(stub.heads) == 3
    explain(engine, SPECS[:4], ["gradcam"])  # one version is new
    assert sum(stub.heads) == 4
    found = explain(engine, SPECS, ["gradcam", "hirescam"])  # one method is new, and three versions
    assert sum(stub.heads) == 4 + 7
    assert [x.cached for x in found] == [False] * 7
    assert [x.cached for x in explain(engine, SPECS, ["hirescam"])] == [True] * 7
    assert sum(stub.heads) == 4 + 7


def test_a_dear_method_already_known_is_not_run_again_for_a_cheap_one() -> None:
    stub = Counting.of(signed_stub())
    engine = Engine(stub)
    explain(engine, SPECS[:1], ["scorecam"])
    before = sum(stub.heads)
    assert before > 1
    explain(engine, SPECS[:1], ["scorecam", "gradcam"])
    assert sum(stub.heads) == before + 1


def test_predictions_and_maps_are_shared_between_ways_of_asking() -> None:
    stub = Counting.of(signed_stub())
    engine = Engine(stub)
    own = explain(engine, [CLEAN], ["gradcam", "eigencam"])[0]
    done = sum(stub.heads)
    # The same class by its number, and the class-blind method for any class, are known already.
    assert explain(engine, [CLEAN], ["gradcam"], targets=own.index)[0].cached
    assert explain(engine, [CLEAN], ["eigencam"], targets=(own.index + 1) % 5)[0].cached
    assert explain(engine, [CLEAN], [])[0].cached
    assert sum(stub.heads) == done
    assert not explain(engine, [CLEAN], ["gradcam"], targets=(own.index + 1) % 5)[0].cached


def test_versions_that_are_the_same_picture_are_computed_once() -> None:
    stub = Counting.of(signed_stub())
    specs = [CLEAN, Spec("fog", 0.0, 3), Spec("gaussian_noise", 0, 1), CLEAN]
    found = explain(Engine(stub), specs, ["gradcam", "randomcam"])
    assert stub.heads == [1]
    assert all(same(found[0], other) for other in found)
    stub = Counting.of(signed_stub())
    found = explain(Engine(stub), [Spec("contrast", 2.0, seed) for seed in (0, 5, 9)], ["gradcam"])
    assert stub.heads == [1]  # contrast draws nothing, so it has no seed
    found = explain(Engine(stub), [Spec("fog", 2.0, seed) for seed in (0, 5, 9)], ["gradcam"])
    assert stub.heads == [1, 3]
    assert len({x.maps["gradcam"].tobytes() for x in found}) == 3


def test_a_seed_is_the_same_whatever_kind_of_integer() -> None:
    engine = Engine(signed_stub())
    explain(engine, [Spec("fog", 1, 3)])
    assert explain(engine, [Spec("fog", np.float64(1.0), np.int64(3))])[0].cached  # type: ignore[arg-type]


def test_anything_different_is_another_entry() -> None:
    cache = MapCache()
    stub = signed_stub()
    spec = Spec("gaussian_noise", 2.0, 1)

    def computed(
        classifier: Stub = stub,
        picture: Tensor = CLEAN_PICTURE,
        digest: str = "d",
        spec: Spec = spec,
        methods: Sequence[str] = ("gradcam",),
        targets: int = 0,
    ) -> bool:
        found = Engine(classifier, cache).explain(picture, digest, [spec], methods, "cut", targets)
        return not found[0].cached

    assert computed() and not computed()
    assert computed(classifier=signed_stub(1)) and not computed(classifier=signed_stub(1))
    assert computed(picture=CLEAN_PICTURE.flip(2))
    assert computed(digest="e")
    for change in (
        replace(spec, noise="speckle_noise"),
        replace(spec, severity=2.0000001),
        replace(spec, seed=2),
    ):
        assert computed(spec=change), change
    assert computed(methods=["gradcam++"])
    assert computed(targets=1)
    assert not computed()


@pytest.mark.parametrize("constant", ["PERTURB_VERSION", "FORWARD_VERSION", "SCALE_VERSION"])
def test_a_new_version_of_a_step_is_another_entry(monkeypatch: pytest.MonkeyPatch, constant: str) -> None:
    engine = Engine(signed_stub())
    explain(engine, SPECS[1:2], ["gradcam"])
    monkeypatch.setattr(engine_module, constant, 999)
    assert not explain(engine, SPECS[1:2], ["gradcam"])[0].cached


def test_a_new_version_of_a_method_is_another_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(signed_stub())
    explain(engine, [CLEAN], ["gradcam", "hirescam"])
    monkeypatch.setitem(CAMS._entries, "gradcam", replace(CAMS["gradcam"], version=999))
    assert explain(engine, [CLEAN], ["hirescam"])[0].cached
    assert not explain(engine, [CLEAN], ["gradcam"])[0].cached


def test_another_library_or_device_is_another_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(signed_stub())
    explain(engine, SPECS[1:2], ["gradcam"])
    arithmetic = environment.arithmetic(torch.device("cpu"))
    monkeypatch.setattr(engine_module, "arithmetic", lambda _: arithmetic)
    assert explain(engine, SPECS[1:2], ["gradcam"])[0].cached
    for place in range(len(arithmetic)):
        changed = (*arithmetic[:place], "another", *arithmetic[place + 1 :])
        monkeypatch.setattr(engine_module, "arithmetic", lambda _, changed=changed: changed)
        assert not explain(engine, SPECS[1:2], ["gradcam"])[0].cached


def test_a_later_process_finds_on_disk_the_very_bits_that_were_computed(tmp_path: Path) -> None:
    def engine(stub: Stub) -> tuple[Engine, DiskStore]:
        store = DiskStore(Database(tmp_path))
        return Engine(stub, MapCache(store=store)), store

    first, store = engine(signed_stub().double())
    computed = explain(first)
    assert store.flush() and not any(x.cached for x in computed)
    stub = Counting.of(signed_stub().double())
    later, _ = engine(stub)
    found = explain(later)
    assert all(same(a, b) and b.cached for a, b in zip(computed, found, strict=True)) and not stub.heads
    twin = explain(Engine(signed_stub().double()))  # which has no cache to find anything in
    assert all(same(a, b) for a, b in zip(twin, found, strict=True))
    # Part of it missing or broken: that part is computed again, and the rest is found.
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = x'00' WHERE rowid % 2")
        connection.execute("DELETE FROM Cache WHERE rowid % 3 = 0")
    for _ in range(2):  # what was not looked for the first time, its target being unknown, is the second
        again, store = engine(stub)
        assert all(same(a, b, close=ROUNDED_TWICE) for a, b in zip(twin, explain(again), strict=True)) and stub.heads
        assert again.cache.stats().from_disk > 0 and store.flush()
    assert store.database.verify().broken == 0
    # Another model finds nothing of it.
    other, _ = engine(signed_stub(1))
    assert not any(x.cached for x in explain(other)) and other.cache.stats().from_disk == 0


@pytest.mark.parametrize(
    "broken",
    [
        np.full((6, 5), np.nan, dtype=np.float32),
        np.full((6, 5), 2, dtype=np.float32),
        np.full((6, 5), -0.1, dtype=np.float32),
        np.zeros((6, 5)),
        np.zeros((5, 6), dtype=np.float32),
        np.zeros(5, dtype=np.float32)[:3],
        "not an array at all",
    ],
    ids=["nan", "above", "below", "float64", "turned", "short", "text"],
)
def test_broken_entries_are_computed_again(broken: Any) -> None:
    engine = Engine(signed_stub())
    methods = ["gradcam", "eigencam"]
    first = explain(engine, SPECS[:2], methods)
    with engine.cache._lock:
        for key in list(engine.cache._entries):
            engine.cache._entries[key] = broken if isinstance(broken, np.ndarray) else np.array(broken)
    again = explain(engine, SPECS[:2], methods)
    assert all(same(a, b) and not b.cached for a, b in zip(first, again, strict=True))
    assert all(x.cached for x in explain(engine, SPECS[:2], methods))


def test_a_cache_that_holds_nothing_changes_nothing() -> None:
    stub = signed_stub()
    tiny = Engine(stub, MapCache(limit=1))
    for a, b in zip(explain(tiny), explain(Engine(stub)), strict=True):
        assert same(a, b)
    assert not explain(tiny)[0].cached


# batches


@pytest.mark.parametrize("make", [signed_stub, pooled_stub])
def test_the_batch_size_changes_nothing_but_rounding(make: Callable[[], Stub]) -> None:
    whole = explain(Engine(make().double(), batch=100))
    for batch in (1, 2, 5):
        for a, b in zip(whole, explain(Engine(make().double(), batch=batch)), strict=True):
            assert same(a, b, close=ROUNDED_TWICE), batch


@pytest.mark.parametrize("make", [signed_stub, pooled_stub, pointwise_stub])
def test_batches_of_whole_groups_give_the_same_bits(make: Callable[[], Stub]) -> None:
    # 6 + 6 + 2, 12 + 2, and all 14 at once.
    specs = [Spec("gaussian_noise", severity, seed) for severity in (1.0, 3.0) for seed in range(7)]
    few, some, all_ = (
        explain(Engine(make(), batch=batch, chunk=4), specs) for batch in (AT_ONCE, 2 * AT_ONCE, 5 * AT_ONCE)
    )
    assert all(same(a, b) and same(a, c) for a, b, c in zip(few, some, all_, strict=True))


def test_batches_are_of_about_equal_size() -> None:
    stub = Counting.of(signed_stub())
    explain(Engine(stub, batch=16), [Spec("fog", 1.0, seed) for seed in range(17)], ["gradcam"])
    assert stub.heads == [9, 8]


@pytest.mark.parametrize("layer", ["bn2", "blocks[-1]"])
def test_lite0_alone_equals_lite0_in_a_batch(layer: str) -> None:
    # In float64. In float32 rounding moves a value across a corner of the ReLU6 behind blocks[-1] now and then: its
    # gradient is gone or back at once, and a map moves by more than any bound (docs/parity.md has the figures).
    classifier = in_double(load_classifier("efficientnet_lite0", "cpu"))
    picture = spread_pictures(4)[1]
    clean = classifier.preprocess(picture.load())
    specs = [CLEAN, *(Spec("gaussian_noise", 1.0, seed) for seed in range(15))]
    methods = [name for name, method in CAMS.items() if method.cost == "shared"]
    together = Engine(classifier).explain(clean, picture.digest, specs, methods, layer)
    for row in (0, 9):
        alone = Engine(classifier).explain(clean, picture.digest, specs[row : row + 1], methods, layer)[0]
        assert same(alone, together[row], close=ROUNDED_TWICE)


@pytest.mark.parametrize("room", [1, 3, 6])
def test_out_of_memory_halves_the_batch_and_goes_on(room: int) -> None:
    whole = explain(Engine(signed_stub().double()))
    stub = Counting.of(signed_stub().double(), room=room)
    engine = Engine(stub)
    for a, b in zip(whole, explain(engine), strict=True):
        assert same(a, b, close=ROUNDED_TWICE)
    assert max(n for n in stub.heads if n <= room) <= room < max(stub.heads)
    before = len(stub.heads)
    assert all(x.cached for x in explain(engine)) and len(stub.heads) == before


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("MPS: Out of memory")],
)
def test_every_way_of_running_out_of_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    original, tries = shared_pass, list[int]()

    def failing(classifier: Any, layer: Any, pictures: Tensor, *args: Any, **options: Any) -> Any:
        tries.append(len(pictures))
        if len(pictures) > 2:
            raise error
        return original(classifier, layer, pictures, *args, **options)

    monkeypatch.setattr("camlab.engine.device_queue.shared_pass", failing)
    explain(Engine(signed_stub()), methods=["gradcam"])
    assert tries[:3] == [7, AT_ONCE, 3] and max(tries[3:]) == 1 and sum(tries[3:]) == 7


def test_halved_the_batch_stays_one_of_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    original, tries = shared_pass, list[int]()

    def failing(classifier: Any, layer: Any, pictures: Tensor, *args: Any, **options: Any) -> Any:
        tries.append(len(pictures))
        if len(pictures) > AT_ONCE + 1:
            raise MemoryError
        return original(classifier, layer, pictures, *args, **options)

    specs = [Spec("gaussian_noise", 2.0, seed) for seed in range(20)]
    whole = explain(Engine(signed_stub(), batch=AT_ONCE), specs)
    monkeypatch.setattr("camlab.engine.device_queue.shared_pass", failing)
    halved = explain(Engine(signed_stub(), batch=5 * AT_ONCE, chunk=AT_ONCE), specs)
    assert tries == [20, 6, 6, 6, 2]
    assert all(same(a, b) for a, b in zip(whole, halved, strict=True))


def test_not_even_one_picture_fits() -> None:
    stub = Counting.of(signed_stub(), room=0)
    with pytest.raises(CamLabError, match="choose a smaller model or run on the CPU"):
        explain(Engine(stub))
    assert stub.heads[-1] == 1 and len(stub.heads) < 10


def test_other_errors_come_through_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Counting.of(signed_stub())

    def broken(z: Tensor, layer: str) -> Tensor:
        stub.heads.append(len(z))
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(stub, "head", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        explain(Engine(stub))
    assert len(stub.heads) == 1


# cancelling


def test_cancelled_at_any_check_leaves_a_cache_that_is_right() -> None:
    stub = signed_stub().double()
    whole = explain(Engine(stub, batch=3))
    checks = 0

    def count() -> None:
        nonlocal checks
        checks += 1

    explain(Engine(stub, batch=3), check=count)
    assert checks > 20
    engine = Engine(stub, batch=3)
    for stop in (1, 2, 3, 5, checks // 2, checks):
        left = stop

        def check() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cancelled

        with pytest.raises(Cancelled):
            explain(Engine(stub, batch=3), check=check)
        left = min(stop, 6)
        with pytest.raises(Cancelled):
            explain(Engine(stub, engine.cache, batch=3), SPECS[:4], check=check)
        engine.cache = MapCache() if stop == checks // 2 else engine.cache
    for a, b in zip(whole, explain(engine), strict=True):
        assert same(a, b, close=ROUNDED_TWICE)


def test_what_was_done_before_a_cancel_is_kept() -> None:
    stub = Counting.of(signed_stub())
    engine = Engine(stub, batch=2)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if len(stub.heads) >= 4:  # well inside Score-CAM of the first batch
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(engine, methods=["gradcam", "scorecam"], check=check)
    assert len(stub.heads) == 4
    assert [x.cached for x in explain(engine, SPECS[:2], ["gradcam"])] == [True, True]
    assert len(stub.heads) == 4


# threads


def test_eight_threads_equal_one() -> None:
    stub = signed_stub().double()
    pictures = random_pictures(8, seed=11)

    def work(engine: Engine, i: int) -> list[Explained]:
        return engine.explain(pictures[i], f"digest {i}", SPECS[:3], METHODS, "cut")

    serial = [work(Engine(stub), i) for i in range(8)]
    engine, start = Engine(stub), threading.Barrier(8)

    def together(i: int) -> list[Explained]:
        start.wait()
        return work(engine, i)

    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(together, range(8)))
    # Requests that wait together go as one batch, which moves last bits as any other batch does.
    for a, b in zip(serial, parallel, strict=True):
        assert all(same(x, y, close=ROUNDED_TWICE) for x, y in zip(a, b, strict=True))


def test_threads_that_ask_the_same_get_the_same_bits() -> None:
    engine, start = Engine(signed_stub()), threading.Barrier(8)

    def work(i: int) -> list[Explained]:
        start.wait()
        # Other companions in the batch, so other rounding, were the first result not kept for all.
        return explain(engine, [CLEAN, *SPECS[1 + i % 3 :]], ["gradcam", "eigencam"])[:1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert all(same(found[0][0], other[0]) for other in found)


def test_lite0_shared_by_threads_is_left_as_it_was() -> None:
    classifier = load_classifier("efficientnet_lite0", "cpu")
    pictures = [(p.digest, classifier.preprocess(p.load())) for p in spread_pictures(4)]
    methods = [name for name in METHODS if CAMS[name].cost == "shared"]
    specs = [CLEAN, Spec("gaussian_noise", 3.0, 0)]
    before = {key: value.clone() for key, value in classifier.module.state_dict().items()}

    def work(i: int) -> list[Explained]:
        digest, clean = pictures[i % 4]
        return Engine(classifier).explain(clean, digest, specs, methods, ("bn2", "blocks[-1]")[i // 4])

    serial = [work(i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(work, range(8)))
    # In float32, and a threshold, not a bound of rounding: requests that wait together may go as another batch.
    for a, b in zip(serial, parallel, strict=True):
        assert all(same(x, y, close=1e-4) for x, y in zip(a, b, strict=True))
    for module in classifier.module.modules():
        assert not module._forward_hooks and not module._backward_hooks and not module.training
    assert all(p.grad is None and not p.requires_grad for p in classifier.module.parameters())
    assert all(torch.equal(before[key], value) for key, value in classifier.module.state_dict().items())


# random maps


def test_random_maps_are_decided_by_the_version_alone() -> None:
    stub = signed_stub().double()
    found = explain(Engine(stub), methods=["randomcam"])
    again = explain(Engine(stub, batch=2), methods=["randomcam"], targets=3)
    turned = explain(Engine(stub), specs=SPECS[::-1], methods=["randomcam", "gradcam"])[::-1]
    for a, b, c in zip(found, again, turned, strict=True):
        assert apart(a.maps["randomcam"], b.maps["randomcam"]).max() <= ROUNDED_ONCE
        assert apart(a.maps["randomcam"], c.maps["randomcam"]).max() <= ROUNDED_ONCE
    other = Engine(stub).explain(CLEAN_PICTURE, "another digest", [CLEAN], ["randomcam"], "cut")[0]
    maps = [x.maps["randomcam"] for x in (*found, other)]
    assert all(np.abs(one - two).max() > 0.05 for one, two in itertools.combinations(maps, 2))


# failing


@pytest.mark.parametrize("fails", ["head", "tail", "method", "dear method"])
def test_a_failure_leaves_the_shared_model_and_the_queue_as_they_were(
    fails: str, lite0: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = numbers(lite0)

    def broken(*_: Any) -> Tensor:
        raise RuntimeError("broken")

    method = "scorecam" if fails == "dear method" else "gradcam"
    if "method" in fails:
        monkeypatch.setitem(CAMS._entries, method, replace(CAMS[method], apply=broken))
    else:
        monkeypatch.setattr(lite0, fails, broken)
    queue = DeviceQueue()
    engine = Engine(lite0, MapCache(), queue=queue)
    picture = random_pictures(1, (224, 224))[0]
    with pytest.raises(RuntimeError, match="broken"):
        engine.explain(picture, "digest", [CLEAN], [method])
    assert left_behind(lite0, before) == []
    assert queue.waiting == 0 and not queue._busy
    monkeypatch.undo()
    (found,) = engine.explain(picture, "digest", [CLEAN], ["gradcam"])
    assert found.maps["gradcam"].any()


# smoothing and methods that cannot serve


def test_smoothed_maps_are_those_of_the_pass_by_hand_and_have_keys_of_their_own() -> None:
    stub, smoothing = signed_stub().double(), Smoothing(augment=True, noisy=2)
    engine = Engine(stub)
    plain = explain(engine, methods=["gradcam", "ablationcam"])
    found = explain(engine, methods=["gradcam", "ablationcam"], smoothing=smoothing)
    assert not any(each.cached for each in found)
    for name in ("gradcam", "ablationcam"):
        for row, each in enumerate(found):
            picture = engine.inputs(CLEAN_PICTURE, "digest", [SPECS[row]])
            key = content_key("digest", tuple(CLEAN_PICTURE.shape), *dataclasses.astuple(canonical(SPECS[row])))
            raw = smoothed(stub, "cut", picture, [each.target], [key], CAMS[name], smoothing)
            assert apart(each.maps[name], scale_maps(raw)[0][0]).max() <= ROUNDED_TWICE
            assert np.array_equal(each.probabilities, plain[row].probabilities)
    assert any(not np.allclose(a.maps["gradcam"], b.maps["gradcam"]) for a, b in zip(plain, found, strict=True))
    assert all(each.cached for each in explain(engine, methods=["gradcam"], smoothing=smoothing))
    again = explain(engine, methods=["gradcam"])
    assert all(np.array_equal(a.maps["gradcam"], b.maps["gradcam"]) for a, b in zip(plain, again, strict=True))


def test_a_method_that_cannot_serve_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    never_here = replace(CAMS["gradcam"], serves=lambda classifier, layer: f"Not at {layer}; choose another.")
    monkeypatch.setitem(CAMS._entries, "gradcam", never_here)
    with pytest.raises(BadSetting, match="Not at cut; choose another"):
        explain(Engine(signed_stub()), methods=["gradcam"])
