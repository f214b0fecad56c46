"""Small classifiers whose every number can be worked out, in the shape that the CAM methods expect."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from camlab.cams import SharedPass, shared_pass
from camlab.common.errors import UnknownName
from camlab.models.network.split import PointwiseHead, Stage, pointwise_head


@dataclass(frozen=True)
class StubLayer:
    channels: int
    height: int
    width: int
    nonnegative: bool


class Stub:
    """A classifier with one layer, "cut", between two given modules. Mean 0.5, standard deviation 0.5."""

    def __init__(
        self,
        head: nn.Module,
        tail: nn.Module,
        size: tuple[int, int],
        *,
        linear: nn.Linear | None = None,
        pointwise: PointwiseHead | None = None,
        nonnegative: bool = False,
        plain: bool = False,
        name: str = "stub",
        channels: int = 3,
    ) -> None:
        self.device = torch.device("cpu")
        self.dtype: torch.dtype | None = None
        self.fingerprint = name
        self.input_size = size
        self.plain = plain
        self.split = nn.ModuleList([head, tail]).eval().requires_grad_(False)
        self.linear = linear
        self.pointwise = pointwise
        with torch.no_grad():
            cut = self.split[0](torch.zeros(1, channels, *size))
            classes = self.split[1](cut.clone()).shape[1]
        maps, height, width = cut.shape[1:]
        self.info = StubLayer(maps, height, width, nonnegative)
        self.class_names = tuple(f"class {i}" for i in range(classes))

    def double(self) -> Stub:
        """The same stub, which from now on calculates in float64, also for pictures in float32."""
        self.dtype = torch.float64
        self.split.double()
        if self.pointwise is not None:
            self.pointwise = pointwise_head([Stage("tail", self.split[1], False)])
        return self

    def resolve_layer(self, name: str | None) -> str:
        if name not in (None, "", "cut"):
            raise UnknownName(f"There is no layer called {name!r}; choose cut.")
        return "cut"

    def layer_info(self, layer: str) -> StubLayer:
        self.resolve_layer(layer)
        return self.info

    def normalise(self, x: Tensor) -> Tensor:
        x = x if self.dtype is None else x.to(self.dtype)
        return x if self.plain else (x - 0.5) / 0.5

    def head(self, z: Tensor, layer: str) -> Tensor:
        out: Tensor = self.split[0](z)
        return out

    def tail(self, activations: Tensor, layer: str) -> Tensor:
        out: Tensor = self.split[1](activations)
        return out

    def logits(self, x: Tensor) -> Tensor:
        return self.tail(self.head(self.normalise(x), "cut"), "cut")

    def to_maps(self, activations: Tensor, layer: str) -> Tensor:
        return activations

    def with_maps(self, activations: Tensor, maps: Tensor, layer: str) -> Tensor:
        return maps

    def linear_head(self, layer: str) -> tuple[Tensor, Tensor] | None:
        return None if self.linear is None else (self.linear.weight.detach(), self.linear.bias.detach())

    def pointwise_head(self, layer: str) -> PointwiseHead | None:
        return self.pointwise


def constant_channel(conv: nn.Conv2d, channel: int, value: float) -> None:
    """Make one output channel the same number everywhere, whatever comes in."""
    with torch.no_grad():
        conv.weight[channel] = 0
        conv.bias[channel] = value  # type: ignore[index]


def signed_stub(seed: int = 0, *, inplace: bool = False) -> Stub:
    """Seven signed channels at 6×5 from 12×10, then a tail that mixes positions: no two methods agree."""
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 7, 3, stride=2, padding=1)
    constant_channel(conv, 2, 0.7)
    constant_channel(conv, 5, 0.0)
    mix, last = nn.Conv2d(7, 8, 3), nn.Linear(8 * 4 * 3, 5)  # in this order: it decides the weights
    tail = nn.Sequential(nn.ReLU(inplace=inplace), mix, nn.Tanh(), nn.Flatten(), last)
    with torch.no_grad():
        last.weight *= 10
    return Stub(conv, tail, (12, 10), name=f"signed {seed}")


def pooled_stub(seed: int = 0) -> Stub:
    """Six non-negative channels at 6×5 that are averaged and then go through one linear layer."""
    torch.manual_seed(seed)
    head = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
    linear = nn.Linear(6, 5)
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return Stub(head, tail, (12, 10), linear=linear, nonnegative=True, name=f"pooled {seed}")


def pointwise_stub(seed: int = 0) -> Stub:
    """Seven signed channels at 6×5, then a tail in which no position sees another: 1×1, ReLU6, mean, linear."""
    stub = signed_stub(seed)
    torch.manual_seed(seed)
    mix, linear = nn.Conv2d(7, 9, 1), nn.Linear(9, 5)
    with torch.no_grad():
        mix.weight *= 8  # far enough that both bends of the activation are met
    tail = nn.Sequential(mix, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    found = pointwise_head([Stage("tail", tail, False)])
    assert found is not None
    return Stub(stub.split[0], tail, (12, 10), pointwise=found, name=f"pointwise {seed}")


def hand_stub(classes: int = 4) -> Stub:
    """conv(1→2, 3×3, weights 1, biases −50 and −75) | ReLU → flatten → linear(8→4, 1 1 1 1 1 −1 −1 −1)."""
    conv, linear = nn.Conv2d(1, 2, 3), nn.Linear(8, classes, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1)
        conv.bias.copy_(torch.tensor([-50.0, -75.0]))  # type: ignore[union-attr]
        linear.weight.copy_(torch.tensor([1.0, 1, 1, 1, 1, -1, -1, -1]).expand(classes, 8))
    tail = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), linear)
    return Stub(conv, tail, (4, 4), plain=True, name="hand", channels=1)


def random_pictures(count: int, size: tuple[int, int] = (12, 10), seed: int = 1) -> Tensor:
    """Pictures of independent pixels (N, 3, H, W) in [0, 1]."""
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def run(stub: Stub, pictures: Tensor, targets: list[int | None] | None = None, **options: object) -> SharedPass:
    """The shared pass of a stub, with gradients."""
    keys = [f"picture {i}" for i in range(len(pictures))]
    goals = targets or [None] * len(pictures)
    return shared_pass(stub, "cut", pictures, goals, keys, **options)  # type: ignore[arg-type]
