"""What algebra says about Lite0: closed forms at the pooled layer, coincidences, and the sign of Eigen-CAM.

Identities are checked in float64, on a copy of the network that calculates in it: in float32 two ways to one logit
may differ by 2γ_1330 · Σ|w||A|, some 1e-3, under which much that is wrong would pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.cams import CAMS, SharedPass, coinciding, scale_maps, shared_pass
from camlab.cams.ablation import drops_by_passes
from camlab.common.errors import UnknownName
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN, Spec
from camlab.models.classifier import Classifier
from tests.cams.conftest import in_double, spread_pictures
from tests.cams.stub import Stub, pooled_stub, random_pictures, run, signed_stub
from tests.rounding import apart, chain_bound, gamma, scaled_bound, sum_bound

Batch = Callable[[str, int], Tensor]
PICTURES = 6
LINEAR = {"gradcam", "xgradcam", "hirescam", "shapleycam"}
NONNEGATIVE = {"layercam", "gradcam_elementwise"}


def _pass(classifier: Classifier, layer: str, pictures: Tensor) -> SharedPass:
    count = len(pictures)
    keys = [f"picture {i}" for i in range(count)]
    return shared_pass(classifier, classifier.resolve_layer(layer), pictures, [None] * count, keys, chunk=64)


def _raw(shared: SharedPass) -> dict[str, Tensor]:
    """All raw maps that can be had here, but those of methods too dear, which coincide with nothing."""
    return {
        name: method.apply(shared)
        for name, method in CAMS.items()
        if method.cost != "full" and method.serves(shared.classifier, shared.layer) is None
    }


@pytest.fixture(scope="module")
def pooled(batch: Batch, lite0: Classifier) -> SharedPass:
    return _pass(in_double(lite0), "bn2", batch("efficientnet_lite0", PICTURES).double())


@pytest.fixture(scope="module")
def block(batch: Batch, lite0: Classifier) -> SharedPass:
    return _pass(in_double(lite0), "blocks[-1]", batch("efficientnet_lite0", 2).double())


@pytest.fixture(scope="module")
def weights(pooled: SharedPass) -> tuple[Tensor, Tensor]:
    """The last linear layer's weight and bias."""
    head = pooled.classifier.linear_head(pooled.layer)
    assert head is not None
    return head


def _scaled_bound(*raw: Tensor) -> float:
    """For finished maps (N, h, w) that are one by algebra, from the raw maps of float64 calculations.

    The library's maps are rounded to float32 before they are scaled; what float64 leaves is less than as much again.
    """
    bounds = []
    for each in torch.cat(raw).double():
        positive = each.clamp(min=0)
        error = gamma(2) * float(each.abs().max())
        bounds.append(scaled_bound(error, float(positive.min()), float(positive.max())))
    return max(bounds)


def test_pooled_gradients_are_the_weights_over_the_positions(
    pooled: SharedPass, weights: tuple[Tensor, Tensor]
) -> None:
    weight, bias = weights
    assert pooled.grads.dtype == weight.dtype == torch.float64
    positions = pooled.activations[0, 0].numel()
    wanted = (weight[pooled.targets] / positions)[:, :, None, None].expand_as(pooled.grads)
    # The division, or 1/49 and a product with it.
    assert (apart(pooled.grads, wanted) <= chain_bound(2, wanted, np.float64)).all()
    logits = pooled.activations.mean(dim=(2, 3)) @ weight.T + bias
    # Each logit is a sum of 1,280 products with means of 49 numbers (49 roundings, and one of the product).
    terms = weight * pooled.activations.abs().mean(dim=(2, 3))[:, None]
    terms = torch.cat([terms, bias.expand(len(terms), -1)[..., None]], dim=2)
    bound = sum_bound(terms, axis=2, dtype=np.float64, earlier=positions + 2)
    assert (apart(pooled.logits, logits) <= bound).all()


def test_pooled_gradcam_is_the_original_cam(pooled: SharedPass, weights: tuple[Tensor, Tensor]) -> None:
    original = torch.einsum("nk,nkhw->nhw", weights[0][pooled.targets], pooled.activations)
    wanted = scale_maps(original)[0]
    for name in LINEAR:
        raw = CAMS[name].apply(pooled)
        assert apart(scale_maps(raw)[0], wanted).max() <= _scaled_bound(raw, original), name


def test_ablating_a_pooled_channel_lowers_the_logit_by_weight_times_mean(
    pooled: SharedPass, weights: tuple[Tensor, Tensor]
) -> None:
    one = pooled.rows(slice(0, 2), pooled.check, pooled.chunk)
    terms = weights[0][one.targets] * one.activations.mean(dim=(2, 3))
    # A drop is the difference of two logits, each a sum of all products: it is as uncertain as they are.
    sizes = weights[0][one.targets] * one.activations.abs().mean(dim=(2, 3))
    sizes = torch.cat([sizes, weights[1][one.targets][:, None]], dim=1)
    bound = 2 * sum_bound(sizes, axis=1, dtype=np.float64, earlier=one.activations[0, 0].numel() + 3)
    assert (apart(drops_by_passes(one), terms) <= bound[:, None]).all()
    assert float(terms.abs().max()) > 0.1 > 1e6 * bound.max()


