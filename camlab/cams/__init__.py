"""Class activation maps: the registry of methods, one module per family, and the shared pass they all read."""

from camlab.cams import ablation, cluster, eigen, gradient, random, score
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
from camlab.cams import library  # isort: skip

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
    "ablation",
    "cam_method",
    "cluster",
    "coinciding",
    "eigen",
    "gradient",
    "library",
    "probabilities",
    "random",
    "scale_maps",
    "score",
    "shared_pass",
    "unserved",
]
