"""Reading checkpoints: what is in a state dict comes out, and what is none is named and never run."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from camlab.common.errors import BadCheckpoint
from camlab.models.own import checkpoint as module
from camlab.models.own.checkpoint import read_checkpoint

STATE = OrderedDict(
    {
        "conv.weight": torch.rand(2, 3, 1, 1),
        "bn.num_batches_tracked": torch.tensor(3),
        "fc.bias": torch.rand(2),
    }
)


def saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def same(state: Any, before: str = "") -> bool:
    return list(state) == [before + key for key in STATE] and all(
        torch.equal(state[before + key], STATE[key]) for key in STATE
    )


@pytest.mark.parametrize(
    ("data", "before"),
    [
        (saved(STATE), ""),
        (saved(STATE, _use_new_zipfile_serialization=False), ""),
        (saved(dict(STATE)), ""),
        (saved({"state_dict": STATE, "epoch": 3, "args": argparse.Namespace(lr=0.1)}), "state_dict/"),
        (saved({"net": {"module": STATE}}), "net/module/"),
        (saved({"module." + key: value for key, value in STATE.items()}), "module."),
        (saved([STATE]), "0/"),
        (saved({"model": {"conv": nn.Parameter(STATE["conv.weight"])}}), None),
    ],
)
def test_the_tensors_come_out_under_their_full_names(data: bytes, before: str | None, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    found = read_checkpoint(path)
    assert found.name == "weights.pth"
    if before is None:
        assert torch.equal(found.state["model/conv"], STATE["conv.weight"])
        return
    assert same(found.state, before)
    assert before + "bn.num_batches_tracked" not in found.shapes
    assert found.shapes[before + "conv.weight"] == (2, 3, 1, 1)
    from_memory = read_checkpoint(data, "weights.pth")
    assert same(from_memory.state, before)
    assert (from_memory.digest, from_memory.facts) == (found.digest, found.facts)


def test_what_is_no_tensor_is_kept_as_a_fact(tmp_path: Path) -> None:
    stored = {"model": STATE, "args": argparse.Namespace(model="resnet18", mean=[0.1, 0.2, 0.3]), "folds": [{"k": 2}]}
    facts = read_checkpoint(saved(stored | {"best": None, "odd": {1: {2: "x"}}})).facts
    assert facts == {
        "args/model": "resnet18",
        "args/mean": (0.1, 0.2, 0.3),
        "folds/0/k": 2,
        "odd/1/2": "x",
    }
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(STATE, path, metadata={"format": "pt", "config": json.dumps({"architecture": "a"})})
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "b", "pretrained_cfg": {"std": [1, 1, 1]}}))
    assert dict(read_checkpoint(path).facts) == {
        "__metadata__/format": "pt",
        "__metadata__/config/architecture": "a",
        "config.json/architecture": "b",
        "config.json/pretrained_cfg/std": (1, 1, 1),
    }
    (tmp_path / "config.json").write_text("{")
    assert "config.json/architecture" not in read_checkpoint(path).facts


def test_scores_and_paths_beside_the_weights_are_no_code() -> None:
    stored = {"state_dict": STATE, "best": np.float64(0.9), "last": np.int64(3), "folder": Path("runs/1")}
    assert same(read_checkpoint(saved(stored)).state, "state_dict/")
    assert same(read_checkpoint(saved(stored, _use_new_zipfile_serialization=False)).state, "state_dict/")


def test_what_contains_itself_ends() -> None:
    loop: dict[str, Any] = {"fc.bias": STATE["fc.bias"]}
    loop["again"] = loop
    assert list(read_checkpoint(saved(loop)).state) == ["fc.bias"]
    layers: dict[str, Any] = {"fc.bias": STATE["fc.bias"]}
    for _ in range(30):
        layers = {"a": layers, "b": layers}
    assert read_checkpoint(saved({"w": STATE["fc.bias"], "deep": layers})).state.keys() == {"w"}
    wide: dict[str, Any] = {"x": 1}
    for _ in range(9):
        wide = {str(i): wide for i in range(9)}
    with pytest.raises(BadCheckpoint, match="more than 200,000 entries"):
        read_checkpoint(saved({"w": STATE["fc.bias"], "wide": wide}))


def test_safetensors(tmp_path: Path) -> None:
    data = safetensors.torch.save(STATE)
    (tmp_path / "w.safetensors").write_bytes(data)
    for found in (read_checkpoint(data), read_checkpoint(tmp_path / "w.safetensors")):
        assert dict(found.shapes) == {"conv.weight": (2, 3, 1, 1), "fc.bias": (2,)}
        assert all(torch.equal(found.state[key], STATE[key]) for key in STATE)


class Evil:
    """Unpickled, it would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was-run"),))


