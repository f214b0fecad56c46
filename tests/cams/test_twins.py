"""Each method against its rule written again, slower and simpler: loops in float64.

The stubs calculate in float64 too, so that rounding leaves 12 digits, whatever the order of its sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from camlab.cams import CAMS, SharedPass, scale_maps, score, shared_pass
from camlab.cams.eigen import first_component
from camlab.common.errors import Cancelled
from camlab.images import find_picture
from camlab.models.classifier import Classifier
from tests.cams.stub import Stub, pointwise_stub, pooled_stub, random_pictures, run, signed_stub
from tests.rounding import DOUBLE, ROUNDED_ONCE, apart, sum_bound

Twin = Callable[[SharedPass, int], np.ndarray]


def _ag(shared: SharedPass, row: int) -> tuple[np.ndarray, np.ndarray]:
    return shared.activations[row].double().numpy(), shared.grads[row].double().numpy()


def twin_gradcam(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        out += g[k].mean() * a[k]
    return out


def twin_gradcam_pp(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        weight = 0.0
        for i in range(a.shape[1]):
            for j in range(a.shape[2]):
                below = 2 * g[k, i, j] ** 2 + a[k].sum() * g[k, i, j] ** 3
                alpha = g[k, i, j] ** 2 / below if below != 0 else 0.0
                weight += alpha * max(g[k, i, j], 0.0)
        out += weight * a[k]
    return out


def twin_xgradcam(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        if a[k].sum() != 0:
            out += (a[k] / a[k].sum() * g[k]).sum() * a[k]
    return out


def twin_hirescam(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    return sum((g[k] * a[k] for k in range(len(a))), np.zeros(a.shape[1:]))


def twin_layercam(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    return sum((np.maximum(g[k], 0) * a[k] for k in range(len(a))), np.zeros(a.shape[1:]))


def twin_elementwise(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    return sum((np.maximum(g[k] * a[k], 0) for k in range(len(a))), np.zeros(a.shape[1:]))


def svd_component(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Projection on the first right singular vector of the centred positions × channels matrix."""
    points = values.reshape(len(values), -1).T
    points = points - points.mean(axis=0)
    projection = points @ np.linalg.svd(points, full_matrices=True)[2][0]
    if np.corrcoef(projection, reference.ravel())[0, 1] < 0:
        projection = -projection
    component: np.ndarray = projection.reshape(values.shape[1:])
    return component


def twin_eigencam(shared: SharedPass, row: int) -> np.ndarray:
    a, _ = _ag(shared, row)
    return svd_component(a, a.mean(axis=0))


def twin_eigengradcam(shared: SharedPass, row: int) -> np.ndarray:
    a, g = _ag(shared, row)
    return svd_component(a * g, a.mean(axis=0))


def twin_ablationcam(shared: SharedPass, row: int) -> np.ndarray:
    a, target = shared.activations[row], int(shared.targets[row])
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        without = a.clone()
        without[k] = 0
        left = shared.classifier.tail(without[None], shared.layer)[0, target]
        out += float(shared.logits[row, target] - left) * a[k].double().numpy()
    return out


def twin_scorecam(shared: SharedPass, row: int, best: int = 99) -> np.ndarray:
    a, picture = shared.activations[row], shared.inputs[row]
    widest = sorted(range(len(a)), key=lambda k: float(a[k].min() - a[k].max()))[:best]
    a = a[widest]
    scores = []
    for channel in a:
        mask = F.interpolate(channel[None, None], size=tuple(picture.shape[1:]), mode="bilinear", align_corners=True)[
            0, 0
        ]
        if channel.min() == channel.max():
            mask = torch.zeros_like(mask)
        else:
            mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-8)
        seen = shared.classifier.head((picture * mask)[None], shared.layer)
        scores.append(float(shared.classifier.tail(seen, shared.layer)[0, shared.targets[row]]))
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    weighted: np.ndarray = np.einsum("k,khw->hw", weights, a.double().numpy())
    return weighted


TWINS: dict[str, Twin] = {
    "gradcam": twin_gradcam,
    "gradcam++": twin_gradcam_pp,
    "xgradcam": twin_xgradcam,
    "ablationcam": twin_ablationcam,
    "hirescam": twin_hirescam,
    "eigencam": twin_eigencam,
    "layercam": twin_layercam,
    "gradcam_elementwise": twin_elementwise,
    "eigengradcam": twin_eigengradcam,
    "scorecam": twin_scorecam,
    "scorecam_top": twin_scorecam,  # the stubs have fewer channels than it tries: it is exact
}


