"""The cache of maps and predictions."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from camlab.cache import MapCache, content_key

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
    assert (
        cache.get("b", SHAPE) is None
        and cache.get("a", SHAPE) is not None
        and cache.get("d", SHAPE) is not None
    )
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
