"""Register every further CAM of the installed pytorch-grad-cam through one adapter; the library computes the maps.

The list of CAMs is read from the library's source (`shipped_cams`), because importing it takes seconds. Each one gets
its class's name in lower case; methods that are already registered (`gradcam`, …) are left out.
"""

import ast
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from camlab.cams.base import CAMS, Cost, Explainable, SharedPass, anywhere, cam_method
from camlab.cams.borrowed import Maps, enhanced, everywhere, from_input, from_maps, plain_network
from camlab.common.errors import BadSetting
from camlab.common.torch_state import pinned_torch

_PACKAGE = "pytorch_grad_cam"
_BASE = "BaseCAM"

#: The largest layer map (in places) of which a method may make a matrix of places × places (64 MB).
PLACES = 4096

# The library runs in one thread at a time. It calls nothing back, so no deadlock can arise.
_LOCK = threading.Lock()


class _Numpy:
    """A stand-in for NumPy in the library's modules, with its own random stream."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@contextmanager
def _same_draws() -> Iterator[None]:
    """Give the library the same random draws each time and leave NumPy's global stream alone.

    Other threads may draw from the global stream. So the names `np` and `KernelPCA` (whose solver starts from a random
    draw) are replaced in the library's modules, which one thread runs at a time. Call it under the lock.
    """
    from sklearn.decomposition import KernelPCA

    swaps = {id(np): _Numpy(), id(KernelPCA): partial(KernelPCA, random_state=0)}
    before = [
        (vars(module), name, value)
        for path, module in list(sys.modules.items())
        if path.startswith("pytorch_grad_cam")
        for name, value in list(vars(module).items())
        if id(value) in swaps
    ]
    try:
        for names, name, value in before:
            names[name] = swaps[id(value)]
        yield
    finally:
        for names, name, value in before:
            names[name] = value


def _has_biases(classifier: Explainable, layer: str) -> str | None:
    """Return why FullGrad cannot be used, or None: the library needs layers with biases."""
    try:
        parts = list(plain_network(classifier).modules())
    except BadSetting as error:
        return str(error)
    if any(type(m) in (nn.Conv2d, nn.BatchNorm2d) and m.bias is not None for m in parts):
        return None
    return (
        "FullGrad adds up the gradients of all biases, but pytorch-grad-cam finds no layer with one in this network; "
        "choose a ResNet or another method."
    )


def _few_places(classifier: Explainable, layer: str) -> str | None:
    """Return why a method with a matrix of places × places cannot be used, or None: it must fit into memory."""
    info = classifier.layer_info(layer)
    if (places := info.height * info.width) <= PLACES:
        return None
    return (
        f"This layer's maps have {places} places, and pytorch-grad-cam would compare every pair of them, which takes "
        "gigabytes of memory; choose a later layer."
    )


def _square(classifier: Explainable, layer: str) -> str | None:
    """Return why SESS cannot be used, or None: its crops must be as large as the network's input."""
    height, width = classifier.input_size
    if height == width:
        return None
    return "SESS cuts square crops, and this model's pictures are not square; choose another method."


def _one_layer(classifier: Explainable, layer: str) -> str | None:
    """Return why Refine-CAM cannot be used at any layer."""
    return (
        "Refine-CAM multiplies the maps of several layers; on the one layer explained here it equals Grad-CAM++: "
        "choose gradcam++."
    )


@dataclass(frozen=True)
class _Words:
    """A method of the library: its texts, and the function that runs it."""

    title: str
    summary: str
    source: str
    price: str = "one forward and backward pass of the layers after the target layer per picture"
    class_specific: bool = True
    cost: Cost = "tail"
    compute: Callable[[Any, SharedPass], Maps] = from_maps
    serves: Callable[[Explainable, str], str | None] = anywhere


_KNOWN = {
    "fem": _Words(
        "FEM",
        "Weights each channel by the share of places where it is unusually strong; the class plays no role.",
        "Fuad et al. 2020, IPTA, doi 10.1109/IPTA50016.2020.9286629",
        class_specific=False,
    ),
    "finercam": _Words(
        "Finer-CAM",
        "Shows what supports the class against the three classes with the most similar scores.",
        "Zhang et al. 2025, arXiv 2501.11309",
    ),
    "fullgrad": _Words(
        "FullGrad",
        "Adds up what the picture and every bias of the network contribute; the target layer only sets the resolution.",
        "Srinivas & Fleuret 2019, arXiv 1905.00780",
        "one forward and backward pass of the whole network, and a picture-sized map per channel of every layer",
        cost="full",
        compute=everywhere,
        serves=_has_biases,
    ),
    "kpcacam": _Words(
        "KPCA-CAM",
        "Shows the strongest common pattern of the channels as a kernel sees it; the class plays no role.",
        "Karmani et al. 2024, arXiv 2410.00267",
        "one kernel decomposition per picture, as large as the number of places of the layer's map",
        class_specific=False,
        serves=_few_places,
    ),
    "refinecam": _Words(
        "Refine-CAM",
        "Multiplies the maps of several layers, so that only what all of them show remains.",
        "arXiv 2605.14641, after pytorch-grad-cam",
        serves=_one_layer,
    ),
    "segeigencam": _Words(
        "Seg-Eigen-CAM",
        "Shows the strongest common pattern of absolute gradient times activation; its larger peak is made positive.",
        "Chung & Ying 2025, doi 10.3390/app15137562",
        serves=_few_places,
    ),
    "sess": _Words(
        "SESS (Grad-CAM)",
        "Combines the Grad-CAM maps of many crops at twelve scales, each weighted by the score of its crop.",
        "Tursun et al. 2022, arXiv 2207.01769",
        "about 120 forward and backward passes of the whole network per picture",
        cost="full",
        compute=enhanced,
        serves=_square,
    ),
    "shapleycam": _Words(
        "ShapleyCAM",
        "Like Grad-CAM, but corrects each channel's weight by how its gradient changes with the channels; there is "
        "nothing to correct where only ReLUs and linear layers follow.",
        "Cai 2025, arXiv 2501.06261",
        "one forward and two backward passes of the layers after the target layer per picture",
    ),
}


