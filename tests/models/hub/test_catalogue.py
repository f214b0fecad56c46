"""The catalogue: its table is what timm says, its search forgives, its badges follow the cache on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from benchmarks.make_architectures import COLUMNS, cells_of
from camlab.common.errors import UnknownName
from camlab.models import find_model
from camlab.models.hub import catalogue as module
from camlab.models.hub.catalogue import (
    SHELF,
    TABLE,
    Badge,
    CatalogueRow,
    badge,
    badges,
    cached_weights,
    catalogue,
    catalogue_row,
    families,
    search,
    table_version,
)
from tests.models.hub.stand_in import fill_cache


def test_listing_and_searching_import_nothing_heavy() -> None:
    code = (
        "import sys; from camlab.models.hub.catalogue import badges, search; from camlab.cli.list import LISTS;"
        "print(len(badges(search('resnet 50'))), len(LISTS['catalogue'].rows()));"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert out.returncode == 0, out.stderr
    few, all_of_them = map(int, out.stdout.split())
    assert 10 < few < all_of_them == len(catalogue())


def test_the_table_is_what_timm_says() -> None:
    import timm
    from timm import list_models
    from timm.models import get_pretrained_cfg

    from benchmarks.make_architectures import reason_against, rows

    if timm.__version__ != table_version():
        pytest.skip(f"The table is of timm {table_version()}: run python -m benchmarks.make_architectures.")
    names = list_models(pretrained=True)
    assert set(catalogue()) == {name for name in names if reason_against(get_pretrained_cfg(name)) is None}
    sample = [*SHELF, *list(catalogue())[::300], "deit_tiny_distilled_patch16_224.fb_in1k"]
    assert rows(sample) == [catalogue()[name] for name in sample]


def test_what_is_no_classifier_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.make_architectures import rows

    names = ["vit_base_patch16_224.mae", "vit_base_patch32_clip_224.openai", "gcvit_tiny.in1k"]
    assert rows(names) == []
    said = capsys.readouterr().err.splitlines()
    for line, reason in zip(said, ("no classifier", "512 outputs are an embedding", "not on the"), strict=True):
        assert reason in line


def test_a_row_survives_the_table() -> None:
    for name in ("resnet18.a1_in1k", "rdnet_tiny.nv_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"):
        row = catalogue()[name]
        cells = dict(zip(COLUMNS, cells_of(row), strict=True))
        assert CatalogueRow.parse(cells) == row
    assert catalogue()["rdnet_tiny.nv_in1k"].hub_id == "naver-ai/rdnet_tiny.nv_in1k"
    assert TABLE.stat().st_size < 300_000


def test_names() -> None:
    row = catalogue_row("timm/resnet50.a1_in1k")
    assert (row.id, row.architecture, row.tag) == ("timm/resnet50.a1_in1k", "resnet50", "a1_in1k")
    assert catalogue_row("resnet50.a1_in1k") is row
    assert catalogue_row("resnet50") is row  # the shelf's before the table's first
    assert row.input_size == (224, 224)
    assert row.parameters == 25_557_032
    with pytest.raises(UnknownName, match=r"did you mean timm/resnet50\."):
        catalogue_row("timm/resnet5o")
    with pytest.raises(UnknownName, match="list catalogue"):
        find_model("timm/" + "q" * 500)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("resnet 50", "resnet50.a1_in1k"),
        ("ResNet-18", "resnet18.a1_in1k"),
        ("vit small", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
        ("ViT-S/16", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
        ("DeiT-S", "deit_small_patch16_224.fb_in1k"),
        ("swin t", "swin_tiny_patch4_window7_224.ms_in1k"),
        ("efficientnet b0", "efficientnet_b0.ra_in1k"),
        ("regnet y 16", "regnety_016.tv2_in1k"),
        ("convnxt tiny", "convnext_tiny.fb_in1k"),
        ("VGG-16-BN", "vgg16_bn.tv_in1k"),
        ("mobilenet v3 large 100", "mobilenetv3_large_100.ra_in1k"),
        ("inception v3", "inception_v3.tv_in1k"),
        ("resnet50 a2", "resnet50.a2_in1k"),
    ],
)
def test_search_finds_what_is_meant(text: str, first: str) -> None:
    assert search(text)[0].name == first


def test_search_keeps_to_its_bounds() -> None:
    assert [row.name for row in search()[: len(SHELF)]] == list(SHELF)
    assert len(search()) == len(catalogue())
    assert search("zzz") == []
    assert len(search("resnet", limit=3)) == 3
    small = search("net", family="resnet", max_parameters=12_000_000, max_side=224, classes=1000)
    assert small
    for row in small:
        assert row.family == "resnet"
        assert row.parameters <= 12_000_000
        assert max(row.input_size) <= 224
        assert row.classes == 1000
    assert {row.classes for row in search(classes=21841)} == {21841}


def test_every_word_narrows() -> None:
    wide, narrow = search("convnext"), search("convnext tiny 384")
    assert {row.name for row in narrow} < {row.name for row in wide}
    assert all("convnext" in row.name and "tiny" in row.name and "384" in row.name for row in narrow)


def test_families_count_all_rows() -> None:
    assert sum(families().values()) == len(catalogue())
    for family, count in families().items():
        assert len(search(family=family)) == count


def test_badges_follow_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none yet"))
    rows = search("resnet18")
    assert set(badges(rows).values()) == {Badge.DOWNLOAD}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    here, config_only = catalogue_row("resnet18.a1_in1k"), catalogue_row("resnet18.a2_in1k")
    path = fill_cache(tmp_path, here.hub_id, b"weights")
    fill_cache(tmp_path, config_only.hub_id, b"{}", "config.json")
    assert cached_weights(here) == path
    found = badges(rows)
    assert {name for name, where in found.items() if where is Badge.CACHED} == {here.name}
    assert badge(here.id) is Badge.CACHED
    assert badge("efficientnet_lite0") is Badge.BUNDLED
    assert badge("own/0123456789ab") is Badge.OWN
    with pytest.raises(UnknownName):
        badge("nobody")


def test_badges_list_the_folders_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = module.cached_weights

    def noting(row: CatalogueRow) -> Any:
        calls.append(row.name)
        return real(row)

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "cached_weights", noting)
    fill_cache(tmp_path, "timm/resnet18.a1_in1k", b"weights")
    badges(catalogue().values())
    assert calls == ["resnet18.a1_in1k"]
