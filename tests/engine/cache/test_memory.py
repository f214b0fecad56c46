"""The cache of maps and predictions."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from camlab.engine.cache.memory import MapCache, content_key

SHAPE = (100,)


def _array(value: float, count: int = 100) -> np.ndarray:
    return np.full(count, value, dtype=np.float32)


def test_returns_what_was_put_and_counts() -> None:
    cache = MapCache()
    assert cache.get("a", SHAPE) is None
    kept = cache.put("a", _array(1))
    assert cache.get("a", SHAPE) is kept and np.array_equal(kept, _array(1))
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries) == (1, 1, 1)
    assert stats.bytes >= 400 and stats.limit == 256 * 2**20


def test_arrays_are_read_only_and_detached_from_the_callers() -> None:
    cache, mine = MapCache(), _array(1)
    kept = cache.put("a", mine)
    mine[:] = 0
    assert kept[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 3


def test_an_array_does_not_keep_the_larger_one_alive_that_it_was_cut_from() -> None:
    kept = MapCache().put("a", np.zeros((1000, 7, 7), dtype=np.float32)[3])
    assert kept.base is None


def test_first_come_first_kept() -> None:
    cache = MapCache()
    first = cache.put("a", _array(1))
    assert cache.put("a", _array(0.5)) is first
    assert cache.put("b", _array(0.5))[0] == 0.5


def test_labels_are_kept_beside_maps() -> None:
    cache = MapCache()
    labels = np.arange(100, dtype=np.int32)
    kept = cache.put("a", labels)
    assert cache.get("a", SHAPE, np.int32) is kept and np.array_equal(kept, labels)
    assert cache.get("a", SHAPE) is None  # as a map it is broken, so it goes
    assert cache.get("a", SHAPE, np.int32) is None
    cache._entries["b"] = -labels
    assert cache.get("b", SHAPE, np.int32) is None


@pytest.mark.parametrize(
    "broken",
    [_array(np.nan), _array(-0.1), _array(1.5), _array(np.inf), _array(1).astype(np.float64), _array(1, 99)],
    ids=["nan", "below", "above", "infinite", "float64", "short"],
)
def test_a_broken_entry_is_forgotten_and_replaced(broken: np.ndarray) -> None:
    cache = MapCache()
    cache._entries["a"] = cache._entries["b"] = broken
    assert cache.get("a", SHAPE) is None and cache.stats().misses == 1
    assert "a" not in cache._entries
    assert np.array_equal(cache.put("b", _array(1)), _array(1))
    assert cache.get("b", SHAPE) is not None


def test_stays_within_its_bytes_and_forgets_the_least_recently_used() -> None:
    cache = MapCache(limit=3000)
    for name in "abc":
        cache.put(name, _array(0))
    assert cache.get("a", SHAPE) is not None  # now b is the oldest
    cache.put("d", _array(0))
    assert cache.get("b", SHAPE) is None and cache.get("a", SHAPE) is not None and cache.get("d", SHAPE) is not None
    for i in range(100):
        cache.put(f"n{i}", _array(i / 100))
        assert cache.stats().bytes <= 3000
    cache.clear()
    assert cache.stats().entries == cache.stats().bytes == 0


def test_an_array_larger_than_the_cache_is_passed_through() -> None:
    cache = MapCache(limit=1000)
    assert cache.put("a", _array(1, 10_000))[0] == 1
    assert cache.get("a", SHAPE) is None and cache.stats().entries == 0


def test_keys_tell_all_parts_apart() -> None:
    parts: list[tuple[object, ...]] = [
        ("a", "b"),
        ("ab",),
        ("a", "b", None),
        (("a", "b"),),
        ("a", ("b",)),
        ("a,b",),
        ("a', 'b",),
        (1,),
        (1.0,),
        ("1",),
        (True,),
        (0.1 + 0.2,),
        (0.3,),
        (),
    ]
    assert len({content_key(*p) for p in parts}) == len(parts)
    assert content_key("map", (1, 2), None, 0.5) == content_key("map", (1, 2), None, 0.5)
    assert len(content_key()) == 40 and int(content_key(), 16) >= 0


def test_many_threads() -> None:
    cache, errors = MapCache(limit=20_000), list[BaseException]()

    def work(seed: int) -> None:
        try:
            rng = np.random.default_rng(seed)
            for _ in range(2000):
                i = int(rng.integers(60))
                found = cache.get(str(i), SHAPE)
                if found is None:
                    found = cache.put(str(i), _array(i / 100))
                assert found[0] == np.float32(i / 100) and len(found) == 100
                assert cache.stats().bytes <= 20_000
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert not errors and stats.hits + stats.misses == 16_000 and stats.hits > 0


class Shelf:
    """A store that keeps what it is given, and counts what is asked of it."""

    def __init__(self) -> None:
        self.held: dict[str, np.ndarray] = {}
        self.asked: list[str] = []

    def get(self, key: str) -> np.ndarray | None:
        self.asked.append(key)
        return self.held.get(key)

    def add(self, key: str, value: np.ndarray) -> None:
        self.held.setdefault(key, value)

    def discard(self, key: str) -> None:
        self.held.pop(key, None)


def test_what_is_not_in_memory_comes_from_the_store() -> None:
    shelf = Shelf()
    kept = MapCache(store=shelf).put("a", _array(0.5))
    cache = MapCache(store=shelf)
    found = cache.get("a", SHAPE)
    assert found is not None and np.array_equal(found, kept) and not found.flags.writeable
    assert cache.get("a", SHAPE) is found and shelf.asked == ["a"]  # in memory from now on
    assert cache.get("b", SHAPE) is None
    stats = cache.stats()
    assert (stats.hits, stats.from_disk, stats.misses, stats.entries) == (2, 1, 1, 1)
    cache.clear()
    assert cache.get("a", SHAPE) is not None and len(shelf.asked) == 3


def test_the_store_answers_where_memory_is_too_small_to_hold_anything() -> None:
    cache = MapCache(limit=1, store=Shelf())
    cache.put("a", _array(0.5))
    assert cache.get("a", SHAPE) is not None and cache.stats().entries == 0


@pytest.mark.parametrize("broken", [_array(np.nan), _array(2), _array(1).astype(np.float64)])
def test_what_is_broken_never_reaches_the_store(broken: np.ndarray) -> None:
    shelf = Shelf()
    MapCache(store=shelf).put("a", broken)
    assert not shelf.held


def test_what_the_store_holds_in_another_shape_is_forgotten_and_replaced() -> None:
    shelf = Shelf()
    cache = MapCache(store=shelf)
    for other in (_array(0.5, 99), np.zeros(100, dtype=np.int32)):
        shelf.held["a"] = other
        assert cache.get("a", SHAPE) is None and not shelf.held
    cache.put("a", _array(1))
    assert len(shelf.held["a"]) == 100
