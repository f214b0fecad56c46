"""timm's models from the cache on disk: the right weights, names and preprocessing, and never the network."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from cachetools import LRUCache
from huggingface_hub import constants

from camlab.common.errors import MissingWeights, UnknownName
from camlab.images.scenes.scenes import CLASSES
from camlab.models import (
    MAX_LOADED,
    MODELS,
    Classifier,
    find_model,
    imagenet_classes,
    load_classifier,
    loading,
)
from camlab.models.class_names import class_names_for, numbered
from camlab.models.hub.catalogue import catalogue_row
from camlab.models.hub.pretrained import build_pretrained
from tests.models.hub.stand_in import fill_cache
from tests.models.own.test_model import network

NAME = "timm/resnet18.a1_in1k"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, no network, and no loaded model of another test."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(loading, "_others", LRUCache(MAX_LOADED))
    return tmp_path


def test_a_cached_model_predicts_what_timm_does(cache: Path) -> None:
    module = network("resnet18.a1_in1k")
    fill_cache(cache, NAME, safetensors.torch.save(dict(module.state_dict())))
    row = find_model(NAME)
    assert row.parameters == sum(p.numel() for p in module.parameters())
    classifier = load_classifier("timm/resnet18", "cpu")
    assert classifier is load_classifier(NAME, "cpu")
    assert (classifier.name, classifier.title) == (NAME, "resnet18.a1_in1k")
    assert classifier.class_names == imagenet_classes()
    config: Any = module.pretrained_cfg
    assert classifier.preprocessing.crop_pct == config["crop_pct"]
    assert classifier.preprocessing.mean == config["mean"]
    assert "state_dict" not in classifier.module.pretrained_cfg  # type: ignore[operator]
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        z = classifier.normalise(x)
        torch.testing.assert_close(classifier.logits(x), module(z), rtol=1e-4, atol=1e-4)


def test_without_weights_it_says_which_command_fetches_them(cache: Path) -> None:
    with pytest.raises(MissingWeights, match=r"`camlab download timm/resnet18\.a1_in1k`\.$"):
        load_classifier(NAME, "cpu")


def test_damaged_weights_are_named(cache: Path) -> None:
    path = fill_cache(cache, NAME, b"\x10\x00\x00\x00\x00\x00\x00\x00not safetensors")
    with pytest.raises(MissingWeights, match="damaged or do not fit"):
        load_classifier(NAME, "cpu")
    values = dict(network("resnet18.a1_in1k").state_dict())
    del values["fc.bias"]
    path.write_bytes(safetensors.torch.save(values))
    with pytest.raises(MissingWeights, match=r"model\.safetensors"):
        load_classifier(NAME, "cpu")


def test_an_older_timm_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_cache(cache, NAME, b"weights")
    monkeypatch.setattr("timm.is_model", lambda name: False)
    with pytest.raises(MissingWeights, match="pip install --upgrade timm"):
        build_pretrained(catalogue_row(NAME))


def test_names_for_every_known_set_of_classes() -> None:
    assert class_names_for(1000) == imagenet_classes()
    for count in (11821, 21841, 21843, 11221, 21842):
        assert len(set(class_names_for(count))) > count / 2
        assert len(class_names_for(count)) == count
    assert class_names_for(3) == numbered(3) == ("class 0", "class 1", "class 2")
    assert find_model("timm/vit_base_patch16_224.bamboo").class_names()[-1] == "class 115216"


def test_find_model_knows_every_kind_of_name() -> None:
    for name, row in MODELS.items():
        assert find_model(name) is row
        assert row.class_names() == (CLASSES if row.family == "ShapeScenes" else imagenet_classes())
    assert find_model(NAME).source == "https://huggingface.co/timm/resnet18.a1_in1k"
    for unknown in ("timm/nothing", "own/0123456789ab", "efficientnet_lite9", "timm", "a/b"):
        with pytest.raises(UnknownName):
            find_model(unknown)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names in the order in which they are built; what is built is a stand-in."""
    builds: list[str] = []

    def build(row: Any, device: Any) -> Any:
        builds.append(row.name)
        return object()

    monkeypatch.setattr(loading, "_build", build)
    monkeypatch.setattr(loading, "_loaded", {})
    monkeypatch.setattr(loading, "_others", LRUCache(MAX_LOADED))
    return builds


def test_the_least_recently_used_is_forgotten_first(counted: list[str]) -> None:
    names = [f"timm/resnet{n}" for n in (18, 34, 50, 101, 152)][: MAX_LOADED + 1]
    bundled = list(MODELS)
    kept: dict[str, Classifier] = {name: load_classifier(name, "cpu") for name in [*bundled, *names[:-1]]}
    assert load_classifier(names[0], "cpu") is kept[names[0]]
    load_classifier(names[-1], "cpu")  # one too many: the second, not used since, goes
    counted.clear()
    for name in (*bundled, names[0], *names[2:]):
        load_classifier(name, "cpu")
    assert counted == []
    load_classifier(names[1], "cpu")
    assert len(counted) == 1


def test_threads_share_what_is_loaded_while_others_are_forgotten(counted: list[str]) -> None:
    names = [f"timm/resnet{n}" for n in (18, 34, 50, 101, 152)]
    problems: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for turn in range(200):
                name = names[(start + turn) % len(names)]
                assert load_classifier(name, "cpu") is not None
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(loading._others) <= MAX_LOADED
