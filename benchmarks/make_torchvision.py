"""List torchvision's classifiers and timm's networks that compute the same: writes assets/torchvision.csv.

    nice python -m benchmarks.make_torchvision --most 30      # takes minutes; prints what is compared

Networks whose tensors have the same names in both are left out. For the others, timm's architectures with the same
number of parameters are tried: random weights go into torchvision's network and, renamed, into timm's, and both must
give the same outputs for random pixels. The epsilons of their norms, which hardly change such outputs, and their
strides and paddings must be equal. Of networks with more than ``--most`` million parameters only these and the shapes
are compared, if the smallest one of their family agrees.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models

from camlab.models.hub.catalogue import catalogue
from camlab.models.own.architectures import untrained
from camlab.models.own.signature import shapes_of, signature, sketch, without
from camlab.models.own.torchvision_names import (
    TABLE,
    TorchvisionNet,
    corresponding_names,
    options_of,
    torchvision_skeleton,
)
from camlab.models.sizes import create, skeleton

CLASSES = 7
TOLERANCE = 1e-4  # of the outputs' standard deviation; both compute in float32
NONE = "no network of timm is known that takes these weights"
OTHER = "timm's network with these layers computes something else"


def parameters(module: nn.Module) -> int:
    """Count a network's parameters."""
    return sum(p.numel() for p in module.parameters())


def candidates(name: str, theirs: nn.Module) -> Iterator[str]:
    """Yield timm's architectures with as many parameters, those with published weights first."""
    count = parameters(torchvision_skeleton(name, 1000))
    yield from dict.fromkeys(row.architecture for row in catalogue().values() if row.parameters == count)
    start = name[:5]
    for trunk in untrained():
        if trunk.architecture.startswith(start) and parameters(skeleton(trunk.architecture, 1000)) == count:
            yield trunk.architecture


def agree(name: str, architecture: str, names: Mapping[str, str], side: int) -> bool:
    """Return whether both networks give the same outputs with the same random weights.

    Without ``names`` the weights go through timm's own conversion.
    """
    generator = torch.Generator().manual_seed(0)
    theirs = get_model(name, weights=None, num_classes=CLASSES, **options_of(name)).eval()
    values = theirs.state_dict()
    for key, value in values.items():
        values[key] = _random(key, value, generator)
    theirs.load_state_dict(values)
    try:
        if names:
            ours = timm.create_model(architecture, num_classes=CLASSES).eval()
            own = ours.state_dict()
            ours.load_state_dict({k: values[names[k]].reshape(v.shape) if k in names else v for k, v in own.items()})
        else:
            told: Any = {"state_dict": values, "label_offset": 0, "custom_load": False}
            ours = create(architecture, CLASSES, **told).eval()
    except Exception as error:  # each family has its own conversion, which may raise anything on unknown names
        print(f"{name}, {architecture}: {type(error).__name__}")
        return False
    pixels = torch.rand(1, 3, side, side, generator=generator)
    with torch.inference_mode():
        a, b = theirs(pixels), ours(pixels)
    print(f"{name}, {architecture}: outputs differ by {float((a - b).abs().max() / a.std()):.1e} of their deviation")
    return bool((a - b).abs().max() <= TOLERANCE * a.std())


def settings_of(module: nn.Module) -> list[tuple[object, ...]]:
    """Return the epsilons of a network's norms, and stride and padding of its strided convolutions, sorted."""
    found: list[tuple[object, ...]] = []
    for each in module.modules():
        if isinstance(each, nn.Conv2d) and max(each.stride) > 1:
            found.append((each.stride, each.padding))
        elif isinstance(eps := getattr(each, "eps", None), float):
            found.append((eps,))
    return sorted(found, key=repr)


def _random(key: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """Return values under which signals neither vanish nor explode."""
    if not value.is_floating_point():
        return value
    if value.ndim > 1 and value.numel() > max(value.shape):
        return torch.randn(value.shape, generator=generator) * math.sqrt(1 / value[0].numel())
    return torch.rand(value.shape, generator=generator) * 0.5 + (-0.25 if key.endswith(("bias", "mean")) else 0.75)


def row_of(name: str, most: int, families: dict[str, str]) -> TorchvisionNet | None:
    """Return the table's row of a network; None if timm has its tensors under the same names."""
    theirs = torchvision_skeleton(name, CLASSES)
    # The first weights of the smallest input, which is the one that the network is built for.
    crop: Any = min((w.transforms() for w in get_model_weights(name)), key=lambda crop: crop.crop_size[0])
    side, resize = crop.crop_size[0], crop.resize_size[0]
    whole = torchvision_skeleton(name, CLASSES, whole=True)
    layers = [
        key for key, m in whole.named_modules() if getattr(m, "out_features", getattr(m, "out_channels", 0)) == CLASSES
    ]
    classifier = tuple(sorted(layers, key=lambda key: key not in dict(theirs.named_modules())))
    trunk = without(shapes_of(whole.state_dict()), classifier)
    # Versions are families of their own: mobilenet_v2 and mobilenet_v3, regnet_x and regnet_y.
    family = re.match(r"regnet_[xy]|[a-z]+(_v[0-9])?", name)[0]  # type: ignore[index]
    architecture, way, reason = "", "", NONE
    for candidate in candidates(name, theirs):
        ours = skeleton(candidate, CLASSES)
        if shapes_of(ours.state_dict()) == shapes_of(whole.state_dict()):
            return None
        names = corresponding_names(theirs, ours, side)
        ways = {"order": names, "timm": {}} if names else {"timm": {}}
        if settings_of(theirs) != settings_of(ours):
            way = ""
        elif parameters(theirs) > most * 1e6 and family in families:
            way = families[family]
        else:
            way = next((way for way, used in ways.items() if agree(name, candidate, used, side)), "")
            families.setdefault(family, way)
        if way:
            architecture, reason = candidate, ""
            break
        reason = OTHER if names else NONE
    digests = signature(trunk), sketch(trunk)
    share = side / resize
    return TorchvisionNet(name, architecture, way, reason, side, share, crop.interpolation.value, classifier, *digests)


def main(argv: Sequence[str] | None = None) -> None:
    """Compare the networks and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=150, help="millions of parameters of a network whose outputs count")
    most = parser.parse_args(argv).most
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    families: dict[str, str] = {}
    size = {name: parameters(torchvision_skeleton(name, CLASSES)) for name in list_models(module=torchvision.models)}
    rows = [row for name in sorted(size, key=lambda name: size[name]) if (row := row_of(name, most, families))]
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# torchvision {torchvision.__version__.partition('+')[0]}, timm {timm.__version__}\n")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(TorchvisionNet)])
        for row in sorted(rows, key=lambda row: row.name):
            writer.writerow([" ".join(cell) if isinstance(cell, tuple) else cell for cell in astuple(row)])
    print(f"{TABLE.name}: {sum(bool(row.architecture) for row in rows)} of {len(rows)} networks have a counterpart")


if __name__ == "__main__":
    main()
