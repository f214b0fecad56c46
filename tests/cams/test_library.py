"""The adapter of pytorch-grad-cam: its maps are those of a direct call on the plain network, and nothing is hooked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam
import timm
import torch
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

from camlab.cams import CAMS, SharedPass, library, scale_maps, shared_pass
from camlab.cams.borrowed import from_input, from_maps
from camlab.cams.library import library_maps
from camlab.common.errors import BadSetting, Cancelled
from camlab.models import MODELS
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing
from tests.cams.oracle import at_input_size
from tests.cams.stub import Stub, random_pictures, run, signed_stub
from tests.rounding import apart, chain_bound, wide

Batch = Callable[[str, int], Tensor]
KINDS = {
    "fem": "FEM",
    "finercam": "FinerCAM",
    "kpcacam": "KPCA_CAM",
    "segeigencam": "SegEigenCAM",
    "shapleycam": "ShapleyCAM",
}
WHOLE = {"fullgrad": "FullGrad", "sess": "SESS"}
GOALS = [3, None]


def resnet18() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = timm.create_model("resnet18", num_classes=10).eval()
    return network


@pytest.fixture(scope="module")
def resnet() -> Classifier:
    """A ResNet-18 with random weights, at 64 pixels."""
    preprocessing = Preprocessing((64, 64), 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    names = [f"class {i}" for i in range(10)]
    network = resnet18()
    return Classifier(
        network,
        name="resnet18",
        title="ResNet-18",
        preprocessing=preprocessing,
        class_names=names,
        device=torch.device("cpu"),
    )


def direct(kind: str, network: nn.Module, layer: str, shared: SharedPass) -> np.ndarray:
    """The library as its users call it (N, H, W), a picture at a time."""
    found = []
    for row, target in enumerate(shared.targets.tolist()):
        made = getattr(pytorch_grad_cam, kind)(network, [network.get_submodule(layer)])
        with made as cam:
            inputs = shared.inputs[row : row + 1].clone()
            if kind == "FinerCAM":
                found.append(cam.forward(inputs, None, target_idx=target))
            else:
                found.append(cam.forward(inputs, [ClassifierOutputTarget(target)]))
    return np.concatenate(found)


def assert_same_raw(found: Any, wanted: Any, what: str) -> None:
    """Raw maps of calculations in float64, which the library's adapter rounds to float32."""
    assert wide(found).any(), what
    assert apart(found, wanted).max() <= chain_bound(1, np.abs(wide(wanted)).max()), what


def assert_parity(classifier: Classifier, network: nn.Module, layer: str, x: Tensor, names: dict[str, str]) -> None:
    shared = shared_pass(classifier, layer, x, GOALS[: len(x)], ["a", "b"][: len(x)], gradients=False)
    for name, kind in names.items():
        assert CAMS[name].serves(classifier, layer) is None
        ours, degenerate = scale_maps(CAMS[name].apply(shared))
        assert not degenerate.any()
        theirs = direct(kind, network, layer, shared)
        if name in WHOLE:
            theirs = scale_maps(F.adaptive_avg_pool2d(torch.from_numpy(theirs), (ours.shape[1], ours.shape[2])))[
                0
            ].numpy()
            worst = np.abs(theirs - ours.numpy()).max()
        else:
            worst = np.abs(theirs - at_input_size(ours, classifier.input_size)).max()
        # The library adds 1e-7 to a range that is near 1e-3 where gradients are, which makes 1e-4.
        assert worst <= 2e-4, (layer, name, worst)


@pytest.mark.parametrize(("layer", "rows"), [("bn2", [2, 11]), ("blocks.6", [2]), ("blocks.4", [11])])
def test_equals_a_direct_call_on_lite0(lite0: Classifier, batch: Batch, layer: str, rows: list[int]) -> None:
    network = MODELS["efficientnet_lite0"].build()
    assert_parity(lite0, network, layer, batch("efficientnet_lite0", 16)[rows], KINDS)


@pytest.mark.parametrize(("layer", "names"), [("layer3.1", KINDS), ("layer2.0", KINDS), ("layer3.0", WHOLE)])
def test_equals_a_direct_call_on_a_resnet(resnet: Classifier, layer: str, names: dict[str, str]) -> None:
    # SESS takes more than a hundred passes a picture, so one is enough.
    x = random_pictures(1 if names is WHOLE else 2, (64, 64))
    assert_parity(resnet, resnet18(), layer, x, names)


# what is there


def test_what_is_found_by_reading_is_what_importing_finds() -> None:
    cams = [
        name
        for name, kind in vars(pytorch_grad_cam).items()
        if isinstance(kind, type) and (issubclass(kind, BaseCAM) or name in ("FinerCAM", "RefineCAM", "SESS"))
    ]
    assert sorted(library.shipped_cams()) == sorted(cams)


