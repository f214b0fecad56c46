"""Rank correlation of two properties of pictures, with an interval over pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from camlab.metrics.intervals import FEWEST_PAIRS, REPLICATES, SEED, Interval, bootstrap
from camlab.metrics.tally import Floats, divide

Index = NDArray[np.intp]

MOST_CELLS = 4_000_000
"""Replicates × points; with more points there are fewer replicates, and never fewer than `FEWEST_REPLICATES`."""

FEWEST_REPLICATES = 200


@dataclass(frozen=True)
class Association:
    """Spearman's rank correlation of n points from a number of pictures.

    rho, in [−1, 1]: None under 5 points and if one side does not vary. interval: 95 %, by a bootstrap of
    ``replicates`` draws of pictures with all their points; None under 5 pictures.
    """

    rho: float | None
    interval: Interval | None
    n: int
    n_pictures: int
    replicates: int


def association(
    x: Floats, y: Floats, picture: Index | None = None, replicates: int = REPLICATES, seed: int = SEED
) -> Association:
    """Correlate the ranks of two properties (n,); points with a nan on either side do not count.

    picture: the picture of each point, (n,); by default each point has its own.
    """
    picture = np.arange(len(x)) if picture is None else picture
    good = ~(np.isnan(x) | np.isnan(y))
    x, y = x[good], y[good]
    unit: Index = np.unique(picture[good], return_inverse=True)[1].astype(np.intp)
    units = int(unit.max()) + 1 if len(unit) else 0
    if len(x) < FEWEST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Association(None, None, len(x), units, 0)
    rho = float(spearmanr(x, y).statistic)
    replicates = min(replicates, max(FEWEST_REPLICATES, MOST_CELLS // len(x)))
    interval = None
    if replicates > 0 and units >= FEWEST_PAIRS:
        of_x, of_y = _Ranks(x), _Ranks(y)

        def values(counts: Floats) -> dict[str, Floats]:
            weights = counts[:, unit]
            return {"rho": _correlation(of_x.weighted(weights), of_y.weighted(weights), weights)}

        interval = bootstrap(values, units, replicates, seed, width=len(x))["rho"]
    return Association(rho, interval, len(x), units, replicates)


class _Ranks:
    """Mean ranks of the same values under many weights; the values are sorted only once, unlike in SciPy."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        _, self._tie = np.unique(values, return_inverse=True)
        counts = np.bincount(self._tie)
        self._end = np.cumsum(counts) - 1

    def weighted(self, weights: Floats) -> Floats:
        """Compute the mean rank (r, n) of each value, where weights count its occurrences."""
        ends = np.cumsum(weights[:, self._order], axis=1)[:, self._end]
        starts = np.concatenate([np.zeros((len(weights), 1)), ends[:, :-1]], axis=1)
        return ((starts + ends + 1) / 2)[:, self._tie]


def _correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Compute the weighted Pearson correlation of each row; nan where one side does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    product = (weights * x * y).sum(axis=1)
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return divide(product, np.where(spread > 1e-9, spread, 0.0))
