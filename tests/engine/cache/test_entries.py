"""What is kept, and its bytes."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from camlab.engine.cache import entries
from camlab.engine.cache.entries import pack, sound, unpack

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)
MAPS = arrays.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32))
LABELS = arrays.arrays(np.int32, SHAPES, elements=st.integers(0, 2**31 - 1))
MAP = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
CUT = np.arange(12, dtype=np.int32).reshape(3, 4)


@settings(max_examples=60, deadline=None)
@given(MAPS | LABELS)
def test_what_comes_back_is_what_was_given(value: np.ndarray) -> None:
    found = unpack("key", pack("key", value))
    assert found is not None
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert found.tobytes() == value.tobytes()
    assert not found.flags.writeable and found.flags.aligned


def test_arrays_that_are_views_or_of_the_other_byte_order_come_back_alike() -> None:
    for value in (MAP.T, MAP[:, ::-2], CUT.T):
        found = unpack("key", pack("key", value))
        assert found is not None and np.array_equal(found, value)


@pytest.mark.parametrize("value", [MAP, CUT], ids=["map", "labels"])
def test_every_flipped_bit_and_every_cut_is_noticed(value: np.ndarray) -> None:
    data = pack("key", value)
    for place in range(len(data)):
        assert unpack("key", data[:place]) is None
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        assert unpack("key", bytes(broken)) is None
    assert unpack("key", data + b"\0") is None


def test_an_entry_under_another_key_is_none() -> None:
    assert unpack("another", pack("key", MAP)) is None


@pytest.mark.parametrize("data", [None, "text", 3, b"", b"\0" * 100, [1]], ids=repr)
def test_what_was_never_packed_is_none(data: object) -> None:
    assert unpack("key", data) is None


def signed(rest: bytes) -> bytes:
    """The bytes as a later version of `pack`, with the same digest, might have written them."""
    return hashlib.blake2b(b"key\0" + rest, digest_size=16).digest() + rest


def test_whole_bytes_of_another_making_are_none() -> None:
    head = entries._MAGIC + b"f" + struct.pack("<BI", 1, 2)
    body = np.array([0, 1], dtype="<f4").tobytes()
    assert unpack("key", signed(head + body)) is not None  # the bytes made here are like pack's own
    for rest in (
        b"CLa2" + (head + body)[4:],
        entries._MAGIC + b"x" + head[5:] + body,
        entries._MAGIC + b"i" + head[5:] + body,  # not deflated
        entries._MAGIC + b"f" + struct.pack("<BII", 2, 2, 2**31) + body,
        entries._MAGIC + b"f" + struct.pack("<BI", 9, 2) + body,
        head + body[:-1],
        head + np.array([0, 1.5], dtype="<f4").tobytes(),
        head + np.array([0, np.nan], dtype="<f4").tobytes(),
    ):
        assert unpack("key", signed(rest)) is None, rest


def test_what_is_sound() -> None:
    assert sound(MAP) and sound(CUT)
    for value in (MAP.astype(np.float64), CUT.astype(np.int64), -CUT, MAP * 1.1, MAP - 0.1, MAP * np.nan):
        assert not sound(value)


def test_labels_take_little_room_and_maps_what_they_must() -> None:
    labels = np.repeat(np.arange(40, dtype=np.int32), 1255)[: 224 * 224].reshape(224, 224)
    assert len(pack("key", labels)) < labels.nbytes / 50
    assert len(pack("key", MAP)) == MAP.nbytes + 16 + 4 + 1 + 1 + 4 * MAP.ndim
