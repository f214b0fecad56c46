"""Mismatches of a checkpoint and an architecture, explained name by name."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import timm
import torch

from camlab.common.errors import UnknownName
from camlab.models.own.checkpoint import Checkpoint
from camlab.models.own.detection import (
    SHOWN,
    classifier_of,
    compare,
    expected_shapes,
    head_classes,
)
from camlab.models.own.recognition import explain_mismatch


@cache
def state(architecture: str, classes: int = 7) -> dict[str, torch.Tensor]:
    """A state dict without memory: only names and shapes are looked at."""
    with torch.device("meta"):
        model: Any = timm.create_model(architecture, num_classes=classes)
    return dict(model.state_dict())


def checkpoint(values: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint("mine.pth", "0" * 64, values)


def test_classes_are_read_off_the_head() -> None:
    assert classifier_of("deit_tiny_distilled_patch16_224") == ("head", "head_dist")
    assert classifier_of("resnet18") == ("fc",)
    assert head_classes({"head.weight": (9, 4)}, ("head",)) == 9
    assert head_classes({"other.bias": (9,), "fc.bias": (5,)}, ("head", "fc")) == 5
    assert head_classes({}, ("head",)) is None


def test_what_fits_needs_no_explanation() -> None:
    assert explain_mismatch(checkpoint(state("resnet18")), "resnet18") is None
    assert explain_mismatch(checkpoint(state("resnet18")), "resnet18", classes=7) is None


def test_every_kind_of_mismatch_is_named() -> None:
    values = dict(state("resnet18"))
    del values["layer1.0.conv1.weight"]
    values["layer9.weight"] = torch.empty(3, device="meta")
    values["bn1.weight"] = torch.empty(5, device="meta")
    values["layer1.0.bn1.gamma"] = values.pop("layer1.0.bn1.weight")
    found = explain_mismatch(checkpoint(values), "resnet18")
    assert found is not None
    assert set(found.missing) == {"layer1.0.conv1.weight", "layer1.0.bn1.weight"}
    assert set(found.unexpected) == {"layer9.weight", "layer1.0.bn1.gamma"}
    assert found.reshaped == {"bn1.weight": ((64,), (5,))}
    assert found.nearest == {"layer1.0.bn1.weight": "layer1.0.bn1.gamma"}
    assert found.sentence.startswith("mine.pth does not fit resnet18: tensors 2 missing (")
    assert found.sentence.endswith("; choose another architecture.")
    text = "\n".join(found.lines)
    assert "layer1.0.bn1.weight (the file has layer1.0.bn1.gamma)" in text
    assert "bn1.weight: the network has 64, the file 5" in text


def test_long_lists_are_cut_with_a_count() -> None:
    found = explain_mismatch(checkpoint(state("resnet18")), "resnet34")
    assert found is not None
    assert len(found.missing) > SHOWN
    hidden = len(found.missing) - SHOWN
    assert any(line == f"  … and {hidden} more" for line in found.lines)
    assert len(found.lines) < 4 * (SHOWN + 2) + 1
    assert len(found.sentence) < 300


def test_a_prefix_common_to_all_is_said() -> None:
    values = {"encoder.net." + key: value for key, value in state("resnet18").items()}
    assert explain_mismatch(checkpoint(values), "resnet18", classes=7) is None
    stored = {"encoder.net." + key: shape for key, shape in expected_shapes("resnet18").items()}
    found = compare(expected_shapes("resnet18"), stored, "mine.pth", "x")
    assert found is not None
    assert "all names in the file begin with 'encoder.net.': remove it" in found.sentence
    network = {"trunk." + key: shape for key, shape in expected_shapes("resnet18").items()}
    found = compare(network, expected_shapes("resnet18"), "mine.pth", "x")
    assert found is not None
    assert "begin with 'trunk.': add it to the file's" in found.sentence


def test_pictures_that_are_not_rgb_are_said() -> None:
    with torch.device("meta"):
        values = timm.create_model("resnet18", in_chans=1).state_dict()
    found = explain_mismatch(checkpoint(values), "resnet18")
    assert found is not None
    assert "trained on pictures with 1 channels" in found.sentence


def test_an_unknown_architecture_suggests_another() -> None:
    with pytest.raises(UnknownName, match="did you mean resnet18"):
        explain_mismatch(checkpoint({}), "resnet_18")
