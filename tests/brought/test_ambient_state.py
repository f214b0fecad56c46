"""Whatever torch state a caller has set, the bytes of maps, predictions, noise and attacks are the same."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from camlab.cams import CAMS, PAPER_SIX, SharedPass, shared_pass
from camlab.cams.smoothing import Smoothing
from camlab.common import torch_state
from camlab.common.errors import BadSetting, Cancelled
from camlab.common.torch_state import pinned_arithmetic, pinned_torch
from camlab.engine.cache.database import Database
from camlab.engine.cache.disk import DiskStore
from camlab.engine.cache.memory import MapCache
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.attack.search import Attack, ExplanationAttack
from camlab.metrics.faithfulness import FaithfulnessInput, deletion, insertion, road
from camlab.models import MODELS, loading
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing
from camlab.noise import NOISES, Surroundings, perturb
from tests.brought.case import BroughtCase

SIDE, CLASSES = 24, 4
CPU = torch.device("cpu")

# --- the states ---


@contextmanager
def held(read: Callable[[], Any], write: Callable[[Any], None], value: Any) -> Iterator[None]:
    """Set a switch of the whole process, and set it back."""
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def precision(owner: Any) -> AbstractContextManager[None]:
    return held(lambda: owner.fp32_precision, partial(setattr, owner, "fp32_precision"), "bf16")


def of_process(read: str, write: str, value: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: held(getattr(torch, read), getattr(torch, write), value)


def default_device() -> AbstractContextManager[None]:
    return held(lambda: None, torch.set_default_device, "meta")


def in_half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", torch.float16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "default type float64": of_process("get_default_dtype", "set_default_dtype", torch.float64),
    "default device": default_device,
    "a device around": lambda: torch.device("meta"),
    "deterministic algorithms": of_process(
        "are_deterministic_algorithms_enabled", "use_deterministic_algorithms", True
    ),
    "medium products": of_process("get_float32_matmul_precision", "set_float32_matmul_precision", "medium"),
    "bfloat16 convolutions": lambda: precision(torch.backends.mkldnn.conv),
    "no oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "no denormal numbers": lambda: held(lambda: False, torch.set_flush_denormal, True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "plain attention": lambda: sdpa_kernel(SDPBackend.MATH),
    "graphs in half precision": lambda: torch.autograd.graph.saved_tensors_hooks(in_half, lambda x: x.float()),
}
PAIRS = list(itertools.combinations(STATES, 2))


@contextmanager
def within(*names: str) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(STATES[name]())
        yield


# --- the smallest network with all that a state can touch ---


class Small(nn.Module):
    """Convolutions with norms and biases, attention, a position that its forward makes, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU()
        self.mix = Mixing(6)
        self.last = nn.Conv2d(6, 8, 3, padding=1)
        self.act2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.act(self.norm(self.stem(x))))
        x = self.act2(self.last(x))
        out: Tensor = self.head(self.flat(self.pool(x)))
        return out


class Mixing(nn.Module):
    """Attention between the places of a map, each of which carries its number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).mT
        tokens = tokens + torch.arange(tokens.shape[1], dtype=torch.get_default_dtype())[:, None] * 0.01
        q, k, v = self.project(tokens)[:, None].chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + mixed.mT.reshape(x.shape)


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Values for every tensor of a network that are the same in every state."""
    draw = np.random.default_rng(3)
    found: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        values = draw.uniform(0.1, 0.6, tuple(tensor.shape)) * draw.choice([-1, 1], tuple(tensor.shape))
        values = np.abs(values) if name.endswith("running_var") else values
        found[name] = torch.from_numpy(np.array(values)).to("cpu", tensor.dtype)
    return found


def built() -> Classifier:
    module = Small()
    module.load_state_dict(weights(module))
    return Classifier(
        module,
        name="small",
        title="Small",
        preprocessing=Preprocessing((SIDE, SIDE), 1.0, "bicubic", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "center"),
        class_names=[f"class {i}" for i in range(CLASSES)],
        device=CPU,
    )


@cache
def shared() -> Classifier:
    with pinned_torch():
        return built()


@cache
def clean() -> Tensor:
    drawn = np.random.default_rng(1).random((3, SIDE, SIDE), dtype=np.float32)
    return torch.from_numpy(drawn)


PICTURE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 30, 3), dtype=np.uint8))

# --- what is compared ---

SPECS = (CLEAN, Spec("gaussian_noise", 3.0, 1))
#: The paper's six, and those that run pytorch-grad-cam or need second derivatives.
METHODS = (*PAPER_SIX, "layercam", "finercam", "fullgrad", "kpcacam", "shapleycam")
#: The rest of the methods, of which some take many passes.
OTHERS = tuple(name for name in CAMS if name not in METHODS and CAMS[name].serves(shared(), "act2") is None)


def engine(cache: MapCache | None = None, classifier: Classifier | None = None) -> Engine:
    return Engine(classifier or shared(), cache or MapCache(), queue=DeviceQueue())


