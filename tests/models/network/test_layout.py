"""Where the places of a picture are in a layer's output."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camlab.models.network.layout import Layout, find_layout, follows_places, quarters_changed


@pytest.mark.parametrize(
    ("shape", "size", "prefix", "expected"),
    [
        ((2, 512, 7, 7), (224, 224), None, Layout("maps", 512, 7, 7)),
        ((2, 7, 7, 768), (224, 224), None, Layout("channels_last", 768, 7, 7)),
        ((2, 56, 56, 96), (224, 224), None, Layout("channels_last", 96, 56, 56)),
        ((2, 197, 192), (224, 224), 1, Layout("tokens", 192, 14, 14, 1)),
        ((2, 198, 192), (224, 224), 2, Layout("tokens", 192, 14, 14, 2)),
        ((2, 201, 384), (224, 224), 5, Layout("tokens", 384, 14, 14, 5)),  # class token and four registers
        ((2, 196, 192), (224, 224), 1, Layout("tokens", 192, 14, 14, 0)),  # before the class token joins
        ((2, 197, 192), (224, 224), None, Layout("tokens", 192, 14, 14, 1)),  # a network that does not say
        ((2, 1 + 8 * 24, 64), (128, 384), 1, Layout("tokens", 64, 8, 24, 1)),  # not square
        ((2, 24, 8, 64), (384, 128), None, Layout("channels_last", 64, 24, 8)),
        ((2, 64, 6, 5), (192, 160), None, Layout("maps", 64, 6, 5)),
        ((2, 1000), (224, 224), 1, None),
        ((2, 512, 1, 1), (224, 224), None, None),  # pooled
        ((2, 16, 196, 96), (224, 224), None, None),  # windows: no grid
        ((2, 200, 96), (224, 224), None, None),
        ((), (224, 224), None, None),
    ],
)
def test_layouts_are_read_from_shapes(
    shape: tuple[int, ...], size: tuple[int, int], prefix: int | None, expected: Layout | None
) -> None:
    assert find_layout(shape, size, prefix) == expected


LAYOUTS = st.builds(
    Layout,
    st.sampled_from(["maps", "channels_last", "tokens"]),
    st.integers(1, 5),
    st.integers(2, 5),
    st.integers(2, 5),
    st.integers(0, 3),
)


def _native(layout: Layout, count: int = 2) -> torch.Tensor:
    shapes = {
        "maps": (count, layout.channels, layout.height, layout.width),
        "channels_last": (count, layout.height, layout.width, layout.channels),
        "tokens": (count, layout.prefix + layout.height * layout.width, layout.channels),
    }
    shape = shapes[layout.kind]
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


@given(LAYOUTS)
def test_each_place_holds_its_own_numbers(layout: Layout) -> None:
    native = _native(layout)
    maps = layout.to_maps(native)
    assert maps.shape == (2, layout.channels, layout.height, layout.width)
    for row in range(layout.height):
        for column in range(layout.width):
            slow = {
                "maps": lambda r=row, c=column: native[:, :, r, c],
                "channels_last": lambda r=row, c=column: native[:, r, c],
                "tokens": lambda r=row, c=column: native[:, layout.prefix + r * layout.width + c],
            }[layout.kind]()
            assert torch.equal(maps[:, :, row, column], slow)


@given(LAYOUTS)
def test_maps_go_back_where_they_came_from(layout: Layout) -> None:
    native = _native(layout)
    before = native.clone()
    assert torch.equal(layout.with_maps(native, layout.to_maps(native)), native)
    zeroed = layout.with_maps(native, torch.zeros_like(layout.to_maps(native)))
    assert torch.equal(layout.to_maps(zeroed), torch.zeros_like(layout.to_maps(native)))
    if layout.kind == "tokens":  # what is no place of the picture stays
        assert torch.equal(zeroed[:, : layout.prefix], native[:, : layout.prefix])
    assert torch.equal(native, before)


@given(LAYOUTS)
def test_a_mean_over_the_places_is_one_over_the_maps(layout: Layout) -> None:
    if layout.places:
        native = _native(layout)
        assert torch.allclose(native.mean(layout.places), layout.to_maps(native).mean((2, 3)))
    else:
        assert layout.kind == "tokens" and layout.prefix


def test_a_quarter_is_changed_at_a_time() -> None:
    x = quarters_changed(torch.ones(1, 3, 5, 6))
    assert x.shape == (5, 3, 5, 6) and (x[0] == 1).all()
    assert [int((each < 0).sum()) for each in x[1:]] == [3 * 2 * 3, 3 * 2 * 3, 3 * 3 * 3, 3 * 3 * 3]
    assert (x[1, :, :2, :3] == -1).all() and (x[4, :, 2:, 3:] == -1).all()


def test_tokens_in_another_order_are_found_out() -> None:
    picture = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    patches = torch.nn.functional.unfold(quarters_changed(picture), 4, stride=4).transpose(1, 2)  # (5, 64, 48)
    layout = Layout("tokens", 48, 8, 8)
    assert follows_places(layout, patches) is True
    assert follows_places(layout, patches.flip(1)) is False
    # Every place an equal mixture of all: nothing can be said.
    assert follows_places(layout, patches.mean(1, keepdim=True).expand(-1, 64, -1)) is not False


def test_tokens_that_are_dealt_out_evenly_are_found_out() -> None:
    """As Hiera has them: first the upper left token of every window of 2 × 2, then the upper right ones …"""
    picture = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    patches = torch.nn.functional.unfold(quarters_changed(picture), 4, stride=4).transpose(1, 2)
    dealt = patches.reshape(5, 4, 2, 4, 2, 48).permute(0, 2, 4, 1, 3, 5).reshape(5, 64, 48)
    layout = Layout("tokens", 48, 8, 8)
    assert follows_places(layout, dealt) is False
    # One quarter may move all places more than the others do: that is no other order.
    mixed = patches.mean(1, keepdim=True).expand(-1, 64, -1).clone()
    mixed[2] += 9
    assert follows_places(layout, mixed) is not False
