"""Networks as chains of pieces."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from camlab.common.errors import BadSetting
from camlab.models.network.trace import MeanOver, pieces

SIZE = (32, 48)


class Block(nn.Module):
    """A residual block that adds in place, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += x
        out: Tensor = self.act(y)
        return out


class Small(nn.Module):
    """A stem, a row of blocks, and a head that needs the batch's size and a mask that is optional."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=4)
        self.blocks = nn.Sequential(Block(), Block())
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, height = x.shape[0], x.shape[2]
        x = self.blocks(self.stem(x) * self.scale)
        if mask is not None:
            x = x * mask
        x = x.reshape(batch, 4, -1).transpose(1, 2) * (height / 32)
        out: Tensor = self.fc(self.norm(x * self.scale).mean(dim=1))
        return out


class Undecided(nn.Module):
    """Cannot be traced: which way it goes depends on a value."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 4, stride=4), nn.Linear(4, 5)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if x.sum() > 0 else -x

    def forward_head(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x.mean((2, 3)))
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class Hopeless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3)) if x.sum() > 0 else x.mean((2, 3))


def make(kind: type[nn.Module]) -> Any:
    torch.manual_seed(0)
    return kind().eval().requires_grad_(False)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("kind", [Small, Undecided])
def test_the_pieces_one_after_the_other_are_the_network(kind: type[nn.Module], batch: int) -> None:
    network = make(kind)
    x = torch.randn(batch, 3, *SIZE)
    y = x
    for piece in pieces(network, SIZE):
        y = piece.module(y)
    assert torch.equal(y, network(x))


def test_pieces_are_named_after_the_modules_that_they_end_with() -> None:
    found = pieces(make(Small), SIZE)
    named = [piece.name for piece in found if piece.named]
    assert named == ["stem", "blocks.0", "blocks.1", "norm", "fc"]
    assert next(p for p in found if p.name == "blocks.1").shape == (2, 4, 8, 12)
    assert isinstance(found[-2].module, MeanOver) and found[-2].module.dims == (1,)


def test_what_does_nothing_is_no_layer() -> None:
    network = make(Small)
    network.blocks[1].act = nn.Identity()
    network.norm = nn.Identity()
    assert [p.name for p in pieces(network, SIZE) if p.named] == ["stem", "blocks.0", "blocks.1", "fc"]


def test_no_piece_writes_into_what_it_is_given() -> None:
    network = make(Small)
    x = torch.randn(2, 3, *SIZE)
    for piece in pieces(network, SIZE):
        before = x.clone()
        after = piece.module(x)
        assert torch.equal(x, before), piece.name
        x = after


def test_cutting_leaves_the_network_as_it_was() -> None:
    network = make(Small)
    state, text = copy.deepcopy(network.state_dict()), str(network)
    pieces(network, SIZE)
    assert str(network) == text and not network.training
    assert all(torch.equal(a, b) for a, b in zip(state.values(), network.state_dict().values(), strict=True))


def test_what_cannot_be_traced_has_two_pieces_or_a_sentence() -> None:
    assert [piece.name for piece in pieces(make(Undecided), SIZE)] == ["features", "head"]
    with pytest.raises(BadSetting, match="Hopeless cannot be split"):
        pieces(make(Hopeless), SIZE)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_mambaout", "mobilenetv3_small_050"])
def test_networks_of_timm_are_their_pieces(name: str) -> None:
    torch.manual_seed(0)
    network: Any = timm.create_model(name).eval()
    size = network.pretrained_cfg["input_size"][1:]
    x = torch.randn(3, 3, *size)
    y = x
    with torch.inference_mode():
        found = pieces(network, size)
        for piece in found:
            y = piece.module(y)
        assert torch.allclose(y, network(x), atol=1e-5)
    assert sum(piece.named for piece in found) > 8
