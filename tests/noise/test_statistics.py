"""Every type against its definition: moments, shares, geometry. Fixed seeds; bounds are 5 standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from camlab.noise import NOISES, parameters_at, perturb, stream
from camlab.noise.occlusion import covering_ranks
from camlab.noise.sensor import poisson_quantile
from camlab.noise.weather import plasma
from tests.noise.twins import TABLE
from tests.rounding import apart, chain_bound

SIDE = 192
COUNT = 3 * SIDE * SIDE


def flat(value: float, side: int = SIDE) -> Tensor:
    return torch.full((1, 3, side, side), value, dtype=torch.float32)


def unclipped(name: str, severity: float, picture: Tensor, seed: int = 0) -> np.ndarray:
    """What the rule makes of a picture before values are clipped to [0, 1]."""
    parameters = torch.tensor([parameters_at(name, severity)], dtype=torch.float64)
    return NOISES[name].apply(picture.clone(), parameters, [stream(seed, name, "x")])[0].double().numpy()


@pytest.mark.parametrize("severity", [0.5, 1, 2, 3, 4.25, 5])
@pytest.mark.parametrize(
    ("name", "relative", "fourth"),
    [("gaussian_noise", 1, 3), ("speckle_noise", 0.4, 3), ("uniform_noise", 3**-0.5, 1.8)],
)
def test_additive_noise_has_its_mean_and_spread(name: str, relative: float, fourth: float, severity: float) -> None:
    (c,) = parameters_at(name, severity)
    change = unclipped(name, severity, flat(0.4)) - np.float32(0.4)
    sigma = relative * c
    assert abs(change.mean()) < 5 * sigma / math.sqrt(COUNT)
    assert change.std() == pytest.approx(sigma, rel=5 * math.sqrt((fourth - 1) / 4 / COUNT))
    assert (change**4).mean() / sigma**4 == pytest.approx(fourth, rel=0.1)  # the shape, not only the width
    planes = change.reshape(3, -1)
    assert np.abs(np.corrcoef(planes) - np.eye(3)).max() < 5 / SIDE  # channels are drawn apart
    assert abs(np.corrcoef(change[:, :, 1:].ravel(), change[:, :, :-1].ravel())[0, 1]) < 5 / math.sqrt(COUNT)


def test_uniform_noise_is_as_strong_as_gaussian_noise() -> None:
    for level in range(1, 6):
        sigma = parameters_at("uniform_noise", level)[0] / math.sqrt(3)
        assert sigma == pytest.approx(parameters_at("gaussian_noise", level)[0], rel=0.02)


@pytest.mark.parametrize("severity", [0.1, 1, 1.5, 2, 3, 4, 5])
@pytest.mark.parametrize("value", [0.02, 0.3, 0.501, 1.0])
def test_shot_noise_has_mean_x_and_variance_x_over_c(value: float, severity: float) -> None:
    """Also at 0.501, which lies between two grey levels."""
    (per_photon,) = parameters_at("shot_noise", severity)
    noisy = unclipped("shot_noise", severity, flat(value))
    variance = value * per_photon
    assert noisy.mean() == pytest.approx(value, abs=5 * math.sqrt(variance / COUNT))
    kurtosis = 3 + per_photon / value
    assert noisy.var() == pytest.approx(variance, rel=5 * math.sqrt((kurtosis - 1) / COUNT))
    photons = noisy / per_photon
    # Whole numbers of photons, but for the float32 of the picture.
    assert (apart(photons, photons.round()) <= chain_bound(2, noisy) / per_photon).all()


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(0, 3000),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
)
def test_poisson_quantile_is_exact(mean: float, draws: list[float], seed: int) -> None:
    uniform = np.array([*draws, *np.random.default_rng(seed).random(200)])
    counts = poisson_quantile(uniform, np.full(uniform.shape, mean))
    # Exactness means: the count reaches the draw and the one before does not (up to the rounding of two sums of
    # float64 that are near 1, each of up to some thousand terms).
    assert (stats.poisson.cdf(counts, mean) >= uniform - 1e-12).all()
    below = counts > 0
    assert (stats.poisson.cdf(counts[below] - 1, mean) < uniform[below] + 1e-12).all()


@pytest.mark.parametrize("mean", [0.0, 0.3, 3.0, 19.9, 20.1, 25.0, 60.0, 240.0])
def test_poisson_quantile_equals_scipys(mean: float) -> None:
    uniform = np.random.default_rng(1).random(50_000)
    expected = stats.poisson.ppf(uniform, mean) if mean else np.zeros_like(uniform)
    assert np.array_equal(poisson_quantile(uniform, np.full(uniform.shape, mean)), expected)


@pytest.mark.parametrize("severity", [0.5, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["impulse_noise", "salt_and_pepper"])
def test_impulses_hit_their_share_half_and_half(name: str, severity: float) -> None:
    (c,) = parameters_at(name, severity)
    noisy = unclipped(name, severity, flat(0.4))
    whole_pixels = name == "salt_and_pepper"
    if whole_pixels:
        assert (noisy == noisy[:1]).all()
        noisy = noisy[:1]
    count = noisy.size
    salt, pepper = (noisy == 1).mean(), (noisy == 0).mean()
    assert (noisy[(noisy != 0) & (noisy != 1)] == np.float32(0.4)).all()
    assert salt + pepper == pytest.approx(c, abs=5 * math.sqrt(c / count))
    assert salt / (salt + pepper) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(c * count))
    if not whole_pixels:
        hit = (noisy != np.float32(0.4)).reshape(3, -1)
        assert (hit.any(axis=0) & ~hit.all(axis=0)).mean() > c  # channels are hit apart


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur", "zoom_blur", "defocus_blur"])
@pytest.mark.parametrize("severity", [0.3, 1, 2.5, 4, 5])
def test_blurs_keep_a_flat_picture(name: str, severity: float) -> None:
    """Weights add up to 1; only defocus gains weight, up to 1.5 %, from radius 8 on, as ImageNet-C's does."""
    blurred = unclipped(name, severity, flat(0.4, 64))
    gain = blurred / 0.4 - 1
    assert np.ptp(gain) < 3e-6
    if name == "defocus_blur" and severity > 3:
        assert 0.001 < gain.mean() < 0.015
    else:
        assert abs(gain.mean()) < 3e-6


