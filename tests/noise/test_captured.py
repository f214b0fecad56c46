"""The user's own second picture as the noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from camlab.common.errors import BadSetting, UnknownName
from camlab.noise import NOISES, Surroundings, perturb, unavailable
from tests.noise.around import TwoFields, field
from tests.noise.twins import DIGESTS


def second(digest: str) -> Tensor | None:
    """Another picture for each digest; none for "alone"."""
    return None if digest == "alone" else field((3, 64, 64), sum(map(ord, digest)))


HERE = Surroundings(companion=second)


def test_severity_5_is_the_second_picture_and_what_lies_between_is_a_blend(pictures: Tensor) -> None:
    seconds = torch.stack([other for digest in DIGESTS if (other := second(digest)) is not None])
    assert torch.equal(perturb(pictures, "captured", 5, 0, DIGESTS, HERE), seconds)
    for severity in (0.5, 1, 3.2):
        out = perturb(pictures, "captured", severity, 0, DIGESTS, HERE).double()
        for row, digest in enumerate(DIGESTS):
            other = second(digest)
            assert other is not None
            line = pictures[row] + (other.double() - pictures[row]) * severity / 5
            assert (out[row] - line).abs().max() < 2e-7


def test_without_a_second_picture_it_says_so(pictures: Tensor) -> None:
    for here in (None, Surroundings()):
        with pytest.raises(BadSetting, match="upload a pair"):
            perturb(pictures, "captured", 3, 0, DIGESTS, here)
    mixed = [DIGESTS[0], "alone", DIGESTS[2]]
    with pytest.raises(BadSetting, match="upload a pair"):
        perturb(pictures, "captured", 3, 0, mixed, HERE)
    out = perturb(pictures, "captured", [3, 0, 3], 0, mixed, HERE)
    assert torch.equal(out[1], pictures[1]), "a clean picture needs none"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (torch.zeros(3, 64, 60), "64×64 and 64×60"),
        (torch.full((3, 64, 64), 1.5), "outside 0 to 1"),
        (torch.full((3, 64, 64), float("nan")), "outside 0 to 1"),
    ],
)
def test_a_second_picture_that_does_not_fit_is_refused(other: Tensor, words: str, pictures: Tensor) -> None:
    with pytest.raises(BadSetting, match=words):
        perturb(pictures, "captured", 3, 0, DIGESTS, Surroundings(companion=lambda _: other))


def test_what_is_unavailable_says_why() -> None:
    for name, kind in NOISES.items():
        reason = unavailable(name, Surroundings(), "x")
        assert (reason is None) is (kind.needs == "")
        if reason:
            assert kind.title in reason and reason.endswith(".") and reason.count(".") == 1
        assert unavailable(name, Surroundings(TwoFields(), second), "x") is None
        assert (unavailable(name, Surroundings(TwoFields(), second), "alone") is None) is (name != "captured")
    with pytest.raises(UnknownName):
        unavailable("rain", Surroundings(), "x")
