"""The libraries' versions and the device, which affect the last digits of a result.

They are part of the cache keys, because results on disk outlive an upgrade and a change of device. Another release
may round, blur or encode a JPEG differently, and two devices that share one entry could not be compared. The number
of threads and the batch change only the last bits of activations and are left out. (A study fixes both.)
"""

import os
import platform
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import torch

import camlab

#: The packages besides torch that compute between a model-input picture and a map.
LIBRARIES = ("timm", "numpy", "scipy", "pillow", "grad-cam", "scikit-learn")


#: Variables by which oneDNN and MKL round otherwise. Both read them when they are loaded, so no code can undo them.
ROUNDING_VARIABLES = (
    "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR",
)  # fmt: skip


@lru_cache(maxsize=1)
def libraries() -> tuple[str, ...]:
    """Return the versions of torch, with its build, and of LIBRARIES."""
    return (torch.__version__, *(version(name) for name in LIBRARIES))


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of CAM Lab, Python and the installed ones of ``packages``, by name."""
    found = {"camlab": camlab.__version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=8)
def arithmetic(device: torch.device) -> tuple[str, ...]:
    """Return the part of a cache key that names the device, the libraries, and variables that change rounding."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    )
    rounding = (f"{name}={value}" for name in ROUNDING_VARIABLES if (value := os.environ.get(name)))
    return (device.type, name, *libraries(), *rounding)