@pytest.mark.parametrize("sigma_at", [(1, 1.0), (1.5, 1.5), (2.5, 2.5), (5, 6.0)])
def test_gaussian_blur_spreads_a_point_by_sigma(sigma_at: tuple[float, float]) -> None:
    severity, sigma = sigma_at
    point = flat(0, 65)
    point[..., 32, 32] = 1
    spread = unclipped("gaussian_blur", severity, point)[0]
    places = np.arange(65) - 32
    variance = (spread.sum(axis=0) * places**2).sum()
    # A Fourier transform in float32, within 1e-6 of the brightest value at every pixel, as the blurs promise; far from
    # the point it is much nearer, so that the sum over 4,225 is too.
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    # Its cut at four sigma takes a few thousandths.
    assert math.sqrt(variance) == pytest.approx(sigma, rel=0.01)
    assert np.allclose(spread, spread.T, atol=1e-7) and np.allclose(spread, spread[::-1], atol=1e-7)


def test_defocus_spreads_a_point_over_a_disk() -> None:
    point = flat(0, 65)
    point[..., 32, 32] = 1
    spread = unclipped("defocus_blur", 3, point)[0]
    distance = np.hypot(*np.mgrid[-32:33, -32:33])
    assert spread[distance > 8].max() < 1e-7
    inside = spread[distance < 4]
    assert inside.max() - inside.min() < 1e-7 and inside.mean() == pytest.approx(1 / 113, rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_motion_blur_smears_along_an_angle_within_45_degrees(seed: int) -> None:
    point = flat(0, 129)
    point[..., 64, 64] = 1
    spread = unclipped("motion_blur", 5, point, seed)[0]
    rows, columns = np.nonzero(spread > 1e-4)
    assert columns.max() <= 64  # one-sided: the copies are taken from the right
    across = np.polyfit(columns - 64, rows - 64, 1)
    assert abs(across[0]) <= 1.05
    assert np.abs(np.polyval(across, columns - 64) - (rows - 64)).max() <= 1.0  # a straight line
    angle = stream(seed, "motion_blur", "x").uniform(-45, 45)
    assert math.degrees(math.atan(across[0])) == pytest.approx(angle, abs=2.5)
    length = math.hypot(np.ptp(columns), np.ptp(rows))
    assert length == pytest.approx(2 * 20, abs=1.5)


def test_zoom_blur_leaves_the_centre_and_smears_the_rim() -> None:
    rings = torch.from_numpy(np.hypot(*np.mgrid[-32:32, -32:32]).astype(np.float32) % 8 / 8)
    picture = rings.expand(1, 3, 64, 64).clone()
    change = np.abs(unclipped("zoom_blur", 3, picture) - picture[0].numpy())
    assert change[:, 30:34, 30:34].mean() < 0.3 * change[:, :8, :].mean()


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_fog_is_a_haze_scaled_back_by_the_largest_value(level: int, pictures: Tensor) -> None:
    density, decay = TABLE["fog"][level - 1]
    foggy = unclipped("fog", level, pictures[:1], seed=2)
    clean = pictures[0].double().numpy()
    brightest = clean.max()
    haze = (foggy * (brightest + density) / brightest - clean) / density
    # The foggy picture in float32 is the only rounding that counts, enlarged by what is done to it here.
    bound = float(chain_bound(1, (brightest + density) / brightest / density))
    assert apart(haze, haze[:1]).max() <= bound  # one haze for all channels
    assert haze.min() >= -bound and haze.max() <= 1 + bound
    assert apart(haze[0], plasma(64, decay, stream(2, "fog", "x"))).max() <= bound


def test_fog_is_drawn_on_the_next_power_of_two_and_cropped() -> None:
    wide = torch.rand((1, 3, 70, 100), generator=torch.Generator().manual_seed(0))
    foggy = unclipped("fog", 1, wide)
    clean = wide[0].double().numpy()
    haze = (foggy * (clean.max() + 1.5) / clean.max() - clean) / 1.5
    bound = float(chain_bound(1, (clean.max() + 1.5) / clean.max() / 1.5))
    assert apart(haze[0], plasma(128, 2.0, stream(0, "fog", "x"))[:70, :100]).max() <= bound


@pytest.mark.parametrize("side", [64, 256, 512])
def test_plasma_fills_0_to_1_and_is_rough_at_small_decay(side: int) -> None:
    rough, smooth = (plasma(side, decay, stream(0, "fog", "x")) for decay in (1.4, 3.0))
    for field in (rough, smooth):
        assert field.shape == (side, side) and field.min() == 0 and field.max() == 1
    assert np.abs(np.diff(rough)).mean() > 1.5 * np.abs(np.diff(smooth)).mean()


def test_black_stays_black_in_fog_and_turns_grey_when_lit() -> None:
    assert perturb(flat(0, 16), "fog", 5, 0, "x").abs().max() == 0
    assert apart(perturb(flat(0, 16), "brightness", 3, 0, "x"), flat(0.3, 16)).max() <= chain_bound(4, 0.3)
    assert perturb(flat(0, 16), "saturate", 5, 0, "x").abs().max() == 0


def test_brightness_adds_to_the_value_and_keeps_the_ratios() -> None:
    picture = torch.tensor([0.2, 0.4, 0.1]).reshape(1, 3, 1, 1).repeat(1, 1, 4, 4)
    lit = perturb(picture, "brightness", 2, 0, "x")[0, :, 0, 0]
    # A sum, a quotient, a product, and the numbers given.
    assert (apart(lit, [0.3, 0.6, 0.15]) <= chain_bound(4, [0.3, 0.6, 0.15])).all()
    assert apart(perturb(picture, "brightness", 5, 0, "x")[0, 1].max(), 0.9) <= chain_bound(4, 0.9)


def test_contrast_keeps_the_means_and_scales_the_spread(pictures: Tensor) -> None:
    for level in range(1, 6):
        flatter = unclipped("contrast", level, pictures[:1])
        clean = pictures[0].double().numpy()
        # No value is off by more than its few roundings, so neither is a mean or a spread.
        bound = chain_bound(4, 1.0)
        assert apart(flatter.mean(axis=(1, 2)), clean.mean(axis=(1, 2))).max() <= bound
        share = TABLE["contrast"][level - 1]
        assert apart(flatter.std(axis=(1, 2)), clean.std(axis=(1, 2)) * share).max() <= bound


def test_saturate_drains_then_exaggerates() -> None:
    picture = torch.tensor([0.6, 0.3, 0.45]).reshape(1, 3, 1, 1).repeat(1, 1, 4, 4)  # V .6, S .5
    drained, doubled = (perturb(picture, "saturate", level, 0, "x")[0, :, 0, 0] for level in (2, 3))
    # The saturation is a quotient of the differences 0.3 and 0.15, which at most doubles the roundings of the rest.
    assert apart(drained, [0.6, 0.57, 0.585]).max() <= chain_bound(8, 1.0)
    assert apart(doubled, [0.6, 0.0, 0.3]).max() <= chain_bound(8, 1.0)


@pytest.mark.parametrize("severity", [0.5, 1, 2, 3, 3.3, 4, 5])
def test_pixelate_leaves_as_many_blocks_as_it_says(severity: float) -> None:
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    blocks = int(64 * parameters_at("pixelate", severity)[0])
    rows = perturb(picture, "pixelate", severity, 0, "x")[0, 0]
    assert len(torch.unique(rows, dim=0)) == blocks
    assert len(torch.unique(rows, dim=1).T) == blocks


def test_jpeg_rounds_its_quality(pictures: Tensor) -> None:
    """Severity 3.1 is quality 14.5, which rounds up to level 3's 15; 3.11 is 14.45, which is 14."""
    same, different = (perturb(pictures, "jpeg_compression", s, 0, "x") for s in (3.09, 3.11))
    assert torch.equal(perturb(pictures, "jpeg_compression", 3, 0, "x"), same)
    assert not torch.equal(same, different)


@settings(max_examples=40, deadline=None)
@given(severity=st.floats(0, 5), seed=st.integers(0, 9), side=st.sampled_from([32, 50, 96]))
def test_occlusion_covers_its_share_to_the_pixel(severity: float, seed: int, side: int) -> None:
    hidden = (perturb(flat(0.25, side), "occlusion", severity, seed, "x")[0] == 0.5).numpy()
    assert (hidden == hidden[:1]).all()
    assert hidden[0].sum() == round(parameters_at("occlusion", severity)[0] * side * side)


def test_occlusion_covers_whole_patches_of_an_eighth_of_the_side() -> None:
    ranks = covering_ranks(64, 64, stream(0, "occlusion", "x"))
    assert sorted(ranks.ravel()) == list(range(64 * 64))
    patches = (ranks // 64).reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)
    assert (patches == patches[:, :1]).all()  # the 64 pixels of a patch follow one another
    orders = {tuple(covering_ranks(8, 8, stream(seed, "occlusion", "x")).ravel()) for seed in range(20)}
    assert len(orders) == 20