def _unknown(kind: str) -> _Words:
    return _Words(
        kind,
        f"The method {kind} of the installed pytorch-grad-cam, about which CAM Lab knows no more.",
        f"pytorch-grad-cam, {kind}",
        "at least one forward and backward pass of the whole network per picture",
        cost="full",
        compute=from_input,
    )


@pinned_torch()
def library_maps(kind: str, words: _Words, shared: SharedPass) -> Tensor:
    """Compute the raw maps (N, h, w) of a class of pytorch-grad-cam, picture by picture, by its own code.

    It works on a module made for this call: nothing of the shared network is hooked or changed. Raises BadSetting
    if the method cannot serve the classifier at the layer, and what `check` raises, between pictures.
    """
    if (reason := words.serves(shared.classifier, shared.layer)) is not None:
        raise BadSetting(reason)
    import pytorch_grad_cam

    maps = shared.activations.new_zeros((len(shared.inputs), *shared.activations.shape[-2:]))
    for row in range(len(maps)):
        shared.check()
        alone = shared.rows(slice(row, row + 1), shared.check, shared.chunk)
        # Outside the lock: `check` may wait for the device, and two threads could then wait for each other.
        with _LOCK, _same_draws(), _derivatives():
            maps[row] = torch.from_numpy(words.compute(getattr(pytorch_grad_cam, kind), alone))
    return maps


@contextmanager
def _derivatives() -> Iterator[None]:
    """Raise BadSetting with advice if torch lacks a second derivative (of fused attention, for example)."""
    try:
        yield
    except RuntimeError as error:
        if "derivative for" in str(error) and "not implemented" in str(error):
            raise BadSetting(
                "This method needs second derivatives, which torch lacks for the attention after this layer; choose a "
                "later layer or another method."
            ) from error
        raise


def shipped_cams() -> list[str]:
    """Return the names of the exported classes that make a map from a network and a layer.

    Such a class is built on `BaseCAM`, directly or not, or it is made from ``model`` and ``target_layers`` and
    called with an ``input_tensor`` and ``targets``. Empty if the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return []
    root = Path(spec.origin)
    exported: list[str] = []
    classes: dict[str, ast.ClassDef] = {}
    for statement in _parsed(root).body:
        if not isinstance(statement, ast.ImportFrom) or statement.module is None:
            continue
        exported += [alias.asname or alias.name for alias in statement.names]
        source = root.parent.joinpath(*statement.module.split(".")[1:]).with_suffix(".py")
        if source.is_file():
            classes |= {c.name: c for c in _parsed(source).body if isinstance(c, ast.ClassDef)}
    return [name for name in exported if name in classes and _is_cam(name, classes)]


def _parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def _is_cam(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    if name == _BASE or name not in classes:
        return name == _BASE
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    if any(_is_cam(base, classes) for base in bases):
        return True
    takes = {
        method.name: {argument.arg for argument in method.args.args}
        for method in classes[name].body
        if isinstance(method, ast.FunctionDef)
    }
    made = {"model", "target_layers"} <= takes.get("__init__", set())
    return made and any({"input_tensor", "targets"} <= takes.get(call, set()) for call in ("forward", "__call__"))


def _register() -> None:
    ours = {name.replace("_", "") for name in CAMS}
    found = {name: kind for kind in shipped_cams() if (name := _name(kind)) not in ours}
    for place, (name, kind) in enumerate(sorted(found.items())):
        words = _KNOWN.get(name) or _unknown(kind)
        about = {key: value for key, value in vars(words).items() if key != "compute"}
        # The library computes its own gradients.
        method = cam_method(name, uses_gradients=False, order=110 + place, **about)
        method(partial(library_maps, kind, words))


def _name(kind: str) -> str:
    return kind.lower().replace("_", "").replace("plusplus", "++")


_register()
