"""CF-CAM against its rule as the paper and the authors' code state it, in loops, DBSCAN by its definition."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camlab.cams import CAMS, SharedPass, shared_pass
from camlab.cams.cluster import channel_weights, clusters
from camlab.common.errors import Cancelled
from camlab.models.classifier import Classifier
from tests.cams.stub import Stub, pooled_stub, random_pictures, run, signed_stub
from tests.rounding import DOUBLE, apart


def percentile(values: list[float], percent: float) -> float:
    """By linear interpolation between the sorted values."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def dbscan(points: np.ndarray, radius: float, core: int) -> list[list[int]]:
    """Density-based clusters (Ester et al. 1996): grow each from a core point not yet taken, in order."""
    near = [
        [j for j in range(len(points)) if math.dist(points[i], points[j]) <= radius * (1 + 1e-12)]
        for i in range(len(points))
    ]
    taken: set[int] = set()
    found = []
    for start in range(len(points)):
        if start in taken or len(near[start]) < core:
            continue
        members, queue = [], [start]
        while queue:
            point = queue.pop(0)
            if point in taken:
                continue
            taken.add(point)
            members.append(point)
            if len(near[point]) >= core:
                queue += near[point]
        found.append(sorted(members))
    return found


def blurred(map_: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian of so many cells, cut off at three; nothing lies outside the map."""
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-3, 4)]
    kernel = [value / sum(kernel) for value in kernel]
    height, width = map_.shape
    out = np.zeros_like(map_)
    for i in range(height):
        for j in range(width):
            for di in range(-3, 4):
                for dj in range(-3, 4):
                    if 0 <= i + di < height and 0 <= j + dj < width:
                        out[i, j] += kernel[di + 3] * kernel[dj + 3] * map_[i + di, j + dj]
    return out


def twin(
    maps: np.ndarray,
    grads: np.ndarray,
    top: float = 75,
    near: float = 25,
    core: float = 0.05,
    sigma: float = 1,
) -> np.ndarray:
    weights = np.zeros(len(maps))
    alive = [k for k in range(len(maps)) if maps[k].any()]
    if not alive:
        return weights
    norms = {k: math.sqrt((maps[k] ** 2).sum()) for k in alive}
    border = percentile(list(norms.values()), top)
    others = []
    for k in alive:
        if norms[k] >= border * (1 - 1e-12):
            weights[k] = grads[k].mean()
        else:
            others.append(k)
    if len(others) < 2:
        return weights
    points = np.stack([maps[k].ravel() for k in others])
    distances = [math.dist(points[i], points[j]) for i in range(len(points)) for j in range(i + 1, len(points))]
    for members in dbscan(points, percentile(distances, near), max(2, math.floor(core * len(points)))):
        mean = sum(grads[others[m]] for m in members) / len(members)
        for m in members:
            weights[others[m]] = blurred(mean, sigma).mean()
    return weights


def assert_like(found: np.ndarray, wanted: np.ndarray, grads: np.ndarray) -> None:
    """Every weight is a weighted mean of gradients, in float64."""
    assert apart(found, wanted).max() <= DOUBLE * np.abs(grads).max()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 6), st.integers(1, 5), st.integers(0, 6))
def test_equals_its_slow_twin(seed: int, channels: int, height: int, width: int, groups: int) -> None:
    draw = np.random.default_rng(seed)
    maps = draw.normal(size=(channels, height, width))
    for group in range(groups):  # channels that are alike, so that there is something to find
        maps[group :: groups + 1] = draw.normal(size=(height, width)) + 0.1 * maps[group :: groups + 1]
    maps[draw.random(channels) < 0.2] = 0
    grads = draw.normal(size=maps.shape)
    assert_like(channel_weights(maps, grads), twin(maps, grads), grads)


@pytest.mark.parametrize("other", [{"top": 70}, {"near": 10}, {"core": 0.25}, {"sigma": 0.8}], ids=str)
def test_every_constant_decides(other: dict[str, float]) -> None:
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(5, 4, 4))
    maps = centres[draw.integers(5, size=60)] + draw.gamma(1.0, 0.15, (60, 1, 1)) * draw.normal(size=(60, 4, 4))
    grads = draw.normal(size=maps.shape)
    found = channel_weights(maps, grads)
    assert_like(found, twin(maps, grads), grads)
    assert not np.allclose(found, twin(maps, grads, **other), rtol=1e-3, atol=1e-6)


def test_clusters_noise_and_dominant_channels_get_what_the_rule_says() -> None:
    draw = np.random.default_rng(0)
    one, other = draw.random((2, 4, 4))
    alike = [one + 0.01 * draw.random((4, 4)) for _ in range(8)]
    alike += [other + 0.01 * draw.random((4, 4)) for _ in range(6)]
    outlier, dead = 3 * np.eye(4), np.zeros((4, 4))
    dominant = [9 * draw.random((4, 4)) for _ in range(5)]
    maps = np.stack([*alike, outlier, dead, *dominant])
    grads = draw.normal(size=maps.shape)
    weights = channel_weights(maps, grads)
    assert len(set(weights[:8])) == 1 and len(set(weights[8:14])) == 1 and weights[0] != weights[8]
    assert weights[14] == 0 and weights[15] == 0
    assert_like(weights[16:], grads[16:].mean(axis=(1, 2)), grads)


@pytest.mark.parametrize(("place", "left"), [((7, 7), 1.0), ((0, 7), 0.7), ((0, 0), 0.49)])
def test_the_filter_takes_away_from_gradients_at_the_border(place: tuple[int, int], left: float) -> None:
    draw = np.random.default_rng(0)
    maps = draw.random((15, 15)) + 1e-3 * draw.random((8, 15, 15))
    grads = np.zeros((8, 15, 15))
    grads[:, place[0], place[1]] = 225
    found = channel_weights(maps, grads)
    clustered = np.argsort([np.linalg.norm(m) for m in maps])[:6]  # the other two are dominant
    assert_like(found[np.argsort(-found)[:2]], np.ones(2), grads)
    # 0.7 and 0.49 are rounded: half of the Gaussian, and of the cell itself, lies inside.
    assert np.allclose(found[clustered].max(), left, atol=0.01)


def test_equal_channels_are_one_cluster_and_one_channel_is_none() -> None:
    assert [c.tolist() for c in clusters(np.ones((4, 3)))] == [[0, 1, 2, 3]]
    assert clusters(np.ones((1, 3))) == [] and clusters(np.ones((0, 3))) == []


@pytest.mark.parametrize("stub", [signed_stub(0).double(), pooled_stub(0).double()], ids=lambda s: s.fingerprint)
def test_the_registered_method_sums_weighted_channels(stub: Stub) -> None:
    shared = run(stub, random_pictures(3).double())
    found = CAMS["cfcam"].apply(shared)
    for row in range(3):
        a, g = shared.activations[row].double().numpy(), shared.grads[row].double().numpy()
        wanted = (twin(a, g)[:, None, None] * a).sum(axis=0)
        assert apart(found[row], wanted).max() <= DOUBLE * np.abs(g).max() * np.abs(a).sum(axis=0).max()


def test_on_a_real_layer(lite0: Classifier, batch: Callable[[str, int], torch.Tensor]) -> None:
    x = batch("efficientnet_lite0", 16)[[2]]
    shared: SharedPass = shared_pass(lite0, "blocks.4", x, [None], ["a"])
    a, g = shared.activations[0].double().numpy(), shared.grads[0].double().numpy()
    assert_like(channel_weights(a, g), twin(a, g), g)


def test_stops_between_pictures() -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        CAMS["cfcam"].apply(run(signed_stub(), random_pictures(2), check=check))
