"""Cutting a network into a head (up to a layer) and a tail (from there to the logits).

A net is seen as an ordered list of stages whose composition is the whole forward pass. Each family of nets is
one row of ``SPLITS``: a rule that recognises a module and lists its stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.models.network.layout import find_layout
from camlab.models.network.trace import CONTAINERS, TRANSPARENT, MeanOver, Piece, pieces

# Activations whose values are never negative, whatever comes in.
_NONNEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.Threshold)
# Activations that look at one number at a time and hold no weights.
_ELEMENTWISE = (
    *_NONNEGATIVE,
    nn.SiLU,
    nn.GELU,
    nn.ELU,
    nn.LeakyReLU,
    nn.Hardswish,
    nn.Mish,
    nn.Tanh,
    nn.Identity,
)
#: Between the names of layers whose maps are averaged.
PLUS = "+"
#: The dimensions of the places in maps (N, K, h, w).
MAPS = (2, 3)


@dataclass(frozen=True)
class Stage:
    """One step of the forward pass; ``offered``: fit to be a target layer (its output: maps in space)."""

    name: str
    module: nn.Module
    offered: bool
    title: str = ""


@dataclass(frozen=True)
class TargetLayer:
    """A layer whose output can be explained.

    ``channels``, ``height`` and ``width`` hold at the model's own input size; ``pooled``: global pooling
    reads this very output; ``nonnegative``: it ends in an activation that is never negative.
    """

    name: str
    title: str
    channels: int
    height: int
    width: int
    pooled: bool
    nonnegative: bool


def together(layers: Sequence[TargetLayer]) -> TargetLayer:
    """Layers as one whose map is the mean of theirs, on the finest of their grids."""
    finest = max(layers, key=lambda layer: layer.height * layer.width)
    channels = sum(layer.channels for layer in layers)
    name = PLUS.join(layer.name for layer in layers)
    title = f"{' + '.join(layer.name for layer in layers)} · averaged ({finest.height}×{finest.width})"
    nonnegative = all(layer.nonnegative for layer in layers)
    return TargetLayer(name, title, channels, finest.height, finest.width, False, nonnegative)


@dataclass(frozen=True)
class Split:
    """How one family of networks is cut: ``matches`` recognises a module, ``stages`` lists its steps."""

    name: str
    matches: Callable[[Any], bool]
    stages: Callable[[Any, tuple[int, int]], list[Stage]]


SPLITS: Registry[Split] = Registry("way of splitting a network")


def split(module: nn.Module, size: tuple[int, int] = (224, 224)) -> tuple[Stage, ...]:
    """Stages of ``module``, input to output, by the first rule that knows it; BadSetting where none does.

    ``size``: height and width of the pictures that it is for.
    """
    for rule in SPLITS.values():
        if rule.matches(module):
            return tuple(rule.stages(module, size))
    raise BadSetting(
        f"Networks of the kind {type(module).__name__} cannot be split into layers; choose a classifier from timm."
    )


def _is_efficientnet(module: Any) -> bool:
    wanted = ("conv_stem", "bn1", "blocks", "conv_head", "bn2", "global_pool", "classifier")
    # The exact list of children: a relative with one step more (MobileNetV3) must not be cut by this rule.
    return tuple(name for name, _ in module.named_children()) == wanted and isinstance(
        module.blocks, nn.Sequential
    )


def _efficientnet_stages(module: Any, size: tuple[int, int]) -> list[Stage]:
    blocks = [
        Stage(f"blocks.{i}", block, True, f"stage {i + 1} of {len(module.blocks)}")
        for i, block in enumerate(module.blocks)
    ]
    return [
        Stage("conv_stem", module.conv_stem, False),
        Stage("bn1", module.bn1, False),
        *blocks,
        Stage("conv_head", module.conv_head, False),
        Stage("bn2", module.bn2, True, "last feature map"),
        Stage("global_pool", module.global_pool, False),
        Stage("classifier", module.classifier, False),
    ]


SPLITS.add("efficientnet", Split("efficientnet", _is_efficientnet, _efficientnet_stages))


def _is_resnet(module: Any) -> bool:
    wanted = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4", "global_pool", "fc")
    return tuple(name for name, _ in module.named_children()) == wanted and all(
        isinstance(getattr(module, f"layer{i}"), nn.Sequential) for i in range(1, 5)
    )


def _resnet_stages(module: Any, size: tuple[int, int]) -> list[Stage]:
    blocks = [
        Stage(f"layer{i}.{j}", block, True, f"stage {i} of 4, block {j + 1}")
        for i in range(1, 5)
        for j, block in enumerate(getattr(module, f"layer{i}"))
    ]
    return [
        *(Stage(name, getattr(module, name), False) for name in ("conv1", "bn1", "act1", "maxpool")),
        *blocks,
        Stage("global_pool", module.global_pool, False),
        Stage("fc", module.fc, False),
    ]


SPLITS.add("resnet", Split("resnet", _is_resnet, _resnet_stages))


def _traced_stages(module: Any, size: tuple[int, int]) -> list[Stage]:
    found = pieces(module, size)
    prefix = getattr(module, "num_prefix_tokens", None)
    names = {piece.name for piece in found if piece.named and find_layout(piece.shape, size, prefix)}

    def offered(piece: Piece, following: Piece | None) -> bool:
        # Inside a block that can itself be explained only the blocks of a row are of interest, not its parts.
        parent = piece.name.rpartition(".")[0]
        inside = parent in names and not isinstance(module.get_submodule(parent), CONTAINERS)
        # What a convolution hands to its batch norm is no layer of its own: one step makes both when it runs.
        unfinished = isinstance(piece.module, nn.Conv2d) and isinstance(
            getattr(following, "module", None), nn.BatchNorm2d
        )
        return piece.named and not inside and not unfinished

    behind = [*found[1:], None]
    return [Stage(a.name, a.module, offered(a, b)) for a, b in zip(found, behind, strict=True)]


def _is_traceable(module: Any) -> bool:
    return isinstance(module, nn.Module) and next(module.parameters(), None) is not None


SPLITS.add("traced", Split("traced", _is_traceable, _traced_stages))


def is_nonnegative(module: nn.Module) -> bool:
    """True where the last thing a stage does is an activation that is never negative.

    Only compositions whose last step is certain are followed (sequences, normalisation plus activation); a
    block that may add a shortcut at its end counts as signed.
    """
    if isinstance(module, nn.Sequential):
        return len(module) > 0 and is_nonnegative(module[-1])
    if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):  # timm's norm-and-activation layers are subclasses
        activation = getattr(module, "act", None)
        return isinstance(activation, nn.Module) and is_nonnegative(activation)
    return isinstance(module, _NONNEGATIVE)


def pools_globally(stages: Sequence[Stage], places: tuple[int, ...] = MAPS) -> bool:
    """True where the first thing these stages do is to pool each whole map to one number.

    ``places``: the dimensions of the places of the picture in what the first stage is given.
    """
    first = _first(_steps(s.module for s in stages))
    return any(_is_global_average(m, places) or (places == MAPS and _is_global_pool(m)) for m in first)


def linear_head(stages: Sequence[Stage], places: tuple[int, ...] = MAPS) -> tuple[Tensor, Tensor] | None:
    """Weights (C, K) and bias (C,) where the stages are a global mean and one linear layer; else None.

    Recognised from the modules themselves (flattening and dropout, which is off in eval mode, may stand
    between), so that the logits are ``mean(activations) @ weights.T + bias``.
    """
    steps = list(_steps(stage.module for stage in stages))
    kinds = [m for m in steps if not isinstance(m, nn.Flatten)]
    if len(kinds) != 2 or not _is_global_average(kinds[0], places) or not isinstance(kinds[1], nn.Linear):
        return None
    linear = kinds[1]
    bias = linear.bias if linear.bias is not None else torch.zeros_like(linear.weight[:, 0])
    return linear.weight.detach(), bias.detach()


@dataclass(frozen=True)
class PointwiseHead:
    """A tail without any mixing of positions: 1 × 1 convolution, activation, global mean, linear layer.

    ``mix`` (M, K) and ``shift`` (M,) make the pre-activations of the K channels; ``act`` works element by
    element; ``weights`` (C, M) and ``bias`` (C,) make the logits from the means.
    """

    mix: Tensor
    shift: Tensor
    act: nn.Module
    weights: Tensor
    bias: Tensor


def pointwise_head(stages: Sequence[Stage]) -> PointwiseHead | None:
    """The parts of a tail that is a 1 × 1 convolution, an element-wise activation and a linear head; else None."""
    steps = list(_steps(stage.module for stage in stages))
    if not steps or not _is_pointwise(steps[0]):
        return None
    convolution, act = steps[0], nn.Identity()
    assert isinstance(convolution, nn.Conv2d)
    rest = steps[1:]
    if rest and isinstance(rest[0], _ELEMENTWISE):
        act, rest = rest[0], rest[1:]  # type: ignore[assignment]
    head = linear_head([Stage("", step, False) for step in rest])
    if head is None:
        return None
    mix = convolution.weight.detach().flatten(1)
    shift = torch.zeros_like(mix[:, 0]) if convolution.bias is None else convolution.bias.detach()
    return PointwiseHead(mix, shift, act, *head)


def _is_pointwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == module.stride == (1, 1)
        and module.padding in ((0, 0), "same", "valid")
        and module.groups == 1
    )


def _steps(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The modules one by one, sequences opened and those that change nothing in eval mode left out."""
    for module in modules:
        if isinstance(module, nn.Sequential):
            yield from _steps(module)
        elif not isinstance(module, TRANSPARENT):
            yield module


def _first(modules: Iterator[nn.Module]) -> list[nn.Module]:
    return [module for module in modules if not isinstance(module, nn.Flatten)][:1]


def _is_global_average(module: nn.Module, places: tuple[int, ...]) -> bool:
    if isinstance(module, MeanOver):
        return bool(places) and {dim % (len(places) + 2) for dim in module.dims} == set(places)
    if places != MAPS:
        return False
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return module.output_size in (1, (1, 1))
    return _timm_pool_type(module) == "avg"


def _is_global_pool(module: nn.Module) -> bool:
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return module.output_size in (1, (1, 1))
    return _timm_pool_type(module) not in (None, "")


def _timm_pool_type(module: nn.Module) -> str | None:
    """``avg``, ``max``, … of timm's selectable global pooling ("" where off); None for other modules."""
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d

    if not isinstance(module, SelectAdaptivePool2d):
        return None
    if getattr(module.pool, "output_size", 1) not in (1, (1, 1)):
        return None  # more than one cell is left: not global
    kind = str(module.pool_type)
    return "avg" if kind == "fast" else kind.removeprefix("fast")  # "fast": the same mean, computed otherwise
