"""A trained network as the library sees it: pure functions from pictures to activations and logits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from camlab.common.errors import BadSetting, UnknownName
from camlab.models.batching import group_size
from camlab.models.network.fold import agree, folded
from camlab.models.network.layout import Layout, find_layout, follows_places, quarters_changed
from camlab.models.network.split import (
    PLUS,
    PointwiseHead,
    Stage,
    TargetLayer,
    is_nonnegative,
    linear_head,
    pointwise_head,
    pools_globally,
    split,
    together,
)
from camlab.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL import Image


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
        self._memory = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self._stages = self._fastest(module)
        self._cut = {stage.name: i + 1 for i, stage in enumerate(self._stages) if stage.offered}
        self._layout = self._find_layouts()
        self.layers = self._describe()
        self.default_layer = next((x.name for x in reversed(self.layers) if x.pooled), self.layers[-1].name)
        self._by_name = {layer.name: layer for layer in self.layers}
        self._linear = {
            name: linear_head(self._stages[self._cut[name] :], self._layout[name].places)
            for name in self._by_name
        }
        self._pointwise = {
            name: pointwise_head(self._stages[self._cut[name] :])
            if self._layout[name].kind == "maps"
            else None
            for name in self._by_name
        }

    def _fastest(self, module: nn.Module) -> tuple[Stage, ...]:
        """The stages of a folded copy where it is shown to compute the same, else the module's own."""
        plain = split(module, self.input_size)
        # Convolutions on a CPU are about 1.3 times as fast with the channels of a pixel side by side.
        quick = split(folded(module).to(memory_format=self._memory), self.input_size)
        same = [stage.name for stage in quick] == [stage.name for stage in plain]
        with torch.inference_mode():
            start = x = self._probe(1)
            y = x.contiguous(memory_format=self._memory)
            for ours, theirs in zip(quick, plain, strict=True) if same else ():
                x, y = theirs.module(x), ours.module(y)
                # Between a convolution and its norm the two differ; nothing is ever read off there.
                same = same and (not (theirs.offered or theirs is plain[-1]) or agree(y, x))
            if not same:
                x = _run(plain, start)
            if not agree(x, module(start)):
                raise BadSetting(f"{self.title} cannot be cut into layers exactly; choose another model.")
        if not same:
            return plain
        # What can be explained is the network's own to say: in the copy a norm can no longer be told.
        return tuple(replace(a, offered=b.offered) for a, b in zip(quick, plain, strict=True))

    def _probe(self, count: int) -> Tensor:
        """Normalised pictures (count, 3, H, W) of independent pixels, the same every time."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(count, 3, *self.input_size, generator=generator).to(self.device)

    def _find_layouts(self) -> dict[str, Layout]:
        """How each offered stage's output holds maps; one in which no places of the picture are found is left out."""
        prefix = getattr(self.module, "num_prefix_tokens", None)
        found: dict[str, Layout] = {}
        with torch.inference_mode():
            x = self._probe(1)
            for stage in self._stages:
                x = stage.module(x)
                layout = find_layout(tuple(x.shape), self.input_size, prefix) if stage.offered else None
                if layout:
                    found[stage.name] = layout
        if x.shape != (1, len(self.class_names)):
            raise BadSetting(
                f"{self.title} has {x.shape[-1]} outputs but {len(self.class_names)} class names; name each."
            )
        for name in self._misplaced(found):
            del found[name]
        if not found:
            raise BadSetting(f"{self.title} has no layer with maps of the picture; choose another model.")
        return found

    def _misplaced(self, layouts: Mapping[str, Layout]) -> list[str]:
        """Layers whose tokens turn out not to lie row by row; maps of convolutions are in place by nature."""
        doubtful = {name: layout for name, layout in layouts.items() if layout.kind != "maps"}
        wrong: list[str] = []
        if not doubtful:
            return wrong
        in_place = True
        with torch.inference_mode():
            x = quarters_changed(self._probe(1))
            for stage in self._stages[: max(self._cut[name] for name in doubtful)]:
                x = stage.module(x)
                if layout := doubtful.get(stage.name):
                    verdict = follows_places(layout, x)
                    # Deep layers mix all places; nothing suggests that these change their order, too.
                    in_place = in_place if verdict is None else verdict
                    if not in_place:
                        wrong.append(stage.name)
        return wrong

    def _describe(self) -> tuple[TargetLayer, ...]:
        layers: list[TargetLayer] = []
        for i, stage in reversed(list(enumerate(self._stages))):
            layout = self._layout.get(stage.name)
            # Behind the last layer whose places the logits depend on there is nothing to explain: a class token
            # that is read off alone has taken in what it needs from the others before.
            if layout is None:
                continue
            pooled = pools_globally(self._stages[i + 1 :], layout.places)
            if not (layers or pooled or self._reaches(i + 1, layout)):
                continue
            what = ", ".join(part for part in (stage.title, "pooled" if pooled else "") if part)
            size = f"{layout.channels}×{layout.height}×{layout.width}"
            title = f"{stage.name} · {what} ({size})" if what else f"{stage.name} ({size})"
            layers.append(
                TargetLayer(
                    stage.name,
                    title,
                    layout.channels,
                    layout.height,
                    layout.width,
                    pooled,
                    is_nonnegative(stage.module),
                )
            )
        if not layers:
            raise BadSetting(f"{self.title} has no layer on which its logits depend; choose another model.")
        return tuple(reversed(layers))

    def _reaches(self, cut: int, layout: Layout) -> bool:
        """Whether the logits depend on most places of what comes out before the stage numbered ``cut``."""
        with torch.no_grad():
            x = _run(self._stages[:cut], self._probe(1))
        x = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            y = _run(self._stages[cut:], x.clone())
            (gradient,) = torch.autograd.grad(y.square().sum(), x)
        places = layout.to_maps(gradient).abs().sum(dim=1)
        return bool(places.isfinite().all()) and float((places > 0).float().mean()) > 0.5

    def resolve_layer(self, name: str | None) -> str:
        """Full name of a layer: None or "" is the default; ``blocks[6]`` and ``blocks[-1]`` count like lists.

        Several layers are joined by "+", which comes back without repeats and in the network's order. Raises
        UnknownName, with the layers there are, for anything else.
        """
        if not name:
            return self.default_layer
        if PLUS in name:
            chosen = {self.resolve_layer(part.strip()) for part in name.split(PLUS)}
            return PLUS.join(layer for layer in self._by_name if layer in chosen)
        if name in self._by_name:
            return name
        # A row of layers stands for its last one: what comes out of the row is what comes out of that.
        if inside := [layer.name for layer in self.layers if layer.name.startswith(f"{name}.")]:
            return inside[-1]
        if match := re.fullmatch(r"([A-Za-z_][\w.]*)\[(-?\d{1,4})\]", name):
            members = [layer.name for layer in self.layers if layer.name.rpartition(".")[0] == match[1]]
            index = int(match[2])
            if -len(members) <= index < len(members):
                return members[index]
        raise UnknownName(
            f"{self.title} has no layer called {name[:60]!r}; choose one of: {', '.join(self._by_name)}."
        )

    def layer_info(self, layer: str | None) -> TargetLayer:
        """The layer's entry, by any name ``resolve_layer`` takes; of several, what their mean is like."""
        name = self.resolve_layer(layer)
        return (
            self._by_name[name]
            if PLUS not in name
            else together([self._by_name[n] for n in name.split(PLUS)])
        )

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
        return _run(self._stages[self._cut[self.resolve_layer(layer)] :], activations)

    def to_maps(self, activations: Tensor, layer: str | None) -> Tensor:
        """The maps (N, K, h, w) in the activations of ``layer``, however the network lays them out."""
        return self._layout[self.resolve_layer(layer)].to_maps(activations)

    def with_maps(self, activations: Tensor, maps: Tensor, layer: str | None) -> Tensor:
        """Activations of ``layer`` with other maps (N, K, h, w) in place of theirs."""
        return self._layout[self.resolve_layer(layer)].with_maps(activations, maps)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, C), on the model's device, for pictures (N, 3, H, W) in [0, 1]."""
        return self._through(self._stages, self.normalise(x))

    def _through(self, stages: Sequence[Stage], z: Tensor) -> Tensor:
        return self.in_groups(stages, z.contiguous(memory_format=self._memory))

    def in_groups(self, stages: Sequence[Stage], x: Tensor) -> Tensor:
        """What comes out when ``x`` goes through the stages, a few pictures at a time on a CPU."""
        if not stages:
            return x
        parts = [_run(stages, part) for part in torch.split(x, group_size(self.device, len(x)))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def linear_head(self, layer: str | None) -> tuple[Tensor, Tensor] | None:
        """Weights (C, K) and bias (C,) where a global mean and one linear layer are all after ``layer``."""
        return self._linear.get(self.resolve_layer(layer))

    def pointwise_head(self, layer: str | None) -> PointwiseHead | None:
        """The tail where it is a 1 × 1 convolution, an activation, a global mean and one linear layer."""
        return self._pointwise.get(self.resolve_layer(layer))


def _run(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """What comes out when ``x`` goes through the stages, one after the other."""
    for stage in stages:
        x = stage.module(x)
    return x


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