def separation(values: np.ndarray) -> float:
    """How much a Gram matrix's rounding turns the first component: λ₁ / (λ₁ − λ₂) (Davis & Kahan 1970, sin Θ)."""
    points = values.reshape(len(values), -1).T
    strengths = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    return float(strengths[0] / (strengths[0] - strengths[1])) if len(strengths) > 1 else 1.0


def assert_like(name: str, found: torch.Tensor, shared: SharedPass) -> None:
    assert shared.activations.dtype == torch.float64
    for row in range(len(found)):
        wanted = TWINS[name](shared, row)
        a, g = _ag(shared, row)
        components = {"eigencam": a, "eigengradcam": a * g}
        factor = separation(components[name]) if name in components else 1.0
        assert apart(found[row], wanted).max() <= DOUBLE * factor * np.abs(wanted).max(), (name, row)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize(
    "stub",
    [made.double() for made in (signed_stub(0), signed_stub(1), pooled_stub(0), pointwise_stub(0))],
    ids=lambda s: s.fingerprint,
)
def test_equals_its_slow_twin(stub: Stub, name: str) -> None:
    shared = run(stub, random_pictures(5).double())
    assert_like(name, CAMS[name].apply(shared), shared)


@pytest.mark.parametrize("name", ["ablationcam", "scorecam", "scorecam_top"])
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_chunks_change_nothing(name: str, chunk: int) -> None:
    shared = run(signed_stub().double(), random_pictures(3).double(), chunk=chunk)
    assert_like(name, CAMS[name].apply(shared), shared)


@pytest.mark.parametrize("name", TWINS)
def test_a_picture_has_one_map_whatever_else_is_in_the_batch(name: str) -> None:
    stub, pictures = signed_stub().double(), random_pictures(5).double()
    together, _ = scale_maps(CAMS[name].apply(run(stub, pictures)))
    for row in range(5):
        alone, _ = scale_maps(CAMS[name].apply(run(stub, pictures[row : row + 1])))
        assert apart(alone[0], together[row]).max() <= ROUNDED_ONCE


# the points where a method could go wrong


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-12, 1e-25])
def test_gradcam_pp_knows_no_smallest_gradient(scale: float) -> None:
    # The tail times a small number: ΣA·G goes to 0, so α goes to 1/2 and the weights to Σ ReLU(G)/2.
    # In float32, where squares of small gradients vanish.
    shared = run(signed_stub(), random_pictures(2))
    shared.gradients = shared.grads * scale
    found = CAMS["gradcam++"].apply(shared) / scale
    for row in range(2):
        a, g = _ag(shared, row)
        g = g / scale
        below = 2 + a.sum(axis=(1, 2), keepdims=True) * g * scale
        shares = np.maximum(g, 0) / below
        wanted = np.einsum("k,khw->hw", shares.sum(axis=(1, 2)), a)
        # The two terms of a denominator may cancel, which enlarges the rounding of ΣA. Roundings of a term before
        # the sum over channels: two sums over positions, and ten of products, quotients and the two scalings.
        worse = (2 + np.abs(a).sum(axis=(1, 2), keepdims=True) * np.abs(g) * scale) / np.abs(below)
        sizes = (np.abs(shares) * worse).sum(axis=(1, 2))[:, None, None] * np.abs(a)
        assert (apart(found[row], wanted) <= sum_bound(sizes, axis=0, earlier=2 * a[0].size + 10)).all()


def test_gradcam_pp_is_zero_where_its_denominator_is() -> None:
    shared = run(signed_stub(), random_pictures(1))
    # ΣA = −2 and G = 1: 2G² + ΣA·G³ = 0.
    shared.activations = torch.full((1, 1, 2, 2), -0.5)
    shared.gradients = torch.ones(1, 1, 2, 2)
    assert not CAMS["gradcam++"].apply(shared).any()
    # And no gradient at all: 0/0.
    shared.gradients = torch.zeros(1, 1, 2, 2)
    assert not CAMS["gradcam++"].apply(shared).any()


