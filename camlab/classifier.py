"""A trained network as the library sees it: pure functions from pictures to activations and logits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from camlab.errors import BadSetting, UnknownName
from camlab.fold import agree, folded
from camlab.split import (
    PointwiseHead,
    Stage,
    is_nonnegative,
    linear_head,
    pointwise_head,
    pools_globally,
    split,
)

if TYPE_CHECKING:
    from PIL import Image

# How far from square a picture is resized whole; beyond it only the middle is, which is all that is used.
_WIDEST = 8
#: Pictures that go through a network together on a CPU. The activations of more outgrow what the allocator keeps
#: at hand: each layer's memory is then fetched from the system anew, which takes up to half as long again.
AT_ONCE = 6


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


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the input: shorter side resized to floor(side / ``crop_pct``), centre cropped.

    ``input_size`` is (height, width); ``mean`` and ``std`` are per channel, for values in [0, 1].
    """

    input_size: tuple[int, int]
    crop_pct: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read a timm configuration (``model.pretrained_cfg``). Raises BadSetting for one not covered."""
        channels, height, width = config["input_size"]
        if channels != 3 or config.get("crop_mode", "center") != "center":
            raise BadSetting(
                "This model wants another kind of input than a centre-cropped RGB picture; choose another."
            )
        interpolation = str(config["interpolation"])
        if interpolation not in ("bicubic", "bilinear", "nearest", "lanczos"):
            raise BadSetting(
                f"This model asks for {interpolation!r} resizing, which is not known; choose another model."
            )
        mean, std = (tuple(float(v) for v in config[key]) for key in ("mean", "std"))
        return cls((height, width), float(config["crop_pct"]), interpolation, mean, std)  # type: ignore[arg-type]

    def apply(self, image: Image.Image) -> Tensor:
        """RGB picture to a (3, H, W) float32 tensor in [0, 1], mean and std not yet applied."""
        from PIL import Image as Pil

        height, width = self.input_size
        picture = _middle(
            image if image.mode == "RGB" else image.convert("RGB"), max(width / height, height / width)
        )
        # Whole pixels: the shorter side is rounded down, and so is the longer one that goes with it.
        short = int(min(height, width) / self.crop_pct)
        if height == width:
            scale_w, scale_h = _shorter_side(picture.size, short)
        else:  # a model that is not square: cover both sides
            scale = max(height / self.crop_pct / picture.height, width / self.crop_pct / picture.width)
            scale_w, scale_h = (
                max(width, int(picture.width * scale)),
                max(height, int(picture.height * scale)),
            )
        picture = picture.resize((scale_w, scale_h), Pil.Resampling[self.interpolation.upper()])
        left, top = round((scale_w - width) / 2), round((scale_h - height) / 2)
        pixels = np.array(picture.crop((left, top, left + width, top + height)), dtype=np.uint8)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().to(torch.float32) / 255


class Classifier:
    """A network in eval mode with its preprocessing, class names and target layers.

    Nothing is changed after construction, and no hook is ever set, so threads may share one without a lock.
    Every method is a pure function; gradients flow through ``head``, ``tail`` and ``logits`` wherever the
    caller's tensor asks for them. ``module`` is there to be read or copied, never to be changed; what runs is
    a copy of it with the batch norms folded in, compared with it when the classifier is made.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        title: str,
        preprocessing: Preprocessing,
        class_names: Sequence[str],
        device: torch.device,
    ) -> None:
        """Take over ``module``: it is moved to ``device``, frozen and no longer the caller's to change.

        Raises BadSetting where the network cannot be split or the class names do not fit its outputs.
        """
        module = module.to(device).eval().requires_grad_(False)
        _work_on_copies(module)
        self.name = name
        self.title = title
        self.device = device
        self.preprocessing = preprocessing
        self.input_size = preprocessing.input_size
        self.class_names = tuple(class_names)
        self.module = module
        self.fingerprint = fingerprint(name, module, preprocessing)
        self._mean, self._std = (
            torch.tensor(v, dtype=torch.float32, device=device).view(1, 3, 1, 1)
            for v in (preprocessing.mean, preprocessing.std)
        )
        self._layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self._stages = self._fastest(module)
        self._cut = {stage.name: i + 1 for i, stage in enumerate(self._stages) if stage.offered}
        self.layers = self._measure()
        self.default_layer = next((x.name for x in reversed(self.layers) if x.pooled), self.layers[-1].name)
        self._by_name = {layer.name: layer for layer in self.layers}
        self._linear = {name: linear_head(self._stages[cut:]) for name, cut in self._cut.items()}
        self._pointwise = {name: pointwise_head(self._stages[cut:]) for name, cut in self._cut.items()}

    def _fastest(self, module: nn.Module) -> tuple[Stage, ...]:
        """The stages of a folded copy where it is shown to compute the same, else the module's own."""
        plain = split(module)
        # Convolutions on a CPU are about 1.3 times as fast with the channels of a pixel side by side.
        quick = split(folded(module).to(memory_format=self._layout))
        if [stage.name for stage in quick] != [stage.name for stage in plain]:
            return plain
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, 3, *self.input_size, generator=generator).to(self.device)
        with torch.inference_mode():
            y = x.contiguous(memory_format=self._layout)
            for ours, theirs in zip(quick, plain, strict=True):
                x, y = theirs.module(x), ours.module(y)
                # Between a convolution and its norm the two differ; nothing is ever read off there.
                if (theirs.offered or theirs is plain[-1]) and not agree(y, x):
                    return plain
        return quick

    def _measure(self) -> tuple[TargetLayer, ...]:
        layers = []
        with torch.inference_mode():
            x = torch.zeros(1, 3, *self.input_size, device=self.device)
            for i, stage in enumerate(self._stages):
                x = stage.module(x)
                if not stage.offered:
                    continue
                _, k, h, w = x.shape
                pooled = pools_globally(self._stages[i + 1 :])
                what = ", ".join(part for part in (stage.title, "pooled" if pooled else "") if part)
                title = f"{stage.name} · {what} ({k}×{h}×{w})"
                layers.append(TargetLayer(stage.name, title, k, h, w, pooled, is_nonnegative(stage.module)))
        if x.shape != (1, len(self.class_names)):
            raise BadSetting(
                f"{self.title} has {x.shape[-1]} outputs but {len(self.class_names)} class names; name each."
            )
        return tuple(layers)

    def resolve_layer(self, name: str | None) -> str:
        """Full name of a layer: None or "" is the default; ``blocks[6]`` and ``blocks[-1]`` count like lists.

        Raises UnknownName, with the layers there are, for anything else.
        """
        if not name:
            return self.default_layer
        if name in self._by_name:
            return name
        if match := re.fullmatch(r"([A-Za-z_][\w.]*)\[(-?\d{1,4})\]", name):
            members = [layer.name for layer in self.layers if layer.name.rpartition(".")[0] == match[1]]
            index = int(match[2])
            if -len(members) <= index < len(members):
                return members[index]
        raise UnknownName(
            f"{self.title} has no layer called {name[:60]!r}; choose one of: {', '.join(self._by_name)}."
        )

    def layer_info(self, layer: str | None) -> TargetLayer:
        """The layer's entry, by any name ``resolve_layer`` takes."""
        return self._by_name[self.resolve_layer(layer)]

    def preprocess(self, image: Image.Image) -> Tensor:
        """RGB picture to the model's input size: (3, H, W) float32 in [0, 1], on the CPU."""
        return self.preprocessing.apply(image)

    def normalise(self, x: Tensor) -> Tensor:
        """Apply the model's mean and standard deviation to (N, 3, H, W) in [0, 1], on the model's device."""
        return (x.to(self.device) - self._mean) / self._std

    def head(self, z: Tensor, layer: str | None) -> Tensor:
        """Activations (N, K, h, w) of ``layer`` for normalised pictures (N, 3, H, W)."""
        return self._through(self._stages[: self._cut[self.resolve_layer(layer)]], z)

    def tail(self, activations: Tensor, layer: str | None) -> Tensor:
        """Logits (N, C) from the activations (N, K, h, w) of ``layer``, which are left as they are."""
        for stage in self._stages[self._cut[self.resolve_layer(layer)] :]:
            activations = stage.module(activations)
        return activations

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, C), on the model's device, for pictures (N, 3, H, W) in [0, 1]."""
        return self._through(self._stages, self.normalise(x))

    def _through(self, stages: Sequence[Stage], z: Tensor) -> Tensor:
        size = AT_ONCE if self.device.type == "cpu" else max(1, len(z))
        parts = []
        for part in torch.split(z.contiguous(memory_format=self._layout), size):
            for stage in stages:
                part = stage.module(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def linear_head(self, layer: str | None) -> tuple[Tensor, Tensor] | None:
        """Weights (C, K) and bias (C,) where a global mean and one linear layer are all after ``layer``."""
        return self._linear[self.resolve_layer(layer)]

    def pointwise_head(self, layer: str | None) -> PointwiseHead | None:
        """The tail where it is a 1 × 1 convolution, an activation, a global mean and one linear layer."""
        return self._pointwise[self.resolve_layer(layer)]


def fingerprint(name: str, module: nn.Module, preprocessing: Preprocessing) -> str:
    """Hex digest of all that decides a prediction: architecture name, preprocessing, every tensor."""
    digest = hashlib.blake2b(repr((name, preprocessing)).encode(), digest_size=16)
    for key, tensor in module.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        digest.update(repr((key, str(values.dtype), tuple(values.shape))).encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _work_on_copies(module: nn.Module) -> None:
    """Stop activations from working in place, which could overwrite what a caller hands to ``tail``.

    Those inside a normalisation layer overwrite only what that layer has just made: they may go on.
    """
    for part in module.children():
        if getattr(part, "inplace", False) and not isinstance(module, nn.BatchNorm2d):
            setattr(part, "inplace", False)  # noqa: B010 - the type checker takes the attribute for a tensor
        _work_on_copies(part)


def _shorter_side(size: tuple[int, int], short: int) -> tuple[int, int]:
    width, height = size
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def _middle(image: Image.Image, aspect: float) -> Image.Image:
    """The picture itself, or the middle of a very long one, which whole would grow to gigabytes."""
    width, height = image.size
    limit = int(min(width, height) * _WIDEST * aspect)
    cut_w, cut_h = (max(0, side - limit) // 2 for side in (width, height))
    return image.crop((cut_w, cut_h, width - cut_w, height - cut_h)) if cut_w or cut_h else image
