"""What a file says about its own network: the architecture's name, and the preprocessing.

Any text in the file counts that is the name of an architecture of timm, whatever its key is called: training scripts
write ``arch``, ``args.model``, ``hyper_parameters.model_name`` and many others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from camlab.models.own.architectures import every_trunk
from camlab.models.own.checkpoint import LEVEL, Checkpoint
from camlab.models.own.search import TEACHER
from camlab.models.preprocessing import CROP_MODES, INTERPOLATIONS

_SHORTEST = 3  # letters of a text that can be part of an architecture's name
_LONGEST = 300
_SEVERAL = re.compile(r"multi[-_ ]?label")
#: Settings of a stored preprocessing, in the order of a text about it.
_PREPROCESSING = ("mean", "std", "input_size", "crop_pct", "interpolation", "crop_mode")


@dataclass(frozen=True)
class Statement:
    """The name of an architecture in a file: its key, the architecture, and the tag of its weights or ""."""

    where: str
    architecture: str
    tag: str

    @property
    def text(self) -> str:
        """The statement in words: arch = resnet18."""
        return f"{self.where} = {self.architecture}{f'.{self.tag}' if self.tag else ''}"


def statements(checkpoint: Checkpoint) -> list[Statement]:
    """Return all names of architectures in a file, but for those of a teacher."""
    known = _architectures()
    found = []
    for key, text in _texts(checkpoint):
        architecture, _, tag = _bare(text).partition(".")
        if architecture in known:
            found.append(Statement(_said(key), architecture, tag))
    return found


def decide(checkpoint: Checkpoint, tie: Sequence[str]) -> tuple[str, str] | None:
    """Return which architecture of several with the same tensors a file means, and its words; None if it is silent.

    A whole name counts most, then a name within a text (a path, an older name, a model's type), then the name of the
    file. Words that mean several of them decide nothing.
    """
    whole = {each.architecture: each.text for each in reversed(statements(checkpoint)) if each.architecture in tie}
    if whole:
        return next(iter(whole.items())) if len(whole) == 1 else None
    texts = [(_said(key), text) for key, text in _texts(checkpoint)]
    for source in (texts, [("its name", PurePath(checkpoint.name).stem)]):
        parts = {meant: f"{key} = {text}" for key, text in reversed(source) if (meant := _within(text, tie))}
        if parts:
            return next(iter(parts.items())) if len(parts) == 1 else None
    return None


def contradiction(checkpoint: Checkpoint, fitting: Iterable[str]) -> str:
    """Return what the file says of another architecture than those whose tensors it has; empty if it does not."""
    said = statements(checkpoint)
    agreed = {each.architecture for each in said} & set(fitting)
    return "" if agreed or not said else said[0].text


def stored_preprocessing(checkpoint: Checkpoint, architecture: str) -> tuple[dict[str, Any], str]:
    """Return the preprocessing that a file holds or names for this architecture, and where; empty if it is silent.

    Stored are a mean or a standard deviation, alone or with an input size, a crop and an interpolation beside them. A
    name with a tag, such as resnet50.tv_in1k, stands for the values of those published weights.
    """
    groups: dict[str, dict[str, object]] = {}
    for key, value in checkpoint.facts.items():
        group, _, last = key.rpartition(LEVEL)
        groups.setdefault(group, {})[last] = value
    # A configuration made for the purpose comes before the arguments of a training script.
    for group in sorted(groups, key=lambda key: not key.endswith(("cfg", "config"))):
        settings = _preprocessing(groups[group])
        around = [groups[each] for each in (group, group.rpartition(LEVEL)[0]) if each in groups]
        names = {_bare(str(each["architecture"])).partition(".")[0] for each in around if "architecture" in each}
        if settings.keys() & {"mean", "std"} and names <= {architecture}:
            return settings, _said(group) or "the file"
    for each in statements(checkpoint):
        if each.architecture == architecture and each.tag:
            from timm.models import get_pretrained_cfg

            config: Any = get_pretrained_cfg(f"{architecture}.{each.tag}")
            return (_preprocessing(config.to_dict()), each.text) if config is not None else ({}, "")
    return {}, ""


def preprocessing_text(settings: Mapping[str, Any]) -> str:
    """Return the values of a preprocessing in words."""
    values = {
        name.replace("_", " "): " ".join(f"{x:g}" for x in value) if isinstance(value, tuple) else str(value)
        for name, value in settings.items()
    }
    return ", ".join(f"{name} {value}" for name, value in values.items())


def several_labels(checkpoint: Checkpoint) -> str:
    """Return the words by which a file says that its classes do not exclude each other; empty if it does not."""
    for key, value in checkpoint.facts.items():
        name, says = key.rpartition(LEVEL)[2].lower(), str(value).lower()
        if (_SEVERAL.search(name) and says in ("true", "1")) or (isinstance(value, str) and _SEVERAL.search(says)):
            return f"{_said(key)} = {value}"
    return ""


def _preprocessing(values: Mapping[str, object]) -> dict[str, Any]:
    """Return those of the values that are usable settings."""
    checks: dict[str, Callable[[Any], bool]] = {
        "mean": lambda v: _numbers(v, 3) and all(0 <= x <= 1 for x in v),
        "std": lambda v: _numbers(v, 3) and all(0 < x <= 1 for x in v),
        "input_size": lambda v: _numbers(v, 3) and v[0] == 3 and all(isinstance(x, int) and x > 0 for x in v),
        "crop_pct": lambda v: isinstance(v, int | float) and 0.1 <= v <= 1,
        "interpolation": lambda v: v in INTERPOLATIONS,
        "crop_mode": lambda v: v in CROP_MODES,
    }
    return {name: values[name] for name in _PREPROCESSING if name in values and checks[name](values[name])}


def _numbers(value: object, count: int) -> bool:
    return isinstance(value, tuple) and len(value) == count and all(isinstance(x, int | float) for x in value)


def _texts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    return [
        (key, value)
        for key, value in checkpoint.facts.items()
        if isinstance(value, str)
        and _SHORTEST <= len(value) <= _LONGEST
        and not TEACHER & set(re.split(r"[^a-z0-9]+", key.lower()))
    ]


def _bare(text: str) -> str:
    """Return a name as timm writes it: without the hub and the owner, in lower case, with underscores."""
    return re.split(r"[/:]", text.strip().lower())[-1].replace("-", "_")


def _within(text: str, tie: Sequence[str]) -> str | None:
    """Return the architecture whose name a text contains or begins; None if it means none or several."""
    words = text.lower().replace("-", "_")
    inside = [name for name in tie if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", words)]
    longest = max(inside, key=len, default=None)
    if longest is not None:  # tf_efficientnet_b0 contains efficientnet_b0
        return longest if all(name in longest for name in inside) else None
    begun = [name for name in tie if name.startswith(f"{words}_")]
    return begun[0] if len(begun) == 1 else None


def _said(key: str) -> str:
    return key.replace(LEVEL, ".")


@cache
def _architectures() -> frozenset[str]:
    return frozenset(trunk.architecture for trunk in every_trunk())
