"""List the tensors of timm's architectures, and describe how a checkpoint's differ from them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from camlab.models.own.architectures import every_trunk
from camlab.models.own.signature import Shapes, shapes_of
from camlab.models.sizes import Arguments, Size, skeleton

SHOWN = 5  # names of each kind that a text lists before "and N more"
_NEAR = 0.6  # least similarity of two names for a suggestion (difflib's ratio)


def head_classes(shapes: Shapes, layers: Iterable[str]) -> int | None:
    """Return the number of outputs of the first existing one of the classifier's ``layers``; None without any."""
    for layer in layers:
        for part in ("bias", "weight"):
            if shape := shapes.get(f"{layer}.{part}"):
                return shape[0]
    return None


@lru_cache(maxsize=64)
def expected_shapes(
    architecture: str, classes: int | None = None, input_size: Size | None = None, arguments: Arguments = ()
) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a timm architecture's tensors, built without weights.

    ``input_size`` is (height, width), ``arguments`` go to the constructor. Raises UnknownName, and BadSetting for a
    size that the network does not take.
    """
    return shapes_of(skeleton(architecture, classes, input_size, arguments=arguments).state_dict())


@dataclass(frozen=True)
class Mismatch:
    """The differences between a checkpoint and a network, name by name.

    ``missing``: in the network only; ``unexpected``: in the checkpoint only; ``reshaped``: name → (the network's
    shape, the checkpoint's). ``nearest``: missing name → the most similar unexpected one of the same shape.
    """

    checkpoint: str
    architecture: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    nearest: Mapping[str, str]
    hint: str | None

    @property
    def sentence(self) -> str:
        """The differences in one sentence: counts, an example of each kind, and advice."""
        parts = [
            f"{len(names)} {word} ({names[0]})"
            for names, word in (
                (self.missing, "missing"),
                (self.unexpected, "unexpected"),
                (tuple(self.reshaped), "of another shape"),
            )
            if names
        ]
        advice = self.hint or "choose another architecture"
        return f"{self.checkpoint} does not fit {self.architecture}: tensors {', '.join(parts)}; {advice}."

    @property
    def lines(self) -> list[str]:
        """The sentence, then the first names of each kind and the number of further ones."""
        renamed = [f"{key} (the file has {near})" for key, near in self.nearest.items()]
        plain = [key for key in self.missing if key not in self.nearest]
        reshaped = [
            f"{key}: the network has {_size(ours)}, the file {_size(theirs)}"
            for key, (ours, theirs) in self.reshaped.items()
        ]
        return [
            self.sentence,
            *_block("Missing in the file", [*renamed, *plain]),
            *_block("In the file only", [k for k in self.unexpected if k not in set(self.nearest.values())]),
            *_block("Of another shape", reshaped),
        ]


def compare(network: Shapes, stored: Shapes, name: str, architecture: str, problem: str = "") -> Mismatch | None:
    """Return the differences between a network's tensors and a file's; None if there are none.

    ``problem`` is what is known to stand in the way, in a clause.
    """
    missing = tuple(key for key in network if key not in stored)
    unexpected = tuple(key for key in stored if key not in network)
    reshaped = {k: (network[k], stored[k]) for k in network if k in stored and network[k] != stored[k]}
    if not (missing or unexpected or reshaped):
        return None
    hint = problem or _prefix_hint(network, stored) or _input_hint(reshaped)
    nearest = {} if hint and not problem else _nearest(network, stored, missing, unexpected)
    return Mismatch(name, architecture, missing, unexpected, reshaped, nearest, hint)


def _prefix_hint(network: Shapes, stored: Shapes) -> str | None:
    """Return the advice to remove or add a prefix, if that makes most names fit; else None."""
    for longer, shorter, advice in (
        (stored, network, "all names in the file begin with {!r}: remove it"),
        (network, stored, "all names of the network begin with {!r}: add it to the file's"),
    ):
        for prefix in _prefixes(longer):
            hits = sum(shorter.get(key.removeprefix(prefix)) == longer[key] for key in longer)
            if hits > len(longer) / 2 and all(key.startswith(prefix) for key in longer):
                return advice.format(prefix)
    return None


def _prefixes(shapes: Shapes) -> list[str]:
    first = next(iter(shapes), "").split(".")
    return [".".join(first[:depth]) + "." for depth in range(1, len(first))]


def _input_hint(reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> str | None:
    """Return the explanation of a first convolution with another number of colour channels; else None."""
    for ours, theirs in reshaped.values():
        if len(ours) == len(theirs) == 4 and ours[1] == 3 and theirs[1] != 3 and ours[2:] == theirs[2:]:
            return f"it was trained on pictures with {theirs[1]} channels, and only RGB pictures can be explained"
    return None


def _nearest(network: Shapes, stored: Shapes, missing: Sequence[str], unexpected: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    left = list(unexpected)
    for key in missing[: 4 * SHOWN]:  # comparing all names would be slow, and only SHOWN are listed
        same = [other for other in left if stored[other] == network[key]]
        if match := difflib.get_close_matches(key, same, n=1, cutoff=_NEAR):
            found[key] = match[0]
            left.remove(match[0])
    return found


def classifier_of(architecture: str) -> tuple[str, ...]:
    """Return the layers of a timm architecture that output the logits; none for an unknown architecture."""
    from timm.models import get_pretrained_cfg

    found = next((trunk.classifier for trunk in every_trunk() if trunk.architecture == architecture), None)
    if found is not None:
        return found
    layers = getattr(get_pretrained_cfg(architecture), "classifier", None) or ()
    return (layers,) if isinstance(layers, str) else tuple(layers)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"


def _block(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  … and {len(entries) - SHOWN} more"] if len(entries) > SHOWN else []
    return [f"{title} ({len(entries)}):", *(f"  {entry}" for entry in entries[:SHOWN]), *more]
