"""The architectures that a checkpoint may have: those of the catalogue, and those without published weights.

Each is known by digests of its tensors (`camlab.models.own.signature`), so that none has to be built to be found.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from camlab.common.directories import ASSETS
from camlab.models.hub.catalogue import SHELF, catalogue

#: Written by ``python -m benchmarks.make_architectures``.
UNTRAINED = ASSETS / "untrained.csv"


@dataclass(frozen=True)
class Trunk:
    """The tensors of an architecture without its classifier.

    ``classifier`` names the layers that output the logits; ``signature`` and ``sketch`` are digests of all other
    tensors.
    """

    architecture: str
    classifier: tuple[str, ...]
    signature: str
    sketch: str


@cache
def trained() -> tuple[Trunk, ...]:
    """Return the architectures with published weights, the best known first.

    An architecture may stand there several times, as its tags may differ in input size and so in shapes.
    """
    rows = catalogue().values()
    found = {(r.architecture, r.signature): Trunk(r.architecture, r.classifier, r.signature, r.sketch) for r in rows}
    shelved = {name.partition(".")[0] for name in SHELF}
    return tuple(
        sorted(found.values(), key=lambda t: (t.architecture not in shelved, len(t.architecture), t.architecture))
    )


@cache
def untrained() -> tuple[Trunk, ...]:
    """Return the architectures that timm has no weights for."""
    with UNTRAINED.open(encoding="utf-8", newline="") as stream:
        stream.readline()  # the version of timm
        return tuple(
            Trunk(cells["architecture"], tuple(cells["classifier"].split()), cells["signature"], cells["sketch"])
            for cells in csv.DictReader(stream)
        )


@cache
def every_trunk() -> tuple[Trunk, ...]:
    """Return all architectures, those with published weights first."""
    return (*trained(), *untrained())


def classifier_words() -> frozenset[str]:
    """Return the words that timm's networks call their classifiers by: ``fc``, ``head``, ``classifier`` and others."""
    return _words(trunk.classifier for trunk in every_trunk())


def _words(classifiers: Iterable[tuple[str, ...]]) -> frozenset[str]:
    parts = (part for layers in classifiers for layer in layers for part in layer.split("."))
    return frozenset(part for part in parts if len(part) > 1 and not part.isdigit())
