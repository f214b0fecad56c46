"""How far apart two right answers may lie: bounds that follow from floating-point arithmetic and the data.

A constant such as 1e-5 is what one machine happened to stay under; another processor adds in another order. These
bounds hold for every order of summation, every width of vector and with or without fused multiply-add. Notation of
Higham, Accuracy and Stability of Numerical Algorithms (2nd edition, 2002): u is the unit roundoff, half of eps, and
γ_n = nu / (1 − nu) bounds the relative error of n roundings in a row (lemma 3.1). Each function bounds the distance
between two computed values, so it holds twice the error of one. Underflow is left out: the numbers here are not small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, DTypeLike

#: Two finished maps in [0, 1], each rounded to float32 at the end of a calculation in float64: half a unit in the
#: last place of 1 for each, 2⁻²⁵, and as much again for two calculations that differ by far less than that.
ROUNDED_ONCE = 2.0**-23
#: The same if the raw maps were rounded to float32 too, as the library's adapter does, and came to neighbouring
#: values: `scaled_bound(2⁻²³·m, …)` for raw values up to m = 1.75 times the range.
ROUNDED_TWICE = 2.0**-20
#: Two results of a calculation in float64, relative to the largest term: 4,096 roundings of 2⁻⁵², all of them one way.
#: No sum here is that long times its condition, and a single rounding to float32 is 2¹⁶ times as large.
DOUBLE = 2.0**-40


def wide(values: ArrayLike | torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The same values in float64."""
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values).astype(np.float64)


def apart(one: ArrayLike | torch.Tensor, other: ArrayLike | torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The distance of each pair of values, computed in float64; infinite where one is NaN, so that no bound holds."""
    return np.nan_to_num(np.abs(wide(one) - wide(other)), nan=np.inf)


def near(wanted: Any, nan_ok: bool = False) -> Any:
    """What equals a result of float64 arithmetic on numbers near 1: pytest.approx with `DOUBLE` for its 1e-6."""
    return pytest.approx(wanted, rel=DOUBLE, abs=DOUBLE, nan_ok=nan_ok)


def gamma(roundings: int, dtype: DTypeLike = np.float32) -> float:
    """γ_n: the relative error of a product of n factors 1 + δ, |δ| ≤ u (Higham, lemma 3.1)."""
    share = roundings * float(np.finfo(dtype).eps) / 2
    assert share < 0.1, "so many roundings leave nothing to compare"
    return share / (1 - share)


def chain_bound(operations: int, magnitude: ArrayLike | torch.Tensor, dtype: DTypeLike = np.float32) -> Any:
    """For `operations` elementwise operations, one after the other, on values no larger than `magnitude`.

    Each operation rounds once, by at most u times its result, and no later one enlarges an error by more than it
    enlarges its values: γ_k·m for one side, 2γ_k·m ≈ k·eps·m for two.
    """
    return 2 * gamma(operations, dtype) * np.abs(wide(magnitude))


def sum_bound(
    terms: ArrayLike | torch.Tensor,
    axis: int | tuple[int, ...] | None = None,
    dtype: DTypeLike = np.float32,
    earlier: int = 1,
) -> Any:
    """For one sum in two orders; `earlier` roundings of each term come before it.

    In any order a term passes through at most n − 1 additions, so the computed sum is Σ xᵢ(1 + θᵢ) with
    |θᵢ| ≤ γ_{n−1} (Higham, section 4.2, equation 4.4). Terms that were themselves rounded e times bring γ_{n−1+e}:
    one for a product (a dot product: equation 3.4), n for a mean of n. Two sides: 2γ·Σ|xᵢ| ≈ n·eps·Σ|xᵢ|.
    """
    size = np.abs(wide(terms))
    total = size.sum(axis=axis)
    count = size.size // max(np.asarray(total).size, 1)
    return 2 * gamma(max(count - 1, 0) + earlier, dtype) * total


def mean_bound(
    terms: ArrayLike | torch.Tensor,
    axis: int | tuple[int, ...] | None = None,
    dtype: DTypeLike = np.float32,
    earlier: int = 1,
) -> Any:
    """For one mean in two orders: the sum's bound with two roundings more, of 1/n and of the product with it."""
    size = np.abs(wide(terms))
    count = size.size // max(np.asarray(size.sum(axis=axis)).size, 1)
    return sum_bound(size, axis, dtype, earlier + 2) / count


def scaled_bound(error: float, low: float, high: float) -> float:
    """For values scaled to [0, 1] by their minimum and maximum, if each value may be off by `error`.

    s = (x − low) / (high − low) = N / D. Both N and D are off by at most 2·error, and 0 ≤ s ≤ 1, so
    |N'/D' − N/D| = |N' − N − s·(D' − D)| / D' ≤ 4·error / (D − 2·error). `scale_maps` does this in float64 and
    rounds the result to float32, on both sides.
    """
    span = high - low
    assert span > 4 * error, "nothing is left of the range"
    return 4 * error / (span - 2 * error) + ROUNDED_ONCE
