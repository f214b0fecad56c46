"""Models: the registry, loading, and what a loaded classifier is.

``Classifier`` and ``TargetLayer`` are imported with torch when first asked for; the registry needs no torch.
"""

from typing import TYPE_CHECKING, Any

from camlab.models.registry import (
    MAX_LOADED,
    MODELS,
    OWN_PREFIX,
    ModelRow,
    find_model,
    imagenet_classes,
    load_classifier,
    pick_device,
    short_name,
)

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
    "pick_device",
    "short_name",
]


def __getattr__(name: str) -> Any:
    if name == "Classifier":
        from camlab.models.classifier import Classifier

        return Classifier
    if name == "TargetLayer":
        from camlab.models.network.split import TargetLayer

        return TargetLayer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
