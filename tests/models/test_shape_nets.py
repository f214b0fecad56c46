"""The three small networks: what comes with the project, how well they know scenes they never saw, how they fail."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from camlab.common.errors import MissingWeights, UnknownName
from camlab.images.scenes.scenes import CLASSES, SCENE_VERSION, render, scene_plan
from camlab.models import shape_nets
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing
from camlab.models.shape_nets import FOLDER, SHAPE_NETS, build, save
from camlab.noise import perturb

NAMES = list(SHAPE_NETS)
COUNT = 100


@cache
def held_out() -> tuple[Tensor, Tensor]:
    """Scenes of the seed that is never trained on, from beyond the record's own, as model inputs."""
    plans = [scene_plan(index, 0) for index in range(5000, 5000 + COUNT)]
    pictures = np.stack([render(plan, shape_nets.SIDE)[0] for plan in plans])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return x.contiguous(), torch.tensor([plan.label for plan in plans])


@cache
def net(name: str) -> Any:
    return build(name)


@torch.inference_mode()
def share_right(name: str, x: Tensor) -> float:
    config = net(name).pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    predicted = torch.cat([net(name)((part - mean) / std).argmax(1) for part in torch.split(x, 50)])
    return float((predicted == held_out()[1]).float().mean())


@cache
def share_right_clean(name: str) -> float:
    return share_right(name, held_out()[0])


@pytest.mark.parametrize("name", NAMES)
def test_they_know_scenes_they_never_saw_and_noise_makes_it_harder(name: str) -> None:
    x, _ = held_out()
    clean = share_right_clean(name)
    noisy = share_right(name, perturb(x, "gaussian_noise", 3, 0, [f"held out {k}" for k in range(COUNT)]))
    assert clean >= 0.9
    assert 0.2 < noisy < clean - 0.02  # chance is 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_record_says_what_the_weights_do(name: str) -> None:
    record = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert record["classes"] == list(CLASSES)
    assert record["scene_version"] == SCENE_VERSION
    assert record["settings"]["seed"] != record["held_out"]["seed"] == 0
    assert record["held_out"]["accuracy"] >= 0.95
    noisy = record["held_out"]["accuracy_gaussian_noise"]
    assert 0.2 < noisy["3"] < record["held_out"]["accuracy"]
    assert noisy["5"] < noisy["3"] < noisy["1"]
    assert abs(share_right_clean(name) - record["held_out"]["accuracy"]) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_hold_all_that_the_network_has(name: str) -> None:
    path = FOLDER / f"{name}.safetensors"
    assert path.stat().st_size <= 3 * 10**6
    module = net(name)
    assert sum(p.numel() for p in module.parameters()) == SHAPE_NETS[name].parameters
    assert not module.training
    with safe_open(path, framework="pt") as stored:
        assert set(stored.keys()) == set(module.state_dict())
        for key, tensor in module.state_dict().items():
            kept = stored.get_tensor(key)
            assert kept.dtype == (torch.float16 if kept.ndim > 1 else tensor.dtype)
            assert tensor.dtype in (torch.float32, torch.int64)
            assert torch.equal(kept.to(tensor.dtype), tensor)  # loaded exactly


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_is_timm_s_and_leaves_a_scene_as_it_is(name: str) -> None:
    from PIL import Image

    preprocessing = Preprocessing.from_timm(net(name).pretrained_cfg)
    picture, _ = render(scene_plan(0), shape_nets.SIDE)
    x = preprocessing.apply(Image.fromarray(picture))
    np.testing.assert_array_equal((x * 255).round().byte().permute(1, 2, 0).numpy(), picture)
    assert net(name).get_submodule(net(name).pretrained_cfg["classifier"]).out_features == len(CLASSES)


def test_they_are_residual_plain_and_attention() -> None:
    kinds = {name: {type(m).__name__ for m in net(name).modules()} for name in NAMES}
    assert "BasicBlock" in kinds["shapes_resnet"]
    assert not kinds["shapes_vgg"] & {"BasicBlock", "Attention"}
    assert "Attention" in kinds["shapes_vit"]
    assert net("shapes_vit").global_pool == "token"


@torch.inference_mode()
def test_last_maps_have_8_by_8_cells() -> None:
    x = torch.zeros(1, 3, shape_nets.SIDE, shape_nets.SIDE)
    assert net("shapes_resnet").forward_features(x).shape[2:] == (8, 8)
    assert net("shapes_vgg").forward_features(x).shape[2:] == (8, 8)
    assert net("shapes_vit").forward_features(x).shape[1] == 1 + 8 * 8


def test_the_resnet_can_be_explained_now() -> None:
    module = net("shapes_resnet")
    classifier = Classifier(
        module,
        name="shapes_resnet",
        title=SHAPE_NETS["shapes_resnet"].title,
        preprocessing=Preprocessing.from_timm(module.pretrained_cfg),
        class_names=CLASSES,
        device=torch.device("cpu"),
    )
    x, labels = held_out()
    layer = classifier.layer_info(None)
    assert (layer.height, layer.width, layer.pooled) == (8, 8, True)
    with torch.inference_mode():
        assert (classifier.logits(x[:20]).argmax(1) == labels[:20]).float().mean() > 0.8


def test_gradients_flow_and_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    module: Any = build("shapes_vit")
    assert torch.equal(torch.get_rng_state(), before)
    module(torch.zeros(1, 3, 128, 128))[0, 0].backward()
    assert module.head.weight.grad is not None


# what can go wrong


def test_an_unknown_network() -> None:
    with pytest.raises(UnknownName, match="did you mean 'shapes_vgg'"):
        build("shape_vgg")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=r"are missing .*run `camlab train-shapes --net shapes_vgg`"):
        build("shapes_vgg", tmp_path)


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    place = len(data) - 1000
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flipped, lambda _: b"", lambda _: b"x" * 5000])
def test_a_damaged_file(damage: Any, tmp_path: Path) -> None:
    data = (FOLDER / "shapes_vgg.safetensors").read_bytes()
    (tmp_path / "shapes_vgg.safetensors").write_bytes(damage(data))
    with pytest.raises(MissingWeights, match="are damaged"):
        build("shapes_vgg", tmp_path)


def test_another_network_s_file(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "shapes_resnet.safetensors", tmp_path / "shapes_vgg.safetensors")
    with pytest.raises(MissingWeights, match="are damaged"):
        build("shapes_vgg", tmp_path)


def test_saving_and_building_are_inverse(tmp_path: Path) -> None:
    state = {key: t + 1 if t.is_floating_point() else t for key, t in net("shapes_vgg").state_dict().items()}
    save("shapes_vgg", state, tmp_path / "shapes_vgg.safetensors")
    again = build("shapes_vgg", tmp_path).state_dict()
    for key, tensor in state.items():
        assert torch.equal(again[key], shape_nets.compact(tensor).to(tensor.dtype)), key
