"""What the tabs of the Study page share: the value looked at, the words beside a plot, the empty state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from camlab.drawing.charts.titles import level_title
from camlab.study.charts.values import SHOWN
from pages.shared import session
from pages.study import link

VALUES = ("consistency", "responsiveness", "rm", "gap", "auroc", "mean_similarity")
#: How several severities become one number, by the prefix of the value's name in a record.
OVER = {"": "all pairs pooled", "stratified_": "mean of the severities"}


def empty(rows: pd.DataFrame) -> bool:
    """Say so where no row passes the filters."""
    if len(rows):
        return False
    st.info("No pair passes these filters; clear one of them.", icon=":material/filter_alt_off:")
    return True


def chosen_value(key: str, default: str = "rm") -> str:
    """Draw the choice of C, R, RM and their kin; the name of the value in a record."""
    found: str = st.segmented_control(
        "Value", list(VALUES), default=default, required=True,
        key=link.look("value", f"value.{key}", VALUES, default),
        format_func=lambda name: SHOWN[name].short,
        help="C: mean similarity where the prediction stayed. R: one minus it where it flipped. RM = C · R. gap: "
        "C + R − 1. AUROC: does similarity tell kept from flipped? mean: similarity of all pairs.",
    )  # fmt: skip
    return found or default


def chosen_over(key: str, rows: pd.DataFrame) -> str:
    """Draw the choice of pooled or averaged severities where there are several; a prefix of OVER."""
    if rows["severity"].nunique() < 2:
        return ""
    found: str = st.segmented_control(
        "Severities", list(OVER), default="", key=link.look("over", f"over.{key}", OVER), required=True,
        format_func=lambda prefix: OVER[prefix],
        help="Pooled is the paper's value: it also compares mild with strong noise. The mean of the severities' own "
        "values does not.",
    )  # fmt: skip
    return found or ""


def title_of(column: str, level: object) -> str:
    """What people read for a value of a column, models included; not escaped."""
    return session.model_title(str(level)) if column == "model" else level_title(column, level)


def place_of(group: Mapping[str, Any]) -> str:
    """A group of rows in words: its model, layer, noise type …; not escaped."""
    named = {"layer": "layer {}", "severity": "{}"}
    return ", ".join(named.get(key, "{}").format(title_of(key, level)) for key, level in group.items())


def numbers_of(
    records: Iterable[Mapping[str, Any]],
    by: Iterable[str],
    counts: Mapping[str, str],
    values: Mapping[str, str],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Records as a table that people read, and how its columns are to be shown: keys by their titles, counts, values.

    counts, values: titles of columns by their names in a record. What was not observed is None.
    """
    names = {"study": "Study", "model": "Model", "image_set": "Image set", "method": "CAM method", "layer": "Layer",
             "noise": "Noise type", "severity": "Severity"}  # fmt: skip
    by = list(by)
    table = pd.DataFrame(
        [
            {names[key]: r[key] if key in ("severity", "study") else title_of(key, r[key]) for key in by}
            | {title: r.get(name) for name, title in counts.items()}
            # No −0 among those that are rounded.
            | {
                title: None if (v := r.get(name)) is None else round(v, 3) + 0.0
                for name, title in values.items()
            }
            for r in records
        ],
        columns=[*(names[key] for key in by), *counts.values(), *values.values()],
    ).astype(dict.fromkeys(values.values(), float))
    column = st.column_config
    shown: dict[str, Any] = {names[key]: column.Column(pinned=True) for key in by}
    shown |= {title: column.NumberColumn(format="localized") for title in counts.values()}
    return table, shown | {title: column.NumberColumn(format="%.3f") for title in values.values()}
