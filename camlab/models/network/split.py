"""Split a network into a head (up to a layer) and a tail (from there to the logits).

A network is an ordered list of stages whose composition is the forward pass. Each row of ``SPLITS`` is the rule for
one family of networks: it recognises a module and lists its stages.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.models.network.layout import find_layout
from camlab.models.network.trace import CONTAINERS, TRANSPARENT, MeanOver, Piece, pieces

# Activations whose values are never negative.
_NONNEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.Threshold)
# Element-wise activations without weights.
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
#: Joins the names of layers whose maps are averaged.
PLUS = "+"
#: The spatial dimensions of maps (N, K, h, w).
MAPS = (2, 3)


@dataclass(frozen=True)
class Stage:
    """One step of the forward pass; ``offered``: it can be a target layer, because its output holds maps."""

    name: str
    module: nn.Module
    offered: bool
    title: str = ""


@dataclass(frozen=True)
class TargetLayer:
    """A layer whose output can be explained.

    ``channels``, ``height`` and ``width`` hold at the model's own input size; ``pooled``: global pooling
    reads its output directly; ``nonnegative``: it ends in an activation that is never negative.
    """

    name: str
    title: str
    channels: int
    height: int
    width: int
    pooled: bool
    nonnegative: bool


def together(layers: Sequence[TargetLayer]) -> TargetLayer:
    """Return the entry of several layers together, whose map is the mean of theirs on the finest grid."""
    finest = max(layers, key=lambda layer: layer.height * layer.width)
    channels = sum(layer.channels for layer in layers)
    name = PLUS.join(layer.name for layer in layers)
    title = f"{' + '.join(layer.name for layer in layers)} · averaged ({finest.height}×{finest.width})"
    nonnegative = all(layer.nonnegative for layer in layers)
    return TargetLayer(name, title, channels, finest.height, finest.width, False, nonnegative)


@dataclass(frozen=True)
class Split:
    """The rule for one family of networks: ``matches`` recognises a module, ``stages`` lists its steps."""

    matches: Callable[[Any], bool]
    stages: Callable[[Any, tuple[int, int]], list[Stage]]


SPLITS: Registry[Split] = Registry("way of splitting a network")


def split(module: nn.Module, size: tuple[int, int] = (224, 224)) -> tuple[Stage, ...]:
    """List the stages of ``module`` from input to output, by the first rule that matches.

    ``size`` is the pictures' (height, width). Raises BadSetting if no rule matches.
    """
    for rule in SPLITS.values():
        if rule.matches(module):
            return tuple(rule.stages(module, size))
    raise BadSetting(
        f"Networks of the kind {type(module).__name__} cannot be split into layers; choose a classifier from timm."
    )


def _add_chain(
    name: str, children: str, unpacked: Mapping[str, str], offered: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Add the rule for networks that run exactly these ``children`` in order.

    Target layers, each with its title, are the members of the ``unpacked`` sequences and the ``offered`` children.
    """

    def matches(module: Any) -> bool:
        # The exact list of children: relatives with one more step (MobileNetV3) must not match.
        return [child for child, _ in module.named_children()] == children.split() and all(
            isinstance(getattr(module, child), nn.Sequential) for child in unpacked
        )

    def stages(module: Any, size: tuple[int, int]) -> list[Stage]:
        found: list[Stage] = []
        for child, part in module.named_children():
            if title := unpacked.get(child):
                blocks = enumerate(part)
                found += [Stage(f"{child}.{i}", b, True, title.format(i + 1, len(part))) for i, b in blocks]
            else:
                found.append(Stage(child, part, child in offered, offered.get(child, "")))
        return found

    SPLITS.add(name, Split(matches, stages))


_add_chain(
    "efficientnet",
    "conv_stem bn1 blocks conv_head bn2 global_pool classifier",
    {"blocks": "stage {} of {}"},
    {"bn2": "last feature map"},
)
_add_chain(
    "resnet",
    "conv1 bn1 act1 maxpool layer1 layer2 layer3 layer4 global_pool fc",
    {f"layer{i}": f"stage {i} of 4, block {{}}" for i in range(1, 5)},
)


