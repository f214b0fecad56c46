"""List timm's classifiers: writes assets/architectures.csv and assets/untrained.csv.

    nice python -m benchmarks.make_architectures          # takes minutes; prints what is left out, and why

The first table has one row per pretrained name, the second one per architecture without published weights: a checkpoint
may be one of these too. Every architecture is built once per number of classes on the meta device,
without weights. The columns ``signature`` and ``sketch`` are digests of its tensors without the classifier
(`camlab.models.own.signature`), which identify a checkpoint's architecture. Run this again after an upgrade of timm.
timm's package contains no accuracies, so the table has none.
"""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import timm
import torch
from timm.data.imagenet_info import infer_imagenet_subset
from timm.models import get_pretrained_cfg, model_entrypoint

from camlab.models.hub.catalogue import TABLE, CatalogueRow
from camlab.models.own.architectures import UNTRAINED, Trunk
from camlab.models.own.signature import shapes_of, signature, sketch, without

#: Label sets that timm has no names for; every other number of outputs is an image embedding (CLIP and others).
OTHER_LABEL_SETS = {19168: "ImageNet-21K, winter 2021", 115217: "Bamboo"}

COLUMNS = tuple(field.name for field in fields(CatalogueRow))


def cells_of(row: CatalogueRow) -> list[str]:
    """Return the cells that `CatalogueRow.parse` reads; a hub id that follows from the name is empty."""
    height, width = row.input_size
    texts = {
        **{name: str(getattr(row, name)) for name in COLUMNS},
        "input_size": f"{height}x{width}",
        "hub_id": "" if row.hub_id == row.id else row.hub_id,
        "classifier": " ".join(row.classifier),
    }
    return [texts[name] for name in COLUMNS]


def reason_against(config: Any) -> str | None:
    """Return why a pretrained configuration is left out of the table; None if it is not."""
    if not config.num_classes:
        return "has no classifier"
    if infer_imagenet_subset(config.to_dict()) is None and config.num_classes not in OTHER_LABEL_SETS:
        return f"its {config.num_classes} outputs are an embedding, not classes"
    if not config.hf_hub_id:
        return "its weights are not on the Hugging Face hub"
    if not config.classifier:
        return "does not say which layer is its classifier"
    return None


def row_of(name: str) -> CatalogueRow:
    """Return the table's row for one pretrained name. Raises timm's errors if it cannot be built."""
    config: Any = get_pretrained_cfg(name)
    classifier = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier)
    fixed = config.input_size if config.fixed_input_size else None
    parameters, digest, minhash = _built(config.architecture, name, config.num_classes, fixed, classifier)
    _, height, width = config.input_size
    return CatalogueRow(
        name=name,
        family=model_entrypoint(config.architecture).__module__.rpartition(".")[2],
        parameters=parameters,
        input_size=(height, width),
        classes=config.num_classes,
        licence=config.license or "not stated",
        hub_id=config.hf_hub_id,
        crop_mode=config.crop_mode,
        classifier=classifier,
        signature=digest,
        sketch=minhash,
    )


_names: dict[tuple[object, ...], str] = {}


def _built(architecture: str, name: str, *rest: Any) -> tuple[int, str, str]:
    # Tags of one architecture with equal tensor shapes share one build.
    return _build(_names.setdefault((architecture, *rest), name), rest[-1])


@cache
def _build(name: str, classifier: tuple[str, ...]) -> tuple[int, str, str]:
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    modules = dict(model.named_modules())
    if lost := [layer for layer in classifier if layer not in modules]:
        raise LookupError(f"there is no layer {', '.join(lost)}")
    shapes = without(shapes_of(model.state_dict()), classifier)
    return sum(p.numel() for p in model.parameters()), signature(shapes), sketch(shapes)


def rows(names: Sequence[str]) -> list[CatalogueRow]:
    """Return the rows of all names that belong in the table; report on stderr why the others do not."""
    found = []
    for number, name in enumerate(names, 1):
        reason = reason_against(get_pretrained_cfg(name))
        try:
            if reason is None:
                found.append(row_of(name))
        except Exception as error:  # a network's code may raise anything; leave that network out
            reason = f"cannot be built ({type(error).__name__}: {error})"
        if reason is not None:
            print(f"{number} of {len(names)}: {name}: left out, {reason}", file=sys.stderr)
    return found


def trunks(architectures: Sequence[str]) -> list[Trunk]:
    """Return the rows of architectures without published weights; report on stderr why some are left out."""
    found = []
    for architecture in architectures:
        config: Any = get_pretrained_cfg(architecture)
        classifier = getattr(config, "classifier", None) or ()
        layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        try:
            with torch.device("meta"):
                shapes = without(shapes_of(timm.create_model(architecture, pretrained=False).state_dict()), layers)
        except Exception as error:  # a network's code may raise anything; leave that network out
            print(f"{architecture}: left out, cannot be built ({type(error).__name__}: {error})", file=sys.stderr)
            continue
        if layers:
            found.append(Trunk(architecture, layers, signature(shapes), sketch(shapes)))
        else:
            print(f"{architecture}: left out, does not say which layer is its classifier", file=sys.stderr)
    return found


def write_untrained(found: Sequence[Trunk]) -> None:
    """Write the second table."""
    with UNTRAINED.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# timm {timm.__version__}\n")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Trunk)])
        writer.writerows([t.architecture, " ".join(t.classifier), t.signature, t.sketch] for t in found)


def main(argv: Sequence[str] | None = None) -> None:
    """Build and write the table; print the size of the file."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    names = timm.list_models(pretrained=True)
    found = rows(names)
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# timm {timm.__version__}\n")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(cells_of(row) for row in found)
    print(f"{TABLE.name}: {len(found)} of {len(names)} names, {TABLE.stat().st_size:,} bytes")
    others = trunks(sorted(set(timm.list_models()) - {row.architecture for row in found}))
    write_untrained(others)
    print(f"{UNTRAINED.name}: {len(others)} architectures, {UNTRAINED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
