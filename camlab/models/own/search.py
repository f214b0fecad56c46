"""Search the tensors of a file for networks: every dictionary in it, and every prefix of its names, is a place.

A place is compared with an architecture by names and shapes. What training scripts store around a network (other
entries, prefixes, an optimiser, losses, metrics, averaged copies) then needs no list of names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from camlab.models.own.architectures import Trunk, classifier_words
from camlab.models.own.checkpoint import LEVEL
from camlab.models.own.signature import Shapes, resemblances, signature, sketch, without

_LEAST = 8  # tensors of a network: fewer are a layer
_EXACT = 0.5  # least resemblance of the same tensors with and without a classifier
_MOST_PLACES = 3000  # the largest ones, of a file with very many
#: Module names that torch's own wrappers (parallel, compiled, sharded, checkpointed) put anywhere into a name.
_WRAPPERS = frozenset({"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
#: Words for copies of a network: averages of its weights, and models that taught it or follow it.
_AVERAGED = frozenset({"ema", "swa", "average", "averaged", "avg", "shadow"})
TEACHER = frozenset({"teacher", "teachers", "momentum", "target", "old", "previous", "init", "initial"})
LAST = 2  # the rank of a teacher's weights


@dataclass(frozen=True)
class CheckpointPlace:
    """The tensors whose full names begin with ``prefix``; ``names`` maps their own names to the full ones."""

    prefix: str
    names: Mapping[str, str]
    shapes: Shapes
    _digests: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False)

    @cached_property
    def sketch(self) -> str:
        """The sketch of all tensors here."""
        return sketch(self.shapes)

    def digest(self, classifier: tuple[str, ...]) -> str:
        """Return the signature of all tensors here outside the layers of a classifier."""
        if classifier not in self._digests:
            self._digests[classifier] = signature(without(self.shapes, classifier))
        return self._digests[classifier]

    @property
    def words(self) -> frozenset[str]:
        """The words of the prefix: model and ema of ``model_ema/module.``."""
        return frozenset(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.prefix).lower()))

    @property
    def rank(self) -> int:
        """0 for averaged weights, which training scripts evaluate; 1 for plain ones; LAST for a teacher's."""
        return LAST if self.words & TEACHER else 0 if self.words & _AVERAGED else 1

    @property
    def entry(self) -> str:
        """The keys of the dictionaries that lead here; empty at the top of the file."""
        return self.prefix.rpartition(LEVEL)[0]

    @property
    def title(self) -> str:
        """The place in words: the entry 'model', the prefix 'module.', both, or the file itself."""
        entry, _, prefix = self.prefix.rpartition(LEVEL)
        parts = [f"the entry {entry!r}"] * bool(entry) + [f"the prefix {prefix!r}"] * bool(prefix)
        return " and ".join(parts) or "the file itself"


def places(shapes: Shapes) -> list[CheckpointPlace]:
    """Return all places that may hold a network, the largest first."""
    under: dict[str, list[str]] = defaultdict(list)
    for full in shapes:
        under[""].append(full)
        for mark in re.finditer(r"[/.]", full):
            under[full[: mark.end()]].append(full)
    # The deepest of several places with the same tensors has the network's own names.
    distinct = {tuple(names): prefix for prefix, names in sorted(under.items(), key=lambda item: len(item[0]))}
    largest = sorted(distinct.items(), key=lambda item: -len(item[0]))[:_MOST_PLACES]
    found = [_place(prefix, names, shapes) for names, prefix in largest if len(names) >= _LEAST]
    # A whole file may be a small network, and the names in common may be the network's own.
    whole = [_place(prefix, names, shapes) for prefix, names in under.items() if len(names) == len(shapes)]
    return list({place.prefix: place for place in [*found, *whole]}.values())


def _place(prefix: str, full_names: Iterable[str], shapes: Shapes) -> CheckpointPlace:
    full = list(full_names)
    names = {_unwrapped(name.removeprefix(prefix)): name for name in full}
    if len(names) < len(full):  # two names would become equal
        names = {name.removeprefix(prefix): name for name in full}
    return CheckpointPlace(prefix, names, {own: shapes[name] for own, name in names.items()})


def _unwrapped(name: str) -> str:
    *modules, last = name.split(".")
    return ".".join([*(m for m in modules if m not in _WRAPPERS), last])


@dataclass(frozen=True)
class Likeness:
    """A place that resembles an architecture, 0 to 1."""

    place: CheckpointPlace
    trunk: Trunk
    value: float

    @cached_property
    def exact(self) -> bool:
        """Whether the place has exactly the architecture's tensors, the classifier aside."""
        return self.value > _EXACT and self.place.digest(self.trunk.classifier) == self.trunk.signature


