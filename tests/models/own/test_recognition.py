"""Architectures recognised by their tensors."""

from __future__ import annotations

import pytest
import torch

from camlab.models.own.recognition import recognise
from camlab.models.sizes import skeleton
from tests.models.own.test_detection import checkpoint, state


@pytest.mark.parametrize(
    ("architecture", "twins"),
    [
        ("resnet18", set()),
        ("efficientnet_b0", {"tf_efficientnet_b0"}),
        ("vgg16_bn", set()),
        ("densenet121", set()),
        ("convnext_tiny", set()),
        ("swin_tiny_patch4_window7_224", set()),
        ("deit_tiny_distilled_patch16_224", set()),
        ("vit_small_patch16_224", {"deit_small_patch16_224"}),
        ("coatnet_0_rw_224", set()),
    ],
)
def test_an_architecture_is_found_whatever_its_number_of_classes(architecture: str, twins: set[str]) -> None:
    found = recognise(checkpoint(state(architecture))).matches
    assert found[0].architecture == architecture
    assert {c.architecture for c in found[1:]} >= twins
    assert all(c.exact and c.share == 1 and c.classes == 7 for c in found)
    old = {k: v for k, v in state(architecture).items() if "num_batches_tracked" not in k}
    assert recognise(checkpoint(old)).matches == found


def test_without_a_classifier_the_number_of_classes_is_open() -> None:
    trunk = {key: value for key, value in state("resnet18").items() if not key.startswith("fc.")}
    found = recognise(checkpoint(trunk)).matches[0]
    assert (found.architecture, found.exact, found.classes) == ("resnet18", True, None)


def test_what_is_not_quite_an_architecture_is_told_by_its_share() -> None:
    theirs = dict(skeleton("vgg16_bn", 7).state_dict())
    for name in ("features.0.weight", "features.1.bias"):
        theirs[name.replace("features", "stem")] = theirs.pop(name)
    found = recognise(checkpoint(theirs)).matches
    assert found[0].architecture == "vgg16_bn"
    assert not any(candidate.exact for candidate in found)
    assert 0.9 < found[0].share < 1
    assert [c.share for c in found] == sorted((c.share for c in found), reverse=True)


def test_what_belongs_nowhere_finds_nothing() -> None:
    assert recognise(checkpoint({"a.weight": torch.ones(2, 3), "b.bias": torch.ones(2)})).matches == ()
    assert recognise(checkpoint({})).matches == ()