def explained(
    methods: tuple[str, ...] = METHODS, specs: tuple[Spec, ...] = SPECS, on: Engine | None = None, **more: Any
) -> dict[str, bytes]:
    """Return the bytes of every map and prediction."""
    found = (on or engine()).explain(clean(), "digest", specs, methods, "act2", **more)
    maps = {f"{name} {i}": version.maps[name].tobytes() for i, version in enumerate(found) for name in methods}
    assert all(map_.dtype == np.float32 for version in found for map_ in version.maps.values())
    return maps | {f"prediction {i}": version.probabilities.tobytes() for i, version in enumerate(found)}


def image(tensor: Tensor) -> bytes:
    assert tensor.dtype == torch.float32 and tensor.device == CPU
    return tensor.detach().numpy().tobytes()


def noisy() -> dict[str, bytes]:
    """Every noise type that needs no second picture, attacks included."""
    x, around = clean()[None], Surroundings(shared())
    chosen = [name for name, noise in NOISES.items() if noise.needs != "companion"]
    return {name: image(perturb(x, name, 3.0, 1, "digest", around)) for name in chosen}


def passed() -> dict[str, bytes]:
    """A classifier's own methods, and a pass without an engine."""
    classifier, x = shared(), clean()[None]
    z = classifier.normalise(x)
    activations = classifier.head(z, "act2")
    whole = shared_pass(classifier, "act2", x, [None], ["key"])
    return {
        "preprocess": image(classifier.preprocess(PICTURE)),
        "normalise": image(z),
        "head": image(activations),
        "tail": image(classifier.tail(activations, "act2")),
        "logits": image(classifier.logits(x)),
        "logits of float64": image(classifier.logits(x.double())),
        **{name: image(CAMS[name].apply(whole).float()) for name in METHODS},
    }


def faithful() -> dict[str, bytes]:
    pictures, maps = clean()[None], np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(1, SIDE, SIDE)
    case = FaithfulnessInput(shared(), pictures, maps, [1])
    return {
        "deletion": deletion(case, 3).tobytes(),
        "insertion": insertion(case, 3).tobytes(),
        "road": road(case, (30,)).tobytes(),
    }


def attacked() -> dict[str, bytes]:
    attack = ExplanationAttack(engine(), clean(), "digest", Attack("gradcam", "act2", 16 / 255, steps=2, slack=1.0))
    while attack.job.running:
        attack.job.step()
    assert attack.job.error is None and attack.result is not None and attack.result.step > 0
    return {"picture": attack.result.picture.tobytes(), "map": attack.result.after.tobytes()}


def smoothed() -> dict[str, bytes]:
    return explained(("gradcam",), (CLEAN,), smoothing=Smoothing(eigen=True, augment=True, noisy=2))


def new_network() -> dict[str, bytes]:
    """Maps of a network that was built in the same state."""
    return explained(("gradcam", "fullgrad", "shapleycam"), (CLEAN,), engine(classifier=built()))


def bundled() -> dict[str, bytes]:
    classifier = loading._build(MODELS["shapes_vgg"], CPU)
    x = torch.from_numpy(np.full((1, 3, *classifier.input_size), 0.5, np.float32))
    return {"weights": classifier.fingerprint.encode(), "logits": image(classifier.logits(x))}


Work = Callable[[], dict[str, bytes]]
LIGHT: dict[str, Work] = {
    "noise": noisy,
    "passes": passed,
    "faithfulness": faithful,
    "attack": attacked,
    "smoothing": smoothed,
}


@cache
def expected(work: Work) -> dict[str, bytes]:
    """What is computed where nothing has been set."""
    return work()


def differing(found: dict[str, bytes], work: Work) -> list[str]:
    right = expected(work)
    assert found.keys() == right.keys()
    return [name for name, value in found.items() if value != right[name]]


def other_methods() -> dict[str, bytes]:
    return explained(OTHERS, (CLEAN,))


# --- the promises ---


def settings() -> list[Any]:
    """Everything that a call could leave changed, as seen from here."""
    return [
        torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.empty(0).device, sys.float_info.min / 2 == 0,
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.conv.fp32_precision, torch.backends.mkldnn.enabled, torch.is_anomaly_enabled(),
        torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled(),
        torch_state._gradients_are_hooked(),
    ]  # fmt: skip


@pytest.mark.parametrize("names", [*((name,) for name in STATES), *PAIRS], ids=" and ".join)
def test_maps_are_the_same_bytes_under_every_state_and_any_two(names: tuple[str, ...]) -> None:
    expected(explained)
    outside = settings()
    with within(*names):
        inside = settings()
        found = explained()
        assert settings() == inside
    assert settings() == outside
    assert differing(found, explained) == []


@pytest.mark.parametrize("work", LIGHT.values(), ids=LIGHT)
@pytest.mark.parametrize("name", STATES)
def test_so_is_all_else_that_goes_into_torch(name: str, work: Work) -> None:
    expected(work)
    with within(name):
        found = work()
    assert differing(found, work) == []
