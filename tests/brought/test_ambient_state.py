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

from camlab.cams import CAMS, PAPER_SIX, shared_pass
from camlab.cams.smoothing import PLAIN, Smoothing
from camlab.common import torch_state
from camlab.common.errors import BadSetting, Cancelled
from camlab.common.torch_state import pinned_arithmetic, pinned_torch
from camlab.engine.cache.database import Database
from camlab.engine.cache.disk import DiskStore
from camlab.engine.cache.memory import MapCache
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import Spec
from camlab.explore.attack.search import Attack, ExplanationAttack
from camlab.metrics.faithfulness import FaithfulnessInput, deletion, insertion, road
from camlab.models import MODELS, loading
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing
from camlab.noise import Surroundings, perturb
from tests.brought.case import BroughtCase

SIDE, CLASSES = 24, 4
CPU = torch.device("cpu")
BACKENDS: Any = torch.backends  # untyped in part

# --- the states ---


@contextmanager
def held(read: Callable[[], Any], write: Callable[[Any], object], value: Any) -> Iterator[None]:
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
    "no oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "no denormal numbers": lambda: held(lambda: False, torch.set_flush_denormal, True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "plain attention": lambda: sdpa_kernel(SDPBackend.MATH),
    "graphs in half precision": lambda: torch.autograd.graph.saved_tensors_hooks(in_half, lambda x: x.float()),
}
if hasattr(torch.backends, "fp32_precision"):  # from torch 2.9 on
    STATES["bfloat16 convolutions"] = lambda: precision(BACKENDS.mkldnn.conv)
#: Those that a state of another kind cannot stand for: all of their pairs are tried.
MAIN = (
    "autocast", "inference mode", "no gradients", "default type float64", "default device", "deterministic algorithms",
    "medium products", "plain attention", "graphs in half precision",
)  # fmt: skip
PAIRS = list(itertools.combinations(MAIN, 2))


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

NOISY = Spec("gaussian_noise", 3.0, 1)
#: The paper's six, and those that run pytorch-grad-cam's code or need second derivatives.
METHODS = (*PAPER_SIX, "layercam", "finercam", "fullgrad", "kpcacam", "shapleycam")
#: The rest of the methods, of which some take many passes.
OTHERS = tuple(name for name in CAMS if name not in METHODS and CAMS[name].serves(shared(), "act2") is None)


def engine(cache: MapCache | None = None, classifier: Classifier | None = None) -> Engine:
    return Engine(classifier or shared(), cache or MapCache(), queue=DeviceQueue())


def explained(
    methods: tuple[str, ...] = METHODS, on: Engine | None = None, smoothing: Smoothing = PLAIN
) -> dict[str, bytes]:
    """Return the bytes of a noisy picture's maps and prediction."""
    (found,) = (on or engine()).explain(clean(), "digest", [NOISY], methods, "act2", smoothing=smoothing)
    assert all(map_.dtype == np.float32 for map_ in found.maps.values())
    return {name: map_.tobytes() for name, map_ in found.maps.items()} | {"prediction": found.probabilities.tobytes()}


def image(tensor: Tensor) -> bytes:
    assert tensor.dtype == torch.float32 and tensor.device == CPU
    return tensor.detach().numpy().tobytes()


def noisy() -> dict[str, bytes]:
    """Noise types that compute in torch, of which an attack takes gradients."""
    x, around = clean()[None], Surroundings(shared())
    chosen = ("impulse_noise", "saturate", "occlusion", "fgsm", "pgd_targeted")
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
        **{name: image(CAMS[name].apply(whole).float()) for name in ("gradcam", "ablationcam", "finercam")},
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
    return explained(("gradcam",), smoothing=Smoothing(eigen=True, augment=True, noisy=2))


def new_network() -> dict[str, bytes]:
    """Maps of a network that was built in the same state."""
    return explained(("gradcam", "fullgrad", "shapleycam"), engine(classifier=built()))


def bundled() -> dict[str, bytes]:
    """A model that is read from its file in the same state, and its prediction."""
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


def six() -> dict[str, bytes]:
    return explained(PAPER_SIX)


def other_methods() -> dict[str, bytes]:
    return explained(OTHERS)


def _named(value: Any) -> str:
    return " and ".join(value) if isinstance(value, tuple) else value.__name__


# --- the promises ---


