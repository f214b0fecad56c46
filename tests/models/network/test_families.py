"""Networks of timm's families, with random weights: each is cut into layers and explained at its default layer."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from benchmarks.families import (
    EXCEPTIONS,
    MOST_PARAMETERS,
    SMALL,
    Family,
    check,
    families,
    registry,
    smallest,
)

#: "all", or nothing for the families that are quick: `python -m benchmarks.families` prints what it finds.
SHARDS = 6
SHARD = os.environ.get("CAMLAB_FAMILIES", "")

#: The default layer of networks of every build, as somebody who knows them would choose it.
EXPECTED = {
    "test_vit": "blocks.4",  # only the class token is read after the last block
    "test_convnext": "stages.3",
    "test_resnet": "layer4.0",
    "test_efficientnet": "bn2",
    "test_vit_relpos": "blocks.8",  # averages its tokens
    "test_mambaout": "stages.3",  # channels last
    "mobilenetv3_small_050": "blocks.5",
    "regnetx_002": "s4",
    "mobilevit_xxs": "final_conv",
}


def _chosen() -> list[Family]:
    most = MOST_PARAMETERS if SHARD == "all" else SMALL
    return [family for family in families() if family.parameters <= most]


@pytest.fixture(scope="module")
def chosen() -> list[Family]:
    return _chosen()


def test_timms_registry_holds_the_families_that_are_counted(chosen: list[Family]) -> None:
    names = {family.name for family in families()}
    assert {"resnet", "vgg", "vision_transformer", "swin_transformer", "convnext", "maxxvit"} <= names
    assert len(names) >= 85 and set(EXCEPTIONS) <= names
    assert len(chosen) >= 18


@pytest.mark.parametrize("shard", range(SHARDS))
def test_each_family_can_be_explained(
    shard: int, chosen: list[Family], record_property: Callable[[str, object], None]
) -> None:
    wrong = {}
    for family in chosen[shard::SHARDS]:
        outcome = check(family)
        if bool(outcome.problem) != (family.name in EXCEPTIONS):
            wrong[family.model] = outcome.problem or f"explained after all, although {EXCEPTIONS[family.name]}"
        elif (expected := EXPECTED.get(family.model)) and outcome.layer.split(" ")[0] != expected:
            wrong[family.model] = f"its default layer is {outcome.layer}, not {expected}"
    record_property(f"families explained, part {shard + 1} of {SHARDS}", len(chosen[shard::SHARDS]) - len(wrong))
    assert wrong == {}


def test_the_table_names_the_smallest_network() -> None:
    (starnet,) = [family for family in families() if family.name == "starnet"]
    assert smallest(registry()["starnet"]) == starnet
    assert smallest(["vit_so400m_patch14_siglip_gap_224"]) is None  # without a classifier


def test_what_has_no_layer_is_refused_with_a_reason() -> None:
    (crossvit,) = [family for family in families() if family.name == "crossvit"]
    assert "no layer with maps" in check(crossvit).problem
