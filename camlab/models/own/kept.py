"""Keep own models outside this process: a description and a file of weights, which any process can load again.

A study keeps its own models in its folder: its workers and whoever resumes it have no upload, and perhaps no longer the
checkpoint that was read.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from camlab.common.errors import BadCheckpoint, UnknownName
from camlab.models.own.model import find_own, own_models
from camlab.models.registry import OWN_PREFIX, ModelRow
from camlab.models.sizes import ARGUMENTS, create

if TYPE_CHECKING:
    from torch import nn

#: Parts of timm's configuration that decide what a network sees.
_SEEN = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")
_offered: dict[str, ModelRow] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class KeptModel:
    """The description of an own model, as plain data, without its weights.

    name: ``own/`` and 12 hex digits; architecture: its name in timm; preprocessing: entries of timm's configuration;
    digest: of the file of weights; arguments: what the network's constructor is told besides.
    """

    name: str
    title: str
    architecture: str
    summary: str
    source: str
    parameters: int
    class_names: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    digest: str
    arguments: Mapping[str, Any]

    @property
    def filename(self) -> str:
        """The name of the file of weights."""
        return f"{self.name.removeprefix(OWN_PREFIX)}.safetensors"

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeptModel:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        texts = ("name", "title", "architecture", "summary", "source", "digest")
        if not re.fullmatch(OWN_PREFIX + "[0-9a-f]{12}", str(data["name"])):  # it becomes a file's name
            raise ValueError("name")
        names = tuple(str(each) for each in data["class_names"])
        return cls(
            **{text: str(data[text]) for text in texts},
            parameters=int(data["parameters"]),
            class_names=names,
            preprocessing={key: data["preprocessing"][key] for key in _SEEN},
            arguments={str(key): value for key, value in data["arguments"].items()},
        )


def keep(row: ModelRow) -> tuple[KeptModel, bytes]:
    """Return the description of an own model and the bytes of its file of weights.

    Raises BadCheckpoint if the model that they give is not the same, and what building the model raises.
    """
    from safetensors.torch import save

    from camlab.common.torch_state import pinned_torch

    with pinned_torch():
        network = row.build()
        # Copies, as the format refuses tensors that share memory.
        data = save({key: value.detach().clone().contiguous() for key, value in network.state_dict().items()})
        config: Any = network.pretrained_cfg
        kept = KeptModel(
            row.name,
            row.title,
            row.family,
            row.summary,
            row.source,
            row.parameters,
            row.class_names(),
            {key: config.get(key) for key in _SEEN},
            hashlib.sha256(data).hexdigest(),
            config.get(ARGUMENTS, {}),
        )
        if _fingerprint(row.name, _built(kept, lambda: data)) != _fingerprint(row.name, network):
            raise BadCheckpoint(f"{row.title} cannot be kept outside this process; use one of timm's architectures.")
    return kept, data


def offer(kept: KeptModel, read: Callable[[], bytes]) -> None:
    """Let `find_own_or_kept` find a kept model, whose weights are read when it is loaded."""
    _, height, width = kept.preprocessing["input_size"]
    row = ModelRow(
        name=kept.name,
        title=kept.title,
        family=kept.architecture,
        summary=kept.summary,
        parameters=kept.parameters,
        input_size=(int(height), int(width)),
        licence="yours",
        source=kept.source,
        build=partial(_built, kept, read),
        class_names=lambda: kept.class_names,
    )
    with _lock:
        _offered[kept.name] = row


def read_kept(path: Path) -> bytes:
    """Read a file of weights. Raises BadCheckpoint if it is gone."""
    try:
        return path.read_bytes()
    except OSError as error:
        why = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadCheckpoint(f"The file of your own model, {path}, {why}; restore it, or start anew.") from error


def find_own_or_kept(name: str) -> ModelRow:
    """Return the row of an own model that this process has loaded, or that is kept. Raises UnknownName."""
    try:
        return find_own(name)
    except UnknownName:
        with _lock:
            row = _offered.get(name)
        if row is None:
            raise
        return row


def titles() -> dict[str, str]:
    """Return the titles of all own models that this process has loaded or that are kept, by name."""
    with _lock:
        rows = [*_offered.values(), *own_models()]
    return {row.name: row.title for row in rows}


def _built(kept: KeptModel, read: Callable[[], bytes]) -> nn.Module:
    from safetensors.torch import load

    data = read()
    if hashlib.sha256(data).hexdigest() != kept.digest:
        raise BadCheckpoint(
            f"The kept weights of {kept.title} have changed since; restore their file {kept.filename}, or start anew."
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        settings = {key: value for key, value in kept.preprocessing.items() if key != "input_size"}
        _, height, width = kept.preprocessing["input_size"]
        size, told = (int(height), int(width)), tuple(kept.arguments.items())
        network = create(kept.architecture, len(kept.class_names), size, arguments=told, **settings)
    network.load_state_dict(load(data), strict=True)
    return cast("nn.Module", network.eval())


def _fingerprint(name: str, network: nn.Module) -> str:
    from camlab.models.classifier import fingerprint
    from camlab.models.preprocessing import Preprocessing

    config: Any = network.pretrained_cfg
    return fingerprint(name, network, Preprocessing.from_timm(config))
