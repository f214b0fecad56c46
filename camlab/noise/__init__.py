"""Noise types: the registry, and ``perturb``, which applies them.

Every other module of this package is a family and registers its types when imported. Users see the families in the
order below; a module not named there follows the others, so that a new family is one new file.
"""

import importlib
import pkgutil

from camlab.noise.base import (
    FAMILIES,
    NOISES,
    Companion,
    NoiseFn,
    NoiseType,
    Surroundings,
    no_companion,
    noise_type,
    parameters_at,
    perturb,
    stream,
    unavailable,
)

__all__ = [
    "FAMILIES",
    "NOISES",
    "Companion",
    "NoiseFn",
    "NoiseType",
    "Surroundings",
    "no_companion",
    "noise_type",
    "parameters_at",
    "perturb",
    "stream",
    "unavailable",
]

for _module in (
    *("sensor", "blur", "weather", "digital", "occlusion"),
    *sorted(found.name for found in pkgutil.iter_modules(__path__)),
):
    importlib.import_module(f"{__name__}.{_module}")
