"""Models are built once, on the device asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import nn

from camlab.common.errors import BadSetting, UnknownName
from camlab.models import MODELS, load_classifier, loading, pick_device
from camlab.models.classifier import Classifier


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
