from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import structural_similarity
from sklearn.metrics.pairwise import cosine_similarity

from camlab.common.errors import BadSetting, UnknownName
from camlab.metrics import Comparison, rbo_cells, segment, similarity, unit_scale
from camlab.metrics.pixels import selected, top_part
from camlab.metrics.similarity import SIMILARITIES
from tests.metrics import twins
from tests.rounding import near

NAMES = ["rbo", "spearman", "ssim", "pearson", "cosine", "iou_top20", "l1"]
#: In float64. SSIM takes a variance as E[x²] − E[x]², 121 roundings of 2⁻⁵³ each, and divides by at least 9e-4: 1.5e-11
#: for either side, and several such quotients. The other measures stay far below.
ORACLE = 1e-10
names = pytest.mark.parametrize("name", NAMES)


def comparison(size: tuple[int, int] = (30, 35), cells: tuple[int, int] = (4, 5), **settings: object) -> Comparison:
    labels = segment(np.zeros((*size, 3)), "cells", rows=cells[0], cols=cells[1])
    return Comparison(labels, size, **settings)  # type: ignore[arg-type]


def maps(count: int, h: int, w: int, seed: int, zeros: float = 0.4) -> np.ndarray:
    """Random maps in [0, 1] with many exact zeros, as ReLU leaves them."""
    rng = np.random.default_rng(seed)
    made = rng.random((count, h, w), dtype=np.float32)
    made[rng.random(made.shape) < zeros] = 0.0
    made[:, 0, 0], made[:, -1, -1] = 1.0, 0.0
    return made