def likenesses(found: Sequence[CheckpointPlace], trunks: Sequence[Trunk], least: float) -> list[Likeness]:
    """Return which places resemble which architectures by at least ``least``, the most similar first.

    Of architectures with the same tensors the first stands for all.
    """
    distinct = list({(t.signature, t.classifier): t for t in reversed(trunks)}.values())[::-1]
    values = resemblances([place.sketch for place in found], [trunk.sketch for trunk in distinct])
    alike = [Likeness(found[i], distinct[j], float(values[i, j])) for i, j in np.argwhere(values >= least)]
    # Sketches are estimates, and a network with exactly these tensors comes first. The sort is stable: of equals the
    # better known architecture comes first, and the larger place.
    return sorted(alike, key=lambda each: (not each.exact, -each.value))


@dataclass(frozen=True)
class Part:
    """A network in a file: the place of its tensors, and which of them are whose.

    ``trunk`` and ``head`` map the architecture's names to full names; the head's are there only if the classifier was
    found. ``zero`` are its biases that the file lacks. ``missing`` are tensors of the trunk that are absent or of
    another shape, ``strange`` full names of layers at this place that the architecture lacks, ``left`` of all else
    at this place. ``problem`` says why the classifier cannot be used, or is empty.
    """

    place: CheckpointPlace
    architecture: str
    trunk: Mapping[str, str]
    head: Mapping[str, str]
    zero: tuple[str, ...]
    missing: tuple[str, ...]
    strange: tuple[str, ...]
    left: tuple[str, ...]
    problem: str

    @property
    def share(self) -> float:
        """The share (0 to 1) of the trunk's tensors that is here."""
        return len(self.trunk) / max(1, len(self.trunk) + len(self.missing))

    @property
    def complete(self) -> bool:
        """Whether all tensors of the trunk are here, and no layer besides."""
        return not self.missing and not self.strange

    @cached_property
    def used(self) -> frozenset[str]:
        """The full names of the trunk's tensors."""
        return frozenset(self.trunk.values())


def part_at(
    place: CheckpointPlace, trunk: Trunk, expected: Shapes, file: Shapes, is_float: Callable[[str], bool]
) -> Part:
    """Compare a place with an architecture, whose tensors are ``expected``, and look for its classifier.

    ``file`` are all tensors of the file by full name, as the classifier may stand outside the place; ``is_float``
    tells whether one of them holds floats.
    """
    exact = place.digest(trunk.classifier) == trunk.signature
    wanted = without(place.shapes if exact else expected, trunk.classifier)
    here = {own: place.names[own] for own, shape in wanted.items() if place.shapes.get(own) == shape}
    head = _head(place, trunk.classifier, expected, file, set(here.values()))
    taken = {*here.values(), *head.names.values()}
    left = [own for own, full in place.names.items() if full not in taken]
    missing = tuple(own for own in wanted if own not in here)
    rest = [own for own in left if own not in wanted and not _under(own, trunk.classifier)]
    modules = {own.partition(".")[0] for own in wanted if "." in own}
    strange = strange_layers(rest, place.shapes, modules, lambda own: is_float(place.names[own]))
    if head.outside is not None:
        # Layers between the network and a classifier outside it would change what it computes.
        names = (full for full in file if full.startswith(head.outside) and not full.startswith(place.prefix))
        beside = {full.removeprefix(head.outside): full for full in names if full not in taken}
        beside_shapes = {own: file[full] for own, full in beside.items()}
        if between := strange_layers(beside, beside_shapes, (), lambda own: is_float(beside[own])):
            clause = f"its classifier stands outside the network, with further layers beside it ({between[0]})"
            head = _Head({}, problem=clause)
    return Part(
        place=place,
        architecture=trunk.architecture,
        trunk=here,
        head=head.names,
        zero=head.zero,
        missing=missing,
        strange=tuple(place.names[own] for own in strange),
        left=tuple(place.names[own] for own in left if own not in set(strange)),
        problem=head.problem,
    )


