"""Scaling to [0, 1], and maps that say nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.cams.scaling import CANCELLED, uncancelled
from camlab.engine.shared import model_input
from camlab.images import find_picture
from camlab.models import load_classifier
from tests.rounding import ROUNDED_ONCE, apart


def test_scaled_map_by_hand() -> None:
    maps, degenerate = scale_maps(torch.tensor([[[-3.0, 1.0], [2.0, 5.0]]]))
    assert maps.dtype == torch.float32
    assert np.array_equal(maps[0], np.array([[0, 0.2], [0.4, 1]], dtype=np.float32)) and degenerate.tolist() == [False]


@pytest.mark.parametrize(
    ("raw", "degenerate"),
    [
        ([0.0, 0.0, 0.0, 0.0], True),  # nothing at all
        ([-1.0, -2.0, -3.0, -0.5], True),  # nothing positive
        ([2.0, 2.0, 2.0, 2.0], True),  # the same everywhere
        ([2.0, 2.0, 2.0, 2.0000019], True),  # range 0.95e-6 of the maximum
        ([2.0, 2.0, 2.0, 2.0000024], False),  # range 1.2e-6 of the maximum
        ([1e-30, 2e-30, 3e-30, 4e-30], False),  # small, but it says something
        ([1e-9, -1.0, -1.0, -1.0], True),  # a positive part that is rounding error of the rest
        ([float("nan"), 1.0, 2.0, 3.0], True),
        ([float("inf"), 1.0, 2.0, 3.0], True),
    ],
)
def test_degenerate_rule(raw: list[float], degenerate: bool) -> None:
    maps, flags = scale_maps(torch.tensor(raw, dtype=torch.float64).reshape(1, 2, 2))
    assert flags.tolist() == [degenerate]
    if degenerate:
        assert not maps.any()
    else:
        assert maps.min() == 0 and maps.max() == 1


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(-1e6, 1e6, width=32)), st.floats(0.01, 100))
def test_scaling_properties(raw: np.ndarray, factor: float) -> None:
    maps, degenerate = scale_maps(torch.from_numpy(raw))
    assert maps.min() >= 0 and maps.max() <= 1
    for row in range(2):
        alone, _ = scale_maps(torch.from_numpy(raw[row : row + 1]))
        assert torch.equal(alone[0], maps[row])
        assert bool(maps[row].any()) != bool(degenerate[row])
        # The order of positive values stays.
        order = np.argsort(np.maximum(raw[row], 0).ravel(), kind="stable")
        assert (np.diff(maps[row].numpy().ravel()[order]) >= 0).all()
    scaled, _ = scale_maps(torch.from_numpy(raw.astype(np.float64) * factor))
    # The products are rounded in float64. A range of a millionth of the values enlarges that to 4e-10; the rest is
    # the rounding of finished maps.
    assert apart(scaled, maps).max() <= ROUNDED_ONCE or bool(degenerate.any())


def test_behind_a_layer_norm_hirescam_is_rounding_and_says_nothing() -> None:
    classifier = load_classifier("shapes_vit", "cpu")
    picture = model_input(classifier, find_picture("shapes/0-0"))
    pictures = torch.stack([picture, picture.flip(-1), torch.rand(3, *classifier.input_size)])
    for layer, silent in (("blocks.1", True), ("blocks.0", False)):
        shared = shared_pass(classifier, layer, pictures, [0, 1, None], ["a", "b", "c"])
        for name, entry in CAMS.items():
            if entry.terms is None or entry.cost != "shared":
                continue
            terms = entry.terms(shared).double()
            left = terms.sum(dim=1).abs().amax(dim=(1, 2)) / terms.abs().sum(dim=1).amax(dim=(1, 2))
            raw = entry.apply(shared)
            if silent and name == "hirescam":
                assert left.max() < CANCELLED / 10 and not raw.any() and scale_maps(raw)[1].all()
            else:
                assert left.min() > CANCELLED * 100 and raw.flatten(1).any(dim=1).all(), (layer, name)


@pytest.mark.parametrize(("left", "silent"), [(0.0, True), (0.9 * CANCELLED, True), (1.1 * CANCELLED, False)])
def test_what_is_left_of_a_sum_is_held_against_its_terms(left: float, silent: bool) -> None:
    terms = torch.zeros(2, 2, 1, 3, dtype=torch.float64)
    terms[0, 0], terms[0, 1] = 0.5, -0.5
    terms[0, 0, 0, 1] += left  # the terms' absolute values add up to 1 + left there
    terms[1, 0, 0, 2] = 1e-20  # small, but all there is
    raw, magnitude = terms.sum(dim=1), terms.abs().sum(dim=1)
    found = uncancelled(raw, magnitude)
    assert torch.equal(found[0], torch.zeros_like(raw[0]) if silent else raw[0])
    assert torch.equal(found[1], raw[1])


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (3, 2, 2, 2), elements=st.floats(-1e3, 1e3)))
def test_a_map_stays_as_it_is_or_vanishes(terms: np.ndarray) -> None:
    given_ = torch.from_numpy(terms)
    raw, magnitude = given_.sum(dim=1), given_.abs().sum(dim=1)
    for found, was, most in zip(uncancelled(raw, magnitude), raw, magnitude, strict=True):
        if float(was.abs().max()) > CANCELLED * float(most.max()):
            assert torch.equal(found, was)
        else:
            assert not found.any()


def test_a_map_without_a_finite_value_stays_so_and_is_degenerate() -> None:
    raw = torch.tensor([[[float("nan"), 1.0]], [[float("inf"), 1.0]]])
    assert scale_maps(uncancelled(raw, raw.abs()))[1].all()
