"""Find and load models by name: a bundled one, ``timm/`` and a name of timm's catalogue, or ``own/`` and a digest.

Finding a model imports neither torch nor timm, which take seconds; loading one does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from camlab.common.errors import BadSetting, UnknownName
from camlab.models.hub.catalogue import PREFIX
from camlab.models.hub.pretrained import find_pretrained
from camlab.models.own.kept import find_own_or_kept
from camlab.models.preprocessing import Preprocessing
from camlab.models.registry import MODELS, OWN_PREFIX, ModelRow

if TYPE_CHECKING:
    import torch

    from camlab.models.classifier import Classifier

_FINDERS = {PREFIX: find_pretrained, OWN_PREFIX: find_own_or_kept}

#: The number of non-bundled models that stay in memory; one may take a gigabyte.
MAX_LOADED = 4

_Key = tuple[str, str]
_loaded: dict[_Key, Classifier] = {}  # bundled models
_others: LRUCache[_Key, Classifier] = LRUCache(MAX_LOADED)  # models from timm's catalogue and the user
_recalling = threading.Lock()  # guards _others, which changes when it is read
_loading = threading.Lock()


def find_model(name: str) -> ModelRow:
    """Return the row of a bundled model, of ``timm/NAME`` or of ``own/DIGEST``. Raises UnknownName."""
    for prefix, find in _FINDERS.items():
        if name.startswith(prefix):
            return find(name)
    return MODELS[name]


def model_on_command_line(name: str) -> str:
    """Return how a command names a model: an own one by its file, which only its owner's folders hold."""
    if not name.startswith(OWN_PREFIX):
        return name
    try:
        return find_model(name).source
    except UnknownName:
        return "CHECKPOINT_FILE"


def load_classifier(name: str, device: str = "auto") -> Classifier:
    """Return the model called ``name`` on ``device``, loaded once and shared by all callers and threads.

    Bundled models stay in memory, as do the MAX_LOADED last used others. Raises UnknownName, BadSetting for a device
    that this machine lacks, and MissingWeights with the command to run.
    """
    row = find_model(name)
    place = pick_device(device)
    key = (row.name, str(place))
    if (known := _recall(key)) is not None:
        return known
    with _loading:  # parallel first calls: one builds, the others wait for it
        if (known := _recall(key)) is None:
            known = _build(row, place)
            with _recalling:
                (_loaded if row.name in MODELS else _others)[key] = known
        return known


def _recall(key: _Key) -> Classifier | None:
    with _recalling:
        return _loaded.get(key) or _others.get(key)


def _build(row: ModelRow, device: torch.device) -> Classifier:
    from camlab.common.torch_state import pinned_torch
    from camlab.models.classifier import Classifier

    # Weights built inside inference mode, for example, would block the gradients of all later callers.
    with pinned_torch():
        module = row.build()
        config: Any = module.pretrained_cfg
        return Classifier(
            module,
            name=row.name,
            title=row.title,
            preprocessing=Preprocessing.from_timm(config),
            class_names=row.class_names(),
            device=device,
        )


def pick_device(device: str = "auto") -> torch.device:
    """Return the device called ``device``; "auto" picks CUDA, else Apple's MPS, else the CPU. Raises BadSetting."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda:0" if cuda else "mps" if mps else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError):
        raise BadSetting(f"There is no device called {str(device)[:40]!r}; choose auto, cpu, cuda or mps.") from None
    there = {"cpu": True, "cuda": cuda and (place.index or 0) < torch.cuda.device_count(), "mps": mps}
    if not there.get(place.type, False):
        raise BadSetting(f"This machine has no {device[:40]!r} device; choose auto or cpu.")
    # One name per device, so that "cuda" and "cuda:0" share one model.
    return torch.device("cuda", place.index or 0) if place.type == "cuda" else torch.device(place.type)
