"""A classifier: an exact split at every layer, and nothing that threads could disturb."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from camlab.common.errors import BadSetting, UnknownName
from camlab.models import MODELS, load_classifier
from camlab.models.batching import AT_ONCE
from camlab.models.classifier import Classifier, fingerprint
from camlab.models.network.split import Stage, is_nonnegative, linear_head, pools_globally, split
from tests.models.conftest import LAST

BLOCKS = tuple(f"blocks.{i}" for i in range(7))


def fresh(classifier: Classifier, **changes: Any) -> Classifier:
    """An own copy of a classifier that a test may spoil."""
    arguments: dict[str, Any] = {
        "name": classifier.name,
        "title": classifier.title,
        "preprocessing": classifier.preprocessing,
        "class_names": classifier.class_names,
        "device": classifier.device,
    }
    module = changes.pop("module", None) or copy.deepcopy(classifier.module)
    return Classifier(module, **{**arguments, **changes})


# --- layers and the split ---


def test_layers(classifier: Classifier) -> None:
    channels, side = LAST[classifier.name]
    assert tuple(layer.name for layer in classifier.layers) == (*BLOCKS, "bn2")
    assert classifier.default_layer == "bn2"
    block, bn2 = classifier.layer_info("blocks.6"), classifier.layer_info(None)
    assert (block.channels, block.height, block.width) == (channels, side, side)
    assert (bn2.channels, bn2.height, bn2.width) == (1280, side, side)
    assert bn2.title == f"bn2 · last feature map, pooled (1280×{side}×{side})"
    assert [layer.pooled for layer in classifier.layers] == [False] * 7 + [True]
    assert [layer.nonnegative for layer in classifier.layers] == [False] * 7 + [True]


def test_nonnegative_and_sizes_hold_for_real_pictures(lite0: Classifier, inputs: torch.Tensor) -> None:
    with torch.inference_mode():
        for layer in lite0.layers:
            a = lite0.head(lite0.normalise(inputs), layer.name)
            assert a.shape == (len(inputs), layer.channels, layer.height, layer.width)
            assert (float(a.min()) >= 0) == layer.nonnegative


@pytest.mark.parametrize("layer", [*BLOCKS, "bn2", None])
def test_head_then_tail_is_the_whole_net(lite0: Classifier, inputs: torch.Tensor, layer: str | None) -> None:
    with torch.inference_mode():
        z = lite0.normalise(inputs)
        whole = MODELS[lite0.name].build()(z)  # timm's own forward of an untouched net
        activations = lite0.head(z, layer)
        kept = activations.clone()
        ours = lite0.tail(activations, layer)
        assert torch.equal(activations, kept)
        assert torch.equal(lite0.logits(inputs), ours)
        # What runs has its batch norms folded in, so it rounds elsewhere.
        assert float((ours - whole).abs().max()) <= 1e-5 * float(whole.abs().max())


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 1])
def test_however_many_pictures_there_are_each_gets_its_own_values(
    lite0: Classifier, inputs: torch.Tensor, count: int
) -> None:
    batch = inputs[torch.arange(count) % len(inputs)]
    with torch.no_grad():
        z = lite0.normalise(batch)
        whole, parts = lite0.module(z), lite0.head(z, "bn2")
        assert parts.shape[0] == count
        torch.testing.assert_close(lite0.logits(batch), whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(lite0.tail(parts, "bn2"), whole, rtol=1e-4, atol=1e-4)


def test_the_other_models_split_the_same(classifier: Classifier) -> None:
    x = torch.rand(1, 3, *classifier.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        z = classifier.normalise(x)
        for layer in ("blocks.3", "blocks.6", "bn2"):
            ours, whole = classifier.tail(classifier.head(z, layer), layer), classifier.module(z)
            assert torch.equal(ours, classifier.logits(x))
            assert float((ours - whole).abs().max()) <= 1e-5 * float(whole.abs().max())


@pytest.mark.parametrize(
    ("asked", "layer"),
    [
        (None, "bn2"),
        ("", "bn2"),
        ("bn2", "bn2"),
        ("blocks.6", "blocks.6"),
        ("blocks[6]", "blocks.6"),
        ("blocks[-1]", "blocks.6"),
        ("blocks[-7]", "blocks.0"),
        ("blocks[0]", "blocks.0"),
    ],
)
def test_layer_names(lite0: Classifier, asked: str | None, layer: str) -> None:
    assert lite0.resolve_layer(asked) == layer
    assert lite0.layer_info(asked).name == layer


@pytest.mark.parametrize(
    "asked", ["blocks[7]", "blocks[-8]", "block", "conv_stem", "bn2[0]", "[0]", "blocks.6 ", "x" * 999]
)
def test_unknown_layers_list_the_known(lite0: Classifier, asked: str) -> None:
    with pytest.raises(UnknownName, match=r"blocks\.0, blocks\.1, .*, bn2") as caught:
        lite0.resolve_layer(asked)
    assert len(str(caught.value)) < 300
    with pytest.raises(UnknownName):
        lite0.head(torch.zeros(1, 3, 224, 224), asked)


def test_linear_head_reproduces_the_logits(lite0: Classifier, inputs: torch.Tensor) -> None:
    head = lite0.linear_head("bn2")
    assert head is not None
    weights, bias = head
    assert weights.shape == (1000, 1280)
    with torch.inference_mode():
        means = lite0.head(lite0.normalise(inputs), "bn2").mean((2, 3))
        torch.testing.assert_close(means @ weights.T + bias, lite0.logits(inputs), rtol=1e-4, atol=1e-4)
    assert all(lite0.linear_head(name) is None for name in BLOCKS)


def stages(*modules: nn.Module) -> list[Stage]:
    return [Stage(str(i), module, False) for i, module in enumerate(modules)]


def test_linear_head_goes_by_structure() -> None:
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d

    linear = nn.Linear(4, 3, bias=False)
    pool = nn.AdaptiveAvgPool2d(1)
    x = torch.rand(2, 4, 5, 5)
    linear_tails = [
        (pool, nn.Flatten(), linear),
        (nn.Sequential(pool, nn.Flatten()), nn.Dropout(0.5), nn.Identity(), linear),
        (SelectAdaptivePool2d(pool_type="avg", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="fast", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="fastavg", flatten=True), nn.Sequential(nn.Dropout(0.1), linear)),
    ]
    for tail in linear_tails:
        found = linear_head(stages(*tail))
        assert found is not None
        assert pools_globally(stages(*tail))
        torch.testing.assert_close(x.mean((2, 3)) @ found[0].T + found[1], nn.Sequential(*tail).eval()(x))
    other_tails = [
        (SelectAdaptivePool2d(pool_type="max", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="avgmax", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="", flatten=True), linear),
        (nn.AdaptiveAvgPool2d(2), nn.Flatten(), linear),
        (nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear),
        (pool, nn.Flatten(), nn.ReLU(), linear),
        (pool, nn.Flatten(), linear, nn.Linear(3, 3)),
        (nn.Conv2d(4, 4, 1), pool, nn.Flatten(), linear),
        (nn.Flatten(), linear),
        (),
    ]
    assert [linear_head(stages(*tail)) for tail in other_tails] == [None] * len(other_tails)
    assert [pools_globally(stages(*tail)) for tail in other_tails] == [
        True,
        True,
        *[False] * 2,
        *[True] * 3,
        *[False] * 3,
    ]


def test_nonnegative_follows_only_certain_ends() -> None:
    from timm.layers.norm_act import BatchNormAct2d

    ends_well = (
        nn.ReLU(),
        nn.ReLU6(),
        nn.Sigmoid(),
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()),
        BatchNormAct2d(4),
    )
    signed = (
        nn.SiLU(),
        nn.BatchNorm2d(4),
        nn.Sequential(),
        nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1)),
        nn.Identity(),
    )
    assert [is_nonnegative(m) for m in ends_well] == [True] * 5
    assert [is_nonnegative(m) for m in (*signed, BatchNormAct2d(4, apply_act=False))] == [False] * 6


def test_a_net_nobody_can_split_is_refused() -> None:
    with pytest.raises(BadSetting, match="Sequential"):
        split(nn.Sequential(nn.ReLU()))


def test_a_net_without_maps_is_refused(lite0: Classifier) -> None:
    with pytest.raises(BadSetting, match="no layer with maps"):
        fresh(
            lite0,
            module=nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1000)),
            preprocessing=replace(lite0.preprocessing, input_size=(8, 8)),
        )


def test_a_net_that_does_not_run_at_its_size_is_refused(lite0: Classifier) -> None:
    class Picky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError(f"Input height ({x.shape[2]}) doesn't match model (336).")

    words = r"does not run on pictures of 224 × 224 pixels \(Input height \(224\) doesn't match model \(336\)\); choose"
    with pytest.raises(BadSetting, match=words):
        fresh(lite0, module=Picky())


def test_a_row_of_layers_stands_for_its_last(lite0: Classifier) -> None:
    assert lite0.resolve_layer("blocks") == "blocks.6"


def test_several_layers_are_one(lite0: Classifier) -> None:
    assert lite0.resolve_layer("bn2+blocks[-1]+blocks.6") == "blocks.6+bn2"
    info = lite0.layer_info("bn2+blocks.2")
    assert (info.height, info.width) == (28, 28) and not info.pooled
    assert lite0.linear_head("bn2+blocks.2") is None and lite0.linear_head("bn2+bn2") is not None
    with pytest.raises(UnknownName, match="nothing"):
        lite0.resolve_layer("bn2+nothing")


def test_too_few_class_names_are_refused(lite0: Classifier) -> None:
    with pytest.raises(BadSetting, match="1000 outputs but 2 class names"):
        fresh(lite0, class_names=("a", "b"))


def test_gradients_flow_through_tail_and_logits(lite0: Classifier, inputs: torch.Tensor) -> None:
    with torch.no_grad():
        a = lite0.head(lite0.normalise(inputs[:1]), "blocks.6")
    a.requires_grad_()
    (grad,) = torch.autograd.grad(lite0.tail(a, "blocks.6")[0, 347], a)
    assert float(grad.abs().sum()) > 0
    x = inputs[:1].clone().requires_grad_()
    (grad,) = torch.autograd.grad(lite0.logits(x)[0, 347], x)
    assert grad.shape == x.shape
    assert float(grad.abs().sum()) > 0
    # Without a wish for gradients there are none to pay for.
    assert not lite0.logits(inputs[:1]).requires_grad


# --- sharing ---


def test_the_module_is_frozen_and_hookless(classifier: Classifier) -> None:
    for module in classifier.module.modules():
        assert not module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert not any(p.requires_grad for p in classifier.module.parameters())


def test_parallel_calls_equal_serial_ones(lite0: Classifier, inputs: torch.Tensor) -> None:
    def work(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, layer = inputs[i % 4 :][:1], lite0.layers[i % 8].name
        with torch.no_grad():
            a = lite0.head(lite0.normalise(x), layer)
        a.requires_grad_()
        logits = lite0.tail(a, layer)
        (grad,) = torch.autograd.grad(logits.max(), a)
        return logits.detach(), grad

    before = fingerprint(lite0.name, lite0.module, lite0.preprocessing)
    assert before == lite0.fingerprint
    serial = [work(i) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        parallel = list(pool.map(work, range(12)))
    for (a, b), (c, d) in zip(serial, parallel, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert fingerprint(lite0.name, lite0.module, lite0.preprocessing) == before


def test_fingerprint_changes_with_whatever_decides_a_prediction(lite0: Classifier) -> None:
    same = fresh(lite0)
    assert same.fingerprint == lite0.fingerprint
    assert len({load_classifier(name, "cpu").fingerprint for name in MODELS}) == len(MODELS)
    for key in ("conv_stem.weight", "bn2.running_var", "classifier.bias"):
        changed = copy.deepcopy(lite0.module)
        with torch.no_grad():
            changed.state_dict()[key].view(-1)[0] += 1e-3
        assert fingerprint(lite0.name, changed, lite0.preprocessing) != lite0.fingerprint
    assert fingerprint("another", lite0.module, lite0.preprocessing) != lite0.fingerprint
    other = replace(lite0.preprocessing, crop_pct=0.9)
    assert fingerprint(lite0.name, lite0.module, other) != lite0.fingerprint


def test_in_place_activations_cannot_reach_the_callers_tensors() -> None:
    from camlab.models.classifier import stop_working_in_place

    net = nn.Sequential(nn.ReLU(inplace=True), nn.Sequential(nn.ReLU6(inplace=True)))
    stop_working_in_place(net)
    x = torch.full((1, 2), -1.0)
    net(x)
    assert torch.equal(x, torch.full((1, 2), -1.0))
