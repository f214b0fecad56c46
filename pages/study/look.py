"""Shared parts of the Study page's tabs: choice of the value, titles, tables, the empty state."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from camlab.common.wording import NOT_OBSERVED
from camlab.drawing.charts.titles import level_title, model_title
from camlab.study.analysis.values import VALUE_LABELS
from pages.study.state import page

VALUES = ("consistency", "responsiveness", "rm", "gap", "auroc", "mean_similarity")
#: How several severities become one number, by the prefix of the value's name in a record.
OVER = {"": "all pairs pooled", "stratified_": "mean of the severities"}


def empty(rows: pd.DataFrame) -> bool:
    """Show a notice and return True if no row passes the filters."""
    if len(rows):
        return False
    st.info("No pair passes these filters; clear one of them.", icon=":material/filter_alt_off:")
    return True


def chosen_value(key: str, default: str = "rm") -> str:
    """Draw the choice of C, R, RM and related values; return the value's name in a record."""
    found: str = st.segmented_control(
        "Value", list(VALUES), default=default, required=True,
        key=page.look("value", f"value.{key}", VALUES, default),
        format_func=lambda name: VALUE_LABELS[name].short,
        help="C: mean similarity of kept pairs. R: one minus the mean similarity of flipped pairs. RM = C · R. gap: "
        "C + R − 1. AUROC: how well similarity separates kept from flipped pairs. mean: similarity of all pairs.",
    )  # fmt: skip
    return found or default


def chosen_over(key: str, rows: pd.DataFrame) -> str:
    """Draw the choice of pooled or averaged severities if there are several; return a prefix of OVER."""
    if rows["severity"].nunique() < 2:
        return ""
    found: str = st.segmented_control(
        "Severities", list(OVER), default="", key=page.look("over", f"over.{key}", OVER), required=True,
        format_func=lambda prefix: OVER[prefix],
        help="Pooled is the paper's value, which also compares mild with strong noise. The mean of the values at each "
        "severity does not.",
    )  # fmt: skip
    return found or ""


def title_of(column: str, level: object) -> str:
    """Return the title of a column's value, models included; not escaped."""
    return model_title(str(level)) if column == "model" else level_title(column, level)


def place_of(group: Mapping[str, Any]) -> str:
    """Describe a group of rows by its model, layer, noise type and so on; not escaped."""
    named = {"layer": "layer {}", "severity": "{}"}
    return ", ".join(named.get(key, "{}").format(title_of(key, level)) for key, level in group.items())


def numbers_of(
    records: Iterable[Mapping[str, Any]],
    by: Iterable[str],
    counts: Mapping[str, str],
    values: Mapping[str, str],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return records as a table of keys, counts and values, and the configuration of its columns.

    counts, values: titles of columns by their names in a record. A value that was not observed is missing (nan).
    """
    names = {"study": "Study", "model": "Model", "image_set": "Image set", "method": "CAM method", "layer": "Layer",
             "noise": "Noise type", "severity": "Severity"}  # fmt: skip
    by = list(by)
    table = pd.DataFrame(
        [
            {names[key]: r[key] if key in ("severity", "study") else title_of(key, r[key]) for key in by}
            | {title: r.get(name) for name, title in counts.items()}
            # Adding 0 turns a rounded −0 into 0.
            | {title: None if (v := r.get(name)) is None else round(v, 3) + 0.0 for name, title in values.items()}
            for r in records
        ],
        columns=[*(names[key] for key in by), *counts.values(), *values.values()],
    ).astype(dict.fromkeys(values.values(), float))
    column = st.column_config
    shown: dict[str, Any] = {names[key]: column.Column(pinned=True) for key in by}
    shown |= {title: column.NumberColumn(format="localized") for title in counts.values()}
    return table, shown | {title: column.NumberColumn(format="%.3f") for title in values.values()}


def draw_table(table: pd.DataFrame, columns: Mapping[str, Any]) -> None:
    """Draw a table as wide as the page, at most 460 pixels high; a missing number reads "not observed".

    columns: the configuration of columns by title. In the CSV that a visitor saves, missing numbers are empty.
    """
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height="content" if len(table) <= 12 else 460,
        column_config=columns,
        placeholder=NOT_OBSERVED,
    )
