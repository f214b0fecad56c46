"""The striking pairs of a study: the map moved although the prediction was kept, or stayed although it flipped."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from camlab.cams.coincidence import is_baseline
from camlab.study.analysis.summary import similarities, usable

#: Rows sorted per requested picture, because one picture may have many of the extremes.
_POOL = 200


@dataclass(frozen=True)
class StrikingKind:
    """A kind of striking pair: the kept or the flipped pairs with the lowest or the highest similarity."""

    title: str
    flipped: bool
    highest: bool


KINDS = {
    "moved": StrikingKind("prediction kept, but the map moved", flipped=False, highest=False),
    "stayed": StrikingKind("prediction flipped, but the map stayed", flipped=True, highest=True),
}


def striking(rows: pd.DataFrame, kind: str, count: int = 6) -> list[int]:
    """Return the row positions of the most extreme pairs of a kind in KINDS, at most one per picture, extremes first.

    rows: from `camlab.study.analysis.summary.scored`. Pairs of the baseline and pairs without a similarity are left
    out.
    """
    entry = KINDS[kind]
    methods = rows["method"].astype("category")
    random = np.array([is_baseline(str(name)) for name in methods.cat.categories], dtype=bool)
    fits = usable(rows) & (rows["flipped"].to_numpy(dtype=bool) == entry.flipped)
    if random.any():
        fits &= ~random[methods.cat.codes.to_numpy()]
    places = np.flatnonzero(fits)
    value = similarities(rows)[places] * (-1 if entry.highest else 1)
    most = min(len(places), _POOL * count)
    nearest = np.argpartition(value, most - 1)[:most] if most else np.zeros(0, np.intp)
    # Equal values keep the order of the rows.
    order = places[nearest[np.lexsort((places[nearest], value[nearest]))]]
    pictures = rows["image"].iloc[order].astype(str)
    return [int(place) for place in order[~pictures.duplicated().to_numpy()][:count]]
