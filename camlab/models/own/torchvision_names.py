"""Read weights under torchvision's names as those of timm's network that computes the same.

The names follow from both networks themselves: tensors correspond in the order in which a forward pass comes to them.
For which networks this holds stands in a table, whose writer compares the outputs of both.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from camlab.common.directories import ASSETS
from camlab.models.own.architectures import Trunk
from camlab.models.own.checkpoint import LEVEL, Checkpoint
from camlab.models.own.search import CheckpointPlace, likenesses, places
from camlab.models.sizes import skeleton

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Written by ``python -m benchmarks.make_torchvision``.
TABLE = ASSETS / "torchvision.csv"
_LIKELY = 0.5  # least resemblance of the same tensors with and without a classifier
_CLASSES = 2  # of the networks compared: any number
_KINDS = ("weight", "bias", "running_mean", "running_var")  # tensors of other names are of one kind
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of all of torchvision's classifiers


@dataclass(frozen=True)
class TorchvisionNet:
    """A classifier of torchvision whose tensors timm calls otherwise.

    ``architecture`` is timm's network that computes the same, or empty; then ``reason`` says why there is none.
    ``way`` is "order" if the names follow from the order of use, "timm" if timm's own conversion knows them. ``side``
    is the input's in pixels, ``crop_pct`` and ``interpolation`` are those of the published weights; ``classifier``
    are the layers with as many outputs as classes, the network's own one first, and ``signature`` and ``sketch`` are
    digests of all other tensors.
    """

    name: str
    architecture: str
    way: str
    reason: str
    side: int
    crop_pct: float
    interpolation: str
    classifier: tuple[str, ...]
    signature: str
    sketch: str

    @property
    def trunk(self) -> Trunk:
        """Its tensors, as a search compares them."""
        return Trunk(self.name, self.classifier, self.signature, self.sketch)


@cache
def torchvision_nets() -> dict[str, TorchvisionNet]:
    """Return the rows of the table by name."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        stream.readline()  # the versions of torchvision and timm
        return {
            cells["name"]: TorchvisionNet(
                **{key: text for key, text in cells.items() if key not in ("side", "crop_pct", "classifier")},
                side=int(cells["side"]),
                crop_pct=float(cells["crop_pct"]),
                classifier=tuple(cells["classifier"].split()),
            )
            for cells in csv.DictReader(stream)
        }


