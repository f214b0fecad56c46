"""What algebra says about Lite0: closed forms at the pooled layer, coincidences, and the sign of Eigen-CAM."""

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
from tests.cams.conftest import spread_pictures
from tests.cams.stub import Stub, pooled_stub, random_pictures, run, signed_stub

Batch = Callable[[str, int], Tensor]
PICTURES = 6
LINEAR = {"gradcam", "xgradcam", "hirescam", "shapleycam"}
NONNEGATIVE = {"layercam", "gradcam_elementwise"}


def _pass(classifier: Classifier, layer: str, pictures: Tensor) -> SharedPass:
    count = len(pictures)
    keys = [f"picture {i}" for i in range(count)]
    return shared_pass(classifier, classifier.resolve_layer(layer), pictures, [None] * count, keys, chunk=64)


def _maps(shared: SharedPass) -> dict[str, Tensor]:
    """All maps that can be had here, but those of methods too dear, which coincide with nothing."""
    return {
        name: scale_maps(method.apply(shared))[0]
        for name, method in CAMS.items()
        if method.cost != "full" and method.serves(shared.classifier, shared.layer) is None
    }


@pytest.fixture(scope="module")
def pooled(batch: Batch, lite0: Classifier) -> SharedPass:
    return _pass(lite0, "bn2", batch("efficientnet_lite0", PICTURES))


@pytest.fixture(scope="module")
def block(batch: Batch, lite0: Classifier) -> SharedPass:
    return _pass(lite0, "blocks[-1]", batch("efficientnet_lite0", 2))


def test_pooled_gradients_are_the_weights_over_the_positions(pooled: SharedPass, lite0: Classifier) -> None:
    head = lite0.linear_head("bn2")
    assert head is not None
    weight, bias = head
    positions = pooled.activations[0, 0].numel()
    wanted = (weight[pooled.targets] / positions)[:, :, None, None].expand_as(pooled.grads)
    assert torch.allclose(pooled.grads, wanted, rtol=1e-5, atol=1e-9)
    logits = pooled.activations.mean(dim=(2, 3)) @ weight.T + bias
    assert torch.allclose(pooled.logits, logits, atol=1e-4)


def test_pooled_gradcam_is_the_original_cam(pooled: SharedPass, lite0: Classifier) -> None:
    head = lite0.linear_head("bn2")
    assert head is not None
    original = torch.einsum("nk,nkhw->nhw", head[0][pooled.targets], pooled.activations)
    wanted = scale_maps(original)[0]
    for name in LINEAR:
        assert torch.allclose(scale_maps(CAMS[name].apply(pooled))[0], wanted, atol=1e-5), name


def test_ablating_a_pooled_channel_lowers_the_logit_by_weight_times_mean(pooled: SharedPass, lite0: Classifier) -> None:
    head = lite0.linear_head("bn2")
    assert head is not None
    one = pooled.rows(slice(0, 2), pooled.check, pooled.chunk)
    wanted = head[0][one.targets] * one.activations.mean(dim=(2, 3))
    assert torch.allclose(drops_by_passes(one), wanted, atol=2e-5)
    assert float(wanted.abs().max()) > 0.1


#: With gradients that are the same at every position, these differ by the sign of channels, which moves a principal
#: component at most as a whole: for some pictures they are one, for others one is the other upside down.
UP_TO_SIGN = {"eigengradcam", "segeigencam"}


def _assert_coinciding(maps: dict[str, Tensor], groups: list[set[str]], within: float = 1e-5) -> None:
    for one, other in combinations(maps, 2):
        if {one, other} == UP_TO_SIGN and LINEAR in groups:
            continue
        apart = float((maps[one] - maps[other]).abs().max())
        if any({one, other} <= group for group in groups):
            assert apart <= within, (one, other, apart)
        else:
            assert apart > 1e-3, (one, other, apart)


def test_groups_at_the_pooled_layer_are_what_is_measured(pooled: SharedPass, lite0: Classifier) -> None:
    groups = [set(found.methods) for found in coinciding(lite0, "bn2")]
    assert groups == [LINEAR, NONNEGATIVE]
    _assert_coinciding(_maps(pooled), groups)


def test_at_the_block_before_all_but_one_differ(block: SharedPass, lite0: Classifier) -> None:
    # Behind it are a 1 × 1 convolution, a ReLU6, the mean and a linear layer.
    groups = [set(found.methods) for found in coinciding(lite0, "blocks[-1]")]
    assert groups == [{"gradcam", "shapleycam"}]
    _assert_coinciding(_maps(block), groups)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("nonnegative", [True, False])
def test_groups_follow_from_the_layer_and_not_from_its_name(linear: bool, nonnegative: bool) -> None:
    stub = _stub(linear, nonnegative)
    # In double precision: XGrad-CAM divides by a signed channel's sum, which may lie near zero and then
    # amplifies rounding. What is left is the rounding of finished maps in [0, 1] to float32.
    stub.split.double()
    found = coinciding(stub, "cut")
    assert [set(x.methods) for x in found] == [
        *[LINEAR] * linear,
        *[NONNEGATIVE] * nonnegative,
        {"scorecam", "scorecam_top"},  # a layer of six channels
    ]
    maps = {
        name: scale_maps(method.apply(run(stub, random_pictures(4).double())))[0]
        for name, method in CAMS.items()
        if method.serves(stub, "cut") is None
    }
    _assert_coinciding(maps, [set(x.methods) for x in found], within=2**-23)


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
