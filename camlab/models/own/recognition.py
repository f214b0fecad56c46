"""Recognise the network in a checkpoint, and take it out of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from camlab.common.errors import BadCheckpoint
from camlab.common.wording import percent
from camlab.models.own.architectures import Trunk, every_trunk, trained
from camlab.models.own.checkpoint import LEVEL, Checkpoint
from camlab.models.own.detection import Mismatch, classifier_of, compare, expected_shapes, head_classes
from camlab.models.own.evidence import contradiction, decide, statements
from camlab.models.own.search import LAST, CheckpointPlace, Part, best_parts, grouped, likenesses, part_at, places
from camlab.models.own.signature import Shapes, signature, sketch, without
from camlab.models.own.ties import difference_text
from camlab.models.own.torchvision_names import in_timms_names, read_by_timm, without_counterpart
from camlab.models.own.trained_size import changed_kernel, trained_size
from camlab.models.sizes import own_size

if TYPE_CHECKING:
    from torch import Tensor

_LIKELY = 0.15  # least resemblance of two sketches for a closer comparison
_LOOKED_INTO = 8  # architectures built, without weights, for a comparison tensor by tensor
_SURE = 0.3  # behind a network that was found, less similar ones are not compared any more
_MOST = 0.5  # the share of a network's tensors that shows what was meant
_CLASSES = 2  # of the networks compared: any number, as the classifier's own is not compared
EXPLAINED = 3  # architectures that a file without a match is compared with, key by key


@dataclass(frozen=True)
class ArchitectureMatch:
    """An architecture that a checkpoint may have.

    ``share``: the share (0 to 1) of the architecture's tensors, classifier excluded, whose names and shapes are in the
    checkpoint; ``exact``: all are, and no others. ``classes``: outputs of the checkpoint's classifier, None if it
    has none.
    """

    architecture: str
    exact: bool
    share: float
    classes: int | None


@dataclass(frozen=True)
class Recognition:
    """What a checkpoint is.

    ``matches`` are its possible architectures, best first: those with exactly its tensors if there are any, else the
    most similar. ``architecture`` is the one to use; None if nothing decides. ``notes`` are sentences on why, and
    ``question`` is the sentence to ask if several match and nothing decides, else empty.
    """

    matches: tuple[ArchitectureMatch, ...]
    architecture: str | None
    notes: tuple[str, ...] = ()
    question: str = ""


def recognise(checkpoint: Checkpoint, limit: int = 5) -> Recognition:
    """Find the architecture of a checkpoint by its tensors, and among several with the same by the file's own words."""
    checkpoint = in_timms_names(checkpoint)
    file = checkpoint.shapes
    if (known := read_by_timm(checkpoint)) is not None:
        name, classes = known
        return Recognition((ArchitectureMatch(name, True, 1.0, classes),), name, checkpoint.notes)
    parts = _parts(checkpoint)
    networks = best_parts([part for part in parts if part.complete])
    # A teacher or an older copy does not stand in for a network that does not fit.
    if not networks or any(_is_changed(part, networks[0]) for part in parts):
        near: dict[str, ArchitectureMatch] = {}
        for part in sorted(parts, key=lambda each: (each.place.rank == LAST, _rereads(each), -each.share)):
            near.setdefault(part.architecture, _match(part, part.architecture, file, exact=False))
        return Recognition(tuple(near.values())[:limit], None)
    best = networks[0]
    fitting = _members(best, parts, file)
    tie = [name for name in fitting if name in _trained_names()] or fitting
    matches = tuple(_match(best, name, file, exact=True) for name in [*tie, *(n for n in fitting if n not in tie)])
    notes = []
    architecture: str | None = tie[0]
    question = ""
    rivals = [part for part in networks[1:] if _rival(part, best)]
    if rivals:
        held = " and ".join(f"{part.architecture} in {part.place.title}" for part in [best, *rivals])
        return Recognition(matches, None, (), f"{checkpoint.name} holds several networks, {held}; name one of them.")
    if len(fitting) > 1 and (verdict := decide(checkpoint, fitting)) is not None:
        architecture, words = verdict
        others = [name for name in fitting if name != architecture]
        notes.append(
            f"The tensors fit {_either([architecture, *others])} alike, and the file says which ({words}); "
            f"this decides {difference_text([architecture, *others]) or 'nothing else'}."
        )
    elif len(tie) > 1 and (differing := difference_text(tie)):
        architecture = None
        question = (
            f"{checkpoint.name} has the tensors of {_either(tie)}, which differ in {differing}, and does not say which "
            "it is; name the architecture that you trained (on the command line with --architecture)."
        )
    elif len(fitting) > 1 and (differing := difference_text(fitting)):
        others = [name for name in fitting if name != architecture]
        notes.append(
            f"If it is {_either(others)}, name the architecture: the tensors are the same, but not {differing}."
        )
    if said := contradiction(checkpoint, fitting):
        notes.append(f"The file says {said}, but its tensors are those of {_either(tie)}.")
    if architecture is not None:
        matches = tuple(sorted(matches, key=lambda match: match.architecture != architecture))
        network = network_in(checkpoint, architecture)[0]
        notes += network.notes
        if trained := trained_size(without(network.shapes, classifier_of(architecture)), architecture):
            notes.append(trained.note)
    return Recognition(matches[: max(limit, len(tie))], architecture, tuple(notes), question)


