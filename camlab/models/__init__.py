"""Models: the registry, loading, and loaded classifiers.

``Classifier`` and ``TargetLayer`` are imported, with torch, on first access; the registry needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from camlab.models.class_names import imagenet_classes, short_name
from camlab.models.loading import MAX_LOADED, find_model, load_classifier, model_on_command_line, pick_device
from camlab.models.registry import MODELS, OWN_PREFIX, ModelRow

if TYPE_CHECKING:
    from camlab.models.classifier import Classifier
    from camlab.models.network.split import TargetLayer

__all__ = [
    "MAX_LOADED",
    "MODELS",
    "OWN_PREFIX",
    "Classifier",
    "ModelRow",
    "TargetLayer",
    "find_model",
    "imagenet_classes",
    "load_classifier",
    "model_on_command_line",
    "pick_device",
    "short_name",
]


def __getattr__(name: str) -> Any:
    homes = {"Classifier": "classifier", "TargetLayer": "network.split"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{homes[name]}"), name)
