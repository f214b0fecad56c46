"""What decides the last digits of a result besides its inputs: the libraries and the device that compute it.

It is part of the cache keys because results outlive an upgrade and a change of device on disk. Another release
may round otherwise, blur otherwise or encode a JPEG otherwise; and a comparison of two devices that share one
entry would compare nothing. Left out is what moves only the last bits of activations within one installation:
the number of threads and what else was in the batch. (A study, which keeps what it computes, fixes both.)
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import torch

import camlab

#: Whatever computes, beside torch, on the way from a model-input picture to a map.
LIBRARIES = ("timm", "numpy", "scipy", "pillow", "grad-cam", "scikit-learn")


@lru_cache(maxsize=1)
def libraries() -> tuple[str, ...]:
    """Versions of what computes: torch's with its build, then those of LIBRARIES."""
    return (torch.__version__, *(version(name) for name in LIBRARIES))


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of CAM Lab, Python and those of the packages that are installed, by name."""
    found = {"camlab": camlab.__version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=8)
def arithmetic(device: torch.device) -> tuple[str, ...]:
    """What a cache key says about where a result comes from: device and libraries."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    )
    return (device.type, name, *libraries())