def network_in(checkpoint: Checkpoint, architecture: str) -> tuple[Checkpoint, str]:
    """Return a checkpoint with only the tensors of a network, under the network's own names, and a problem or "".

    The most similar place in the file is taken. If all tensors of the architecture are there, the others are left
    away; otherwise all tensors of the place remain. Notes say what was taken and left. The problem is a clause on why
    the network or its classifier cannot be used. Raises UnknownName.
    """
    import torch

    checkpoint = in_timms_names(checkpoint)
    parts = _parts(checkpoint, architecture)
    networks = best_parts([part for part in parts if part.complete])
    if not networks:
        return _without_a_match(checkpoint, parts)
    best = networks[0]
    names = {**best.trunk, **best.head}
    state = {own: checkpoint.state[full] for own, full in names.items()}
    notes = [*checkpoint.notes, *_origin(best.place), *_copies(best, networks[1:])]
    renamed = [full for own, full in best.head.items() if best.place.names.get(own) != full]
    if renamed:
        notes.append(f"The classifier comes from {renamed[0]!r}.")
    for name in best.zero:
        weight = state[name.removesuffix("bias") + "weight"]
        state[name] = torch.zeros(len(weight), dtype=weight.dtype, device=weight.device)
        notes.append(f"The classifier has no bias, so zeros stand for {name}.")
    used = {full for part in networks for full in (*part.trunk.values(), *part.head.values())}
    # Single numbers, such as counters of batch norms and averages, are not worth a word.
    if rest := [full for full, value in checkpoint.state.items() if value.ndim and full not in used]:
        notes.append(f"Not used: {grouped(rest)}.")
    return replace(checkpoint, state=state | _counters(best, checkpoint), notes=tuple(notes)), best.problem


def explain_mismatch(
    checkpoint: Checkpoint,
    architecture: str,
    classes: int | None = None,
    input_size: tuple[int, int] | None = None,
) -> Mismatch | None:
    """Return how the checkpoint differs from a timm architecture; None if it fits. Raises UnknownName.

    ``classes``: outputs of the network, default those of the checkpoint's classifier, else timm's default.
    """
    network, problem = network_in(checkpoint, architecture)
    ours = network.shapes
    if classes is None:
        classes = head_classes(ours, classifier_of(architecture))
    return compare(expected_shapes(architecture, classes, input_size), ours, checkpoint.name, architecture, problem)


