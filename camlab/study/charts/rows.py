"""A study's rows in charts: kept and flipped groups, densities, and points that identify their row.

Rows are those of ``camlab.study.analysis.summary.scored``: one row per pair, with ``similarity`` in [0, 1] (nan where
a map is degenerate) and the columns of the store's schema. The ``customdata`` of a point identifies its row, in the
order of `POINT`. The number of points in a figure is limited, however many rows there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.common.grouping import numbered
from camlab.common.wording import plural
from camlab.drawing.charts.titles import level_title, wrapped
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.summary import FLOORS, similarities, usable

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]
POINT = ("model", "image", "method", "layer", "noise", "severity", "seed", "image_set")
"""The columns in a point's ``customdata``, which identify its row; None for a column that the rows lack."""


def coded(rows: pd.DataFrame, column: str) -> tuple[Index, list[Any]]:
    """Return the level of each row as a number, and the levels that occur, in their order."""
    number, keys = numbered(rows, [column])
    return number, [v.item() if isinstance(v, np.generic) else v for (v,) in keys]


def points(rows: pd.DataFrame, places: Iterable[int] | Index) -> list[list[Any]]:
    """Identify the rows at these places, one entry per row, in the order of `POINT`."""
    part = rows.iloc[np.asarray(places, dtype=np.intp)]
    columns = []
    for name in POINT:
        values = part[name].tolist() if name in part else [None] * len(part)
        columns.append(values if name in ("severity", "seed") else [v if v is None else str(v) for v in values])
    return [list(each) for each in zip(*columns, strict=True)]


def hover_texts(rows: pd.DataFrame, places: Iterable[int] | Index) -> list[str]:
    """Write the hover texts of the rows at these places."""
    part = rows.iloc[np.asarray(places, dtype=np.intp)]
    texts = []
    for model, image, method, layer, noise, severity, seed, _ in points(part, np.arange(len(part))):
        texts.append(
            f"{escape(str(image))}<br>{wrapped(level_title('method', method))}<br>"
            f"{escape(level_title('noise', noise))} at severity {severity:g}, seed {seed}<br>"
            f"{escape(str(model))}, {escape(str(layer))}"
        )
    values = similarities(part)
    outcomes = np.where(part["flipped"].to_numpy(dtype=bool), "flipped", "kept")
    return [f"similarity {v:.2f}, {o}<br>{t}" for v, o, t in zip(values, outcomes, texts, strict=True)]


@dataclass(frozen=True)
class SimilaritySample:
    """The similarities of one group, ascending, with the places of their rows and the number of degenerate pairs."""

    values: Floats
    places: Index
    degenerate: int

    def __len__(self) -> int:
        return len(self.values)

    @property
    def enough(self) -> bool:
        """Whether there are enough pairs to show more than single pairs (`FEWEST_PAIRS`)."""
        return len(self) >= FEWEST_PAIRS

    def spread(self, most: int) -> Index:
        """Pick at most this many places in ``values``, evenly spaced, from the smallest to the largest."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.linspace(0, len(self) - 1, most).round().astype(np.intp)

    def words(self, name: str) -> str:
        """Describe the group in words."""
        left = f" ({plural(self.degenerate, 'degenerate pair')} left out)" if self.degenerate else ""
        if not len(self):
            return f"no {name} pair with a similarity{left}" if left else f"no {name} pair"
        few = "" if self.enough else f", fewer than {FEWEST_PAIRS}"
        middle = f"median {np.median(self.values):.2f}" if len(self) > 1 else f"similarity {self.values[0]:.2f}"
        return f"{plural(len(self), f'{name} pair')}{few}, {middle}{left}"


def samples(rows: pd.DataFrame, by: str = "") -> list[tuple[Any, dict[str, SimilaritySample]]]:
    """Split the similarities by the levels of a column ("": all rows), and into kept and flipped."""
    codes, levels = coded(rows, by) if by else (np.zeros(len(rows), np.intp), [""])
    values, good = similarities(rows), usable(rows)
    group = 2 * codes + rows["flipped"].to_numpy(dtype=bool)
    lacking = np.bincount(group[~good], minlength=2 * len(levels))
    places = np.flatnonzero(good)
    places = places[np.lexsort((values[places], group[places]))]
    ends = np.cumsum(np.bincount(group[places], minlength=2 * len(levels)))
    parts = np.split(places, ends[:-1]) if len(ends) else []
    found = [SimilaritySample(values[part], part, int(lost)) for part, lost in zip(parts, lacking, strict=True)]
    return [(level, {"kept": found[2 * i], "flipped": found[2 * i + 1]}) for i, level in enumerate(levels)]


def pooled_severities(rows: pd.DataFrame) -> list[str]:
    """Note that the rows pool several severities; no note otherwise."""
    found = np.unique(rows["severity"].to_numpy(dtype=np.float64))
    return [f"severities {found[0]:g} to {found[-1]:g} pooled"] if len(found) > 1 else []


def nearest_to(means: Floats, group: Index, values: Floats) -> Index:
    """Return the place of the value nearest to the mean of each group, the first of equals; −1 without any."""
    order = np.lexsort((np.abs(values - means[group]), group))
    found = np.full(len(means), -1, np.intp)
    there, first = np.unique(group[order], return_index=True)
    found[there] = order[first]
    return found


def floors_of(rows: pd.DataFrame, similarity: str) -> dict[str, float]:
    """Average the two floors by name; empty for measures other than RBO, to which they do not apply."""
    if similarity != "rbo" or not len(rows):
        return {}
    means = {name: float(rows[column].mean()) for column, name in FLOORS.items() if column in rows}
    return {name: value for name, value in means.items() if not np.isnan(value)}


def density(values: Floats, grid: Floats, bandwidth: float) -> Floats:
    """Estimate the density of similarities on an even grid over [0, 1]; it integrates to 1.

    Smooths a histogram as fine as the grid with Gaussian kernels, reflected at 0 and 1: many similarities are exactly
    1, and kernels that reached beyond the edge would hide them.
    """
    cells = len(grid)
    counts = np.bincount(np.clip((values * (cells - 1)).round().astype(np.intp), 0, cells - 1), minlength=cells)
    # The end cells are half as wide as the others, so reflection doubles their counts.
    step = 1 / (cells - 1)
    reach = min(cells - 1, max(1, int(np.ceil(5 * bandwidth / step))))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    inner = counts.astype(np.float64)
    padded = np.concatenate([inner[1 : reach + 1][::-1], inner, inner[-reach - 1 : -1][::-1]])
    padded[reach] *= 2
    padded[reach + cells - 1] *= 2
    smooth = np.convolve(padded, kernel, mode="valid")
    area = float(((smooth[1:] + smooth[:-1]) / 2).sum() * step)
    return smooth / area