def test_xgradcam_leaves_out_channels_that_sum_to_zero() -> None:
    shared = run(signed_stub(), random_pictures(1))
    shared.activations = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]], [[1.0, 0.0], [0.0, 1.0]]]])
    shared.gradients = torch.ones(1, 2, 2, 2)
    assert CAMS["xgradcam"].apply(shared).tolist() == [[[1, 0], [0, 1]]]


def test_ablationcam_keeps_its_orientation_when_the_logit_is_negative() -> None:
    # Dividing by the logit, as the paper does, would show what speaks against a class with a negative one.
    stub, picture = pooled_stub().double(), random_pictures(1).double()
    shared = run(stub, picture)
    worst = int(shared.logits[0].argmin())
    shared = run(stub, picture, [worst])
    assert float(shared.scores[0]) < 0
    up, _ = scale_maps(CAMS["ablationcam"].apply(shared))
    upside_down, _ = scale_maps(CAMS["ablationcam"].apply(shared) / shared.scores[0])
    assert not torch.allclose(up, upside_down, atol=0.1)
    # Adding a number to the logit turns it positive and changes no drop: the map must stay.
    with torch.no_grad():
        stub.linear.bias += 100  # type: ignore[union-attr]
    lifted = run(stub, picture, [worst])
    assert float(lifted.scores[0]) > 0
    assert apart(scale_maps(CAMS["ablationcam"].apply(lifted))[0], up).max() <= ROUNDED_ONCE


def _drop_bound(shared: SharedPass) -> float:
    """For a map whose weights are differences of logits: as uncertain as the logits, times the activations."""
    return DOUBLE * float(shared.logits.abs().max() * shared.activations.abs().sum(dim=1).max())


def test_ablationcam_in_closed_form_equals_its_passes() -> None:
    stub = pooled_stub().double()
    shared = run(stub, random_pictures(4).double())
    closed = CAMS["ablationcam"].apply(shared)
    stub.linear = None
    assert apart(CAMS["ablationcam"].apply(shared), closed).max() <= _drop_bound(shared)


def test_ablationcam_by_updates_equals_its_passes_and_takes_none() -> None:
    stub = pointwise_stub().double()
    shared = run(stub, random_pictures(4).double())
    passes = _count(stub)
    by_updates = CAMS["ablationcam"].apply(shared)
    assert not passes
    stub.pointwise = None
    by_passes = CAMS["ablationcam"].apply(shared)
    assert passes
    assert apart(by_passes, by_updates).max() <= _drop_bound(shared)


def test_silent_channels_cost_no_pass() -> None:
    stub = signed_stub()
    passes = _count(stub)
    shared = run(stub, random_pictures(3), chunk=4)
    del passes[:]
    CAMS["ablationcam"].apply(shared)
    assert sum(passes) == 3 * 6  # one of the seven channels is zero
    del passes[:]
    CAMS["scorecam"].apply(shared)
    assert sum(passes) == 3 * 5 + 1  # two are constant: one blank input for all of them
    assert max(passes) <= 4


@pytest.mark.parametrize("best", [1, 3, 5, 7])
def test_the_approximation_is_the_sum_over_the_widest_channels(best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "TOP_CHANNELS", best)
    stub = signed_stub().double()
    passes = _count(stub)
    shared = run(stub, random_pictures(3).double(), chunk=4)
    del passes[:]
    found = CAMS["scorecam_top"].apply(shared)
    # Five channels vary; a blank input stands for those that do not, where they are tried at all.
    assert sum(passes) == 3 * min(best, 5) + (best > 5)
    for row in range(3):
        wanted = twin_scorecam(shared, row, best)
        assert apart(found[row], wanted).max() <= DOUBLE * np.abs(wanted).max()


def test_the_approximation_is_as_close_as_it_says(lite0: Classifier) -> None:
    # At a third of the area: each of some 300 channels that are not constant takes a pass.
    picture = F.interpolate(lite0.preprocess(find_picture("objects/baseball").load())[None], size=(128, 128))
    shared = shared_pass(lite0, "bn2", picture, [None], ["a"], gradients=False)
    exact, close = (scale_maps(CAMS[name].apply(shared))[0].flatten(1) for name in ("scorecam", "scorecam_top"))
    assert "0.95 at worst" in CAMS["scorecam_top"].summary
    for a, b in zip(exact, close, strict=True):
        assert not torch.equal(a, b)
        assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) >= 0.95


