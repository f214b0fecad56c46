"""Explain one small network with random weights per family of timm's classifiers, at its default layer.

`python -m benchmarks.families` checks all families and prints the results; the tests check some of them.
`--table` rewrites the table of the smallest network of each family.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.common.errors import CamLabError
from camlab.models.classifier import Classifier
from camlab.models.hub.catalogue import UNEXPLAINED
from camlab.models.preprocessing import Preprocessing

#: Families that cannot be explained layer by layer, each with the reason.
EXCEPTIONS = UNEXPLAINED
TABLE = Path(__file__).with_name("families.csv")
#: Skip a family whose smallest network has more parameters: it may not fit in memory.
MOST_PARAMETERS = 200_000_000
#: Networks up to this size are quick enough for the tests.
SMALL = 3_000_000
TARGETS = 4  # classes explained, as a random network may have no map for some; one of them must have a map


@dataclass(frozen=True)
class Family:
    """A family of timm's networks, and its smallest classifier."""

    name: str
    model: str
    parameters: int


@dataclass(frozen=True)
class Outcome:
    """The result for a family's network: its default layer, or the problem."""

    family: Family
    layer: str
    layers: int
    problem: str
    seconds: float


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """Return every family in timm's registry that has a classifier, with its smallest classifier, sorted by name.

    TABLE stores the smallest networks, because finding them takes minutes; only families that it lacks are searched.
    """
    known: dict[str, Family | None] = {}
    with TABLE.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            small = Family(row["family"], row["model"], int(row["parameters"])) if row["model"] else None
            known[row["family"]] = small
    found = [known[name] if name in known else smallest(models) for name, models in registry().items()]
    return tuple(sorted(filter(None, found), key=lambda each: each.name))


def registry() -> dict[str, list[str]]:
    """Return the names of timm's networks by family (the module that defines them)."""
    import timm
    from timm.models import _registry

    found: dict[str, list[str]] = {}
    for model in timm.list_models():
        found.setdefault(_registry._model_to_module[model], []).append(model)
    return found


def smallest(models: Sequence[str]) -> Family | None:
    """Return the smallest network of a family that has a classifier; None if none has one."""
    import timm
    from timm.models import _registry

    found = None
    for model in models:
        config: Any = timm.get_pretrained_cfg(model)
        if not config or not config.num_classes:
            continue
        try:
            with torch.device("meta"):
                network: Any = timm.create_model(model)
        except Exception:  # some networks compute with their own tensors, which the meta device does not allow
            network = timm.create_model(model)
        count = sum(p.numel() for p in network.parameters())
        if network.num_classes and (found is None or count < found.parameters):
            found = Family(_registry._model_to_module[model], model, count)
    return found


def write_table() -> None:
    """Rewrite TABLE: one row per family, without a model if the family has no classifier."""
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["family", "model", "parameters"])
        for name, models in sorted(registry().items()):
            found = smallest(models)
            writer.writerow([name, found.model, found.parameters] if found else [name, "", ""])


def random_classifier(model: str) -> Classifier:
    """Return a timm network with reproducible random weights as a classifier on the CPU."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = timm.create_model(model).eval()
        for parameter in network.parameters():
            # Heads and the ends of residual branches often start at zero, which blocks the gradient.
            if parameter.dim() > 1 and not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    names = tuple(f"class {i}" for i in range(network.num_classes))
    return Classifier(
        network,
        name=model,
        title=model,
        preprocessing=Preprocessing.from_timm(network.pretrained_cfg),
        class_names=names,
        device=torch.device("cpu"),
    )


def check(family: Family) -> Outcome:
    """Explain a random picture for a few classes by Grad-CAM; check that maps are finite and not all degenerate."""
    start = time.perf_counter()
    layer, layers = "", 0
    try:
        classifier = random_classifier(family.model)
        info = classifier.layer_info(None)
        layer, layers = info.title, len(classifier.layers)
        problem = _problem(classifier)
    except CamLabError as error:
        problem = str(error)
    return Outcome(family, layer, layers, problem, time.perf_counter() - start)


def _problem(classifier: Classifier) -> str:
    """Describe what is wrong with the maps at the default layer; empty if nothing is."""
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, *classifier.input_size, generator=generator)
    targets: list[int | None] = list(range(min(TARGETS, len(classifier.class_names))))
    pictures = picture.expand(len(targets), -1, -1, -1)
    shared = shared_pass(classifier, classifier.default_layer, pictures, targets, [""] * len(targets))
    whole = classifier.module(classifier.normalise(picture))
    if not torch.allclose(shared.logits[:1], whole, rtol=1e-3, atol=1e-3 * float(whole.abs().amax())):
        return "its parts do not compute what the whole network does"
    raw = CAMS["gradcam"].apply(shared)
    _, degenerate = scale_maps(raw)
    if not bool(raw.isfinite().all()):
        return "its maps are not finite"
    return "its maps are degenerate for every class tried" if bool(degenerate.all()) else ""


def main(names: Sequence[str]) -> int:
    """Check the named families, or all; print one line per family and the counts; return the number of surprises."""
    if "--table" in names:
        write_table()
        return 0
    covered = failed = 0
    for family in families():
        if (names and family.name not in names) or family.parameters > MOST_PARAMETERS:
            continue
        outcome = check(family)
        expected = EXCEPTIONS.get(family.name)
        covered += not outcome.problem
        failed += bool(outcome.problem) != bool(expected)
        result = outcome.problem or f"{outcome.layers} layers, default {outcome.layer}"
        print(f"{family.name} ({family.model}): {result} [{outcome.seconds:.1f} s]", flush=True)
    print(f"{covered} families explained, {len(EXCEPTIONS)} exceptions, {failed} unexpected")
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
