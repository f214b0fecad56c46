"""Digests of tensors' names and shapes: equal only for equal sets, alike for sets that are alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from camlab.models.own.signature import SKETCH_LENGTH, resemblances, shapes_of, signature, sketch, without

SHAPES = st.dictionaries(
    st.text("abc.", min_size=1, max_size=6), st.lists(st.integers(0, 99), max_size=3).map(tuple), max_size=12
)


@given(SHAPES, SHAPES)
def test_signatures_are_equal_where_the_sets_are(
    one: dict[str, tuple[int, ...]], other: dict[str, tuple[int, ...]]
) -> None:
    assert (signature(one) == signature(other)) == (one == other)
    backwards = dict(reversed(list(one.items())))
    assert signature(backwards) == signature(one)
    assert sketch(backwards) == sketch(one)


def test_resemblance_follows_the_share_in_common() -> None:
    def numbered(low: int, high: int) -> dict[str, tuple[int, ...]]:
        return {f"layer{i}.weight": (i, 3) for i in range(low, high)}

    own = sketch(numbered(0, 300))
    assert len(own) == 4 * SKETCH_LENGTH
    found = resemblances([own], [own, sketch(numbered(1000, 1300)), sketch(numbered(60, 360))])
    assert found.shape == (1, 3)
    assert found[0, 0] == 1
    assert found[0, 1] < 0.2
    # Two thirds of the union in common: 16 draws stay within 3 standard deviations (0.12 each).
    assert abs(found[0, 2] - 240 / 360) < 0.36
    assert sketch({}) == ""


def test_counters_and_classifiers_are_left_out() -> None:
    import torch

    net = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 2))
    shapes = shapes_of(net.state_dict())
    assert set(shapes) == {
        *(f"0.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
        "1.weight",
        "1.bias",
    }
    assert shapes["1.weight"] == (2, 3)
    assert set(without(shapes, ["1"])) == {key for key in shapes if key.startswith("0.")}
    assert without({"fc2.weight": (1,), "fc.weight": (1,)}, ["fc"]) == {"fc2.weight": (1,)}
