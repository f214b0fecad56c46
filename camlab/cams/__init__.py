"""Class activation maps: a registry, one small file a family, and one shared pass that serves them all."""

from camlab.cams import ablation, eigen, gradient, random, score
from camlab.cams.base import (
    CAMS,
    CamFn,
    CamMethod,
    Explainable,
    LayerLike,
    SharedPass,
    cam_method,
    probabilities,
    scale_maps,
    shared_pass,
)
from camlab.cams.coincidence import Coincidence, coinciding

#: The six methods of arXiv 2508.18154, in its order.
PAPER_SIX: tuple[str, ...] = ("gradcam", "gradcam++", "xgradcam", "ablationcam", "hirescam", "eigencam")

__all__ = [
    "CAMS",
    "PAPER_SIX",
    "CamFn",
    "CamMethod",
    "Coincidence",
    "Explainable",
    "LayerLike",
    "SharedPass",
    "ablation",
    "cam_method",
    "coinciding",
    "eigen",
    "gradient",
    "probabilities",
    "random",
    "scale_maps",
    "score",
    "shared_pass",
]