def strange_layers(
    names: Iterable[str], shapes: Shapes, modules: Collection[str], is_float: Callable[[str], bool]
) -> list[str]:
    """Return the names of tensors that belong to layers, which may change what a network computes.

    These are all floats inside the network's own ``modules`` (names of the first level), and elsewhere the weights of
    convolutions, of layers with a bias, and of norms with statistics. Single tensors, such as the class weights of a
    loss, counts of a metric or the state of a random generator, are none.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[name.partition(".")[0]].append(name)
    found = []
    for first, group in groups.items():
        inside = first in modules
        present = set(group)
        layers = [
            name
            for name in group
            if is_float(name)
            and (
                inside
                or name.endswith("running_var")
                or (name.endswith(".weight") and (len(shapes[name]) > 2 or name[:-6] + "bias" in present))
            )
        ]
        found += group if layers and not inside else layers
    return found


@dataclass(frozen=True)
class _Head:
    names: Mapping[str, str]
    zero: tuple[str, ...] = ()
    outside: str | None = None  # the prefix beside which a classifier outside its network stands
    problem: str = ""


def _head(place: CheckpointPlace, layers: Sequence[str], expected: Shapes, file: Shapes, taken: set[str]) -> _Head:
    """Find the classifier: under its own name, inside a container of that name, or outside the network."""
    names: dict[str, str] = {}
    zero: list[str] = []
    outside: str | None = None
    for layer in layers:
        wanted = expected.get(f"{layer}.weight")
        under = [own for own in place.names if _under(own, (layer,))]
        if wanted is None:
            continue
        chosen: str | None
        if under:
            matrices = [own for own in under if own.endswith(".weight") and len(place.shapes[own]) > 1]
            if len(matrices) > 1:
                listed = ", ".join(matrices[:3])
                problem = (
                    f"its classifier has {len(matrices)} layers ({listed}), and only a single linear one can be loaded"
                )
                return _Head({}, problem=problem)
            chosen = place.names[matrices[0]] if matrices else None
            others = [own for own in under if chosen and place.names[own] not in (chosen, _bias_of(chosen))]
            if chosen and others:
                return _Head({}, problem=f"its classifier is more than a linear layer ({others[0]})")
            if chosen and file[chosen][1:] != wanted[1:]:
                theirs, ours = (shape[1] if len(shape) > 1 else 0 for shape in (file[chosen], wanted))
                return _Head({}, problem=f"its classifier takes {theirs} inputs where the network gives {ours}")
        else:
            chosen = _outside(place, wanted, file, taken) if len(layers) == 1 else None
            if chosen:
                module = chosen.removesuffix(".weight").removesuffix(LEVEL + "weight")
                outside = re.sub(r"[^/.]*$", "", re.sub(r"([/.][0-9]+)+$", "", module))
        if chosen is None:
            return _Head({}, problem="it lacks the classifier; load the whole trained network")
        names[f"{layer}.weight"] = chosen
        if f"{layer}.bias" in expected:
            if _bias_of(chosen) in file:
                names[f"{layer}.bias"] = _bias_of(chosen)
            else:
                zero.append(f"{layer}.bias")
    return _Head(names, tuple(zero), outside)


def _outside(place: CheckpointPlace, wanted: tuple[int, ...], file: Shapes, taken: set[str]) -> str | None:
    """Return the only weights outside the network that are called like a classifier and fit it; None without."""
    words = classifier_words()
    found: dict[str, int] = {}
    for full, shape in file.items():
        parts = [part for part in re.split(r"[/.]", full) if not part.isdigit()]
        fits = len(shape) == len(wanted) and shape[1:] == wanted[1:]
        if fits and full not in taken and parts[-1] == "weight" and len(parts) > 1 and parts[-2] in words:
            found[full] = _common(full, place.prefix)
    best = [full for full, common in found.items() if common == max(found.values())]
    return best[0] if len(best) == 1 else None


def _common(one: str, other: str) -> int:
    """Count the leading characters that two names share, in whole parts."""
    pairs = zip(re.split(r"(?<=[/.])", one), re.split(r"(?<=[/.])", other), strict=False)
    count = 0
    for a, b in pairs:
        if a != b:
            break
        count += len(a)
    return count


def _bias_of(weight: str) -> str:
    return weight.removesuffix("weight") + "bias"


def _under(name: str, layers: Iterable[str]) -> bool:
    return name.startswith(tuple(f"{layer}." for layer in layers))


def best_parts(parts: Sequence[Part]) -> list[Part]:
    """Return the networks of a file among complete ``parts``, the one to take first.

    A part inside another one is not a network of its own: a small ResNet's tensors are among a larger one's, a
    backbone's among a hybrid's. Of several copies the averaged one comes before the plain one and a teacher's last;
    networks with a usable classifier come before others.
    """
    whole = [p for p in parts if not any(p.used < other.used for other in parts)]
    first: dict[frozenset[str], Part] = {}
    for part in sorted(whole, key=lambda p: -len(p.place.prefix)):  # the deepest of several places
        first.setdefault(part.used, part)
    return sorted(first.values(), key=lambda p: (bool(p.problem), p.place.rank, -len(p.trunk)))


def grouped(names: Iterable[str], most: int = 3) -> str:
    """Return tensors in a few words: each by name, or a count where many share their beginning."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[re.split(r"[/.]", name)[0]].append(name)
    texts = [group[0] if len(group) == 1 else f"{len(group)} of {key!r}" for key, group in groups.items()]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
