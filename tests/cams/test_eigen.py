"""Gradients through the first principal component."""

from __future__ import annotations

import pytest
import torch

from camlab.cams.eigen import first_component

#: More channels than positions, and fewer: the two ways the component is found.
BOTH = pytest.mark.parametrize("channels", [20, 5])


def values(channels: int) -> torch.Tensor:
    return torch.randn(2, channels, 2, 4, dtype=torch.double, generator=torch.Generator().manual_seed(channels))


@BOTH
def test_the_derivative_is_that_of_small_differences(channels: int) -> None:
    a = values(channels).requires_grad_()
    reference = a.detach().mean(dim=1)
    # In float64 by differences of 1e-6, whose own error is near 1e-16 / 1e-6 · 10⁴ at most.
    assert torch.autograd.gradcheck(lambda x: first_component(x, reference), a, atol=1e-6)


@BOTH
def test_asking_for_gradients_changes_no_value(channels: int) -> None:
    a = values(channels)
    plain = first_component(a, a.mean(dim=1))
    assert not plain.requires_grad
    followed = first_component(a.clone().requires_grad_(), a.mean(dim=1))
    assert followed.requires_grad and torch.equal(followed.detach(), plain)
    with torch.no_grad():
        assert not first_component(a.clone().requires_grad_(), a.mean(dim=1)).requires_grad


@BOTH
def test_what_does_not_vary_has_no_slope(channels: int) -> None:
    a = torch.ones(1, channels, 3, 4, requires_grad=True)
    out = first_component(a, a.detach().mean(dim=1))
    (slope,) = torch.autograd.grad(out.sum(), a)
    assert not out.any() and not slope.any()


@BOTH
def test_components_of_equal_strength_leave_numbers(channels: int) -> None:
    """Two patterns of one strength: the leading one is not defined, and its derivative must not be infinite."""
    a = torch.zeros(1, channels, 2, 4, dtype=torch.double)
    a[0, 0, 0], a[0, 1, 1] = torch.tensor([1.0, -1, 1, -1]), torch.tensor([1.0, 1, -1, -1])
    a.requires_grad_()
    (slope,) = torch.autograd.grad(first_component(a, a.detach().mean(dim=1)).square().sum(), a)
    assert slope.isfinite().all()
