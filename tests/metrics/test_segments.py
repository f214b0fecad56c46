from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from camlab.common.errors import BadSetting, UnknownName
from camlab.metrics import segments
from camlab.metrics.pixels import bilinear_weights, is_constant, upsample
from camlab.metrics.segments import SEGMENTATIONS, kept_matrix, pooling_matrix, segment, segment_means
from tests.metrics import twins
from tests.rounding import near

sides = st.integers(1, 9)


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Four flat quarters with a little noise."""
    rng = np.random.default_rng(0)
    image = rng.random((height, width, 3), dtype=np.float32) * 0.05
    image[: height // 2, : width // 2] += 0.9
    image[height // 2 :, width // 2 :, 0] += 0.5
    return image


@pytest.mark.parametrize("name", list(SEGMENTATIONS))
def test_labels_are_contiguous_and_repeatable(name: str) -> None:
    image = picture()
    labels = segment(image, name)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))
    assert labels.max() > 0
    assert np.array_equal(labels, segment(image.copy(), name))


def test_single_precision_pictures_are_cut_in_double_precision() -> None:
    from skimage.segmentation import quickshift

    # Quickshift itself finds 7 segments in single precision here and 3 in double.
    halves = np.zeros((48, 64, 3), dtype=np.float32)
    halves[:, 32:] = 1.0
    expected = quickshift(halves.astype(np.float64), kernel_size=4, max_dist=200, ratio=0.2, rng=42)
    assert segment(halves).max() == expected.max()


def test_quickshift_keeps_the_quarters_apart() -> None:
    labels = segment(picture(), "quickshift")
    assert not set(labels[4:20, 4:28].ravel()) & set(labels[28:44, 36:60].ravel())


def test_quickshift_defaults_are_the_stated_ones() -> None:
    from skimage.segmentation import quickshift

    image = picture()
    expected = quickshift(image.astype(np.float64), kernel_size=4, max_dist=200, ratio=0.2, rng=42)
    labels = segment(image)
    # The same partition, whatever the numbers.
    assert len({*zip(expected.ravel().tolist(), labels.ravel().tolist(), strict=True)}) == labels.max() + 1
    assert expected.max() == labels.max()


def test_settings_are_passed_on() -> None:
    image = picture()
    assert segment(image, "slic", n_segments=8).max() < segment(image, "slic", n_segments=60).max()
    assert segment(image, "cells", rows=3, cols=5).max() == 14


def test_cells() -> None:
    labels = segment(np.zeros((4, 6, 3)), "cells", rows=2, cols=3)
    assert labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


def test_defaults_lie_in_their_ranges() -> None:
    for entry in SEGMENTATIONS.values():
        for parameter in entry.parameters:
            assert parameter.low <= parameter.default <= parameter.high, (entry.name, parameter.name)
            assert parameter.step > 0


def test_bad_settings() -> None:
    image = picture()
    with pytest.raises(UnknownName):
        segment(image, "watershed")
    with pytest.raises(BadSetting, match="no setting 'size'"):
        segment(image, "quickshift", size=3)
    for value in (0, 1000, float("nan")):
        with pytest.raises(BadSetting, match="must lie between"):
            segment(image, "quickshift", kernel_size=value)
    with pytest.raises(BadSetting, match="whole number"):
        segment(image, "cells", rows=2.5)
    with pytest.raises(BadSetting, match="fewer cells"):
        segment(np.zeros((4, 4, 3)), "cells")
    with pytest.raises(BadSetting, match="shape"):
        segment(np.zeros((4, 4)), "cells", rows=2, cols=2)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_upsampling_equals_torch(h: int, w: int, height: int, width: int, seed: int) -> None:
    maps = np.random.default_rng(seed).random((2, h, w))
    assert upsample(maps, (height, width)) == near(twins.upsampled(maps, (height, width)))


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 30), st.integers(1, 30), st.integers(1, 8), st.integers(0, 2**32))
def test_segment_means_equal_upsample_and_count(h: int, w: int, height: int, width: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, numbers = np.unique(rng.integers(0, most, (height, width)), return_inverse=True)
    labels: NDArray[np.int32] = numbers.reshape(height, width).astype(np.int32)
    maps = rng.random((3, h, w)).astype(np.float32)
    matrix = pooling_matrix(labels, h, w)
    assert matrix.shape == (labels.max() + 1, h * w)
    assert matrix.sum(axis=1) == near(1.0)
    expected = twins.means_per_segment(maps, labels)
    assert maps.reshape(3, -1).astype(np.float64) @ matrix.T == near(expected)
    assert segment_means(maps, labels) == pytest.approx(expected, abs=5.1e-7)


def test_segment_means_are_rounded_so_that_equal_values_tie() -> None:
    labels = segment(np.zeros((20, 20, 3)), "cells", rows=2, cols=2)
    # A third is not exact: each quarter reaches it by another sum of weights.
    means = segment_means(np.full((1, 3, 3), 1 / 3, dtype=np.float32), labels)
    assert len(set(means[0])) == 1
    assert np.array_equal(means, np.round(means, 6))


def test_labels_with_holes_are_refused() -> None:
    for labels in ([[0, 2]], [[-1, 0]], [[1, 1]]):
        with pytest.raises(BadSetting, match="without holes"):
            pooling_matrix(np.array(labels, dtype=np.int32), 1, 1)
    with pytest.raises(BadSetting, match="number, height, width"):
        segment_means(np.zeros((3, 3)), np.zeros((4, 4), dtype=np.int32))


def test_bilinear_weights_cannot_be_spoiled() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bilinear_weights(8, 2)[0, 0] = 3.0


def test_is_constant() -> None:
    maps = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0 - 5e-7], [1.0, 1.0 - 5e-6], [0.0, 1e-9]])
    assert is_constant(maps).tolist() == [True, True, True, False, False]


def test_a_matrix_is_kept_for_labels_that_cannot_change_and_for_no_others() -> None:
    free = np.arange(16, dtype=np.int32).reshape(4, 4)
    first = kept_matrix(free, 2, 2)
    assert kept_matrix(free, 2, 2) is not first
    free[...] = free[::-1].copy()
    assert np.array_equal(kept_matrix(free, 2, 2), pooling_matrix(free, 2, 2))
    fixed = free.copy()
    fixed.setflags(write=False)
    kept = kept_matrix(fixed, 2, 2)
    assert kept_matrix(fixed, 2, 2) is kept and not kept.flags.writeable
    assert np.array_equal(kept, pooling_matrix(fixed, 2, 2))
    assert kept_matrix(fixed, 2, 1).shape == (16, 2)


def test_matrices_that_are_too_large_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MATRICES", 100)
    labels = np.arange(16, dtype=np.int32).reshape(4, 4)
    labels.setflags(write=False)
    first = kept_matrix(labels, 2, 2)  # 16 × 4 numbers
    assert kept_matrix(labels, 2, 2) is not first and np.array_equal(kept_matrix(labels, 2, 2), first)
    assert segments._matrices.maxsize == 32 * 2**20 and segments._matrices.currsize <= 32 * 2**20


def test_labels_in_the_place_of_others_that_are_gone_get_their_own_matrix() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):  # freed at once, so that memory, and with it the identity, is used again
        labels = rng.permutation(16).astype(np.int32).reshape(4, 4)
        labels.setflags(write=False)
        assert np.array_equal(kept_matrix(labels, 2, 2), pooling_matrix(labels, 2, 2))
        del labels
