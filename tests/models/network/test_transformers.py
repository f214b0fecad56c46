"""Small transformers of every layout: what changes in a picture is found at its place in the maps of each layer."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing

PATCH = 16
VIT: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3}
SWIN: dict[str, Any] = {"window_size": 4, "embed_dim": 24, "depths": (1, 2), "num_heads": (2, 4)}
HIERA: dict[str, Any] = {"embed_dim": 24, "num_heads": 1, "stages": (1, 1, 1, 1)}

#: Name, size, options, and the last layer with its grid.
NETWORKS = [
    ("vit_tiny_patch16_224", (64, 128), VIT, ("blocks.1", 4, 8)),
    ("vit_tiny_patch16_224", (64, 128), {**VIT, "reg_tokens": 4}, ("blocks.1", 4, 8)),
    (
        "vit_tiny_patch16_224",
        (96, 64),
        {**VIT, "reg_tokens": 4, "global_pool": "avg", "class_token": False},
        ("blocks.2", 6, 4),
    ),
    ("deit_tiny_distilled_patch16_224", (96, 64), VIT, ("blocks.1", 6, 4)),
    ("swin_tiny_patch4_window7_224", (64, 128), SWIN, ("norm", 8, 16)),
    ("swinv2_tiny_window8_256", (64, 96), SWIN, ("norm", 8, 12)),
    ("hiera_tiny_224", (224, 224), HIERA, ("blocks.3", 7, 7)),
]


def classifier(name: str, size: tuple[int, int], options: dict[str, Any]) -> Classifier:
    if size != (224, 224):
        options = {**options, "img_size": size}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(name, num_classes=5, **options).eval()
        for parameter in network.parameters():
            # A head that starts at zero lets no gradient through.
            if parameter.dim() > 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    return Classifier(
        network,
        name=name,
        title=name,
        preprocessing=Preprocessing(size, 1.0, "bilinear", (0.5,) * 3, (0.5,) * 3),
        class_names=["a", "b", "c", "d", "e"],
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(("name", "size", "options", "last"), NETWORKS)
def test_every_layer_has_its_places_where_the_picture_has_them(
    name: str, size: tuple[int, int], options: dict[str, Any], last: tuple[str, int, int]
) -> None:
    found = classifier(name, size, options)
    info = found.layer_info(None)
    assert (info.name, info.height, info.width) == last
    top, left = size[0] // 4 // PATCH * PATCH, 3 * size[1] // 4 // PATCH * PATCH
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    y = x.clone()
    y[:, :, top : top + PATCH, left : left + PATCH] *= -1
    for layer in found.layers:
        maps = found.to_maps(found.head(torch.cat([x, y]), layer.name), layer.name)
        change = (maps[1] - maps[0]).square().sum(dim=0)
        row, column = divmod(int(change.argmax()), layer.width)
        # Within the changed patch, or in a cell that touches it.
        high, wide = size[0] / layer.height, size[1] / layer.width
        assert top - high <= row * high < top + PATCH + high, layer.name
        assert left - wide <= column * wide < left + PATCH + wide, layer.name


@pytest.mark.parametrize(("name", "size", "options", "last"), NETWORKS)
def test_grad_cam_at_the_default_layer_says_something(
    name: str, size: tuple[int, int], options: dict[str, Any], last: tuple[str, int, int]
) -> None:
    found = classifier(name, size, options)
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)).expand(5, -1, -1, -1)
    shared = shared_pass(found, found.default_layer, x, list(range(5)), [""] * 5)
    maps, degenerate = scale_maps(CAMS["gradcam"].apply(shared))
    assert maps.shape == (5, *last[1:]) and bool(maps.isfinite().all())
    assert not bool(degenerate.all())