def test_every_further_method_is_registered_once_and_after_ours() -> None:
    theirs = [name for name, method in CAMS.items() if 110 <= method.order < 1000]
    assert theirs == sorted({*KINDS, *WHOLE, "refinecam"})
    for name in theirs:
        assert CAMS[name].price and not CAMS[name].uses_gradients


def test_listing_imports_nothing_slow() -> None:
    code = "import sys, camlab.cams; print([m for m in ('pytorch_grad_cam', 'sklearn', 'timm') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_newer_release_is_read_by_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "newer_cams"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from newer_cams.base_cam import BaseCAM as Root\nfrom newer_cams.one import One, Deeper, helper\n"
        "from newer_cams.meta import Meta, Hooks\nimport newer_cams.missing\n"
    )
    (package / "base_cam.py").write_text("class BaseCAM:\n    pass\n")
    (package / "one.py").write_text("class One(BaseCAM):\n    pass\nclass Deeper(One):\n    pass\ndef helper(): ...\n")
    made = "    def __init__(self, model, target_layers): ...\n"
    (package / "meta.py").write_text(
        f"class Meta:\n{made}    def forward(self, input_tensor, targets=None): ...\n"
        f"class Hooks:\n{made}    def __call__(self, x): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(library, "_PACKAGE", "newer_cams")
    assert library.shipped_cams() == ["One", "Deeper", "Meta"]
    monkeypatch.setattr(library, "_PACKAGE", "not_there_at_all")
    assert library.shipped_cams() == []


def test_a_method_that_nothing_is_known_of_runs_on_the_whole_network() -> None:
    shared = run(signed_stub().double(), random_pictures(2).double())
    for kind, ours in (("GradCAM", "gradcam"), ("HiResCAM", "hirescam"), ("ShapleyCAM", "shapleycam")):
        words = library._unknown(kind)
        assert words.compute is from_input and words.summary.endswith(".")
        assert_same_raw(library_maps(kind, words, shared), CAMS[ours].apply(shared), kind)
    # One that only directs others gives a map of the picture's size, from which the layer's is taken.
    found = library_maps("RefineCAM", library._unknown("RefineCAM"), shared)
    assert found.shape == shared.activations[:, 0].shape and bool((found >= 0).all()) and bool(found.any())


# how it runs


def test_nothing_is_left_on_the_network(resnet: Classifier) -> None:
    shared = shared_pass(resnet, "layer3.1", random_pictures(1, (64, 64)), [3], ["a"], gradients=False)
    before = {key: value.clone() for key, value in resnet.module.state_dict().items()}
    for name in {*KINDS, "fullgrad"}:
        CAMS[name].apply(shared)
    for stage in [resnet.module, *(s.module for s in resnet._stages)]:
        for module in stage.modules():
            assert not module._forward_hooks and not module._backward_hooks
        assert all(p.grad is None and not p.requires_grad for p in stage.parameters())
    assert all(torch.equal(before[key], value) for key, value in resnet.module.state_dict().items())


def test_threads_that_share_a_network_get_the_same_maps(lite0: Classifier, batch: Batch) -> None:
    x = batch("efficientnet_lite0", 16)[[2, 11]]

    def maps(name: str) -> Tensor:
        shared = shared_pass(lite0, "blocks.6", x, GOALS, ["a", "b"], gradients=False)
        return CAMS[name].apply(shared)

    jobs = [*KINDS] * 2
    alone = {name: maps(name) for name in KINDS}
    with ThreadPoolExecutor(4) as pool:
        for name, found in zip(jobs, pool.map(maps, jobs), strict=True):
            assert torch.equal(found, alone[name]), name


def test_the_callers_random_numbers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a thread that draws while the library runs, and where the library itself draws or fails."""
    from pytorch_grad_cam.utils import svd_on_activations as module

    shared = run(signed_stub(), random_pictures(1))
    np.random.seed(5)
    wanted = np.random.random(8)
    np.random.seed(5)
    inside: list[float] = []
    compute, theirs = module.get_2d_projection_kernel, (module.np, module.KernelPCA)

    def drawing(*args: object, **options: object) -> object:
        other = ThreadPoolExecutor(1)  # somebody else, meanwhile
        inside.append(other.submit(np.random.random).result())
        inside.append(float(module.np.random.random()))
        return compute(*args, **options)

    monkeypatch.setattr("pytorch_grad_cam.kpca_cam.get_2d_projection_kernel", drawing)
    first, again = (CAMS["kpcacam"].apply(shared) for _ in range(2))
    assert torch.equal(first, again)
    assert inside[0::2] == wanted[:2].tolist()
    assert inside[1::2] == [np.random.RandomState(0).random_sample()] * 2
    assert np.array_equal(np.random.random(6), wanted[2:])

    def failing(*_: object, **__: object) -> object:
        raise ValueError("odd")

    monkeypatch.setattr("pytorch_grad_cam.kpca_cam.get_2d_projection_kernel", failing)
    with pytest.raises(ValueError, match="odd"):
        CAMS["kpcacam"].apply(shared)
    assert (module.np, module.KernelPCA) == theirs and module.np is np


def test_a_map_does_not_depend_on_the_batch_or_on_a_callers_no_grad() -> None:
    stub, x = signed_stub().double(), random_pictures(3).double()
    for name in KINDS:
        together = CAMS[name].apply(run(stub, x, [0, 1, 2]))
        with torch.no_grad():
            alone = CAMS[name].apply(run(stub, x[1:2], [1]))
        assert_same_raw(together[1:2], alone, name)


def test_stops_between_pictures() -> None:
    calls = [0]

    def check() -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        CAMS["fem"].apply(run(signed_stub(), random_pictures(3), check=check))


@pytest.mark.parametrize("value", [0.0, 0.3, float("nan")])
def test_maps_that_say_nothing_are_degenerate(value: float) -> None:
    shared = run(signed_stub(), random_pictures(1))
    constant = torch.full_like(shared.activations, 0.3) * torch.linspace(-1, 2, 7)[:, None, None]
    shared.activations = constant if value == 0.3 else constant * value
    shared.native = shared.activations
    for name in KINDS:
        assert scale_maps(CAMS[name].apply(shared))[1].all(), name


# what cannot be served


class Large(Stub):
    """A layer whose maps have more places than a matrix of places × places should have."""

    def layer_info(self, layer: str) -> Any:
        return type("Info", (), {"height": 112, "width": 112, "channels": 7, "nonnegative": False})()


def test_what_cannot_be_served_is_said_in_one_sentence(lite0: Classifier, resnet: Classifier) -> None:
    stub = signed_stub()
    large = signed_stub()
    large.__class__ = Large
    refused: dict[str, list[Any]] = {
        "fullgrad": [stub, lite0],
        "sess": [stub],
        "refinecam": [stub, lite0, resnet],
        "kpcacam": [large],
        "segeigencam": [large],
    }
    for name, classifiers in refused.items():
        for classifier in classifiers:
            layer = classifier.resolve_layer(None)
            reason = CAMS[name].serves(classifier, layer)
            assert reason is not None and reason.endswith(".") and "choose" in reason
            with pytest.raises(BadSetting, match="choose"):
                shared = run(stub, random_pictures(1))
                shared.classifier, shared.layer = classifier, layer
                CAMS[name].apply(shared)
    assert CAMS["sess"].serves(lite0, "bn2") is None and CAMS["fullgrad"].serves(resnet, "layer3.1") is None


class ChannelsLast(Stub):
    """The same numbers, laid out (N, h, w, K)."""

    def head(self, z: Tensor, layer: str) -> Tensor:
        return super().head(z, layer).permute(0, 2, 3, 1)

    def tail(self, activations: Tensor, layer: str) -> Tensor:
        return super().tail(activations.permute(0, 3, 1, 2), layer)

    def to_maps(self, activations: Tensor, layer: str) -> Tensor:
        return activations.permute(0, 3, 1, 2)

    def with_maps(self, activations: Tensor, maps: Tensor, layer: str) -> Tensor:
        return maps.permute(0, 2, 3, 1)


@pytest.mark.parametrize("name", KINDS)
def test_the_layout_of_a_network_does_not_matter(name: str) -> None:
    stub, x = signed_stub().double(), random_pictures(2).double()
    other = signed_stub().double()
    other.__class__ = ChannelsLast
    assert_same_raw(CAMS[name].apply(run(other, x)), CAMS[name].apply(run(stub, x)), name)


def test_attention_without_a_second_derivative_is_said() -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=2).eval()
    preprocessing = Preprocessing((224, 224), 1.0, "bilinear", (0.5,) * 3, (0.5,) * 3)
    vit = Classifier(
        network,
        name="vit",
        title="ViT",
        preprocessing=preprocessing,
        class_names=["a", "b", "c"],
        device=torch.device("cpu"),
    )
    shared = shared_pass(vit, "blocks.0", random_pictures(1, (224, 224)), [0], ["a"])
    with pytest.raises(BadSetting, match="choose a later layer"):
        CAMS["shapleycam"].apply(shared)
    assert CAMS["finercam"].apply(shared).shape == (1, 14, 14)


def test_a_map_starts_at_the_layer_whatever_feeds_it() -> None:
    shared = run(signed_stub().double(), random_pictures(1).double())
    for kind in (pytorch_grad_cam.ShapleyCAM, pytorch_grad_cam.SegEigenCAM):
        assert_same_raw(from_maps(kind, shared), from_input(kind, shared), kind.__name__)
