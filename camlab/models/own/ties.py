"""What differs between architectures with the same tensors: padding, activations, preprocessing and others.

The networks are built without weights and compared module by module, and so are timm's configurations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from camlab.models.sizes import skeleton

if TYPE_CHECKING:
    from torch import nn

_SHOWN = 5
#: Attributes that do not act while a network is evaluated.
_IDLE = frozenset({"training", "inplace", "p", "drop_prob", "drop", "drop_rate", "momentum", "grad_checkpointing"})
#: timm's names of its preprocessing, and ours.
_CONFIGURED = {
    "mean": "mean",
    "std": "standard deviation",
    "input_size": "input size",
    "crop_pct": "crop",
    "interpolation": "interpolation",
    "crop_mode": "crop mode",
}


@lru_cache(maxsize=64)
def differences(architectures: tuple[str, ...]) -> tuple[str, ...]:
    """Return what decides a prediction and differs between these architectures, each with its values in their order."""
    networks = [skeleton(name) for name in architectures]
    found = {
        name: values
        for key, name in _CONFIGURED.items()
        if _differ(values := [_shown(network.pretrained_cfg.get(key)) for network in networks])
    }
    modules = [dict(network.named_modules()) for network in networks]
    for name in dict.fromkeys(name for each in modules for name in each):
        here = [each.get(name) for each in modules]
        for word, values in _compared(here).items():
            found.setdefault(word, values)
    return tuple(f"{name} ({' or '.join(dict.fromkeys(values))})" for name, values in found.items())


def difference_text(architectures: Sequence[str]) -> str:
    """Return the differences as a list in words; empty if there are none."""
    found = differences(tuple(architectures))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _compared(modules: Sequence[nn.Module | None]) -> dict[str, list[str]]:
    """Return what differs between modules of one name: their kinds, else their numbers; None is absent."""
    present = [module for module in modules if module is not None]
    # A container's kind says nothing that its modules do not, unless it holds weights, as a norm with an activation.
    telling = all(
        not any(module.children()) or any(True for _ in module.parameters(recurse=False)) for module in present
    )
    kinds = [_kind(module) if module is not None else "" for module in modules]
    if any(kinds) and telling:
        named = [type(m).__name__ if m is not None and kind else "none" for m, kind in zip(modules, kinds, strict=True)]
        if _differ(named):
            return {next(filter(None, kinds)): named}
    if len(present) < len(modules):
        return {}
    own = [{a: _shown(v) for a, v in vars(m).items() if a[0] != "_" and a not in _IDLE and _plain(v)} for m in present]
    shared = [attribute for attribute in own[0] if all(attribute in each for each in own)]
    values = {attribute: [each[attribute] for each in own] for attribute in shared}
    return {attribute.replace("_", " "): texts for attribute, texts in values.items() if _differ(texts)}


def _kind(module: nn.Module) -> str:
    """Return a word for what modules of a kind decide; empty for those that do nothing while evaluated."""
    from torch import nn

    kind = type(module).__name__.lower()
    if isinstance(module, nn.Identity) or "drop" in kind:
        return ""
    if isinstance(module, nn.Conv2d):
        return "padding"  # timm's subclasses of the convolution pad in other ways
    if "activation" in type(module).__module__:
        return "activation"
    return next((word for word in ("pool", "norm") if word in kind), "layer")


def _plain(value: object) -> bool:
    parts: Iterable[Any] = value if isinstance(value, tuple | list) else (value,)
    return all(isinstance(part, bool | int | float | str | None) for part in parts)


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _differ(values: Sequence[str]) -> bool:
    return len(set(values)) > 1