#: With gradients that are the same at every position, these differ by the sign of channels, which moves a principal
#: component at most as a whole: for some pictures they are one, for others one is the other upside down.
UP_TO_SIGN = {"eigengradcam", "segeigencam"}


def _assert_coinciding(raw: dict[str, Tensor], groups: list[set[str]]) -> None:
    maps = {name: scale_maps(each)[0] for name, each in raw.items()}
    for one, other in combinations(maps, 2):
        if {one, other} == UP_TO_SIGN and LINEAR in groups:
            continue
        worst = apart(maps[one], maps[other]).max()
        if any({one, other} <= group for group in groups):
            assert worst <= _scaled_bound(raw[one], raw[other]), (one, other, worst)
        else:
            assert worst > 1e-3, (one, other, worst)  # far above every bound, some 1e-6


def test_groups_at_the_pooled_layer_are_what_is_measured(pooled: SharedPass, lite0: Classifier) -> None:
    groups = [set(found.methods) for found in coinciding(lite0, "bn2")]
    assert groups == [LINEAR, NONNEGATIVE]
    _assert_coinciding(_raw(pooled), groups)


def test_at_the_block_before_all_but_one_differ(block: SharedPass, lite0: Classifier) -> None:
    # Behind it are a 1 × 1 convolution, a ReLU6, the mean and a linear layer.
    groups = [set(found.methods) for found in coinciding(lite0, "blocks[-1]")]
    assert groups == [{"gradcam", "shapleycam"}]
    _assert_coinciding(_raw(block), groups)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("nonnegative", [True, False])
def test_groups_follow_from_the_layer_and_not_from_its_name(linear: bool, nonnegative: bool) -> None:
    # In float64: XGrad-CAM divides by a signed channel's sum, which may lie near zero and then amplifies rounding.
    stub = _stub(linear, nonnegative).double()
    found = coinciding(stub, "cut")
    assert [set(x.methods) for x in found] == [
        *[LINEAR] * linear,
        *[NONNEGATIVE] * nonnegative,
        {"scorecam", "scorecam_top"},  # a layer of six channels
    ]
    raw = {
        name: method.apply(run(stub, random_pictures(4).double()))
        for name, method in CAMS.items()
        if method.serves(stub, "cut") is None
    }
    _assert_coinciding(raw, [set(x.methods) for x in found])


def _stub(linear: bool, nonnegative: bool) -> Stub:
    torch.manual_seed(5)
    convolution, relu = torch.nn.Conv2d(3, 6, 3, stride=2, padding=1), torch.nn.ReLU()
    head = torch.nn.Sequential(convolution, relu) if nonnegative else convolution
    if linear:
        last = torch.nn.Linear(6, 5)
        tail = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), last)
        return Stub(head, tail, (12, 10), linear=last, nonnegative=nonnegative)
    tail = torch.nn.Sequential(torch.nn.Conv2d(6, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(96, 5))
    return Stub(head, tail, (12, 10), nonnegative=nonnegative)


def test_each_coincidence_has_a_reason_in_one_sentence() -> None:
    for found in coinciding(pooled_stub(), "cut"):
        assert len(found.methods) > 1 and set(found.methods) <= set(CAMS)
        assert found.reason.endswith(".") and found.reason.count(". ") == 0
        assert not any(sign in found.reason for sign in "=ΣαG_")


def test_coinciding_wants_a_layer_that_is_there() -> None:
    with pytest.raises(UnknownName):
        coinciding(signed_stub(), "nowhere")


def test_noise_never_turns_an_eigen_map_upside_down(lite0: Classifier) -> None:
    engine = Engine(lite0)
    specs = [CLEAN, *(Spec("gaussian_noise", s, 0) for s in (1.0, 3.0, 5.0))]
    for layer in ("bn2", "blocks[-1]"):
        for picture in spread_pictures(5):
            inputs = engine.inputs(lite0.preprocess(picture.load()), picture.digest, specs)
            shared = _pass(lite0, layer, inputs)
            mean = shared.activations.mean(dim=1).double().flatten(1)
            for name in ("eigencam", "eigengradcam"):
                raw = CAMS[name].apply(shared).flatten(1)
                for row in range(len(specs)):
                    assert np.corrcoef(raw[row], mean[row])[0, 1] > 0, (layer, picture.id, name, row)


def test_a_picture_of_one_colour_has_maps_or_says_that_it_has_none(lite0: Classifier) -> None:
    # Padding makes the border differ even here, so maps may exist; what there is must be sound.
    clean = torch.full((3, *lite0.input_size), 0.5)
    methods = [name for name, method in CAMS.items() if method.cost == "shared"]
    for layer in ("bn2", "blocks[-1]"):
        found = Engine(lite0).explain(clean, "grey", [CLEAN, Spec("contrast", 3.0, 0)], methods, layer)
        for one in found:
            for name, map_ in one.maps.items():
                assert np.isfinite(map_).all() and map_.min() == 0
                assert map_.max() == (0 if one.degenerate[name] else 1), name
