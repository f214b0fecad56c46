"""Class activation maps: the registry of methods, one module per family, and the shared pass they all read."""

from camlab.cams import ablation, cluster, eigen, gradient, random, score  # noqa: F401  they register
from camlab.cams.base import (
    CAMS,
    PACES,
    CamFn,
    CamMethod,
    Explainable,
    LayerLike,
    SharedPass,
    cam_method,
    probabilities,
    shared_pass,
    unserved,
)
from camlab.cams.coincidence import Coincidence, coinciding
from camlab.cams.scaling import scale_maps

# Last: it leaves out what the others have registered.
from camlab.cams import library  # isort: skip  # noqa: F401

#: The six methods of arXiv 2508.18154, in its order.
PAPER_SIX: tuple[str, ...] = ("gradcam", "gradcam++", "xgradcam", "ablationcam", "hirescam", "eigencam")

__all__ = [
    "CAMS",
    "PACES",
    "PAPER_SIX",
    "CamFn",
    "CamMethod",
    "Coincidence",
    "Explainable",
    "LayerLike",
    "SharedPass",
    "cam_method",
    "coinciding",
    "probabilities",
    "scale_maps",
    "shared_pass",
    "unserved",
]
