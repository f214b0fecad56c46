"""Lazy sequences are sequences, and outlines mean the same however they are stored."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camlab.images import picture
from camlab.images.picture import ImageSet, LazyPictures, Picture, mask_from, mask_from_bytes
from tests.material import encoded, outline


def made(index: int) -> Picture:
    return Picture(f"x/{index}", "x", str(index), None, None, "", "", "", "", lambda: Image.new("RGB", (9, 9)))


@given(st.integers(0, 30), st.slices(30), st.integers(-40, 40))
def test_a_lazy_sequence_is_a_sequence(count: int, part: slice, index: int) -> None:
    lazy, eager = LazyPictures(count, made), [made(i) for i in range(count)]
    assert len(lazy) == count
    assert list(lazy) == eager
    assert list(lazy[part]) == eager[part]
    if -count <= index < count:
        assert lazy[index] == eager[index]
    else:
        with pytest.raises(IndexError):
            lazy[index]


def test_the_last_pictures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "KEPT", 2)
    calls: list[int] = []
    lazy = LazyPictures(5, lambda i: calls.append(i) or made(i))  # type: ignore[func-returns-value]
    first = lazy[0]
    assert lazy[0] is first
    assert lazy[1:3] == (made(1), made(2))
    assert lazy[0] is not first
    assert calls == [0, 1, 2, 0]


def test_threads_are_given_the_same_picture() -> None:
    lazy = LazyPictures(50, made)
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [id(lazy[i]) for i in range(50)], range(16)))
    assert len({tuple(each) for each in rounds}) == 1


def test_finding_in_lazy_and_plain_sets() -> None:
    for pictures in (LazyPictures(5, made), tuple(made(i) for i in range(5))):
        found = ImageSet("x", "X", "", pictures)
        assert found.find("x/3") is found.pictures[3]
        assert found.find("x/5") is None


@pytest.mark.parametrize("lazy", [True, False])
def test_places_search_and_sample(lazy: bool) -> None:
    def named(i: int) -> Picture:
        return dataclasses.replace(made(i), title=f"Bird {i}", label="Owl" if i % 2 else None)

    pictures = LazyPictures(50, named) if lazy else tuple(named(i) for i in range(50))
    found = ImageSet("x", "X", "", pictures)
    assert found.place("x/49") == 49 and found.place("x/50") is None
    assert found.search("  bIRD 4") == [4, 14, 24, 34, *range(40, 50)]  # 14: every word, wherever it stands
    assert found.search("owl 4") == [41, 43, 45, 47, 49]
    assert found.search("bird penguin") == []
    assert [p.id for p in found.sample(3)] == ["x/0", "x/24", "x/49"]
    assert found.sample(60) == list(pictures) and found.sample(1) == [pictures[0]]


def test_a_picture_that_was_asked_for_is_found_without_going_through_the_set() -> None:
    calls: list[int] = []
    lazy = LazyPictures(50, lambda i: calls.append(i) or made(i))  # type: ignore[func-returns-value]
    found = ImageSet("x", "X", "", lazy)
    assert found.place(lazy[30].id) == 30 and found.find("x/30") is lazy[30]
    assert calls == [30]
    assert found.place("x/31") == 31 and len(calls) == 51  # any other takes the index


def test_a_picture_that_became_another_is_not_found() -> None:
    offset = [0]
    found = ImageSet("x", "X", "", LazyPictures(5, lambda i: made(i + offset[0])))
    assert found.find("x/4") == made(4)
    offset[0] = 10
    assert found.find("x/3") is None


@pytest.mark.parametrize("white", [1, 2, 128, 255])
def test_outlines_of_any_brightness(white: int) -> None:
    assert np.array_equal(mask_from_bytes(encoded(outline(white=white)), "m.png"), outline() > 0)


def test_outlines_with_soft_edges_and_none() -> None:
    soft = np.tile(np.array([0, 100, 127, 128, 200, 255], np.uint8), (3, 1))
    assert mask_from(Image.fromarray(soft))[0].tolist() == [False, False, False, True, True, True]
    assert not mask_from(Image.new("L", (4, 4))).any()
    assert mask_from(Image.new("RGB", (4, 4), "white")).all()
