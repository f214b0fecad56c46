"""Folded copies of networks: they compute the same, they are checked, and the original is left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from camlab.models import MODELS, load_classifier
from camlab.models.classifier import Classifier
from camlab.models.network.fold import TOLERANCE, SamePadded, agree, folded
from camlab.models.network.trace import Absorbed
from camlab.models.preprocessing import Preprocessing


def scrambled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch norm statistics, scale and shift of its own, as training does."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            with torch.no_grad():
                for values, low, high in (
                    (part.running_mean, -0.5, 0.5),
                    (part.running_var, 0.5, 2.0),
                    (part.weight, 0.5, 1.5),
                    (part.bias, -0.3, 0.3),
                ):
                    assert values is not None
                    values.copy_(torch.rand(values.shape, generator=generator) * (high - low) + low)
    return module.eval().requires_grad_(False)


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def preprocessing(side: int = 64) -> Preprocessing:
    return Preprocessing((side, side), 1.0, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def classifier(module: nn.Module, classes: int = 10) -> Classifier:
    return Classifier(
        module,
        name="net",
        title="Net",
        preprocessing=preprocessing(),
        class_names=[f"class {i}" for i in range(classes)],
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_takes_its_norm_in(bias: bool) -> None:
    conv, norm = nn.Conv2d(3, 5, 3, bias=bias), nn.BatchNorm2d(5)
    plain = scrambled(nn.Sequential(conv, norm, nn.ReLU()))
    x = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    quick = folded(plain)
    assert [type(part) for part in quick.children()] == [nn.Conv2d, Absorbed, nn.ReLU]
    assert torch.allclose(quick(x), plain(x), atol=1e-5)
    assert norms(plain) == 1, "the original is left as it was"
    # By hand, one number: scale = γ/√(σ² + ε), shift = β − μ · scale.
    taken = next(quick.children())
    assert isinstance(taken, nn.Conv2d) and taken.bias is not None
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight[2] / (norm.running_var[2] + norm.eps).sqrt()
    assert torch.allclose(taken.weight[2], conv.weight[2] * scale, atol=1e-6)
    start = 0 if conv.bias is None else conv.bias[2]
    assert torch.allclose(taken.bias[2], norm.bias[2] + (start - norm.running_mean[2]) * scale, atol=1e-6)


@pytest.mark.parametrize(
    "rest",
    [
        lambda: (nn.ReLU(), nn.BatchNorm2d(5)),  # something between
        lambda: (nn.BatchNorm2d(5, track_running_stats=False),),  # no statistics of its own
        lambda: (nn.GroupNorm(1, 5),),
    ],
)
def test_what_is_not_a_fixed_norm_right_behind_stays(rest: Callable[[], Any]) -> None:
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), *rest()).eval()
    quick = folded(plain)
    assert [type(part) for part in quick.children()] == [type(part) for part in plain.children()]


def test_a_norm_in_training_stays() -> None:
    assert norms(folded(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)).train())) == 1


def test_a_norm_behind_a_row_that_ends_with_a_convolution_is_folded() -> None:
    stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3))
    plain = scrambled(nn.Sequential(stem, nn.BatchNorm2d(5), nn.ReLU()))
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(5))
    assert norms(folded(plain)) == 0
    assert torch.allclose(folded(plain)(x), plain(x), atol=1e-5)


def test_a_convolutions_output_before_its_norm_is_no_layer() -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    plain = scrambled(nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)))
    found = classifier(plain)
    assert [layer.name for layer in found.layers] == ["0.1", "0.2", "0.3", "0.4"]
    assert sum(norms(stage.module) for stage in found._stages) == 0


@pytest.mark.parametrize("name", MODELS)
def test_the_bundled_models_run_folded_and_equal_timm(name: str) -> None:
    found = load_classifier(name, "cpu")
    assert sum(norms(stage.module) for stage in found._stages) == 0 < norms(found.module)
    x = torch.rand(2, 3, *found.input_size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        theirs = found.module(found.normalise(x))
        assert agree(found.logits(x), theirs)
        assert torch.equal(found.logits(x).argmax(1), theirs.argmax(1))


def test_a_resnet_is_split_and_folded() -> None:
    module = scrambled(timm.create_model("resnet18", num_classes=10))
    untouched = copy.deepcopy(module)
    found = classifier(module)
    assert found.default_layer == "layer4.1"
    assert [layer.name for layer in found.layers][:2] == ["layer1.0", "layer1.1"]
    assert found.linear_head("layer4.1") is not None
    assert sum(norms(stage.module) for stage in found._stages) == 0
    x = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        for layer in ("layer1.0", "layer3.1", "layer4.1"):
            logits = found.tail(found.head(found.normalise(x), layer), layer)
            assert agree(logits, untouched(found.normalise(x)))


class Crossed(nn.Module):
    """Two convolutions that are written before the norm, which belongs to the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(self.first(x)))  # type: ignore[no-any-return]


def test_where_folding_changes_the_network_the_network_itself_runs() -> None:
    module: Any = timm.create_model("resnet18", num_classes=10)
    module.layer2[0] = nn.Sequential(module.layer2[0], nn.Conv2d(128, 3, 1), Crossed(), nn.Conv2d(3, 128, 1))
    scrambled(module)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    assert not agree(folded(module)(x), module(x)), "this network is one that folding spoils"
    found = classifier(copy.deepcopy(module))
    assert sum(norms(stage.module) for stage in found._stages) == norms(module)
    with torch.inference_mode():
        assert agree(found.tail(found.head(x, "layer1.0"), "layer1.0"), module(x))


def test_what_counts_as_the_same() -> None:
    a = torch.tensor([1.0, -2.0, 0.0])
    assert agree(a, a) and agree(a * (1 + TOLERANCE / 2), a)
    assert not agree(a * (1 + 2 * TOLERANCE), a)
    assert not agree(a[:2], a) and not agree(a / 0, a)


# padding


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("size", [(8, 8), (8, 12), (9, 8), (8, 9), (7, 9), (2, 2)])
def test_padding_as_it_goes_equals_padding_a_copy(size: tuple[int, int], kernel: int, groups: int) -> None:
    torch.manual_seed(kernel)
    theirs = Conv2dSame(4, 8, kernel, stride=2, padding="same", groups=groups).requires_grad_(False)
    assert SamePadded.suits(theirs)
    ours = folded(nn.Sequential(theirs))
    assert isinstance(next(ours.children()), SamePadded)
    x = torch.randn(3, 4, *size)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        Conv2dSame(4, 8, 3, stride=1),
        Conv2dSame(4, 8, 3, stride=2, dilation=2),
        Conv2dSame(4, 8, 4, stride=2),
        Conv2dSame(4, 8, 1, stride=2),
        Conv2dSame(4, 8, (3, 5), stride=2),
    ],
)
def test_other_convolutions_pad_as_they_did(convolution: nn.Conv2d) -> None:
    assert not SamePadded.suits(convolution)
    ours = folded(nn.Sequential(convolution.requires_grad_(False)))
    assert type(next(ours.children())) is type(convolution)
    x = torch.randn(2, 4, 10, 8)
    assert torch.equal(ours(x), convolution(x))


def test_the_bundled_models_pad_no_copies(lite0: Classifier) -> None:
    parts = [part for stage in lite0._stages for part in stage.module.modules()]
    padded = [part for part in parts if isinstance(part, SamePadded)]
    assert len(padded) == 5
    assert sum(SamePadded.suits(part) for part in parts) == len(padded)  # each one's own original