def settings() -> list[Any]:
    """Everything that a call could leave changed, as seen from here."""
    return [
        torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.empty(0).device, sys.float_info.min / 2 == 0,
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.enabled, torch.is_anomaly_enabled(),
        BACKENDS.cuda.flash_sdp_enabled(), BACKENDS.cuda.math_sdp_enabled(),
        torch_state._gradients_are_hooked(), *(_exact(flag.read()) for flag in torch_state._FLAGS),
    ]  # fmt: skip


def _exact(value: Any) -> Any:
    return "ieee" if value == "none" else value  # two names of full precision, between which torch's setters choose


@pytest.mark.parametrize(
    ("names", "work"), [*(((name,), explained) for name in STATES), *((pair, six) for pair in PAIRS)], ids=_named
)
def test_maps_are_the_same_bytes_under_every_state_and_any_two(names: tuple[str, ...], work: Work) -> None:
    expected(work)
    outside = settings()
    with within(*names):
        inside = settings()
        found = work()
        assert settings() == inside
    assert settings() == outside
    assert differing(found, work) == []


@pytest.mark.parametrize("work", LIGHT.values(), ids=LIGHT)
@pytest.mark.parametrize("name", MAIN)
def test_so_is_all_else_that_goes_into_torch(name: str, work: Work) -> None:
    expected(work)
    with within(name):
        found = work()
    assert differing(found, work) == []


@pytest.mark.parametrize("name", [name for name in MAIN if "device" not in name])
def test_so_are_the_maps_of_a_network_that_was_built_there(name: str) -> None:
    expected(new_network)
    with within(name):
        found = new_network()
    assert differing(found, new_network) == []


@pytest.mark.parametrize("work", [other_methods, bundled, *LIGHT.values()], ids=_named)
def test_all_states_at_once_change_nothing(work: Work) -> None:
    expected(work)
    outside = settings()
    with within(*STATES):
        found = work()
    assert settings() == outside and differing(found, work) == []


def test_training_is_the_same_too() -> None:
    from camlab.models.shape_training import Settings, fit, scene_bank

    few = Settings(scenes=4, batch=4, epochs=1, close_epochs=1)

    def trained() -> dict[str, bytes]:
        with pinned_torch():
            bank = scene_bank(few.scenes, 0, lambda _: None)
        net, _ = fit("shapes_vgg", bank, few, CPU, lambda _: None)
        return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}

    right = trained()
    with within(*(name for name in STATES if name != "no denormal numbers")):
        assert trained() == right


def test_a_stored_result_is_the_ordinary_one(tmp_path: Path) -> None:
    """What a call under autocast leaves on the disk, a later process finds under the ordinary key."""
    store = DiskStore(Database(tmp_path))
    with within("autocast"):
        explained(on=engine(MapCache(store=store)))
    assert store.flush()
    later = engine(MapCache(store=DiskStore(Database(tmp_path))))
    assert later.explain(clean(), "digest", [NOISY], METHODS, "act2")[0].cached
    assert differing(explained(on=later), explained) == []


def test_a_store_that_was_filled_before_serves_every_state(tmp_path: Path) -> None:
    store = DiskStore(Database(tmp_path))
    explained(on=engine(MapCache(store=store)))
    for name in STATES:
        with within(name):
            (found,) = engine(MapCache(store=store)).explain(clean(), "digest", [NOISY], METHODS, "act2")
        assert found.cached, name


@pytest.mark.parametrize("name", ["autocast", "default type float64", "default device", "plain attention"])
def test_a_second_thread_computes_the_same(name: str) -> None:
    """Autocast and device begin anew in a thread; flags and default type are those of the process."""
    expected(explained)

    def inside() -> dict[str, bytes]:
        with within(name):
            return explained(("gradcam", "finercam"))

    with within(name), ThreadPoolExecutor(1) as pool:
        plain = pool.submit(explained, ("gradcam", "finercam")).result()
    with ThreadPoolExecutor(1) as pool:
        own = pool.submit(inside).result()
    assert all(found[key] == expected(explained)[key] for found in (plain, own) for key in found)


