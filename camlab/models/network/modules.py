"""Small modules that pieces of networks are made of where the network has none of its own."""

from __future__ import annotations

from torch import Tensor, nn


class MeanOver(nn.Module):
    """The mean over some dimensions, as a module that can be recognised."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Like ``x.mean(dims)``."""
        return x.mean(self.dims)


class Absorbed(nn.Identity):
    """Stands where a batch norm was that is now part of the convolution before it."""


class FeaturesOnly(nn.Module):
    """The part of an untraceable timm network that ends with its features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to unpooled features, as the network lays them out."""
        out: Tensor = self.network.forward_features(x)  # type: ignore[operator]
        return out


class HeadOnly(nn.Module):
    """The part of an untraceable timm network that begins with its features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Features to logits."""
        out: Tensor = self.network.forward_head(x)  # type: ignore[operator]
        return out
