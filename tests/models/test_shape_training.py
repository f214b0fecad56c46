"""Training: its parts against slow twins, and the whole of it on a tiny budget, twice."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from camlab.cli.main import main
from camlab.common.errors import BadSetting, UnknownName
from camlab.images.scenes.scenes import render, scene_plan
from camlab.models import shape_training
from camlab.models.shape_nets import SHAPE_NETS, build
from camlab.models.shape_training import (
    Bank,
    Settings,
    accuracy,
    close_ups,
    fit,
    normalise,
    scene_bank,
    summary,
    to_input,
    vary,
)

CPU = torch.device("cpu")
#: Two steps on each size, and one scene that is left over.
TINY = Settings(scenes=9, batch=4, close_epochs=1, epochs=1, test_scenes=10)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def bank() -> Bank:
    return scene_bank(24, 1, quiet)


def first_scenes(bank: Bank, count: int) -> Bank:
    return Bank(bank.pictures[:count], bank.labels[:count], bank.middles[:count])


def test_a_bank_is_the_first_scenes_of_a_seed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(bank) == 24
    for index in (0, 11, 23):
        plan = scene_plan(index, 1)
        np.testing.assert_array_equal(bank.pictures[index], render(plan, 128)[0])
        assert bank.labels[index] == plan.label
        assert bank.middles[index].tolist() == [plan.x, plan.y]
    monkeypatch.setattr(shape_training, "_OFTEN", 8)
    said: list[str] = []
    again = scene_bank(20, 1, said.append)
    np.testing.assert_array_equal(again.pictures, bank.pictures[:20])
    np.testing.assert_array_equal(again.labels, bank.labels[:20])
    np.testing.assert_array_equal(again.middles, bank.middles[:20])
    assert said == [f"rendered {done} of 20 scenes" for done in (8, 16, 20)]


def test_close_ups_are_parts_of_their_scenes_with_the_object_near_the_middle(bank: Bank) -> None:
    rows = np.array([5, 1, 20, 13])
    parts = close_ups(bank, rows, 80, torch.Generator().manual_seed(0))
    assert parts.shape == (4, 80, 80, 3)
    for part, row in zip(parts, rows, strict=True):
        places = [
            (x, y)
            for x in range(49)
            for y in range(49)
            if np.array_equal(bank.pictures[row, y : y + 80, x : x + 80], part)
        ]
        assert len(places) == 1
        # A third of the part's side is the most that the middle strays, where the picture's border leaves room.
        for corner, middle in zip(places[0], bank.middles[row] * 128, strict=True):
            wanted = np.clip(np.array([middle - 40 - 80 / 6, middle - 40 + 80 / 6]), 0, 48)
            assert wanted[0] - 0.5 <= corner <= wanted[1] + 0.5


def test_variations_turn_mirror_and_relight_but_keep_the_picture() -> None:
    pictures = np.stack([render(scene_plan(k), 64)[0] for k in range(24)])
    x = to_input(pictures)
    kept = x.clone()
    out = vary(x, torch.Generator().manual_seed(0), 0.04)
    assert torch.equal(x, kept)
    assert out.shape == x.shape and float(out.min()) >= 0 and float(out.max()) <= 1
    used = set()
    for before, after in zip(x.numpy(), out.numpy(), strict=True):
        views = [np.rot90(before, k % 4, (1, 2))[:, :, :: -1 if k >= 4 else 1] for k in range(8)]
        fits = [np.corrcoef(view.ravel(), after.ravel())[0, 1] for view in views]
        assert max(fits) > 0.9
        used.add(int(np.argmax(fits)))
    assert len(used) >= 6
    assert torch.equal(out, vary(x, torch.Generator().manual_seed(0), 0.04))
    assert not torch.equal(out, vary(x, torch.Generator().manual_seed(1), 0.04))


def test_grain_stays_below_what_is_asked_for() -> None:
    x = torch.full((50, 3, 32, 32), 0.5)
    spread = vary(x, torch.Generator().manual_seed(0), 0.04).std((1, 2, 3))
    assert float(spread.min()) > 0 and 0.03 < float(spread.max()) < 0.042


def test_the_learning_rate_goes_up_and_then_down_to_nothing() -> None:
    rates = [shape_training._rate(step, 200) for step in range(201)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert rates[10:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * k / 190) for k in range(191)])
    assert [shape_training._rate(step, 1) for step in range(2)] == [1.0, 1.0]


def test_normalising_takes_out_what_the_configuration_says() -> None:
    x = torch.rand(2, 3, 8, 8)
    assert torch.allclose(normalise(x), (x - 0.5) / 0.25)


@pytest.mark.parametrize("name", SHAPE_NETS)
def test_the_same_settings_give_the_same_weights(name: str, bank: Bank) -> None:
    few = first_scenes(bank, TINY.scenes)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, history = fit(name, few, TINY, CPU, quiet)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)  # what others draw makes no difference
    second, again = fit(name, few, TINY, CPU, quiet)
    assert history == again
    assert [record["side"] for record in history] == [80, 128]
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key]), key
        assert torch.isfinite(tensor).all()
        if tensor.is_floating_point() and tensor.ndim > 1:
            assert torch.equal(tensor, tensor.half().float())
    assert not first.training


def test_both_precisions_train_alike(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bfloat16 trains in float32: the losses differ by rounding, not by more."""
    few, losses = first_scenes(bank, TINY.scenes), {}
    for half in (True, False):
        monkeypatch.setattr(shape_training, "bfloat16_is_faster", lambda device, half=half: half)
        losses[half] = [record["loss"] for record in fit("shapes_vgg", few, TINY, CPU, quiet)[1]]
    assert losses[True] != losses[False], "the precision is followed"
    # bfloat16 keeps 8 bits: 2^-9 of each value a layer, over the seven layers of the network, forwards and backwards.
    assert losses[True] == pytest.approx(losses[False], rel=14 * 2**-9)


