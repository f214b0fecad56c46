"""The pairs of a study that say most: maps that moved although the prediction stayed, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from camlab.cams.coincidence import is_baseline
from camlab.study.analysis.summary import similarities, usable

#: Rows that are sorted for each picture that is wanted: many extremes are of one picture.
_POOL = 200


@dataclass(frozen=True)
class Kind:
    """A kind of pair worth a look: of kept or of flipped ones, those with the lowest or the highest similarity."""

    title: str
    flipped: bool
    highest: bool


KINDS = {
    "moved": Kind("kept, and yet the map moved", flipped=False, highest=False),
    "stayed": Kind("flipped, and yet the map stayed", flipped=True, highest=True),
}


def striking(rows: pd.DataFrame, kind: str, count: int = 6) -> list[int]:
    """Places of the pairs of one of KINDS that go furthest, one a picture at most, the furthest first.

    rows: as `camlab.study.analysis.summary.scored` gives them. The baseline's pairs and those without a similarity are left out.
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
    # Equal values in the order of the rows.
    order = places[nearest[np.lexsort((places[nearest], value[nearest]))]]
    pictures = rows["image"].iloc[order].astype(str)
    return [int(place) for place in order[~pictures.duplicated().to_numpy()][:count]]