def oracle(name: str, a: np.ndarray, b: np.ndarray, setting: Comparison) -> float:
    """One pair of maps by SciPy, scikit-image and scikit-learn, or straight from the definition."""
    x, y = (twins.upsampled(one[None], setting.size)[0] for one in (a, b))
    p, q = (np.round(twins.means_per_segment(one[None], setting.labels)[0], 6) for one in (a, b))
    if name == "rbo":
        return twins.rbo_of_groups(twins.groups_of(p), twins.groups_of(q), setting.p, setting.ties)
    if name == "spearman":
        return float(stats.spearmanr(p, q).statistic)
    if name == "ssim":
        return float(
            structural_similarity(x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
        )
    if name == "pearson":
        return float(stats.pearsonr(x.ravel(), y.ravel()).statistic)
    if name == "cosine":
        return float(cosine_similarity(x.reshape(1, -1), y.reshape(1, -1))[0, 0])
    if name == "iou_top20":
        top_x, top_y = twins.top_share(x), twins.top_share(y)
        return float(np.minimum(top_x, top_y).sum() / np.maximum(top_x, top_y).sum())
    return float(1 - np.abs(x - y).mean())


def test_the_measures_and_their_order() -> None:
    assert list(SIMILARITIES) == NAMES


@names
@pytest.mark.parametrize(("h", "w"), [(2, 2), (7, 7), (5, 9), (13, 4)])
def test_equals_its_oracle(name: str, h: int, w: int) -> None:
    setting = comparison()
    a, b = maps(6, h, w, seed=1), maps(6, h, w, seed=2)
    expected = [oracle(name, one, other, setting) for one, other in zip(a, b, strict=True)]
    assert np.isfinite(expected).all()
    assert similarity(name, a, b, setting) == pytest.approx(expected, abs=ORACLE)


# The pixel-by-pixel twin of iou_top20 would take minutes here; without ties it is a set, tested below.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "iou_top20"])
def test_equals_its_oracle_on_superpixels_at_224(name: str) -> None:
    rng = np.random.default_rng(0)
    image = np.kron(rng.random((8, 8, 3)), np.ones((28, 28, 1)))
    setting = Comparison(segment(image, "slic"), (224, 224))
    a, b = maps(1, 7, 7, seed=3), maps(1, 7, 7, seed=4)
    assert similarity(name, a, b, setting)[0] == pytest.approx(oracle(name, a[0], b[0], setting), abs=ORACLE)


def top_membership(maps: np.ndarray, size: tuple[int, int], part: int) -> np.ndarray:
    """Each pixel's membership of the hottest 1/part, (N, H·W) in [0, 1]."""
    found = top_part(maps, size, part)
    return np.asarray(found.above + found.tied * found.share[:, None])


def test_top_fifth_without_ties_is_a_set() -> None:
    setting = comparison((64, 48))
    a, b = maps(1, 64, 48, seed=5, zeros=0), maps(1, 64, 48, seed=6, zeros=0)
    places = -(-64 * 48 // 5)
    top_a, top_b = (set(np.argsort(-one.ravel())[:places].tolist()) for one in (a, b))
    assert similarity("iou_top20", a, b, setting)[0] == near(len(top_a & top_b) / len(top_a | top_b))


@pytest.mark.parametrize("size", [(5, 5), (7, 8), (11, 13)])
@pytest.mark.parametrize("zeros", [0.0, 0.9, 1.0])
def test_top_fifth_holds_exactly_its_share(size: tuple[int, int], zeros: float) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((1, *size)) * (rng.random((1, *size)) >= zeros)
    member = top_membership(image, size, 5)
    assert member.sum() == near(-(-size[0] * size[1] // 5))
    assert member[0] == near(twins.top_share(image[0]))
    assert member.min() >= 0 and member.max() <= 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 6000), st.sampled_from([3, 1000, 10**6]), st.booleans())
def test_a_place_is_found_as_by_sorting(seed: int, count: int, kinds: int, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    values = (kinds * rng.random(count) ** rng.integers(1, 5)).astype(np.int32)
    values = np.sort(values) if ordered else values
    for place in {0, count // 3, count - 1, int(rng.integers(count))}:
        assert selected(values, place) == np.sort(values)[place]


def test_a_sample_that_misleads_is_not_believed() -> None:
    values = np.zeros(37 * 400, dtype=np.int32)
    values[::37] = np.arange(400)  # all that the sample sees
    assert selected(values, len(values) - 5) == np.sort(values)[-5]


def test_top_fifth_ties_what_differs_by_rounding_only() -> None:
    nearly = np.full((1, 3, 3), 0.5) + 1e-8 * maps(1, 3, 3, seed=8)
    member = top_membership(nearly, (10, 10), 5)
    assert member == near(0.2)


def test_top_fifth_by_hand() -> None:
    # Ten pixels, two places: 1.0 takes one, the two pixels at 0.5 share the other.
    a = np.array([[[1.0, 0.5, 0.5, 0.1, 0, 0, 0, 0, 0, 0]]])
    b = np.array([[[1.0, 0.5, 0.1, 0.1, 0, 0, 0, 0, 0, 0]]])
    setting = comparison((1, 10), (1, 10))
    # min: 1 + 0.5; max: 1 + 1 + 0.5.
    assert similarity("iou_top20", a, b, setting)[0] == near(1.5 / 2.5)


def test_ssim_by_the_formula_on_two_constants() -> None:
    # Without variance SSIM is (2ab + C1)/(a² + b² + C1) everywhere.
    a, b = np.full((1, 4, 4), 0.2), np.full((1, 4, 4), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert similarity("ssim", a, b, comparison())[0] == near(expected)


@names
def test_identical_maps(name: str) -> None:
    a = maps(4, 6, 6, seed=7, zeros=0.0)
    values = similarity(name, a, a, comparison())
    assert values == near(SIMILARITIES[name].identical)


def test_rbo_of_identical_maps_with_ties_depends_on_the_variant() -> None:
    a = maps(1, 6, 6, seed=7, zeros=0.0)
    a[0, 2:] = 0.0
    assert similarity("rbo", a, a, comparison())[0] < 1
    for ties in ("w", "b"):
        assert similarity("rbo", a, a, comparison(ties=ties))[0] == near(1)


@names
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), h=st.integers(2, 6), w=st.integers(2, 6), zeros=st.floats(0, 0.95))
def test_symmetric_and_within_its_range(name: str, seed: int, h: int, w: int, zeros: float) -> None:
    setting, entry = comparison((16, 18)), SIMILARITIES[name]
    a, b = maps(3, h, w, seed, zeros), maps(3, h, w, seed + 1, zeros)
    values = similarity(name, a, b, setting)
    assert values == near(similarity(name, b, a, setting), nan_ok=True)
    seen = values[~np.isnan(values)]
    assert (seen >= entry.low - 1e-12).all() and (seen <= entry.high + 1e-12).all()
    scaled = unit_scale(name, seen)
    assert (scaled >= -1e-12).all() and (scaled <= 1 + 1e-12).all()


@names
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 7), chunk=st.integers(1, 8))
def test_batch_equals_loop_and_chunks_equal_full(name: str, seed: int, count: int, chunk: int) -> None:
    setting = comparison((16, 18))
    a, b = maps(count, 4, 5, seed), maps(count, 4, 5, seed + 1)
    full = similarity(name, a, b, setting)
    assert full.shape == (count,) and full.dtype == np.float64
    loop = [similarity(name, a[i : i + 1], b[i : i + 1], setting)[0] for i in range(count)]
    assert full == near(loop, nan_ok=True)
    assert full == near(similarity(name, a, b, setting, chunk=chunk), nan_ok=True)
    one = similarity(name, np.repeat(a[:1], count, axis=0), b, setting)
    assert one == near(similarity(name, a[:1], b, setting, chunk=chunk), nan_ok=True)


@names
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_constant_maps(name: str, level: float) -> None:
    setting = comparison()
    flat = np.full((1, 5, 5), level, dtype=np.float32)
    value = similarity(name, flat, maps(1, 5, 5, seed=8), setting)[0]
    undefined = name in ("spearman", "pearson") or (name == "cosine" and level == 0.0)
    assert np.isnan(value) == undefined


def test_pearson_is_undefined_for_a_map_that_varies_by_rounding_only() -> None:
    a = maps(1, 5, 5, seed=8)
    nearly = np.full((1, 5, 5), 0.5) + 1e-7 * a
    assert np.isnan(similarity("pearson", a, nearly, comparison())[0])
    assert similarity("pearson", a, nearly + 1e-4 * a, comparison())[0] == near(1)


def test_ssim_is_undefined_below_its_window() -> None:
    a = maps(2, 3, 3, seed=9)
    assert np.isnan(similarity("ssim", a, a, comparison((10, 30)))).all()
    assert similarity("ssim", a, a, comparison((11, 30))) == near(1)


def test_unit_scale() -> None:
    assert unit_scale("pearson", np.array([-1.0, 0.0, 1.0, np.nan])) == near([0, 0.5, 1, np.nan], nan_ok=True)
    assert unit_scale("rbo", np.array([0.3])) == near([0.3])
    assert {name for name, entry in SIMILARITIES.items() if entry.low == -1} == {
        "spearman",
        "ssim",
        "pearson",
    }


def test_rbo_cells_ranks_the_cells_themselves() -> None:
    a, b = maps(3, 4, 3, seed=10), maps(3, 4, 3, seed=11)
    values = rbo_cells(a, b)
    for value, one, other in zip(values, a, b, strict=True):
        x, y = (twins.groups_of(np.round(m.astype(np.float64), 6).ravel().tolist()) for m in (one, other))
        assert value == near(twins.rbo_of_groups(x, y, 0.9, "a"))


def test_no_pairs_give_no_values() -> None:
    assert similarity("rbo", np.empty((0, 3, 3)), np.empty((0, 3, 3)), comparison()).shape == (0,)


def test_bad_input() -> None:
    setting = comparison()
    a = maps(2, 3, 3, seed=1)
    with pytest.raises(UnknownName, match="similarity measure"):
        similarity("psnr", a, a, setting)
    with pytest.raises(BadSetting, match="need one shape"):
        similarity("rbo", a, maps(2, 3, 4, seed=1), setting)
    with pytest.raises(BadSetting, match="need one shape"):
        similarity("rbo", a[0], a[0], setting)
    with pytest.raises(BadSetting, match="pair by pair"):
        similarity("rbo", a, maps(3, 3, 3, seed=1), setting)
    with pytest.raises(BadSetting, match="input size"):
        Comparison(setting.labels, (31, 35))
    with pytest.raises(BadSetting, match="strictly between"):
        Comparison(setting.labels, (30, 35), p=1.0)
    with pytest.raises(UnknownName, match="treatment of ties"):
        Comparison(setting.labels, (30, 35), ties="c")