def test_training_learns(bank: Bank) -> None:
    """Four scenes of four classes can be learnt by heart; without training they are at chance."""
    few = first_scenes(bank, 4)
    assert len(set(few.labels)) == 4
    settings = Settings(seed=2, scenes=4, close_epochs=10, epochs=5, batch=4, ema=0.6)
    learnt, history = fit("shapes_vit", few, settings, CPU, quiet)
    assert history[-1]["loss"] < 1.2 < 2.0 < history[0]["loss"]
    assert accuracy(learnt, few, 0, CPU) > 0.6


def test_accuracy_counts(bank: Bank) -> None:
    class Always(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.full((len(x),), 3), 10).float()

    share = accuracy(Always(), bank, 0, CPU)
    assert share == (bank.labels == 3).mean()


def test_the_command_trains_writes_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [
        "--net",
        "shapes_vgg",
        "--epochs",
        "1",
        "--close-epochs",
        "1",
        "--scenes",
        "8",
        "--seed",
        "7",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr(shape_training, "Settings", partial(Settings, batch=4, test_scenes=10))
    assert main(["train-shapes", *options, "--out", str(tmp_path / "new")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("shapes_vgg  accuracy 0.")
    assert "rendered 8 of 8 scenes" in err and "epoch 2, " in err
    record = json.loads((tmp_path / "new" / "shapes_vgg.json").read_text("utf-8"))
    assert record["settings"]["seed"] == 7 and record["settings"]["scenes"] == 8
    assert record["held_out"]["scenes"] == 10 and set(record["held_out"]["accuracy_gaussian_noise"]) == set("12345")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "shapes_vgg.json",
        "shapes_vgg.safetensors",
    }
    built = build("shapes_vgg", tmp_path / "new")
    held_out = scene_bank(10, 0, quiet)
    assert accuracy(built, held_out, 0, CPU) == record["held_out"]["accuracy"]
    assert summary(record)[0] == "shapes_vgg"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 0}, "Seed 0 is reserved for measuring accuracy"),
        ({"epochs": 0}, "number of epochs is 0"),
        ({"scenes": 10}, "10 scenes are fewer than one batch of 32"),
        ({"test_scenes": 0}, "number of test scenes is 0"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, int], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        Settings(**changes)


def test_an_unknown_network_is_found_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape_training, "scene_bank", lambda *_: pytest.fail("work was done"))
    with pytest.raises(UnknownName):
        shape_training.train_shapes(["shapes_mlp"], tmp_path / "new", TINY, "cpu", quiet)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--net", "shapes_vggg", "did you mean 'shapes_vgg'?"),
        ("--epochs", "0", "'0' is not a whole number from 1 on"),
        ("--scenes", "5", "5 scenes are fewer than one batch"),
        ("--seed", "0", "'0' is not a whole number from 1 on"),
        ("--device", "abacus", "no device called 'abacus'"),
    ],
)
def test_bad_options_are_one_line(
    option: str, value: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-shapes", "--out", str(tmp_path), option, value]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert words in err