def in_timms_names(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose networks of torchvision have timm's names, with a note and their preprocessing.

    One without such a network is returned as it is.
    """
    for place, net in _found(checkpoint):
        # With and without a wrapper's prefix a network is found twice.
        if net.architecture and checkpoint.state.keys() >= set(place.names.values()):
            checkpoint = _renamed(checkpoint, place, net)
    return checkpoint


def read_by_timm(checkpoint: Checkpoint) -> tuple[str, int] | None:
    """Return timm's architecture and the number of outputs, if timm's own conversion reads a network of torchvision."""
    for place, net in _found(checkpoint):
        weight = place.shapes.get(f"{net.classifier[0]}.weight")
        if net.way == "timm" and weight is not None:
            return net.architecture, weight[0]
    return None


def without_counterpart(checkpoint: Checkpoint) -> str:
    """Return why a network of torchvision in a checkpoint cannot be read, in a clause; empty if there is none."""
    nets = [net for _, net in _found(checkpoint) if not net.architecture]
    return f"is torchvision's {nets[0].name}, and {nets[0].reason}" if nets else ""


def _found(checkpoint: Checkpoint) -> list[tuple[CheckpointPlace, TorchvisionNet]]:
    nets = torchvision_nets()
    if not checkpoint.state:
        return []
    alike = likenesses(places(checkpoint.shapes), [net.trunk for net in nets.values()], _LIKELY)
    return [(each.place, nets[each.trunk.architecture]) for each in alike if each.exact]


def _renamed(checkpoint: Checkpoint, place: CheckpointPlace, net: TorchvisionNet) -> Checkpoint:
    state = dict(checkpoint.state) if net.way == "timm" else _moved(checkpoint, place, net)
    facts = {
        "architecture": net.architecture,
        "mean": MEAN,
        "std": STD,
        "input_size": (3, net.side, net.side),
        "crop_pct": net.crop_pct,
        "interpolation": net.interpolation,
    }
    known = {f"torchvision's {net.name}{LEVEL}{key}": value for key, value in facts.items()}
    note = f"The tensors have the names of torchvision's {net.name}, and are those of timm's {net.architecture}."
    notes = tuple(dict.fromkeys([*checkpoint.notes, note]))
    return replace(checkpoint, state=state, facts={**checkpoint.facts, **known}, notes=notes)


def _moved(checkpoint: Checkpoint, place: CheckpointPlace, net: TorchvisionNet) -> dict[str, Tensor]:
    """Return all tensors of a file, those of a network of torchvision under timm's names."""
    counterparts = _counterparts(net.name)
    classifier = net.classifier[0]
    layer = counterparts[f"{classifier}.weight"][0].removesuffix(".weight")
    taken = set(place.names.values())
    state = {full: value for full, value in checkpoint.state.items() if full not in taken}
    for own, full in place.names.items():
        value = checkpoint.state[full]
        if own.startswith(f"{classifier}."):  # its outputs differ in number, and it may stand in a container
            state[place.prefix + layer + own.removeprefix(classifier)] = value
        elif own in counterparts:
            ours, shape = counterparts[own]
            state[place.prefix + ours] = value.reshape(shape)
    return state


@lru_cache(maxsize=8)
def _counterparts(name: str) -> Mapping[str, tuple[str, tuple[int, ...]]]:
    """Return timm's name and shape of each tensor of a network of torchvision."""
    net = torchvision_nets()[name]
    ours = skeleton(net.architecture, _CLASSES)
    names = corresponding_names(torchvision_skeleton(name, _CLASSES), ours, net.side)
    shapes = {own: tuple(value.shape) for own, value in ours.state_dict().items()}
    return {theirs: (own, shapes[own]) for own, theirs in names.items()}


def options_of(name: str) -> dict[str, Any]:
    """Return the options without which a network of torchvision has layers that only its training needs."""
    return {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}


def torchvision_skeleton(name: str, classes: int, whole: bool = False) -> nn.Module:
    """Build a network of torchvision on the meta device; ``whole`` includes layers that only its training needs."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torchvision.models import get_model

    class WeightsOnMeta(TorchFunctionMode):
        """Puts weights on the meta device, but not the tensors with which a network computes its sizes."""

        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            told = dict(kwargs or {})
            if func in (torch.empty, torch.zeros, torch.ones) and told.get("device") is None:
                told["device"] = "meta"
            return func(*args, **told)

    with torch.random.fork_rng(devices=[]), WeightsOnMeta():
        network: nn.Module = get_model(name, weights=None, num_classes=classes, **({} if whole else options_of(name)))
    return network.eval().to("meta")


def corresponding_names(theirs: nn.Module, ours: nn.Module, side: int) -> dict[str, str]:
    """Return our name of each tensor and theirs, for two networks on the meta device; empty if they have others.

    Tensors of one kind with the same number of rows and of values correspond in the order in which a forward pass over
    ``side`` pixels uses them.
    """
    mine, others = (_by_shape(module, side) for module in (ours, theirs))
    if {shape: len(names) for shape, names in mine.items()} != {shape: len(names) for shape, names in others.items()}:
        return {}
    return {own: their for shape, names in mine.items() for own, their in zip(names, others[shape], strict=True)}


def _by_shape(module: nn.Module, side: int) -> Mapping[tuple[object, ...], list[str]]:
    """Return the names of a network's tensors in the order of use, by kind and by their numbers of rows and values."""
    import torch

    order: dict[str, None] = {}
    handles = [
        each.register_forward_pre_hook(lambda *_, name=name: order.setdefault(name))
        for name, each in module.named_modules()
    ]
    try:
        with torch.no_grad():
            module(torch.empty(1, 3, side, side, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    ranks = {name: rank for rank, name in enumerate(order)}
    for name, _ in module.named_modules():
        if name not in ranks:  # what is never called itself, as an attention's projection, belongs to what is above it
            ranks[name] = ranks[name.rpartition(".")[0]]
    # Indices and counters are integers: each project keeps its own, and they follow from the architecture.
    state = {key: value for key, value in module.state_dict().items() if value.is_floating_point()}
    found: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for key in sorted(state, key=lambda key: ranks[key.rpartition(".")[0]]):
        kind = next((kind for kind in _KINDS if key.endswith(kind)), "")
        found[(kind, *state[key].shape[:1], state[key].numel())].append(key)
    return found
