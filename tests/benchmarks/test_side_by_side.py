"""The compute core beside its peers: what is timed is the same work, and nobody spoils the shared network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import timm
import torch

import benchmarks.side_by_side
from benchmarks.side_by_side import (
    LIGHT,
    PAPER,
    UNTRAINED,
    PytorchGradCam,
    ours,
    peak_bytes,
    side_by_side,
    steps,
    untrained,
)
from camlab.cams import CAMS
from camlab.common.errors import UnknownName
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing

SMALL = (1, 2, 4)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        timm.create_model("resnet18", num_classes=10),
        name="resnet18",
        title="ResNet-18",
        preprocessing=Preprocessing((64, 64), 1.0, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        class_names=[f"class {i}" for i in range(10)],
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def asked() -> list[list[str]]:
    """The methods of every call of `ours` while `found` was measured."""
    return []


@pytest.fixture(scope="module")
def found(classifier: Classifier, asked: list[list[str]]) -> Iterator[dict[str, Any]]:
    def noting(where: Classifier, layer: str, pictures: torch.Tensor, methods: Any) -> torch.Tensor:
        asked.append(list(methods))
        return ours(where, layer, pictures, methods)

    with pytest.MonkeyPatch.context() as patch:
        # A small run: a test must not take what a measurement takes.
        patch.setattr(benchmarks.side_by_side, "BATCH", 3)
        patch.setattr(benchmarks.side_by_side, "COUNTS", SMALL)
        patch.setattr(benchmarks.side_by_side, "ours", noting)
        yield measured(classifier)


def measured(classifier: Classifier) -> dict[str, Any]:
    before = {key: value.clone() for key, value in classifier.module.state_dict().items()}
    notes: list[str] = []
    result = side_by_side(classifier, quick=True, progress=notes.append)
    assert len(notes) == steps(quick=True) and any("Score-CAM" in note for note in notes)
    after = classifier.module.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module._forward_hooks or module.training for module in classifier.module.modules())
    assert all(p.grad is None and not p.requires_grad for p in classifier.module.parameters())
    return result


def test_ratios_are_those_of_the_seconds(found: dict[str, Any]) -> None:
    ratios, seconds = found["ratios"], found["seconds"]
    assert list(ratios) == [
        "shared_over_forward", "speedup_light7", "speedup_ablation_pooled", "speedup_ablation_before",
        "speedup_scorecam", "warm_over_cold",
    ]  # fmt: skip
    assert ratios["shared_over_forward"] == seconds["shared_all"] / seconds["forward_batch"]
    for what in ("light7", "ablation_pooled", "ablation_before", "scorecam"):
        assert ratios[f"speedup_{what}"] == seconds[f"theirs_{what}"] / seconds[f"ours_{what}"]
    assert ratios["warm_over_cold"] == seconds["interactive_warm"] / seconds["interactive_cold"]
    assert found["pairs_per_second"] == 2 * len(PAPER) / seconds["interactive_cold"]
    slope = np.polyfit(np.log(SMALL), np.log([seconds[f"inputs_{count}"] for count in SMALL]), 1)[0]
    assert found["exponent"] == pytest.approx(float(slope))
    assert all(math.isfinite(value) and value > 0 for value in seconds.values())


def test_what_is_timed_are_the_engines_own_maps(classifier: Classifier) -> None:
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    names = [*LIGHT, "ablationcam"]
    maps = ours(classifier, "layer4.1", pictures, names)
    for row, picture in enumerate(pictures):
        explained = Engine(classifier).explain(picture, f"picture {row}", [CLEAN], names, "layer4.1")[0]
        for name, found in zip(names, maps[:, row], strict=True):
            assert np.allclose(found, explained.maps[name], atol=1e-4), name


def test_all_that_reads_the_shared_pass_is_counted(asked: list[list[str]], found: dict[str, Any]) -> None:
    assert [name for name, method in CAMS.items() if method.cost == "shared"] in asked
    assert list(LIGHT) in asked and ["scorecam"] in asked and ["ablationcam"] in asked


def test_their_time_is_scaled_from_the_channels_that_were_run(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def timed(work: Any) -> float:
        seen.append(work.args[3].shape[1])
        return 2.0

    monkeypatch.setattr(benchmarks.side_by_side, "_timed", timed)
    picture = torch.rand(1, 3, 64, 64)
    assert PytorchGradCam(classifier).seconds_of("ScoreCAM", picture, "layer4.1", 0.25) == 8.0
    assert PytorchGradCam(classifier).seconds_of("AblationCAM", picture, "layer4.1", 1.0) == 2.0
    assert seen == [128, 512]


def test_peak_memory_is_a_number_of_bytes() -> None:
    peak = peak_bytes(torch.device("cpu"))
    assert peak is not None and 2**26 < peak < 2**40


@pytest.mark.parametrize("name", UNTRAINED)
def test_networks_without_trained_weights_are_whole_and_always_the_same(name: str) -> None:
    state = torch.random.get_rng_state()
    one, other = untrained(name, "cpu"), untrained(name, "cpu")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.fingerprint == other.fingerprint
    assert len(one.class_names) == 1000 and one.default_layer.startswith("layer4.")


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UnknownName, match="resnet50"):
        untrained("resnet5", "cpu")
