"""Input sizes as people bring them: the network is built at the size of its weights, or a sentence names others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from benchmarks.families import MOST_PARAMETERS, Family, families
from camlab.cli.main import BAD_INPUT, main
from camlab.common.errors import BadCheckpoint, BadSetting
from camlab.models import load_classifier, sizes
from camlab.models.own.checkpoint import read_checkpoint
from camlab.models.own.model import model_from_file
from camlab.models.own.recognition import recognise
from camlab.models.own.signature import shapes_of
from camlab.models.own.trained_size import trained_size
from camlab.models.registry import ModelRow
from camlab.models.sizes import Size, create, nearest_sizes, own_size, parse_size, refusal, skeleton, takes
from tests.brought.case import BroughtCase


def network(architecture: str, **options: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: nn.Module = timm.create_model(architecture, num_classes=3, **options).eval()
        return module


def saved(folder: Path, module: nn.Module) -> Path:
    path = folder / "mine.pth"
    torch.save(module.state_dict(), path)
    return path


def computes_the_same(row: ModelRow, module: nn.Module, size: Size) -> None:
    """Assert that a model has this input size and gives the network's outputs, to the last bit."""
    assert row.input_size == size
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(row.build()(x), module(x))


# --- the size that the weights tell ---


def at_another_size(folder: Path) -> None:
    module = network("test_vit", img_size=256)
    path = saved(folder, module)
    for row in (model_from_file(path), model_from_file(path, "test_vit")):
        computes_the_same(row, module, (256, 256))
        assert "It was trained on pictures of 256 × 256 pixels, as pos_embed has the shape 1 × 257 × 64." in row.summary
    assert load_classifier(row.name, "cpu").input_size == (256, 256)


def not_square(folder: Path) -> None:
    module = network("test_vit", img_size=(192, 256))
    path = saved(folder, module)
    row = model_from_file(path)
    computes_the_same(row, module, (192, 256))
    assert "others, such as 256 × 192 pixels, would fit as well, so give the size if it is another." in row.summary
    tall = network("test_vit", img_size=(256, 192))
    computes_the_same(model_from_file(saved(folder, tall), input_size=(256, 192)), tall, (256, 192))


def another_window(folder: Path) -> None:
    # Shapes only, as the smallest Swin is large: windows of 12 belong to pictures of 384 pixels.
    name = "swin_tiny_patch4_window7_224"
    shapes = shapes_of(skeleton(name, 3, (384, 384), arguments=(("window_size", 12),)).state_dict())
    found = trained_size(shapes, name, 3)
    assert found is not None and (found.size, found.arguments) == ((384, 384), (("window_size", 12),))
    assert found.note.endswith("windows of 12 × 12; the size itself is an assumption, so give it if it is another.")


def resampled(folder: Path) -> None:
    path = saved(folder, network("test_vit", img_size=256))
    row = model_from_file(path, "test_vit", input_size=(160, 160))
    assert row.input_size == (160, 160)
    assert row.build().state_dict()["pos_embed"].shape == (1, 101, 64)
    assert (
        "pos_embed was resampled from 1 × 257 × 64 to 1 × 101 × 64, as the network was trained on pictures of "
        "256 × 256 pixels." in row.summary
    )


def another_patch(folder: Path) -> None:
    path = saved(folder, network("vit_tiny_patch16_224", patch_size=32, embed_dim=384, num_heads=6, depth=12))
    with pytest.raises(BadCheckpoint, match=r"reads 32 × 32 pixels at a time .* 16 × 16; choose vit_small_patch32_224"):
        model_from_file(path, "vit_small_patch16_224")
    path = saved(folder, network("test_vit", patch_size=8))
    with pytest.raises(BadCheckpoint, match=r"most like test_vit, but its first layer reads 8 × 8 pixels at a time"):
        model_from_file(path)
    assert recognise(read_checkpoint(path)).architecture is None


# --- sizes that a network does not take ---

REFUSED: tuple[tuple[str, str, Size, str], ...] = (
    ("`--size 250` with patches of 16", "test_vit", (250, 250), "multiples of 16; choose 240 × 240 or 256 × 256."),
    ("`--size 250x100` with patches of 16", "test_vit", (250, 100), "multiples of 16; choose 240 × 96 or 256 × 112."),
    ("`--size 192x256` for squares only", "nest_tiny", (192, 256), "must be equal; choose 192 × 192 or 256 × 256."),
)


def refused(architecture: str, size: Size, words: str) -> Any:
    def check(folder: Path) -> None:
        with pytest.raises(BadSetting) as caught:
            skeleton(architecture, 3, size)
        assert str(caught.value).startswith(f"{architecture} ") and words in str(caught.value)

    return check