def test_scorecam_of_constant_channels_only() -> None:
    shared = run(signed_stub().double(), random_pictures(2).double())
    shared.activations = torch.ones(2, 7, 6, 5).double() * torch.arange(7.0)[:, None, None]
    assert apart(CAMS["scorecam"].apply(shared), 3).max() <= DOUBLE * 6  # the mean of 0 to 6


@pytest.mark.parametrize("name", ["ablationcam", "scorecam"])
def test_dear_methods_stop_within_one_chunk(name: str) -> None:
    stub, calls = signed_stub(), [0]
    passes = _count(stub)

    def check() -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise Cancelled

    shared = run(stub, random_pictures(4), chunk=2, check=check)
    del passes[:]
    with pytest.raises(Cancelled):
        CAMS[name].apply(shared)
    assert len(passes) == 2


def _count(stub: Stub) -> list[int]:
    """The size of every batch that goes through the stub's tail from now on."""
    sizes: list[int] = []
    tail = stub.tail

    def counted(activations: torch.Tensor, layer: str) -> torch.Tensor:
        sizes.append(len(activations))
        return tail(activations, layer)

    stub.tail = counted  # type: ignore[method-assign]
    return sizes


# eigen


@pytest.mark.parametrize("shape", [(9, 4, 3), (40, 3, 3), (3, 6, 7), (1, 2, 2), (12, 3, 4)])
def test_component_equals_the_singular_value_decomposition(shape: tuple[int, int, int]) -> None:
    values = np.random.default_rng(3).normal(size=(6, *shape))
    reference = values.mean(axis=1)
    found = first_component(torch.from_numpy(values), torch.from_numpy(reference))
    for row in range(6):
        wanted = svd_component(values[row], reference[row])
        assert apart(found[row], wanted).max() <= DOUBLE * separation(values[row]) * np.abs(wanted).max()


def test_component_points_the_way_of_the_reference() -> None:
    values = torch.from_numpy(np.random.default_rng(4).normal(size=(50, 8, 4, 4)))
    reference = values.mean(dim=1)
    for sign in (1, -1):
        found = first_component(values, sign * reference).flatten(1)
        guide = (sign * reference).flatten(1)
        assert bool(((found * (guide - guide.mean(dim=1, keepdim=True))).sum(dim=1) > 0).all())
    # With nothing to go by, the larger peak is up, whichever way the values point.
    ours = first_component(values, torch.ones_like(reference))
    assert torch.equal(first_component(-values, torch.ones_like(reference)), ours)  # products lose the sign exactly


def test_component_of_what_does_not_vary_or_is_not_finite_is_zero() -> None:
    values = torch.rand(4, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    values[0] = values[0, :, :1, :1]
    values[1, 2, 3, 3] = float("nan")
    values[2] = 0
    found = first_component(values, values.nan_to_num().mean(dim=1))
    assert not found[:3].any() and bool(found[3].any())


@pytest.mark.parametrize(("wobble", "seen"), [(1e-9, False), (1e-3, True)])
def test_component_of_rounding_error_is_zero(wobble: float, seen: bool) -> None:
    values = 1 + wobble * torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    assert bool(first_component(values, values.mean(dim=1)).any()) is seen


# random


def test_randomcam_depends_on_the_key_alone() -> None:
    stub, pictures = signed_stub(), random_pictures(3)
    shared = run(stub, pictures)
    shared.keys = ("a", "b", "a")
    first = CAMS["randomcam"].apply(shared)
    assert torch.equal(first, CAMS["randomcam"].apply(shared))
    shared.activations = shared.activations[[0, 0, 0]]
    same = CAMS["randomcam"].apply(shared)
    assert torch.equal(same[0], same[2]) and not torch.allclose(same[0], same[1])


def test_random_weights_are_pinned_uniform_and_independent() -> None:
    from camlab.cams.random import channel_weights

    pinned = [0.5105127839738735, -0.8718684720836922, 0.11636617139385685]
    assert channel_weights("a", 3).tolist() == pinned
    draws = np.stack([channel_weights(f"picture {i}", 1000) for i in range(50)])
    assert np.abs(draws).max() <= 1 and abs(draws.mean()) < 0.01
    assert abs(draws.std() - 3**-0.5) < 0.01
    assert np.abs(np.corrcoef(draws) - np.eye(50)).max() < 0.17
    # A layer with fewer channels sees the beginning of the same stream.
    assert np.array_equal(channel_weights("a", 3), channel_weights("a", 5)[:3])
