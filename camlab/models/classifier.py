"""The loaded classifier: pure functions from pictures to activations and logits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from camlab.common.errors import BadSetting, UnknownName
from camlab.common.torch_state import pinned_arithmetic, pinned_torch
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
from camlab.models.own.signature import digest_of_values
from camlab.models.preprocessing import Preprocessing
from camlab.models.sizes import pixels

if TYPE_CHECKING:
    from PIL import Image


class Classifier:
    """A network in eval mode with its preprocessing, class names and target layers.

    It never changes after construction and sets no hooks, so threads may share it without a lock. Every method is
    a pure function of its arguments, in float32 whatever autocast or defaults the caller has set; gradients flow
    through ``head``, ``tail`` and ``logits`` if the caller's tensor requires them. ``module`` may be read or copied,
    but not changed. Predictions come from a copy with the batch norms folded in, if its outputs agree with the
    original's.
    """

    @pinned_torch()
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
        """Take over ``module``: move it to ``device`` in float32 and freeze it; the caller must not change it.

        Raises BadSetting if the network cannot be split or the class names do not fit its outputs.
        """
        if any(tensor.is_meta for tensor in module.state_dict().values()):
            raise BadSetting(f"{title} has no weights, only their shapes; build it outside the meta device.")
        open_to_gradients(module)
        module = module.float().to(device).eval().requires_grad_(False)
        stop_working_in_place(module)
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
            name: linear_head(self._stages[self._cut[name] :], self._layout[name].places) for name in self._by_name
        }
        self._pointwise = {
            name: pointwise_head(self._stages[self._cut[name] :]) if self._layout[name].kind == "maps" else None
            for name in self._by_name
        }

    def _fastest(self, module: nn.Module) -> tuple[Stage, ...]:
        """Return the stages of a folded copy if it computes the same, else the module's own."""
        whole = self._outputs(module)
        plain = split(module, self.input_size)
        # Convolutions on a CPU are about 1.3 times as fast with channels last.
        quick = split(folded(module).to(memory_format=self._memory), self.input_size)
        same = [stage.name for stage in quick] == [stage.name for stage in plain]
        with torch.inference_mode():
            start = x = self._probe(1)
            y = x.contiguous(memory_format=self._memory)
            for ours, theirs in zip(quick, plain, strict=True) if same else ():
                x, y = theirs.module(x), ours.module(y)
                # Between a convolution and its norm the two differ; no target layer is offered there.
                same = same and (not (theirs.offered or theirs is plain[-1]) or agree(y, x))
            if not same:
                x = _run(plain, start)
            if not agree(x, whole):
                raise BadSetting(f"{self.title} cannot be cut into layers exactly; choose another model.")
        if not same:
            return plain
        # The original decides which layers are offered, because the copy lacks the norms.
        return tuple(replace(a, offered=b.offered) for a, b in zip(quick, plain, strict=True))

    def _outputs(self, module: nn.Module) -> Tensor:
        """Return the whole network's outputs for the probe. Raises BadSetting if it does not run at its input size."""
        try:
            with torch.inference_mode():
                out: Tensor = module(self._probe(1))
        except Exception as error:  # each family has its own way to fail at a size
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise BadSetting(
                f"{self.title} does not run on pictures of {pixels(self.input_size)} ({reason[:100].rstrip('.')}); "
                "choose another size or model."
            ) from error
        return out

    def _probe(self, count: int) -> Tensor:
        """Return normalised pictures (count, 3, H, W) of independent pixels, the same every time."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(count, 3, *self.input_size, generator=generator).to(self.device)

    def _find_layouts(self) -> dict[str, Layout]:
        """Return the layout of each offered stage's output, except of outputs without a spatial grid."""
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
                f"{self.title} has {x.shape[-1]} outputs but {len(self.class_names)} class names; give one per output."
            )
        for name in self._misplaced(found):
            del found[name]
        if not found:
            raise BadSetting(f"{self.title} has no layer with maps of the picture; choose another model.")
        return found

    def _misplaced(self, layouts: Mapping[str, Layout]) -> list[str]:
        """Return the layers whose tokens do not lie row by row; maps of convolutions always do."""
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
                    # Deep layers mix all places, which proves no other order: keep the last verdict.
                    in_place = in_place if verdict is None else verdict
                    if not in_place:
                        wrong.append(stage.name)
        return wrong

    def _describe(self) -> tuple[TargetLayer, ...]:
        layers: list[TargetLayer] = []
        for i, stage in reversed(list(enumerate(self._stages))):
            layout = self._layout.get(stage.name)
            # Stop at the last layer on whose places the logits depend: if only the class token is read after that, it
            # has already collected the other tokens.
            if layout is None:
                continue
            pooled = pools_globally(self._stages[i + 1 :], layout.places)
            if not (layers or pooled or self._reaches(i + 1, layout)):
                continue
            details = ", ".join(part for part in (stage.title, "pooled" if pooled else "") if part)
            size = f"{layout.channels}×{layout.height}×{layout.width}"
            title = f"{stage.name} · {details} ({size})" if details else f"{stage.name} ({size})"
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
        """Return whether the logits depend on most places of the input of stage number ``cut``."""
        with torch.no_grad():
            x = _run(self._stages[:cut], self._probe(1))
        x = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            y = _run(self._stages[cut:], x.clone())
            (gradient,) = torch.autograd.grad(y.square().sum(), x)
        places = layout.to_maps(gradient).abs().sum(dim=1)
        return bool(places.isfinite().all()) and float((places > 0).float().mean()) > 0.5

    def resolve_layer(self, name: str | None) -> str:
        """Return a layer's full name; None or "" is the default, ``blocks[6]`` and ``blocks[-1]`` index like lists.

        Several layers are joined by "+" and returned without repeats in the network's order. Raises UnknownName,
        with the existing layers, for any other name.
        """
        if not name:
            return self.default_layer
        if PLUS in name:
            chosen = {self.resolve_layer(part.strip()) for part in name.split(PLUS)}
            return PLUS.join(layer for layer in self._by_name if layer in chosen)
        if name in self._by_name:
            return name
        # A container's name means its last layer, whose output is the container's.
        if inside := [layer.name for layer in self.layers if layer.name.startswith(f"{name}.")]:
            return inside[-1]
        if match := re.fullmatch(r"([A-Za-z_][\w.]*)\[(-?\d{1,4})\]", name):
            members = [layer.name for layer in self.layers if layer.name.rpartition(".")[0] == match[1]]
            index = int(match[2])
            if -len(members) <= index < len(members):
                return members[index]
        raise UnknownName(f"{self.title} has no layer called {name[:60]!r}; choose one of: {', '.join(self._by_name)}.")

    def layer_info(self, layer: str | None) -> TargetLayer:
        """Return the entry of a layer, by any name that ``resolve_layer`` takes, or of the mean of several layers."""
        name = self.resolve_layer(layer)
        return self._by_name[name] if PLUS not in name else together([self._by_name[n] for n in name.split(PLUS)])

    @pinned_torch()
    def preprocess(self, image: Image.Image) -> Tensor:
        """Resize and crop a picture to the model's input: (3, H, W) float32 in [0, 1], on the CPU."""
        return self.preprocessing.apply(image)

    @pinned_arithmetic()
    def normalise(self, x: Tensor) -> Tensor:
        """Apply the model's mean and standard deviation to (N, 3, H, W) in [0, 1]; float32 on the model's device."""
        return (x.to(self.device, torch.float32) - self._mean) / self._std

    @pinned_arithmetic()
    def head(self, z: Tensor, layer: str | None) -> Tensor:
        """Return the activations (N, K, h, w) of ``layer`` for normalised pictures (N, 3, H, W)."""
        return self._through(self._stages[: self._cut[self.resolve_layer(layer)]], z)

    @pinned_arithmetic()
    def tail(self, activations: Tensor, layer: str | None) -> Tensor:
        """Return the logits (N, C) for activations (N, K, h, w) of ``layer``, which are not changed."""
        return _run(self._stages[self._cut[self.resolve_layer(layer)] :], activations)

    def to_maps(self, activations: Tensor, layer: str | None) -> Tensor:
        """Return the activations of ``layer``, of any layout, as maps (N, K, h, w)."""
        return self._layout[self.resolve_layer(layer)].to_maps(activations)

    def with_maps(self, activations: Tensor, maps: Tensor, layer: str | None) -> Tensor:
        """Return activations of ``layer`` with their maps replaced by others (N, K, h, w)."""
        return self._layout[self.resolve_layer(layer)].with_maps(activations, maps)

    @pinned_arithmetic()
    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (N, C), on the model's device, for pictures (N, 3, H, W) in [0, 1]."""
        return self._through(self._stages, self.normalise(x))

    def _through(self, stages: Sequence[Stage], z: Tensor) -> Tensor:
        return self.in_groups(stages, z.contiguous(memory_format=self._memory))

    @pinned_arithmetic()
    def in_groups(self, stages: Sequence[Stage], x: Tensor) -> Tensor:
        """Run ``x`` through the stages, a few pictures at a time on a CPU."""
        if not stages:
            return x
        parts = [_run(stages, part) for part in torch.split(x, group_size(self.device, len(x)))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def linear_head(self, layer: str | None) -> tuple[Tensor, Tensor] | None:
        """Return weights (C, K) and bias (C,) if only a global mean and a linear layer follow, else None."""
        return self._linear.get(self.resolve_layer(layer))

    def pointwise_head(self, layer: str | None) -> PointwiseHead | None:
        """Return the tail if it is a 1 × 1 convolution, activation, global mean and linear layer; else None."""
        return self._pointwise.get(self.resolve_layer(layer))


def _run(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """Run ``x`` through the stages, one after the other."""
    for stage in stages:
        x = stage.module(x)
    return x


def fingerprint(name: str, module: nn.Module, preprocessing: Preprocessing) -> str:
    """Return the hex digest of everything that decides a prediction: architecture name, preprocessing, tensors."""
    return digest_of_values(module.state_dict().items(), repr((name, preprocessing)))


def open_to_gradients(module: nn.Module) -> None:
    """Copy weights that were made inside inference mode, in place: gradients could never flow through them."""
    copies: dict[Tensor, Tensor] = {}  # so that layers that share a weight still do
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            if parameter.is_inference():
                if parameter not in copies:
                    copies[parameter] = nn.Parameter(parameter.clone(), requires_grad=False)
                setattr(part, name, copies[parameter])
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.is_inference():
                setattr(part, name, copies.setdefault(buffer, buffer.clone()))


def stop_working_in_place(module: nn.Module) -> None:
    """Make activations work out of place, so that they cannot overwrite the input of ``tail``.

    Those inside a normalisation layer overwrite only that layer's own output and are left unchanged.
    """
    for part in module.children():
        if getattr(part, "inplace", False) and not isinstance(module, nn.BatchNorm2d):
            setattr(part, "inplace", False)  # noqa: B010 - the type checker takes the attribute for a tensor
        stop_working_in_place(part)
