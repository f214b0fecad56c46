"""Fold a network's batch norms and padding into its convolutions, in a copy that runs faster."""

import copy
from itertools import pairwise
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from camlab.models.network.trace import Absorbed

#: The largest difference between a folded copy and the original, as a share of the largest value: float32 rounding
#: through a hundred layers is near 1e-6, a wrong fold near 1.
TOLERANCE = 1e-4


def folded(module: nn.Module) -> nn.Module:
    """Copy an eval-mode network, with each batch norm directly after a convolution folded into it.

    Convolutions that pad a copy of their input are replaced by `SamePadded`.

    In eval mode a batch norm is a fixed scale and shift of each channel, which the convolution's own weights
    can carry (Jacob et al. 2018, arXiv 1712.05877, eq. 14; the product is taken in float64). An activation
    inside the norm layer (timm's BatchNormAct2d) stays in the norm's place, under its name.

    "Directly after" means the next child of the same module, which usually, but not always, is the next step of the
    forward pass: the caller must compare the copy with the original.
    """
    copied = copy.deepcopy(module)
    _fold_children(copied)
    _pad_inside(copied)
    return copied


def _fold_children(parent: nn.Module) -> None:
    children = list(parent.named_children())
    for (_, before), (name, norm) in pairwise(children):
        convolution = _last(before)
        if isinstance(convolution, nn.Conv2d) and _is_fixed_norm(norm, convolution.out_channels):
            _absorb(convolution, norm)
            activation = getattr(norm, "act", None)
            idle = activation is None or isinstance(activation, nn.Identity)
            setattr(parent, name, Absorbed().eval() if idle else activation)
    for _, child in children:
        _fold_children(child)


def _last(module: nn.Module) -> nn.Module:
    """Return the last module of nested sequences: a deep stem's last convolution precedes the norm after the stem."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return module


class SamePadded(nn.Module):
    """A convolution with stride 2 and TensorFlow's "same" padding that does not copy its input to pad it.

    For an even size this padding has one row and column more at the end than at the start, which convolutions do not
    support; timm pads a copy. A kernel with a row and column of zeros at its start makes both sides equal, with the
    same products summed in the same order. Odd sizes use the original.
    """

    def __init__(self, original: nn.Conv2d) -> None:
        super().__init__()
        self.original = original
        self.padding = (original.kernel_size[0] - 1) // 2
        self.weight = nn.Parameter(functional.pad(original.weight, (1, 0, 1, 0)), requires_grad=False)
        self.train(original.training)

    @staticmethod
    def suits(module: nn.Module) -> TypeGuard[nn.Conv2d]:
        """Return whether this is timm's convolution of stride 2 with an odd square kernel, not dilated."""
        return (
            type(module).__name__ == "Conv2dSame"
            and isinstance(module, nn.Conv2d)
            and module.stride == (2, 2)
            and module.dilation == (1, 1)
            and module.kernel_size[0] == module.kernel_size[1]
            and module.kernel_size[0] % 2 == 1
            and module.kernel_size[0] > 1
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) to (N, K, ⌈H/2⌉, ⌈W/2⌉), like the original."""
        if x.shape[2] % 2 or x.shape[3] % 2:
            out: Tensor = self.original(x)
            return out
        bias, groups = self.original.bias, self.original.groups
        return functional.conv2d(x, self.weight, bias, 2, self.padding, groups=groups)


def _pad_inside(parent: nn.Module) -> None:
    for name, child in list(parent.named_children()):
        if SamePadded.suits(child):
            setattr(parent, name, SamePadded(child))
        else:
            _pad_inside(child)


def _is_fixed_norm(module: nn.Module, channels: int) -> TypeGuard[nn.BatchNorm2d]:
    return (
        isinstance(module, nn.BatchNorm2d)
        and not module.training
        and module.running_mean is not None
        and module.num_features == channels
    )


def _absorb(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    kind = convolution.weight.dtype
    fused = fuse_conv_bn_eval(convolution.double(), copy.deepcopy(norm).double())
    convolution.weight, convolution.bias = fused.weight, fused.bias
    convolution.to(kind).requires_grad_(False)


def agree(ours: Tensor, theirs: Tensor) -> bool:
    """Return whether two outputs are the same up to rounding (TOLERANCE of the largest value)."""
    if ours.shape != theirs.shape:
        return False
    scale = float(theirs.abs().amax()) if theirs.numel() else 0.0
    return bool(torch.isfinite(ours).all()) and float((ours - theirs).abs().amax()) <= TOLERANCE * scale