def _traced_stages(module: Any, size: tuple[int, int]) -> list[Stage]:
    found = pieces(module, size)
    prefix = getattr(module, "num_prefix_tokens", None)
    names = {piece.name for piece in found if piece.named and find_layout(piece.shape, size, prefix)}

    def offered(piece: Piece, following: Piece | None) -> bool:
        # Parts of a block that can itself be explained are not offered; the members of a container are.
        parent = piece.name.rpartition(".")[0]
        inside = parent in names and not isinstance(module.get_submodule(parent), CONTAINERS)
        # A convolution before its batch norm is not offered: when folded, the two are one step.
        unfinished = isinstance(piece.module, nn.Conv2d) and isinstance(
            getattr(following, "module", None), nn.BatchNorm2d
        )
        return piece.named and not inside and not unfinished

    behind = [*found[1:], None]
    return [Stage(a.name, a.module, offered(a, b)) for a, b in zip(found, behind, strict=True)]


def _is_traceable(module: Any) -> bool:
    return isinstance(module, nn.Module) and next(module.parameters(), None) is not None


SPLITS.add("traced", Split(_is_traceable, _traced_stages))


def is_nonnegative(module: nn.Module) -> bool:
    """Return whether a stage ends in an activation that is never negative.

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
    """Return whether these stages begin with the global pooling of each map to one number.

    ``places`` are the spatial dimensions of the first stage's input.
    """
    steps = _steps(stage.module for stage in stages)
    first = next((step for step in steps if not isinstance(step, nn.Flatten)), None)
    if first is None:
        return False
    return _is_global_average(first, places) or (places == MAPS and _is_global_pool(first))


def linear_head(stages: Sequence[Stage], places: tuple[int, ...] = MAPS) -> tuple[Tensor, Tensor] | None:
    """Return weights (C, K) and bias (C,) if the stages are a global mean and one linear layer; else None.

    The logits are then ``mean(activations) @ weights.T + bias``. Flattening and dropout (off in eval mode) may stand
    between the two.
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
    """A tail that mixes no positions: 1 × 1 convolution, activation, global mean, linear layer.

    ``mix`` (M, K) and ``shift`` (M,) map the K channels to pre-activations; ``act`` is element-wise; ``weights``
    (C, M) and ``bias`` (C,) map the means to logits.
    """

    mix: Tensor
    shift: Tensor
    act: nn.Module
    weights: Tensor
    bias: Tensor


def pointwise_head(stages: Sequence[Stage]) -> PointwiseHead | None:
    """Return the parts of a tail of a 1 × 1 convolution, an element-wise activation and a linear head; else None."""
    steps = list(_steps(stage.module for stage in stages))
    convolution = steps[0] if steps else None
    if not _is_pointwise(convolution):
        return None
    act: nn.Module = nn.Identity()
    rest = steps[1:]
    if rest and isinstance(rest[0], _ELEMENTWISE):
        act, rest = rest[0], rest[1:]
    head = linear_head([Stage("", step, False) for step in rest])
    if head is None:
        return None
    mix = convolution.weight.detach().flatten(1)
    shift = torch.zeros_like(mix[:, 0]) if convolution.bias is None else convolution.bias.detach()
    return PointwiseHead(mix, shift, act, *head)


def _is_pointwise(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == module.stride == (1, 1)
        and module.padding in ((0, 0), "same", "valid")
        and module.groups == 1
    )


def _steps(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules one by one, with sequences unpacked and modules without effect in eval mode left out."""
    for module in modules:
        if isinstance(module, nn.Sequential):
            yield from _steps(module)
        elif not isinstance(module, TRANSPARENT):
            yield module


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
    """``avg``, ``max``, … of timm's selectable global pooling ("" if off); None for other modules."""
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d

    if not isinstance(module, SelectAdaptivePool2d):
        return None
    if getattr(module.pool, "output_size", 1) not in (1, (1, 1)):
        return None  # more than one cell is left: not global
    kind = str(module.pool_type)
    return "avg" if kind == "fast" else kind.removeprefix("fast")  # "fast": the same mean, computed differently
