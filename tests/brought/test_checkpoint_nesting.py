"""However a training script wraps a known network: the same map every time, or a sentence that names the obstacle."""

from __future__ import annotations

import argparse
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.brought.checkpoint_files import SIDE, State, map_of, prefixed, read, refusal, renamed, state_of

WORD = st.text(string.ascii_lowercase, min_size=2, max_size=6).filter(lambda word: word not in ("ema", "swa", "avg"))
PREFIX = st.sampled_from(
    ["module.", "model.", "net.", "encoder.", "_orig_mod.", "timm_model.", "backbone.", "model.backbone.", "fc."]
)
ENTRY = st.sampled_from(["state_dict", "model", "model_state", "params", "weights", "ema_state_dict", "student", "net"])
#: What stands beside the network, under its entry, without being part of it.
EXTRAS: dict[str, Any] = {
    "rng_state": torch.zeros(50, dtype=torch.uint8),
    "class_weights": torch.ones(3),
    "criterion.weight": torch.ones(3),
    "val_acc.confmat": torch.zeros(3, 3),
    "centres": torch.ones(3, 16),
    "n_averaged": torch.tensor(7),
    "epoch": 12,
    "classes": ["ant", "bee", "cat"],
    "args": argparse.Namespace(lr=0.1, model="nothing_known"),
    "optimizer": {"state": {i: {"exp_avg": torch.zeros(4, 4)} for i in range(12)}, "param_groups": [{"lr": 0.1}]},
    "teacher": state_of("test_vit2"),
    "spare": torch.ones(1, dtype=torch.complex64),
}


#: Whether the counters of the batch norms are there; the prefixes with the extras beside them; the entries likewise.
Wrapping = tuple[bool, list[tuple[str, set[str]]], list[tuple[str, bool, set[str]]]]
SOME = st.sets(st.sampled_from(sorted(EXTRAS)), max_size=3)
WRAPPINGS: st.SearchStrategy[Wrapping] = st.tuples(
    st.booleans(),
    st.lists(st.tuples(PREFIX | WORD.map(lambda word: word + "."), SOME), max_size=3),
    st.lists(st.tuples(ENTRY | WORD, st.booleans(), SOME), max_size=3),
)


def wrapped(state: State, wrapping: Wrapping) -> Any:
    """The tensors under these prefixes, in these entries and lists, among these other things."""
    counters, prefixes, entries = wrapping
    content: dict[str, Any] = {key: value for key, value in state.items() if counters or "num_batches" not in key}
    for prefix, names in prefixes:
        content = prefixed(content, prefix) | {name: EXTRAS[name] for name in names}
    for entry, listed, names in entries:
        content = {name: EXTRAS[name] for name in names} | {entry: [content] if listed else content}
    return content


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The map of the bare network."""
    return map_of(read(state_of(), tmp_path_factory.mktemp("bare"), input_size=(SIDE, SIDE)))


@settings(max_examples=8)
@given(WRAPPINGS, st.sampled_from(["fc.", "fc.1.", "fc.drop.linear."]))
def test_every_wrapping_gives_the_same_map(
    reference: bytes, tmp_path_factory: pytest.TempPathFactory, wrapping: Wrapping, head: str
) -> None:
    content = wrapped(renamed(state_of(), "fc.", head), wrapping)
    row = read(content, tmp_path_factory.mktemp("wrapped"), input_size=(SIDE, SIDE))
    assert row.family == "test_resnet"
    assert map_of(row) == reference


def without_one(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


def with_layer(state: State, name: str) -> State:
    return {**state, f"{name}.conv.weight": torch.rand(4, 4, 1, 1)}


def with_nan(state: State, name: str) -> State:
    return {**state, name: torch.full_like(state[name], float("nan"))}


def reshaped(state: State, name: str) -> State:
    return {**state, name: state[name].flatten().repeat(2)}


WEIGHTS = [key for key, value in state_of().items() if value.is_floating_point()]
TRUNK = [key for key in WEIGHTS if not key.startswith("fc.")]
OBSTACLES = (
    st.tuples(st.sampled_from([without_one, reshaped]), st.sampled_from(TRUNK))
    | st.tuples(st.just(with_nan), st.sampled_from(WEIGHTS))
    | st.tuples(st.just(with_layer), st.sampled_from(["layer1.0", "layer3.0.conv1", "attention"]))
)


@settings(max_examples=12)
@given(WRAPPINGS, OBSTACLES)
def test_every_obstacle_is_named(
    tmp_path_factory: pytest.TempPathFactory, wrapping: Wrapping, obstacle: tuple[Callable[[State, str], State], str]
) -> None:
    change, name = obstacle
    error = refusal(wrapped(change(state_of(), name), wrapping), tmp_path_factory.mktemp("wrapped"))
    assert any(name in line for line in [str(error), *error.lines])


def test_the_folder_is_only_read(tmp_path: Path) -> None:
    read(state_of(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pth"]