def stated_size(folder: Path) -> None:
    # timm does not pass the size on to networks whose definition states one.
    assert takes("eva02_tiny_patch14_336", (224, 224)) and own_size("eva02_tiny_patch14_336") == (336, 336)
    assert skeleton("eva02_tiny_patch14_336", 3, (224, 224)).state_dict()["pos_embed"].shape == (1, 257, 192)


CASES = (
    BroughtCase(
        "a ViT that was fine-tuned at another size",
        "It is built at the size of its position embedding",
        at_another_size,
    ),
    BroughtCase(
        "a ViT for pictures that are not square", "It is taken as wider than high, and the summary says so", not_square
    ),
    BroughtCase(
        "a Swin with other windows",
        "It gets these windows and a size in proportion, and the summary says so",
        another_window,
    ),
    BroughtCase(
        "a ViT and a `--size` that it was not trained at",
        "It is resampled by timm, and the summary says what",
        resampled,
    ),
    BroughtCase(
        "a ViT with other patches than the architecture named",
        "It is refused, with the architecture that fits",
        another_patch,
    ),
    BroughtCase("EVA-02 at another size than its own", "It is built for that size", stated_size),
    *(
        BroughtCase(tried, "It is refused, with the nearest sizes that work", refused(architecture, size, words))
        for tried, architecture, size, words in REFUSED
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.tried)
def test_sizes_as_people_bring_them(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_the_command_line_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, network("test_vit"))
    with pytest.raises(BadSetting) as caught:
        model_from_file(path, input_size=(250, 250))
    for command in (["explain", "photos/bison"], ["study", "--images", "photos", "--plan-only"]):
        assert main([*command, "--model", str(path), "--size", "250"]) == BAD_INPUT
        assert str(caught.value) in capsys.readouterr().err
    assert main(["explain", "photos/bison", "--model", str(path), "--size", "12 by 12"]) == BAD_INPUT
    assert "'12 by 12' is not a size; write it like 224, or 192x256 (height x width)." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("224", (224, 224)), (" 192 X 256 ", (192, 256)), ("192×256", (192, 256)), ("", None)]
)
def test_sizes_are_read(text: str, size: Size | None) -> None:
    assert parse_size(text) == size


RULES: tuple[tuple[Callable[[Size], bool], Size, str], ...] = (
    (lambda size: size == (160, 160), (256, 256), "takes pictures of 160 × 160 pixels only, not of 256 × 256 pixels; "),
    (lambda size: min(size) >= 75, (64, 64), "they are too small; choose 75 × 75."),
    (lambda size: min(size) >= 80 and not (size[0] % 8 or size[1] % 8), (50, 170), "of 8; choose 80 × 176."),
    (lambda size: size[0] == size[1], (100, 120), "its sides must be equal; choose 100 × 100 or 120 × 120."),
    # Grids that are rounded down: sizes just above a multiple work, too, but are no rule.
    (lambda size: not any(side // 4 % 8 for side in size), (250, 250), "of 32; choose 224 × 224 or 256 × 256."),
)


@pytest.mark.parametrize(("rule", "size", "words"), RULES)
def test_a_rule_is_found_by_trying(
    rule: Callable[[Size], bool], size: Size, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "takes", lambda architecture, size: rule(size))
    for found in (sizes.size_rule, sizes.nearest_sizes):
        found.cache_clear()
    assert words in refusal("test_vit", size)
    for found in (sizes.size_rule, sizes.nearest_sizes):
        found.cache_clear()


# --- all families ---

SMALL = 400_000
SIZES: tuple[Size, ...] = ((32, 32), (97, 97), (192, 256), (250, 250), (384, 384))


def _chosen() -> list[Family]:
    most = MOST_PARAMETERS if os.environ.get("CAMLAB_FAMILIES") == "all" else SMALL
    return [family for family in families() if family.parameters <= most]


@pytest.mark.parametrize("family", _chosen(), ids=lambda f: f.model)
def test_each_family_takes_a_size_or_names_others(family: Family) -> None:
    for size in SIZES:
        if takes(family.model, size):
            assert skeleton(family.model, 3, size).pretrained_cfg["input_size"] == (3, *size)
            continue
        with pytest.raises(BadSetting, match=r"choose|leave the size out") as caught:
            create(family.model, 3, size)
        for height, width in nearest_sizes(family.model, size):
            assert takes(family.model, (height, width))
            assert f"{height} × {width}" in str(caught.value)


@pytest.mark.parametrize("family", _chosen(), ids=lambda f: f.model)
def test_the_size_is_found_in_each_familys_tensors(family: Family) -> None:
    own = own_size(family.model)
    for size in ((2 * own[0], 2 * own[1]), (2 * own[0], 3 * own[1])):
        if not takes(family.model, size):
            continue
        shapes = shapes_of(skeleton(family.model, 3, size).state_dict())
        found = trained_size(shapes, family.model, 3)
        if found is None:  # no tensor depends on the size
            assert shapes == shapes_of(skeleton(family.model, 3).state_dict())
        else:
            assert found.size == size