def unmatched(checkpoint: Checkpoint, found: Recognition) -> BadCheckpoint:
    """Return the error for a checkpoint without an architecture: a sentence, and the nearest ones key by key."""
    if found.question:
        return BadCheckpoint(found.question)
    if clause := without_counterpart(checkpoint):
        return BadCheckpoint(f"{checkpoint.name} {clause}; load a network of timm.")
    near = [each for each in found.matches if not _rereading(checkpoint.shapes, each.architecture)][:EXPLAINED]
    if found.matches and not near:
        best = found.matches[0].architecture
        why = _rereading(checkpoint.shapes, best)
        mismatch = explain_mismatch(checkpoint, best)
        return BadCheckpoint(
            f"{checkpoint.name} matches no known architecture exactly; it is most like {best}, but {why}.",
            mismatch.lines if mismatch is not None else [],
        )
    mismatches = [m for each in near if (m := explain_mismatch(checkpoint, each.architecture))]
    lines = [line for mismatch in mismatches for line in mismatch.lines]
    if not near:
        return BadCheckpoint(f"{checkpoint.name} matches no known architecture exactly; load a network of timm.")
    if near[0].share == 1 and mismatches:  # all tensors are there, and something stands in the way
        return BadCheckpoint(mismatches[0].sentence, lines)
    alike = ", ".join(f"{each.architecture} ({percent(each.share)} of its tensors)" for each in near)
    return BadCheckpoint(
        f"{checkpoint.name} matches no known architecture exactly; the nearest are {alike}: name the one that it is, "
        "or load an unchanged network of timm.",
        lines,
    )


# --- the parts of a file ---


def _parts(checkpoint: Checkpoint, architecture: str | None = None) -> list[Part]:
    """Compare the places of a file with the architectures that they resemble, or with one of them."""
    file = checkpoint.shapes
    found = places(file)
    if architecture is not None:
        own_size(architecture)  # raises UnknownName
        trunks = [trunk for trunk in every_trunk() if trunk.architecture == architecture]
        trunks = trunks or [_built_trunk(architecture)]
        alike = likenesses(found, trunks, _LIKELY)[: 2 * _LOOKED_INTO]
        floats = _floats(checkpoint.state)
        return [part_at(each.place, each.trunk, _expected(each.place, each.trunk), file, floats) for each in alike]
    named = {each.architecture for each in statements(checkpoint)}
    looked: dict[str, None] = {}
    parts: list[Part] = []
    settled: set[str] = set()  # places whose tensors are all used by a network
    sure = 0.0
    for each in likenesses(found, every_trunk(), _LIKELY):
        if each.place.prefix in settled or (each.value < sure - _SURE and each.trunk.architecture not in named):
            continue
        if each.trunk.signature not in looked and len(looked) >= _LOOKED_INTO and each.trunk.architecture not in named:
            continue
        looked[each.trunk.signature] = None
        expected = _expected(each.place, each.trunk)
        parts.append(part_at(each.place, each.trunk, expected, file, _floats(checkpoint.state)))
        if parts[-1].complete:
            sure = max(sure, each.value)
            settled |= {each.place.prefix} if each.exact and not parts[-1].left else set()
    return parts


def _expected(place: CheckpointPlace, trunk: Trunk) -> Shapes:
    """Return the tensors of an architecture, at the input size that those of a place were trained at."""
    own = expected_shapes(trunk.architecture, _CLASSES)
    stored = without(place.shapes, trunk.classifier)
    wanted = without(own, trunk.classifier)
    if not wanted.keys() <= stored.keys() or signature(stored) == trunk.signature:
        return own
    trained = trained_size(stored, trunk.architecture, _CLASSES)
    if trained is None:
        return own
    return expected_shapes(trunk.architecture, _CLASSES, trained.size, trained.arguments)


def _rereading(file: Shapes, architecture: str) -> str | None:
    return changed_kernel(file, architecture, tuple)


def _rereads(part: Part) -> bool:
    """Return whether an architecture's first layer reads the pixels in other portions than the part's."""
    return _rereading(part.place.shapes, part.architecture) is not None


def _built_trunk(architecture: str) -> Trunk:
    """Return the trunk of an architecture that is in none of the tables."""
    layers = classifier_of(architecture)
    shapes = without(expected_shapes(architecture, _CLASSES), layers)
    return Trunk(architecture, layers, signature(shapes), sketch(shapes))


