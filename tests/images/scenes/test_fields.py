"""The fields that grounds and surfaces are made of, against slow twins; and the random numbers behind them."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.images.scenes.fields import Draws, centres, fractal, octave, ramp, wave, window

PALETTE = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.35), (0.9, 0.8, 0.7))


def test_draws_are_the_upper_53_bits_of_philox_under_a_hash_of_the_words() -> None:
    key = hashlib.blake2b(json.dumps(["a", 1]).encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(3)
    expected = [(int(bits) // 2**11) / 2**53 for bits in raw]
    assert Draws("a", 1).array(3).tolist() == expected
    one_by_one = Draws("a", 1)
    assert [one_by_one.one() for _ in range(3)] == expected
    # Pinned: whatever changes these numbers changes every scene.
    assert expected == [0.7609662762573297, 0.06141809117786923, 0.7559831318807864]
    assert Draws("a", 1).order(6) == [1, 3, 4, 5, 2, 0]


def test_a_part_s_stream_does_not_depend_on_what_was_drawn_before() -> None:
    one, other = Draws("scene", 1), Draws("scene", 1)
    other.array(17)
    assert one.part("light").one() == other.part("light").one() == Draws("scene", 1, "light").one()
    firsts = {Draws(*words).one() for words in [("a",), ("b",), ("a", 1), ("a", 2), ("a", "1")]}
    assert len(firsts) == 5


@given(st.floats(-50, 50), st.floats(0.001, 50), st.integers(0, 1000))
def test_between_and_choice_keep_their_bounds(low: float, span: float, seed: int) -> None:
    draws = Draws("bounds", seed)
    value = draws.between(low, low + span)
    assert low - 1e-6 <= value <= low + span + 1e-6
    assert round(value, 6) == value
    assert draws.choice("abc") in "abc"
    assert sorted(draws.order(9)) == list(range(9))


@pytest.mark.parametrize(("size", "rows", "columns"), [(9, 2, 2), (16, 1, 5), (13, 7, 3)])
def test_an_octave_is_a_smooth_mixture_of_the_four_corners_around(size: int, rows: int, columns: int) -> None:
    draws = Draws("octave")
    table = draws.array(rows + 2, columns + 2)
    shift = draws.array(2)

    def smooth(t: float) -> float:
        return t * t * (3 - 2 * t)

    expected = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            y = (i + 0.5) / size * rows + shift[0]
            x = (j + 0.5) / size * columns + shift[1]
            a, b = int(y), int(x)
            ty, tx = smooth(y - a), smooth(x - b)
            expected[i, j] = (
                table[a, b] * (1 - ty) * (1 - tx)
                + table[a + 1, b] * ty * (1 - tx)
                + table[a, b + 1] * (1 - ty) * tx
                + table[a + 1, b + 1] * ty * tx
            )
    np.testing.assert_allclose(octave(Draws("octave"), size, rows, columns), expected, atol=1e-5)


def test_a_fractal_is_the_sum_of_its_octaves_and_leaves_out_what_is_finer_than_two_pixels() -> None:
    draws = Draws("sum")
    weights = [1, 0.5, 0.25]
    parts = [w * (octave(draws, 64, 4 * 2**k, 4 * 2**k).astype(float) - 0.5) for k, w in enumerate(weights)]
    full = fractal(Draws("sum"), 64, 4, gain=0.5, most=3)
    np.testing.assert_allclose(full, sum(parts) * 3.4 / 1.75, atol=1e-5)
    draws = Draws("sum")
    coarse = sum(w * (octave(draws, 16, 4 * 2**k, 4 * 2**k).astype(float) - 0.5) for k, w in enumerate((1, 0.5)))
    np.testing.assert_allclose(fractal(Draws("sum"), 16, 4, gain=0.5, most=3), coarse * 3.4 / 1.75, atol=1e-5)


def test_octaves_weigh_less_the_finer_they_are() -> None:
    """Along a line, power falls with frequency as in natural pictures (Field 1987): slope about −2 to −3."""
    power = np.zeros(65)
    for k in range(40):
        field = fractal(Draws("spectrum", k), 128, 2).astype(float)
        field = (field - field.mean()) * np.hanning(128)[None, :]
        power += (np.abs(np.fft.rfft(field, axis=1)) ** 2).mean(0)
    f = np.arange(3, 33)
    slope = np.polyfit(np.log(f), np.log(power[f]), 1)[0]
    assert -3.5 < slope < -1.5


@settings(max_examples=30)
@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=1, max_size=20))
def test_a_ramp_is_linear_interpolation_between_its_colours(values: list[float]) -> None:
    out = ramp(np.array(values, np.float32), PALETTE)
    for channel in range(3):
        tones = [colour[channel] for colour in PALETTE]
        np.testing.assert_allclose(out[:, channel], np.interp(values, [0, 0.5, 1], tones), atol=1e-6)


def test_the_wave_is_close_to_a_cosine_and_has_period_one() -> None:
    phase = np.linspace(-3, 3, 601).astype(np.float32)
    np.testing.assert_allclose(wave(phase), 0.5 + 0.5 * np.cos(2 * math.pi * phase), atol=0.02)
    np.testing.assert_allclose(wave(np.array([0.0, 0.5, 1.0, -2.0], np.float32)), [1, 0, 1, 1], atol=1e-6)


@given(st.integers(8, 99), st.floats(-0.2, 1.2), st.floats(0, 0.6))
def test_a_window_holds_the_centres_within_reach(size: int, middle: float, reach: float) -> None:
    place = centres(size)
    inside = np.zeros(size, bool)
    inside[window(place, middle, reach)] = True
    np.testing.assert_array_equal(inside, (place >= middle - reach) & (place < middle + reach))