def test_threads_that_overlap_keep_each_others_state() -> None:
    """The first to leave must not give the caller's flags back while the other computes."""
    held_by_one, may_leave, left = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with pinned_torch():
            held_by_one.set()
            assert may_leave.wait(30)
        left.set()

    with within("default type float64", "deterministic algorithms", "medium products"):
        thread = threading.Thread(target=first)
        thread.start()
        assert held_by_one.wait(30)
        with pinned_torch():
            may_leave.set()
            assert left.wait(30)
            assert torch.get_default_dtype() == torch.float32
            assert not torch.are_deterministic_algorithms_enabled()
            assert torch.get_float32_matmul_precision() == "highest"
        thread.join()
        assert torch.get_default_dtype() == torch.float64
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("name", STATES)
def test_the_callers_state_survives_an_error(name: str) -> None:
    def stop() -> None:
        raise Cancelled

    with within(name):
        before = settings()
        with pytest.raises(Cancelled):
            engine().explain(clean(), "digest", [NOISY], ["gradcam"], "act2", check=stop)
        assert settings() == before


def test_what_another_sets_meanwhile_stays() -> None:
    with within("medium products"):
        with pinned_torch():
            torch.set_float32_matmul_precision("high")
        assert torch.get_float32_matmul_precision() == "high"


def test_a_classifier_leaves_gradients_to_the_caller() -> None:
    x = clean()[None].clone().requires_grad_()
    with within("autocast"):
        total = shared().logits(x).sum()
    (gradient,) = torch.autograd.grad(total, x)
    (right,) = torch.autograd.grad(shared().logits(x).sum(), x)
    assert torch.equal(gradient, right)
    with torch.no_grad():
        assert not shared().logits(x).requires_grad


def classifier_of(module: nn.Module) -> Classifier:
    return Classifier(
        module,
        name="small",
        title="Small",
        preprocessing=shared().preprocessing,
        class_names=shared().class_names,
        device=CPU,
    )


def test_shared_weights_made_in_inference_mode_stay_shared() -> None:
    with torch.inference_mode():
        module = Small()
        module.act2.twin = module.last.weight
        module.load_state_dict(weights(module))
    network = classifier_of(module)
    assert module.act2.twin is module.last.weight and not module.last.weight.is_inference()
    assert explained(("gradcam",), engine(classifier=network)).keys() == {"gradcam", "prediction"}


def test_a_network_without_weights_is_refused() -> None:
    with torch.device("meta"):
        module = Small()
    with pytest.raises(BadSetting, match="Small has no weights, only their shapes; build it outside the meta device"):
        classifier_of(module)


def test_inside_a_transform_of_torch_func_the_reason_is_said() -> None:
    def loss(x: Tensor) -> Tensor:
        explained(("gradcam",))
        return x.sum()

    with pytest.raises(BadSetting, match=r"cannot compute inside a transform of torch\.func .*; call it outside"):
        torch.func.grad(loss)(torch.ones(2))
    with pinned_arithmetic():
        assert differing(explained(), explained) == []


# --- the table of what people bring ---


def _no_word_in_the_cache(folder: Path) -> None:
    test_a_stored_result_is_the_ordinary_one(folder)


def _every_pair(*names: str) -> Callable[[Path], None]:
    def check(_: Path) -> None:
        expected(explained)
        with within(*names):
            assert differing(explained(), explained) == []

    return check


CASES = (
    BroughtCase(
        "A call under `torch.autocast`",
        "It computes in float32 all the same, so that the cache holds the ordinary result.",
        _no_word_in_the_cache,
    ),
    BroughtCase(
        "A call under `torch.inference_mode` or `torch.no_grad`",
        "Methods that need gradients take them all the same.",
        _every_pair("inference mode", "no gradients"),
    ),
    BroughtCase(
        "`torch.set_default_dtype(torch.float64)` or another default device",
        "It computes in float32 on the model's device and gives the caller's defaults back.",
        _every_pair("default type float64", "default device"),
    ),
    BroughtCase(
        "Deterministic algorithms, TF32 or bfloat16 products",
        "Maps are the same to the last bit; the switches are as before afterwards.",
        _every_pair("deterministic algorithms", "medium products"),
    ),
    BroughtCase(
        "A network that was built in inference mode",
        "Its weights are copied, so that gradients flow.",
        lambda _: test_so_are_the_maps_of_a_network_that_was_built_there("inference mode"),
    ),
    BroughtCase(
        "A network that was built on the meta device",
        "It is refused: it has no weights.",
        lambda _: test_a_network_without_weights_is_refused(),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_what_people_bring(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)
