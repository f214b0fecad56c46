"""Every noise type: identity at 0, range, repeatability, one field along the slider, no jumps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from camlab.noise import NOISES, parameters_at
from tests.noise.around import perturb_around as perturb
from tests.noise.twins import DIGESTS

EVERY = pytest.mark.parametrize("name", list(NOISES))
STOCHASTIC = [name for name, kind in NOISES.items() if kind.stochastic]


@pytest.fixture
def restore_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@EVERY
def test_severity_0_changes_no_bit(name: str, pictures: Tensor) -> None:
    tiny = pictures.clone()
    tiny[0, 0, 0, :3] = torch.tensor([-0.0, 1e-42, 1.0])
    for severities in (0, 0.0, [0.0, 3.0, 0.0]):
        out = perturb(tiny, name, severities, 0, DIGESTS)
        assert torch.equal(out[0].view(torch.int32), tiny[0].view(torch.int32))
        assert torch.equal(out[2].view(torch.int32), tiny[2].view(torch.int32))
        assert out.data_ptr() != tiny.data_ptr()


@EVERY
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    severity=st.floats(0, 5),
    seed=st.integers(-3, 2**64),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    content=st.sampled_from(["noise", "black", "white", "tiny", "two values"]),
)
def test_any_picture_stays_a_picture(
    name: str, severity: float, seed: int, shape: tuple[int, int], content: str
) -> None:
    values = np.random.default_rng(abs(seed)).random((2, 3, *shape), dtype=np.float32)
    picture = torch.from_numpy(
        {
            "noise": values,
            "black": 0 * values,
            "white": 0 * values + 1,
            "tiny": values * np.float32(1e-39),
            "two values": (values > 0.5).astype(np.float32),
        }[content]
    )
    before = picture.clone()
    out = perturb(picture, name, severity, seed, ["a", "b"])
    assert out.shape == picture.shape and out.dtype == torch.float32 and out.device.type == "cpu"
    assert out.is_contiguous() and not out.requires_grad
    assert out.min() >= 0 and out.max() <= 1  # also false for NaN
    assert torch.equal(picture, before)


@EVERY
def test_results_do_not_depend_on_the_batch_or_on_threads(name: str, full_size: Tensor, restore_threads: None) -> None:
    """At 224 pixels a batch is large enough for torch to split it among threads."""
    rows = [0, 1, 2, 0, 1]
    severities, seeds = [5.0, 0.7, 2.3, 3.5, 0.0], [0, 1, 0, 2, 0]
    batch, digests = full_size[rows], [DIGESTS[row] for row in rows]

    def run(order: list[int]) -> Tensor:
        picked = ([each[i] for i in order] for each in (severities, seeds, digests))
        return perturb(batch[order], name, *picked)  # type: ignore[arg-type]

    torch.set_num_threads(1)
    together = run([0, 1, 2, 3, 4])
    torch.set_num_threads(2)
    assert torch.equal(run([0, 1, 2, 3, 4]), together)
    assert torch.equal(run([3, 4, 2, 0]), together[[3, 4, 2, 0]])
    for row in range(4):
        assert torch.equal(run([row]), together[[row]])


@EVERY
def test_results_do_not_depend_on_memory_layout_or_gradients(name: str, pictures: Tensor) -> None:
    plain = perturb(pictures, name, 3, 0, DIGESTS)
    layouts = (
        pictures.contiguous(memory_format=torch.channels_last),
        pictures.transpose(2, 3).contiguous().transpose(2, 3),
        pictures.repeat(1, 1, 1, 2)[..., :64],
        pictures.clone().requires_grad_(),
    )
    for layout in layouts:
        out = perturb(layout, name, 3, 0, DIGESTS)
        assert torch.equal(out, plain) and out.is_contiguous()


@EVERY
def test_the_seed_and_the_digest_decide_what_is_drawn(name: str, pictures: Tensor) -> None:
    first = perturb(pictures, name, 3, 0, DIGESTS)
    assert torch.equal(perturb(pictures, name, 3, 0, DIGESTS), first)
    other_seed, other_digest = perturb(pictures, name, 3, 1, DIGESTS), perturb(pictures, name, 3, 0, "other")
    for row in range(len(pictures)):
        assert torch.equal(other_seed[row], first[row]) is not NOISES[name].stochastic
        assert torch.equal(other_digest[row], first[row]) is not NOISES[name].stochastic


@EVERY
def test_global_random_states_are_left_alone(name: str, pictures: Tensor) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    first = perturb(pictures, name, 3, 0, DIGESTS)
    numpy_next, torch_next = np.random.random(), torch.rand(1)
    torch.manual_seed(0)
    np.random.seed(0)
    assert (np.random.random(), torch.rand(1)) == (numpy_next, torch_next)
    assert torch.equal(perturb(pictures, name, 3, 0, DIGESTS), first)


# How far the distance may fall below the largest one so far. The path of these three is monotone, their
# distance nearly so: a zoomed copy's crop moves by whole pixels, blocks meet the picture's edges better at
# one size than at the next, and rougher fog (smaller decay) of the same density can lie nearer to it. A search
# within a larger ball ends, most of it, at that ball's edge.
DIPS = {"zoom_blur": 0.02, "pixelate": 0.2, "fog": 0.2, "pgd": 0.02, "pgd_targeted": 0.02}


@EVERY
def test_more_severe_is_further_from_the_clean_picture(name: str, pictures: Tensor) -> None:
    severities = np.arange(0, 5.01, 0.25)
    for seed in range(3 if NOISES[name].stochastic else 1):
        for picture, digest in zip(pictures, DIGESTS, strict=True):
            line = perturb(picture.expand(len(severities), -1, -1, -1), name, severities.tolist(), seed, digest)
            distance = (line - picture).double().square().mean((1, 2, 3)).sqrt().numpy()
            largest = np.maximum.accumulate(distance)
            if NOISES[name].monotone:
                assert (distance[1:] >= (1 - DIPS.get(name, 0)) * largest[1:]).all()
                assert distance[-1] > 2 * distance[1]
                assert distance[0] == 0 < distance[1]
            else:
                assert (distance[1:] < 0.5 * largest[1:]).any()


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "uniform_noise"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)))
def test_additive_noise_only_scales_along_the_slider(name: str, pair: tuple[float, float], pictures: Tensor) -> None:
    noisy = [perturb(pictures, name, severity, 5, DIGESTS).double() for severity in pair]
    free = (noisy[0] > 0) & (noisy[0] < 1) & (noisy[1] > 0) & (noisy[1] < 1)
    assert free.double().mean() > 0.1
    field, other = ((n - pictures) / parameters_at(name, s)[0] for n, s in zip(noisy, pair, strict=True))
    assert (field - other)[free].abs().max() < 2e-5
    assert field[free].std() > 0.05


@pytest.mark.parametrize("name", ["impulse_noise", "salt_and_pepper", "occlusion"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)))
def test_what_is_replaced_once_stays_replaced(name: str, pair: tuple[float, float], pictures: Tensor) -> None:
    mild, strong = (perturb(pictures, name, severity, 5, DIGESTS) for severity in sorted(pair))
    hit = mild != pictures
    assert torch.equal(mild[hit], strong[hit])
    assert (strong != pictures).sum() >= hit.sum()


def test_shot_noise_morphs_one_realisation(pictures: Tensor) -> None:
    grey = torch.full_like(pictures, 0.4)
    fields = [(perturb(grey, "shot_noise", s, 0, DIGESTS) - grey).ravel().numpy() for s in (0.5, 1, 2, 3)]
    assert np.corrcoef(fields).min() > 0.95
    apart = [(perturb(grey, "shot_noise", s, int(s), DIGESTS) - grey).ravel().numpy() for s in (1, 2)]
    assert abs(np.corrcoef(apart)[0, 1]) < 0.05


def test_fog_keeps_its_cloud_along_the_slider(pictures: Tensor) -> None:
    grey = torch.full_like(pictures, 0.5)
    clouds = [perturb(grey, "fog", s, 0, DIGESTS)[:, 0].flatten(1).numpy() for s in (0.5, 1, 2, 3)]
    for row in range(len(pictures)):
        assert np.corrcoef([cloud[row] for cloud in clouds])[0, 1:3].min() > 1 - 1e-6  # the same decay
        assert np.corrcoef([cloud[row] for cloud in clouds]).min() > 0.9
    assert np.corrcoef([cloud[1] for cloud in clouds[:1]] + [clouds[0][2]])[0, 1] < 0.9


# Severities next to which something whole changes: levels, and whole radii of the blurs between them.
EDGES = sorted({*range(1, 5), 1 / 3, 2 / 3, 0.1, 0.2, 0.5, 0.75, 1.2, 1.25, 1.4, 1.5, 2.5, 2.25, 3.5, 4.2, 4.4, 4.5})
STEP = 1e-3
# Root mean square change of the picture in one step of 0.001 (of 5): what moves, moves by less than this.
SMOOTH = 1e-3
# Where single values switch, the picture as a whole still moves little: about STEP times the switching share.
SWITCHING = {"shot_noise": 0.015, "impulse_noise": 0.03, "salt_and_pepper": 0.03, "occlusion": 0.02}
SWITCHING |= {"pgd": 0.01, "pgd_targeted": 0.01}
# Whole grids and whole qualities: a step is a step.
STEPPED = {"pixelate": 64, "jpeg_compression": 1}


@pytest.mark.parametrize("name", [name for name in NOISES if name not in STEPPED])
def test_the_slider_never_jumps(name: str, pictures: Tensor) -> None:
    anywhere = np.random.default_rng(0).uniform(0, 5 - STEP, 60)
    for severity in [0.0, *(edge - STEP / 2 for edge in EDGES), *anywhere]:
        before, after = (perturb(pictures[:2], name, s, 0, DIGESTS[:2]) for s in (severity, severity + STEP))
        change = (after - before).double().square().mean().sqrt()
        assert change <= SWITCHING.get(name, SMOOTH)


@pytest.mark.parametrize("name", STEPPED)
def test_stepped_types_move_only_when_their_whole_number_does(name: str, pictures: Tensor) -> None:
    half = 0.5 if name == "jpeg_compression" else 0.0
    severities = np.linspace(0.01, 5, 120)
    numbers = [int(parameters_at(name, s)[0] * STEPPED[name] + half) for s in severities]
    line = perturb(pictures[:1].expand(len(severities), -1, -1, -1), name, severities.tolist(), 0, "x")
    moved = [not torch.equal(a, b) for a, b in pairwise(line)]
    assert moved == [a != b for a, b in pairwise(numbers)]
