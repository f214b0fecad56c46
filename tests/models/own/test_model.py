"""The user's own checkpoints become models whose predictions are those of the network that was saved."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from camlab.common.errors import BadCheckpoint, BadSetting, UnknownName
from camlab.models import find_model, load_classifier, loading
from camlab.models.own import model as own
from camlab.models.own.checkpoint import Checkpoint, read_checkpoint
from camlab.models.own.model import MAX_OWN_BYTES, model_from_file, own_model, own_models


def network(architecture: str, seed: int = 0, **options: Any) -> nn.Module:
    """An untrained network in eval mode; the random state of the tests is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = timm.create_model(architecture, **options).eval()
        for name, buffer in model.named_buffers():
            if "running_" in name:  # statistics as after training: not all 0 and 1
                buffer.uniform_(0.5, 1.5)
        return model


def stored(module: nn.Module, name: str = "mine.pth") -> Checkpoint:
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    return read_checkpoint(stream.getvalue(), name)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No checkpoint of another test is in memory, and none of these stays there."""
    from cachetools import LRUCache

    monkeypatch.setattr(own, "_known", LRUCache(MAX_OWN_BYTES, own._bytes))
    monkeypatch.setattr(loading, "_others", LRUCache(loading.MAX_LOADED))
    yield


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_b0"])
def test_a_checkpoint_predicts_what_its_network_does(architecture: str) -> None:
    module = network(architecture, num_classes=3)
    row = own_model(stored(module), architecture, ["ant", "bee", "cat"])
    classifier = load_classifier(row.name, "cpu")
    assert classifier.class_names == ("ant", "bee", "cat")
    assert row.parameters == sum(p.numel() for p in module.parameters())
    assert row.input_size == classifier.input_size
    x = torch.rand(1, 3, *row.input_size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        z = classifier.normalise(x)
        torch.testing.assert_close(classifier.logits(x), module(z), rtol=1e-4, atol=1e-4)
    assert load_classifier(row.name, "cpu") is classifier


def test_the_name_follows_from_all_that_decides_a_prediction() -> None:
    checkpoint = stored(network("resnet18", num_classes=2))
    rows = [
        own_model(checkpoint, "resnet18"),
        own_model(checkpoint, "resnet18", ["a", "b"]),
        own_model(checkpoint, "resnet18", mean=(0.5, 0.5, 0.5)),
        own_model(checkpoint, "resnet18", input_size=(96, 96)),
        own_model(checkpoint, "resnet18", crop_pct=0.8),
        own_model(stored(network("resnet18", 1, num_classes=2)), "resnet18"),
    ]
    assert len({row.name for row in rows}) == len(rows)
    assert own_model(checkpoint, "resnet18", title="Another title").name == rows[0].name
    for row in rows:
        prefix, _, digits = row.name.partition("/")
        assert (prefix, len(digits)) == ("own", 12)


def test_preprocessing_is_the_users_where_given() -> None:
    checkpoint = stored(network("resnet18", num_classes=2))
    row = own_model(
        checkpoint, "resnet18", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), input_size=(96, 128), crop_pct=1.0
    )
    found = load_classifier(row.name, "cpu").preprocessing
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (found.input_size, found.crop_pct) == ((96, 128), 1.0)
    plain = load_classifier(own_model(checkpoint, "resnet18").name, "cpu").preprocessing
    assert plain.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mean": (124, 116, 104)}, "divide numbers for values up to 255 by 255"),
        ({"std": (0.0, 1.0, 1.0)}, "std must be three"),
        ({"mean": (0.5,)}, "three numbers"),
        ({"std": (float("nan"), 1.0, 1.0)}, "three numbers"),
        ({"input_size": (8, 224)}, "8 × 224"),
        ({"crop_pct": 1.5}, "crop of 1.5"),
        ({"class_names": ["one"]}, "1 class names, but mine.pth has 2 outputs"),
    ],
)
def test_settings_that_cannot_be_are_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadSetting, match=sentence):
        own_model(stored(network("resnet18", num_classes=2)), "resnet18", **settings)
    assert own_models() == []


def test_names_of_the_classes_where_none_are_given() -> None:
    few = own_model(stored(network("resnet18", num_classes=2)), "resnet18")
    assert few.class_names() == ("class 0", "class 1")
    many = own_model(stored(network("resnet18", num_classes=1000)), "resnet18")
    assert many.class_names()[281] == "tabby, tabby cat"


def test_what_does_not_fit_changes_nothing() -> None:
    good = own_model(stored(network("resnet18", num_classes=2)), "resnet18")
    with pytest.raises(BadCheckpoint, match=r"does not fit resnet34: tensors .* missing"):
        own_model(stored(network("resnet18", num_classes=2)), "resnet34")
    with pytest.raises(BadCheckpoint, match="single output"):
        own_model(stored(network("resnet18", num_classes=1)), "resnet18")
    with pytest.raises(BadCheckpoint, match="does not fit resnet18"):
        own_model(stored(network("resnet18", num_classes=0)), "resnet18")
    with pytest.raises(UnknownName):
        own_model(stored(network("resnet18", num_classes=2)), "resnet_18")
    assert own_models() == [good]


def test_other_projects_names_go_through_timms_conversion() -> None:
    module = network("densenet121", num_classes=4)
    values = {k: v for k, v in module.state_dict().items() if "num_batches_tracked" not in k}
    # As torchvision named them before 2018, when there were no counters.
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in values.items()}
    assert set(old) != set(values)
    built = own_model(Checkpoint("mine.pth", "0" * 64, old), "densenet121").build()
    for key, value in values.items():
        assert torch.equal(built.state_dict()[key], value), key


def test_a_family_that_loads_loosely_leaves_no_weight_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    # timm loads Inception-v3 without insisting on every tensor. Its way to fill weights at random is slow.
    monkeypatch.setattr(sys.modules["timm.models.inception_v3"], "trunc_normal_", nn.init.normal_)
    values = dict(network("inception_v3", num_classes=4).state_dict())
    del values["Mixed_7c.branch_pool.conv.weight"]
    checkpoint = Checkpoint("mine.pth", "0" * 64, values)
    with pytest.raises(BadCheckpoint, match=r"1 missing \(Mixed_7c\.branch_pool\.conv\.weight\)"):
        own_model(checkpoint, "inception_v3")


def test_old_checkpoints_without_counters_and_half_precision_load() -> None:
    module = network("resnet18", num_classes=2)
    values = {k: v.half() for k, v in module.state_dict().items() if "num_batches_tracked" not in k}
    built = own_model(Checkpoint("mine.pth", "0" * 64, values), "resnet18").build()
    assert {p.dtype for p in built.parameters()} == {torch.float32}
    torch.testing.assert_close(
        built.state_dict()["conv1.weight"], module.state_dict()["conv1.weight"], rtol=1e-3, atol=1e-4
    )


def test_building_leaves_the_random_state_alone() -> None:
    row = own_model(stored(network("resnet18", num_classes=2)), "resnet18")
    torch.manual_seed(7)
    before = torch.get_rng_state()
    row.build()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_oldest_is_forgotten_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from cachetools import LRUCache

    checkpoint = stored(network("resnet18", num_classes=2))
    size = 4 * sum(p.numel() for p in network("resnet18", num_classes=2).parameters())
    monkeypatch.setattr(own, "_known", LRUCache(3 * size - 1, own._bytes))
    rows = [own_model(checkpoint, "resnet18", crop_pct=share) for share in (0.7, 0.8)]
    assert find_model(rows[0].name) is rows[0]  # used last: the other goes first
    third = own_model(checkpoint, "resnet18", crop_pct=0.9)
    assert own_models() == [rows[0], third]
    with pytest.raises(UnknownName, match="load its file again"):
        find_model(rows[1].name)


def test_the_last_stays_however_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from cachetools import LRUCache

    monkeypatch.setattr(own, "MAX_OWN_BYTES", 1000)
    monkeypatch.setattr(own, "_known", LRUCache(1000, own._bytes))
    row = own_model(stored(network("resnet18", num_classes=2)), "resnet18")
    assert own_models() == [row]


def test_a_file_finds_its_architecture(tmp_path: Path) -> None:
    path, names = tmp_path / "weights.safetensors", tmp_path / "names.json"
    safetensors.torch.save_file(network("resnet18", num_classes=2).state_dict(), path)
    names.write_text(json.dumps(["ant", "bee"]))
    row = model_from_file(path, class_file=names)
    assert row.family == "resnet18"
    assert row.title == "weights.safetensors"
    assert row.class_names() == ("ant", "bee")
    assert model_from_file(path, "resnet18", names).name == row.name
    with pytest.raises(BadSetting, match="cannot be read"):
        model_from_file(path, class_file=tmp_path / "none.txt")
    torch.save({"a.weight": torch.ones(2, 2)}, tmp_path / "odd.pth")
    with pytest.raises(BadCheckpoint, match="matches no known architecture"):
        model_from_file(tmp_path / "odd.pth")