def _members(best: Part, parts: Sequence[Part], file: Shapes) -> list[str]:
    """Return the architectures with exactly the tensors of a part, the best known first."""
    layers = classifier_of(best.architecture)
    digests = [signature({own: file[full] for own, full in best.trunk.items()})]
    if not _with_tensors(digests, layers):
        # Trained at another input size: it has the tensors of several architectures, if it was built for their size.
        same = [part.architecture for part in parts if part.complete and part.used == best.used]
        digests = [signature(without(expected_shapes(name, _CLASSES), layers)) for name in same]
    return _with_tensors(digests, layers) or [best.architecture]


def _with_tensors(digests: Sequence[str], layers: tuple[str, ...]) -> list[str]:
    names = [t.architecture for t in every_trunk() if t.signature in digests and t.classifier == layers]
    return list(dict.fromkeys(names))


def _match(part: Part, architecture: str, file: Shapes, exact: bool) -> ArchitectureMatch:
    weights = [file[full] for own, full in part.head.items() if own.endswith(".weight")]
    return ArchitectureMatch(architecture, exact, part.share, weights[0][0] if weights else None)


def _rival(part: Part, best: Part) -> bool:
    """Return whether another architecture in the file has the same claim to be explained."""
    same = part.architecture == best.architecture or part.trunk.keys() == best.trunk.keys()
    return not same and (bool(part.problem), part.place.rank) == (bool(best.problem), best.place.rank)


def _is_changed(part: Part, taken: Part) -> bool:
    """Return whether a part is most of a network that comes before the one that would be taken."""
    return taken.place.rank == LAST > part.place.rank and part.share > _MOST and not part.used & taken.used


def _without_a_match(checkpoint: Checkpoint, parts: list[Part]) -> tuple[Checkpoint, str]:
    """Return all tensors of the place that resembles the network most, else of the largest entry."""
    best = max(parts, key=lambda part: (part.share, -part.place.rank), default=None)
    if best is None:
        place, head, problem = _largest(checkpoint), {}, ""
    else:
        place, head, problem = best.place, dict(best.head), ""
        if best.strange and not best.missing:
            what = ", ".join(best.strange[:EXPLAINED])
            problem = f"it has layers that {best.architecture} lacks ({what}), and leaving them out would change it"
        elif not best.missing:
            problem = best.problem
    taken = set(head.values())
    names = {own: full for own, full in place.names.items() if full not in taken} | head
    notes = (*checkpoint.notes, *_origin(place))
    return replace(checkpoint, state={own: checkpoint.state[full] for own, full in names.items()}, notes=notes), problem


def _largest(checkpoint: Checkpoint) -> CheckpointPlace:
    """Return the dictionary of the file that holds the most weights."""
    found = places(checkpoint.shapes)
    weights = {p.prefix: sum(name.endswith("weight") and LEVEL not in name for name in p.names) for p in found}
    return max(found, key=lambda place: (weights[place.prefix], -place.rank, len(place.prefix)))


def _origin(place: CheckpointPlace) -> list[str]:
    """Return sentences on the entry and the prefix of the tensors."""
    prefix = place.prefix.rpartition(LEVEL)[2]
    return [f"The weights come from the entry {place.entry!r}."] * bool(place.entry) + [
        f"The prefix {prefix!r} was removed from the tensors' names."
    ] * bool(prefix)


def _copies(best: Part, others: list[Part]) -> list[str]:
    """Return a sentence on other copies of the network in the file."""
    if not others:
        return []
    where = " and ".join(part.place.title for part in others)
    what = "the averaged weights" if best.place.rank == 0 else f"those of {best.place.title}"
    return [f"The file holds {len(others) + 1} copies of the network: {what} were taken, not those of {where}."]


def _counters(part: Part, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the counters of the part's batch norms, as far as the file has them."""
    ends = "running_mean", "num_batches_tracked"
    pairs = {own.replace(*ends): full.replace(*ends) for own, full in part.trunk.items() if own.endswith(ends[0])}
    return {own: checkpoint.state[full] for own, full in pairs.items() if full in checkpoint.state}


def _floats(state: Mapping[str, Tensor]) -> Callable[[str], bool]:
    return lambda full: state[full].is_floating_point()


@cache
def _trained_names() -> frozenset[str]:
    return frozenset(trunk.architecture for trunk in trained())


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
