"""Build a timm network for pictures of a size, or say which sizes it takes.

timm declares few of the constraints, so they are found by trying: the network is built on torch's meta device, where
tensors have shapes but no memory, and is run once on a picture of that size.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from camlab.common.errors import BadSetting, UnknownName
from camlab.common.wording import listed
from camlab.models.own.architectures import every_trunk

Size = tuple[int, int]  # height, width
Arguments = tuple[tuple[str, Any], ...]  # of a network's constructor: names and values

SIDES = (32, 1024)  # smallest and largest side of an input in pixels
#: Multiples of a step, added to a network's own sides, that must all work before the step counts as its rule.
_TRIED = (13, 1, 3, 7)
#: In-place functions that set values and no shape.
_FILLING = frozenset({"add_", "clamp_", "copy_", "div_", "erfinv_", "fill_", "mul_", "normal_", "uniform_", "zero_"})
#: The key of such arguments in a network's ``pretrained_cfg``, beside what timm puts there.
ARGUMENTS = "arguments"


def pixels(size: Size) -> str:
    """Return a size as text: 192 × 256 pixels."""
    return f"{size[0]} × {size[1]} pixels"


def parse_size(text: str) -> Size | None:
    """Read "224", or height and width as in "192x256"; None if the text is empty. Raises BadSetting."""
    if not text.strip():
        return None
    found = re.fullmatch(r"([0-9]{1,5})(?:\s*[x×]\s*([0-9]{1,5}))?", text.strip().lower())
    if found is None:
        raise BadSetting(f"{text.strip()[:40]!r} is not a size; write it like 224, or 192x256 (height x width).")
    return int(found[1]), int(found[2] or found[1])


def check_size(size: Size) -> None:
    """Raise BadSetting if a side is outside SIDES."""
    if not _in_range(size):
        raise BadSetting(f"An input of {pixels(size)} cannot be explained; choose sides from {SIDES[0]} to {SIDES[1]}.")


def _in_range(size: Size) -> bool:
    return all(SIDES[0] <= side <= SIDES[1] for side in size)


def own_size(architecture: str) -> Size:
    """Return the input size that timm states for an architecture. Raises UnknownName."""
    import timm

    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, {trunk.architecture for trunk in every_trunk()}, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "`list catalogue` shows all of them."
        raise UnknownName(f"timm {timm.__version__} has no architecture called {architecture[:60]!r}; {hint}")
    config: Any = timm.get_pretrained_cfg(architecture)
    _, height, width = config.input_size if config else (3, 224, 224)
    return height, width


def create(
    architecture: str,
    classes: int | None = None,
    input_size: Size | None = None,
    *,
    arguments: Arguments = (),
    **settings: Any,
) -> Any:
    """Build a timm network with ``classes`` outputs for pictures of ``input_size`` (height, width), default its own.

    ``arguments`` go to the network's constructor; ``settings`` replace values of its ``pretrained_cfg``; weights among
    them (``state_dict``) go through timm's own conversion. Raises UnknownName, BadSetting with sizes that work if the
    network does not take pictures of this size, and timm's errors if the weights do not fit.
    """
    told = dict(arguments)
    if input_size is not None:
        if tuple(input_size) != own_size(architecture):
            way = _way(architecture, (input_size[0], input_size[1]))
            if way is None:
                raise BadSetting(refusal(architecture, input_size))
            told = dict(way) | told
        settings["input_size"] = (3, *input_size)
    else:
        own_size(architecture)  # raises UnknownName
    if classes is not None:
        settings["num_classes"] = told["num_classes"] = classes
    network = _timm(architecture, told, settings)
    if arguments:
        network.pretrained_cfg = network.pretrained_cfg | {ARGUMENTS: dict(arguments)}
    return network


def skeleton(
    architecture: str,
    classes: int | None = None,
    input_size: Size | None = None,
    *,
    arguments: Arguments = (),
) -> Any:
    """Build a timm network as ``create`` does, without memory for its weights (on torch's meta device)."""
    with weightless():
        return create(architecture, classes, input_size, arguments=arguments)


def _timm(architecture: str, arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    import timm

    return timm.create_model(
        architecture, pretrained="state_dict" in settings, pretrained_cfg_overlay=dict(settings), **arguments
    )


def takes(architecture: str, size: Size) -> bool:
    """Return whether a timm network can be built for pictures of this size, and runs on one."""
    return _way(architecture, size) is not None


@lru_cache(maxsize=1024)
def _way(architecture: str, size: Size) -> Arguments | None:
    """Return the arguments that build a network for pictures of this size; None if there are none.

    timm itself passes the size to most networks that need it, but not to those whose definition states one.
    """
    if _runs(architecture, size):
        return ()
    told = _states_its_size(architecture) and _runs(architecture, size, img_size=size)
    return (("img_size", size),) if told else None


@lru_cache(maxsize=256)
def _states_its_size(architecture: str) -> bool:
    """Return whether a network must be told another size than its own, because timm does not tell it."""
    height, width = (2 * side for side in own_size(architecture))
    return not _runs(architecture, (height, width)) and _runs(architecture, (height, width), img_size=(height, width))


def _runs(architecture: str, size: Size, **arguments: Any) -> bool:
    import torch

    try:
        with weightless():
            network = _timm(architecture, arguments, {"input_size": (3, *size)}).eval()
            with torch.inference_mode():
                network(torch.zeros(1, 3, *size))
    except Exception:  # each family has its own way to fail: AssertionError, RuntimeError, TypeError …
        return False
    return True


@contextmanager
def weightless() -> Iterator[None]:
    """Build networks on the meta device without filling their weights, which takes most of the time."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            fills = getattr(func, "__name__", "") in _FILLING and args and args[0].is_meta
            return args[0] if fills else func(*args, **(kwargs or {}))

    with torch.device("meta"), Unfilled():
        yield


@dataclass(frozen=True)
class SizeRule:
    """The constraints on a network's input, found by trying.

    ``own``: the size that timm states; ``step``: sides that are multiples of it work, None if no other size than its
    own does; ``square``: height and width must be equal.
    """

    own: Size
    step: int | None
    square: bool

    def broken_by(self, size: Size) -> str:
        """Return what the sides of a size would have to be; empty if they are."""
        reasons = ["be equal"] * (self.square and size[0] != size[1])
        if self.step and any(side % self.step for side in size):
            reasons.append(f"be multiples of {self.step}")
        return listed(reasons) if reasons else ""


@lru_cache(maxsize=256)
def size_rule(architecture: str, refused: Size) -> SizeRule:
    """Find the constraints on the input of a timm architecture, because of which it refused a size."""
    own = own_size(architecture)

    def takes_more(high: int, wide: int) -> bool:
        return takes(architecture, (own[0] + high, own[1] + wide))

    for step in _divisors(math.gcd(*own)):
        if all(takes_more(count * step, count * step) for count in _TRIED):
            rule = SizeRule(own, step, own[0] == own[1] and not takes_more(0, own[1]))
            # A rule that the refused size keeps to, however large it is, lacks something.
            if rule.broken_by(refused) or min(refused) < min(own):
                return rule
    return SizeRule(own, None, own[0] == own[1])


def _divisors(number: int) -> Iterator[int]:
    return (each for each in range(1, number + 1) if number % each == 0)


@lru_cache(maxsize=256)
def nearest_sizes(architecture: str, size: Size) -> tuple[Size, ...]:
    """Return the nearest sizes below and above that a network takes; each was tried. Raises UnknownName."""
    rule = size_rule(architecture, size)
    if rule.step is None:
        return (rule.own,)
    low, high = ((f(size), f(size)) if rule.square else size for f in (min, max))
    below = _multiples(low, rule.step, math.floor)
    above = _multiples(high, rule.step, math.ceil)
    found = [each for each in (below, above) if each != size and _in_range(each) and takes(architecture, each)]
    return tuple(dict.fromkeys(found)) or (_smallest(architecture, above, rule),)


def _multiples(size: Size, step: int, rounded: Callable[[float], int]) -> Size:
    height, width = (step * rounded(side / step) for side in size)
    return height, width


def _smallest(architecture: str, size: Size, rule: SizeRule) -> Size:
    """Return the size, enlarged by whole steps until the network takes it, at most to its own."""
    step = rule.step or 1
    low, high = min(size) // step, max(1, min(rule.own) // step)  # does not work, works
    best = rule.own
    while high - low > 1:
        middle = (low + high) // 2
        tried = max(size[0], middle * step), max(size[1], middle * step)
        if _in_range(tried) and takes(architecture, tried):
            best, high = tried, middle
        else:
            low = middle
    return best


def refusal(architecture: str, size: Size) -> str:
    """Return the sentence that a network does not take pictures of this size, with sizes that work."""
    rule = size_rule(architecture, size)
    if rule.step is None:
        return f"{architecture} takes pictures of {pixels(rule.own)} only, not of {pixels(size)}; leave the size out."
    reasons = rule.broken_by(size)
    why = f"its sides must {reasons}" if reasons else "they are too small"
    sizes = listed([f"{height} × {width}" for height, width in nearest_sizes(architecture, size)], "or")
    return f"{architecture} does not take pictures of {pixels(size)}: {why}; choose {sizes}."