def torchscript() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), stream)
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: saved(nn.Linear(2, 2)), r"holds Python objects .*state_dict\(\)"),
        (lambda: saved({"state_dict": STATE, "extra": Evil()}), "holds Python objects"),
        (lambda: pickle.dumps(Evil()), "load"),
        (torchscript, "TorchScript"),
        (lambda: b"\x08\x07\x12\x07pytorch\x1a\x05", "ONNX"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), "Keras"),
        (lambda: zipped("metadata.json", "config.json", "model.weights.h5"), "Keras"),
        (lambda: zipped("a.txt"), "zip archive without"),
        (lambda: b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        (lambda: b"\x1f\x8b" + bytes(99), "gzip"),
        (lambda: b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (lambda: b"<!DOCTYPE html>", "web page"),
        (lambda: b"", "empty"),
        (lambda: b"hello, world", "neither"),
        (lambda: saved(STATE)[:-200], "cut off or damaged"),
        (lambda: saved(STATE, _use_new_zipfile_serialization=False)[:-9], "cut off or damaged"),
        (lambda: safetensors.torch.save(STATE)[:-3], "damaged safetensors"),
        (lambda: saved([1, 2]), "only list"),
        (lambda: saved({"epoch": 3, "lr": 0.1}), "only epoch, lr"),
        (lambda: saved({"state_dict": {}}), "only state_dict"),
        (lambda: saved(torch.ones(2)), "single tensor"),
        (lambda: saved({"a": torch.ones(2, dtype=torch.complex64)}), "complex"),
        (lambda: saved({"a": torch.ones(2, 2).to_sparse()}), "sparse"),
    ],
)
def test_what_is_no_state_dict_is_named(
    make: Callable[[], bytes], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadCheckpoint, match=sentence) as caught:
        read_checkpoint(make(), "net.bin")
    text = str(caught.value)
    assert text.startswith("net.bin ")
    assert text.endswith(".")
    assert "\n" not in text
    assert not list(tmp_path.iterdir())


def test_what_claims_to_be_huge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"a": torch.ones(1).expand(1 << 40)}  # four terabytes in four bytes
    with pytest.raises(BadCheckpoint, match="unpacks to more"):
        read_checkpoint(saved(tiny))
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(BadCheckpoint, match="more than"):
        read_checkpoint(saved(STATE))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(BadCheckpoint, match="cannot be read"):
            read_checkpoint(path)


GOOD = (saved(STATE), saved(STATE, _use_new_zipfile_serialization=False), safetensors.torch.save(STATE))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(GOOD), st.data())
def test_damaged_bytes_never_raise_anything_else(good: bytes, data: st.DataObject) -> None:
    broken = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=4)):
        broken[at] = data.draw(st.integers(0, 255))
    try:
        found = read_checkpoint(bytes(broken[: data.draw(st.integers(1, len(good)))]))
    except BadCheckpoint:
        return
    assert all(isinstance(value, torch.Tensor) for value in found.state.values())


def test_a_header_that_lies_is_refused() -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 50], "data_offsets": [0, 4]}}).encode()
    with pytest.raises(BadCheckpoint, match="damaged safetensors"):
        read_checkpoint(len(header).to_bytes(8, "little") + header + bytes(4))
