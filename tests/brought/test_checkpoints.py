"""Checkpoints as people bring them: network and preprocessing are the right ones, or a sentence says why not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
import torchvision

from camlab.cli.main import BAD_INPUT, main
from camlab.models.own.checkpoint import read_checkpoint
from camlab.models.own.model import is_checkpoint, model_from_file
from camlab.models.own.recognition import recognise
from camlab.models.own.ties import differences
from camlab.models.preprocessing import Preprocessing
from camlab.models.registry import ModelRow
from tests.brought.case import BroughtCase
from tests.brought.checkpoint_files import State, prefixed, read, refusal, renamed, state_of, written

#: Two architectures with the same tensors, which differ in their norms; without a word, neither is meant.
FIRST, SECOND = "test_efficientnet_gn", "test_efficientnet_ln"


def logits(module: Any) -> torch.Tensor:
    """What a network says of a picture of random pixels, at a small size."""
    with torch.inference_mode():
        found: torch.Tensor = module(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return found


def is_network(row: ModelRow, architecture: str, state: State | None = None) -> None:
    """Assert that a model is the architecture with these tensors: it computes the same."""
    assert row.family == architecture
    with torch.random.fork_rng(devices=[]):
        module = timm.create_model(architecture, num_classes=3).eval()
    module.load_state_dict(state or state_of(architecture))
    assert torch.equal(logits(row.build()), logits(module))


# --- the file's own word about its architecture ---


def names_its_architecture(content: dict[str, Any], words: str) -> Any:
    def check(folder: Path) -> None:
        row = read({"state_dict": state_of(SECOND), **content}, folder)
        is_network(row, SECOND)
        assert f"the file says which ({words})" in row.summary
        assert "norm (LayerNormAct2d or GroupNormAct)" in row.summary

    return check


def safetensors_metadata(folder: Path) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(state_of(SECOND), path, metadata={"architecture": SECOND})
    is_network(model_from_file(path), SECOND)


def configuration_beside(folder: Path) -> None:
    config = {
        "architecture": SECOND,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 96, 96], "crop_pct": 1.0},
    }
    (folder / "config.json").write_text(json.dumps(config))
    row = read(state_of(SECOND), folder)
    is_network(row, SECOND)
    found = Preprocessing.from_timm(row.build().pretrained_cfg)  # type: ignore[arg-type]
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (found.input_size, found.crop_pct) == ((96, 96), 1.0)
    assert "that of config.json.pretrained_cfg holds: mean 0.1 0.2 0.3" in row.summary
    given = read(state_of(SECOND), folder, mean=(0.7, 0.7, 0.7)).build()
    assert given.pretrained_cfg["mean"] == (0.7, 0.7, 0.7)  # type: ignore[index]
    # The configuration of another network, left in the folder, says nothing about this one's preprocessing.
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "resnet50"}))
    row = read(state_of(), folder)
    assert "0.1 0.2 0.3" not in row.summary
    assert "The file says config.json.architecture = resnet50, but its tensors are those of test_resnet." in row.summary


def named_by_its_file(folder: Path) -> None:
    row = read(state_of(SECOND), folder, name=f"{SECOND}-0aa007d2.pth")
    is_network(row, SECOND)
    assert f"(its name = {SECOND}-0aa007d2)" in row.summary


def says_nothing(folder: Path) -> None:
    text = str(refusal(state_of(SECOND), folder))
    assert f"has the tensors of {FIRST} or {SECOND}, which differ in" in text
    assert "name the architecture" in text
    is_network(read(state_of(SECOND), folder, SECOND), SECOND)


def means_both(folder: Path) -> None:
    refusal({"state_dict": state_of(SECOND), "arch": SECOND, "init": {"from": FIRST}, "base": FIRST}, folder)


def says_another(folder: Path) -> None:
    row = read({"state_dict": state_of(), "arch": "resnet50"}, folder)
    is_network(row, "test_resnet")
    assert "The file says arch = resnet50, but its tensors are those of test_resnet." in row.summary


def names_its_tag(folder: Path) -> None:
    # The published weights of this tag have an input and a crop of their own.
    meta = {"state_dict": state_of("test_vit"), "args": argparse.Namespace(model="timm/test_vit.r160_in1k")}
    row = read(meta, folder)
    assert row.build().pretrained_cfg["crop_pct"] == 0.95  # type: ignore[index]
    assert "that of args.model = test_vit.r160_in1k holds" in row.summary


# --- what stands around the network ---


def found_in(content: Any, *words: str) -> Any:
    def check(folder: Path) -> None:
        row = read(content, folder)
        is_network(row, "test_resnet")
        for word in words:
            assert word in row.summary

    return check


def copies(folder: Path) -> None:
    plain, averaged = state_of(seed=1), state_of(seed=2)
    row = read({"model": plain, "ema_state_dict": prefixed(averaged, "module."), "epoch": 3}, folder)
    is_network(row, "test_resnet", averaged)
    assert "2 copies of the network: the averaged weights were taken, not those of the entry 'model'" in row.summary


def student_and_teacher(folder: Path) -> None:
    student, teacher = state_of(seed=1), state_of(seed=2)
    row = read({"teacher": teacher, "student": student}, folder)
    is_network(row, "test_resnet", student)
    assert "those of the entry 'student' were taken, not those of the entry 'teacher'" in row.summary
    row = read({"teacher": state_of("test_vit2"), "student": student}, folder)
    is_network(row, "test_resnet", student)
    # A teacher that fits does not stand in for a student that does not.
    del student["layer1.0.conv1.weight"]
    error = refusal({"teacher": state_of("test_vit2"), "student": student}, folder)
    assert "the nearest are test_resnet" in str(error)


def several_networks(folder: Path) -> None:
    both = {"one": state_of(), "two": state_of("test_vit2")}
    assert "holds several networks, test_resnet in the entry 'one' and test_vit2 in the entry 'two'" in str(
        refusal(both, folder)
    ) or "test_vit2 in the entry 'two' and test_resnet in the entry 'one'" in str(refusal(both, folder))
    is_network(read(both, folder, "test_resnet"), "test_resnet")


def without_a_suffix(folder: Path) -> None:
    path = written(state_of(), folder / "last")
    assert is_checkpoint(str(path))
    assert not is_checkpoint("efficientnet_lite0")
    is_network(model_from_file(path), "test_resnet")


# --- classifiers ---


def without_bias() -> State:
    return {key: value for key, value in state_of().items() if key != "fc.bias"}


def no_bias(folder: Path) -> None:
    row = read(without_bias(), folder)
    is_network(row, "test_resnet", {**state_of(), "fc.bias": torch.zeros(3)})
    assert "The classifier has no bias, so zeros stand for fc.bias." in row.summary


def outside() -> State:
    trunk = {key: value for key, value in state_of().items() if not key.startswith("fc.")}
    head = {"classifier.weight": state_of()["fc.weight"], "classifier.bias": state_of()["fc.bias"]}
    return prefixed(trunk, "backbone.") | head


def refused(content: Any, *words: str) -> Any:
    def check(folder: Path) -> None:
        error = refusal(content, folder)
        for word in words:
            assert word in str(error)

    return check


def deep_head() -> State:
    state = renamed(state_of(), "fc.", "fc.3.")
    return state | {"fc.0.weight": torch.rand(8, 8), "fc.0.bias": torch.rand(8)}


def with_value(key: str, value: float) -> State:
    state = state_of()
    state[key] = state[key].clone()
    state[key].view(-1)[0] = value
    return state


SUPPORTED = "CAM Lab supports classifiers with two or more outputs, of which a picture has one."
NECK = {"neck.weight": torch.ones(64), "neck.bias": torch.zeros(64), "neck.running_var": torch.ones(64)}


def nearest(folder: Path) -> None:
    state = renamed(state_of(), "layer1.0.conv1.", "layer1.0.first.")
    state["bn1.weight"] = torch.ones(5)
    error = refusal(state | {"fc2.weight": torch.ones(2, 2)}, folder)
    assert "matches no known architecture exactly; the nearest are test_resnet (" in str(error)
    lines = "\n".join(error.lines)
    assert "layer1.0.conv1.weight (the file has layer1.0.first.weight)" in lines
    assert "bn1.weight: the network has" in lines
    assert "fc2.weight" in lines


def torchvision_weights(folder: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = torchvision.models.mnasnet0_5(num_classes=3).eval()
    row = read({"model": prefixed(theirs.state_dict(), "module.")}, folder)
    assert row.family == "mnasnet_050"
    torch.testing.assert_close(logits(row.build()), logits(theirs), rtol=1e-4, atol=1e-5)
    assert "names of torchvision's mnasnet0_5, and are those of timm's mnasnet_050" in row.summary
    assert "that of torchvision's mnasnet0_5 holds: mean 0.485 0.456 0.406" in row.summary


def torchvision_without_counterpart(folder: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        theirs = torchvision.models.shufflenet_v2_x0_5(num_classes=3)
    text = str(refusal(theirs.state_dict(), folder))
    assert "is torchvision's shufflenet_v2_x0_5, and no network of timm is known that takes these weights" in text


CASES = (
    *(
        BroughtCase(
            f"a checkpoint that says `{words.partition(' =')[0]}`", "It is the architecture that it says", check
        )
        for words, check in (
            (words, names_its_architecture(content, words))
            for words, content in (
                (f"arch = {SECOND}", {"arch": SECOND}),
                (f"args.model = {SECOND}.r160_in1k", {"args": argparse.Namespace(model=f"{SECOND}.r160_in1k")}),
                (f"hyper_parameters.model_name = {SECOND}", {"hyper_parameters": {"model_name": SECOND}}),
                (f"config.backbone.name = {SECOND}", {"config": {"backbone": {"name": f"timm/{SECOND}"}}}),
                (f"model_args.arch = {SECOND}", {"model_args": {"arch": SECOND.replace("_", "-")}}),
            )
        )
    ),
    BroughtCase(
        "safetensors with the architecture in its metadata", "It is the architecture that it says", safetensors_metadata
    ),
    BroughtCase(
        "a Hugging Face `config.json` beside the weights",
        "It decides architecture and preprocessing",
        configuration_beside,
    ),
    BroughtCase("weights that only their file name tells apart", "They are what the file is called", named_by_its_file),
    BroughtCase(
        "weights that fit several architectures", "They are refused with the names and what differs", says_nothing
    ),
    BroughtCase("a file that names several of these", "It is refused with the names and what differs", means_both),
    BroughtCase(
        "a file that names another architecture", "It is what its tensors are, and the word is mentioned", says_another
    ),
    BroughtCase(
        "a timm name with a tag, such as `resnet50.tv_in1k`", "It brings the preprocessing of that tag", names_its_tag
    ),
    BroughtCase(
        "weights beside a random state, class weights, a loss and metrics",
        "They are found, and what is not used is listed",
        found_in(
            {
                **state_of(),
                "rng_state": torch.zeros(9, dtype=torch.uint8),
                "class_weights": torch.ones(3),
                "criterion.weight": torch.ones(3),
                "val_acc.confmat": torch.zeros(3, 3),
            },
            "Not used: rng_state, class_weights, criterion.weight and 1 more.",
        ),
    ),
    *(
        BroughtCase(
            f"weights in the entry `{entry}`", "They are found", found_in({entry: state_of()}, f"the entry {entry!r}")
        )
        for entry in ("model_state", "params", "ema_state_dict", "whatever")
    ),
    *(
        BroughtCase(
            f"names that begin with `{prefix}`",
            "They are read without it",
            found_in(prefixed(state_of(), prefix), prefix),
        )
        for prefix in ("net.", "encoder.", "timm_model.", "backbone.", "model.module._orig_mod.")
    ),
    BroughtCase(
        "`DataParallel` around a part of the network",
        "It is read without its prefix",
        found_in(renamed(state_of(), "layer1.", "layer1.module.")),
    ),
    BroughtCase(
        "torchvision's weights of a network that timm has", "They are read under timm's names", torchvision_weights
    ),
    BroughtCase(
        "torchvision's weights of a network that timm does not have",
        "They are refused under torchvision's name",
        torchvision_without_counterpart,
    ),
    BroughtCase("averaged and plain weights", "the averaged ones are taken, and it is said", copies),
    BroughtCase("a student and its teacher", "the student is taken, and it is said", student_and_teacher),
    BroughtCase("two different networks in one file", "They are named, to choose from", several_networks),
    BroughtCase("a file without a suffix", "It is read by its content", without_a_suffix),
    BroughtCase(
        "a classifier `fc.1` behind a dropout",
        "It is the classifier",
        found_in(renamed(state_of(), "fc.", "fc.1."), "The classifier comes from 'fc.1.weight'."),
    ),
    BroughtCase("a classifier without a bias", "It gets zeros, and it is said", no_bias),
    BroughtCase(
        "a classifier beside a `backbone.`",
        "It is the classifier",
        found_in(outside(), "The classifier comes from 'classifier.weight'."),
    ),
    BroughtCase(
        "a norm between backbone and classifier",
        "It is refused by name",
        refused(outside() | NECK, "further layers beside it (neck.weight)"),
    ),
    BroughtCase(
        "a classifier of two layers",
        "It is refused by name",
        refused(deep_head(), "its classifier has 2 layers (fc.3.weight, fc.0.weight), and only a single linear one"),
    ),
    BroughtCase(
        "a network without its classifier",
        "It is refused",
        refused({key: value for key, value in state_of().items() if "fc." not in key}, "it lacks the classifier"),
    ),
    BroughtCase(
        "a network with attention added to it",
        "It is refused, and the layers are named",
        refused(
            state_of() | {"ca.fc1.weight": torch.ones(4, 4, 1, 1)}, "has layers that test_resnet lacks (ca.fc1.weight)"
        ),
    ),
    BroughtCase("a network that timm does not have", "the nearest are explained name by name", nearest),
    BroughtCase(
        "weights with NaN",
        "They are refused, and the tensors are named",
        refused(
            with_value("layer1.0.conv1.weight", float("nan")),
            "NaN or infinite values in 1 tensor (layer1.0.conv1.weight)",
        ),
    ),
    BroughtCase(
        "weights with an infinity",
        "They are refused, and the tensors are named",
        refused(with_value("fc.bias", float("inf")), "NaN or infinite values in 1 tensor (fc.bias)"),
    ),
    BroughtCase(
        "a single output",
        "It is refused, and what is supported is said",
        refused(state_of(classes=1), "has a single output", SUPPORTED),
    ),
    BroughtCase(
        "a multi-label network that says so",
        "It is refused, and what is supported is said",
        refused(
            {"state_dict": state_of(), "config": {"problem_type": "multi_label_classification"}},
            "several labels (config.problem_type = multi_label_classification)",
            SUPPORTED,
        ),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_what_is_brought(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.mark.parametrize(
    ("mine", "other", "differing"),
    [
        ("tf_efficientnet_lite0", "efficientnet_lite0", {"padding (Conv2dSame or Conv2d)", "eps (0.001 or 1e-05)"}),
        ("deit_tiny_patch16_224", "vit_tiny_patch16_224", {"mean (0.485 0.456 0.406 or 0.5 0.5 0.5)"}),
    ],
)
def test_the_word_decides_between_known_twins(mine: str, other: str, differing: set[str], tmp_path: Path) -> None:
    with torch.device("meta"):
        state = timm.create_model(mine, num_classes=3).state_dict()
    stored = {key: torch.zeros((), dtype=torch.uint8).expand(value.shape) for key, value in state.items()}
    torch.save({"state_dict": stored, "args": argparse.Namespace(model=mine)}, tmp_path / "mine.pth")
    found = recognise(read_checkpoint(tmp_path / "mine.pth"))
    assert found.architecture == mine
    assert differing <= set(differences((mine, other)))
    torch.save(stored, tmp_path / "mine.pth")
    found = recognise(read_checkpoint(tmp_path / "mine.pth"))
    assert found.architecture is None
    assert {match.architecture for match in found.matches} == {mine, other}


def test_the_command_line_asks_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(state_of(SECOND), tmp_path / "mine.pth")
    assert main(["explain", "photos/bison", "--model", str(path)]) == BAD_INPUT
    asked = capsys.readouterr().err.splitlines()
    assert len(asked) == 1
    assert f"{FIRST} or {SECOND}" in asked[0]
    state = state_of()
    del state["bn1.weight"]
    assert main(["explain", "photos/bison", "--model", str(written(state, tmp_path / "mine.pth"))]) == BAD_INPUT
    sentence, *lines = capsys.readouterr().err.splitlines()
    assert "matches no known architecture exactly" in sentence
    assert "  bn1.weight" in lines
