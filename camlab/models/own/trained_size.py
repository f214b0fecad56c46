"""Find the input size that a checkpoint was trained at, from the tensors whose shapes depend on it.

Position embeddings, tables of relative positions and mixers of tokens have one entry per place, or per pair of places,
of a grid that covers the picture. How their shapes grow with the picture is found by building the network at several
sizes, so that no family needs a rule of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.models.own.signature import Shapes, shapes_of
from camlab.models.sizes import SIDES, Arguments, Size, own_size, pixels, skeleton, takes

_CHECKED = 12  # sizes that the shapes allow and that are compared tensor by tensor
_WINDOWS = (4, 8, 12)  # attention windows at which networks that take them are built
_LARGEST_WINDOW = 64
#: The places of a window or patch that a network's constructor can be told.
_WINDOW = "window_size"

#: Coefficients of h·w, h, w and 1, where h and w are the sides as multiples of the network's own.
_Growth = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrainedSize:
    """The input size at which a checkpoint's tensors have the network's shapes.

    ``arguments``: what the network's constructor must be told besides; ``evidence``: a tensor that tells, with the
    network's shape and the file's; ``other``: another size that it would fit as well.
    """

    size: Size
    evidence: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    other: Size | None = None
    arguments: Arguments = ()

    @property
    def note(self) -> str:
        """What was inferred, from what, and what was assumed, in one sentence."""
        text = (
            f"It was trained on pictures of {pixels(self.size)}, as {self.evidence} has the shape {_shape(self.theirs)}"
        )
        if self.arguments:
            window = dict(self.arguments)[_WINDOW]
            text += f": windows of {window} × {window}; the size itself is an assumption, so give it if it is another"
        elif self.other is not None:
            text += f"; others, such as {pixels(self.other)}, would fit as well, so give the size if it is another"
        return f"{text}."


def trained_size(stored: Shapes, architecture: str, classes: int | None = None) -> TrainedSize | None:
    """Return the size at which the network's tensors have the ``stored`` shapes, of those that have the same names.

    None if they have them at the network's own size, or if other tensors differ. Of several sizes it is a square one,
    else the one with the plainest proportions, wider than high. Raises UnknownName.
    """
    ours = shapes_of(skeleton(architecture, classes).state_dict())
    differing = {key: (ours[key], stored[key]) for key in ours if key in stored and ours[key] != stored[key]}
    if not differing or any(len(mine) != len(theirs) for mine, theirs in differing.values()):
        return None
    evidence = next(iter(differing))
    growth = _growth(architecture) if differing.keys() <= _changing(architecture) else {}
    if differing.keys() <= growth.keys():
        fitting = _fitting(growth, stored, own_size(architecture))
        for size in fitting[:_CHECKED]:
            if _has(stored, differing, architecture, classes, size):
                other = next((o for o in fitting if o != size), None) if size[0] != size[1] else None
                return TrainedSize(size, evidence, *differing[evidence], other)
        return None
    return _windowed(stored, architecture, classes, evidence, differing)


def resampled(stored: Shapes, loaded: Shapes, architecture: str) -> list[str] | None:
    """Return the tensors that were resampled to another input size when a checkpoint was converted.

    None if others have another number of values than before. Names that the conversion changed are compared by the
    numbers of values. Raises UnknownName.
    """
    changing = _changing(architecture)
    counts = {math.prod(shape) for shape in stored.values()}
    found = []
    for key, shape in loaded.items():
        same = math.prod(shape) == math.prod(stored[key]) if key in stored else math.prod(shape) in counts
        if not same and key in changing:
            found.append(key)
        elif not same and key in stored:
            return None
    return found


def _has(
    stored: Shapes,
    keys: Iterable[str],
    architecture: str,
    classes: int | None,
    size: Size,
    arguments: Arguments = (),
) -> bool:
    """Return whether the network, built for this size, has the stored shapes of these tensors."""
    try:
        built = shapes_of(skeleton(architecture, classes, size, arguments=arguments).state_dict())
    except BadSetting:
        return False
    return all(built.get(key) == stored[key] for key in keys)


@lru_cache(maxsize=64)
def _changing(architecture: str) -> frozenset[str]:
    """Return the tensors whose shapes change with the input size; nothing if no larger one works."""
    height, width = own_size(architecture)
    try:
        larger = shapes_of(skeleton(architecture, None, (2 * height, 2 * width)).state_dict())
    except BadSetting:
        return frozenset()
    own = shapes_of(skeleton(architecture).state_dict())
    return frozenset(key for key, shape in own.items() if larger.get(key) != shape)


@lru_cache(maxsize=64)
def _growth(architecture: str) -> dict[str, tuple[_Growth, ...]]:
    """Return how each dimension of the tensors that depend on the input size grows with it.

    A grid of h × w places gives h·w entries, its relative positions (2h - 1)(2w - 1), single axes h or 2w - 1, each
    with a constant number of further tokens: all are sums of multiples of h·w, h, w and 1, which four sizes determine.
    """
    height, width = own_size(architecture)
    corners: tuple[Size, ...] = ((1, 1), (2, 1), (1, 2), (2, 2))
    if not all(takes(architecture, (height * a, width * b)) for a, b in corners[1:]):
        corners = ((1, 1), (2, 2), (3, 3))  # square pictures only
        if not all(takes(architecture, (height * a, width * b)) for a, b in corners[1:]):
            return {}
    built = [shapes_of(skeleton(architecture, None, (height * a, width * b)).state_dict()) for a, b in corners]
    # A square grid cannot tell rows from columns: its linear part counts as rows.
    terms = np.array([(a * b, a, b, 1) if len(corners) == 4 else (a * b, a, 0, 1) for a, b in corners], dtype=float)
    solve = np.linalg.pinv(terms)
    found = {}
    for key, own in built[0].items():
        shapes = [shapes.get(key, ()) for shapes in built]
        if len({len(shape) for shape in shapes}) == 1 and len(set(shapes)) > 1:
            sides = np.array(shapes, dtype=float)
            found[key] = tuple(_as_growth(solve @ sides[:, i]) for i in range(len(own)))
    return found


def _as_growth(values: NDArray[np.float64]) -> _Growth:
    area, rows, columns, constant = (round(float(value), 6) for value in values)
    return area, rows, columns, constant


def _fitting(growth: Mapping[str, tuple[_Growth, ...]], stored: Shapes, own: Size) -> list[Size]:
    """Return all sizes whose shapes would be the stored ones, those with the plainest proportions first."""
    laws = {
        (law, side)
        for key, dims in growth.items()
        if key in stored and len(stored[key]) == len(dims)
        for law, side in zip(dims, stored[key], strict=True)
        if any(law[:3])
    }
    sides = np.arange(SIDES[0], SIDES[1] + 1)
    high, wide = (sides / own[0])[:, None], (sides / own[1])[None, :]
    kept = np.zeros((len(sides), len(sides)), dtype=int)
    for (area, rows, columns, constant), side in laws:
        kept += np.abs(area * high * wide + rows * high + columns * wide + constant - side) < 1e-3
    # Where a network rounds its grids up, not every law holds exactly.
    fits = (kept == kept.max()) & (kept > 0)
    if all(columns == 0 for (_, _, columns, _), _ in laws) and any(rows for (_, rows, _, _), _ in laws):
        fits &= sides[:, None] * own[1] == sides[None, :] * own[0]  # only square ones could be built
    found = [(int(sides[i]), int(sides[j])) for i, j in np.argwhere(fits)]

    def plain(size: Size) -> tuple[bool, int, int]:
        # Such as 1 : 1, 2 : 3 or 3 : 4 of the network's own proportions, and up to 1 : 2 of them.
        ratio = Fraction(size[0] * own[1], size[1] * own[0])
        return not 0.5 <= ratio <= 2, ratio.numerator + ratio.denominator, size[0]

    return sorted(found, key=plain)


def _windowed(
    stored: Shapes,
    architecture: str,
    classes: int | None,
    evidence: str,
    differing: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> TrainedSize | None:
    """Return the size in proportion to the attention windows, for networks whose windows do not follow the size."""
    growth = _window_growth(architecture)
    if not differing.keys() <= growth.keys():
        return None
    own = own_size(architecture)
    before, after = (_window(growth, {key: pair[i] for key, pair in differing.items()}) for i in (0, 1))
    if before is None or after is None or any(side * after % before for side in own):
        return None
    size = own[0] * after // before, own[1] * after // before
    arguments = ((_WINDOW, after),)
    if not _has(stored, differing, architecture, classes, size, arguments):
        return None
    return TrainedSize(size, evidence, *differing[evidence], arguments=arguments)


@lru_cache(maxsize=64)
def _window_growth(architecture: str) -> dict[str, tuple[NDArray[np.float64], ...]]:
    """Return how the tensors of a network grow with its attention windows; nothing if it cannot be told these."""
    height, width = own_size(architecture)
    large = 4 * height, 4 * width  # a network cuts windows down to its grid
    try:
        built = [
            shapes_of(skeleton(architecture, None, large, arguments=((_WINDOW, window),)).state_dict())
            for window in _WINDOWS
        ]
    except Exception:  # most constructors take no windows
        return {}
    solve = np.linalg.inv(np.array([(w * w, w, 1) for w in _WINDOWS], dtype=float))
    return {
        key: tuple(np.round(solve @ np.array(dims, dtype=float), 6) for dims in zip(*shapes, strict=True))
        for key in built[0]
        if len(set(shapes := [each[key] for each in built])) > 1
    }


def _window(growth: Mapping[str, Sequence[NDArray[np.float64]]], shapes: Shapes) -> int | None:
    """Return the window at which the tensors have these shapes; None without one."""
    for window in range(1, _LARGEST_WINDOW + 1):
        powers = np.array((window * window, window, 1))
        if all(
            abs(float(law @ powers) - side) < 1e-3
            for key, shape in shapes.items()
            for law, side in zip(growth[key], shape, strict=True)
        ):
            return window
    return None


def reads(shapes: Shapes) -> frozenset[tuple[int, ...]]:
    """Return the sizes of the kernels that read RGB pictures: a patch's, or a first convolution's."""
    return frozenset(shape[2:] for shape in shapes.values() if len(shape) == 4 and shape[1] == 3)


def changed_kernel(stored: Shapes, architecture: str, fitting: Callable[[], Iterable[str]]) -> str | None:
    """Return why a checkpoint's kernels are not the network's, as the end of a sentence; None if they are.

    ``fitting`` returns architectures that the checkpoint may have, best first.
    """
    theirs, ours = reads(stored), reads(shapes_of(skeleton(architecture).state_dict()))
    if not theirs or not ours or theirs & ours:
        return None
    words = [" × ".join(map(str, max(kernels))) for kernels in (theirs, ours)]
    names = [name for name in fitting() if reads(shapes_of(skeleton(name).state_dict())) & theirs]
    advice = f"choose {names[0]}" if names else "load an unchanged network of timm"
    return f"its first layer reads {words[0]} pixels at a time and that of {architecture} {words[1]}; {advice}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
