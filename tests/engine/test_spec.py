"""The mean of the maps of several layers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.transform import resize

from camlab.engine.engine import Engine
from camlab.engine.shared import model_input
from camlab.engine.spec import CLEAN, Spec, mean_map
from camlab.images import Picture
from camlab.models.classifier import Classifier
from tests.rounding import ROUNDED_ONCE, apart, chain_bound, scaled_bound


def slow(maps: list[np.ndarray]) -> np.ndarray:
    """The same by another library: enlarge, add up, divide, stretch."""
    shape = max((m.shape for m in maps), key=lambda s: s[0] * s[1])
    total = np.zeros(shape)
    for each in maps:
        total += each if each.shape == shape else resize(each.astype(float), shape, order=1, mode="edge")
    total /= len(maps)
    span = total.max() - total.min()
    # The share below which `scale_maps` calls a map degenerate.
    return (total - total.min()) / span if span > 1e-6 * np.abs(total).max() else np.zeros(shape)


def enlarged_bound(maps: list[np.ndarray]) -> float:
    """Where a coarse map in [0, 1] is enlarged in float32: two products and a sum along each axis, and two weights."""
    total = np.mean([resize(m.astype(float), max(x.shape for x in maps), order=1, mode="edge") for m in maps], axis=0)
    return scaled_bound(float(chain_bound(8, 1.0)), float(total.min()), float(total.max()))


MAP = hnp.arrays(np.float32, (4, 4), elements=st.floats(0, 1, width=32))


@given(st.lists(MAP, min_size=1, max_size=3))
def test_equals_the_slow_mean(maps: list[np.ndarray]) -> None:
    # Nothing is enlarged, and the mean is taken in float64.
    assert apart(mean_map(maps), slow(maps)).max() <= ROUNDED_ONCE


def test_coarse_maps_are_enlarged() -> None:
    generator = np.random.default_rng(0)
    maps = [generator.random((7, 7), dtype=np.float32), generator.random((14, 14), dtype=np.float32)]
    assert mean_map(maps).shape == (14, 14)
    assert apart(mean_map(maps), slow(maps)).max() <= enlarged_bound(maps)


def test_a_map_that_says_nothing_counts_as_zeros() -> None:
    one = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    assert apart(mean_map([one, np.zeros((2, 2), np.float32)]), one).max() <= ROUNDED_ONCE
    assert not mean_map([np.zeros((2, 2), np.float32)] * 2).any()


def test_the_engine_averages_layers(lite0: Classifier, pictures: tuple[Picture, ...]) -> None:
    engine = Engine(lite0)
    clean = model_input(lite0, pictures[0])
    specs = [CLEAN, Spec("gaussian_noise", 3.0, 0)]
    digest = pictures[0].digest
    both = engine.explain(clean, digest, specs, ["gradcam", "hirescam"], "bn2+blocks.4")
    each = [engine.explain(clean, digest, specs, ["gradcam", "hirescam"], one) for one in ("blocks.4", "bn2")]
    for row, found in enumerate(both):
        for name in ("gradcam", "hirescam"):
            maps = [versions[row].maps[name] for versions in each]
            assert apart(found.maps[name], slow(maps)).max() <= enlarged_bound(maps)
            assert found.maps[name].max() == 1 and not found.degenerate[name]
        assert found.target == each[0][row].target
        assert np.array_equal(found.probabilities, each[0][row].probabilities)
    assert all(found.cached for found in engine.explain(clean, digest, specs, ["gradcam"], "blocks.4+bn2"))
