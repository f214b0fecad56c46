"""The Table tab: the paper's table, and every number behind the plots."""

import streamlit as st

from camlab.common.wording import plural
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.paper_table import FORMATS, html, paper_table
from camlab.study.analysis.summary import DEFAULT_BY
from camlab.study.analysis.values import VALUE_LABELS
from pages.shared.text import explanation_popover
from pages.study import data
from pages.study.data import Opened
from pages.study.look import OVER, chosen_over, chosen_value, draw_table, empty, numbers_of
from pages.study.state import page

_ENDS = {"_low": "from", "_high": "to"}
USUAL_BY = ["method", "severity"]
COUNTS = {
    "n": "Pairs", "n_pictures": "Pictures", "n_flipped": "Flips", "n_near": "Near flips",
    "n_degenerate": "Degenerate", "n_tied": "Ties",
}  # fmt: skip
BESIDE = {
    "auroc_in_picture": "AUROC within a picture", "consistency_worst": "C at worst", "consistency_best": "C at best",
    "random_floor": "Floor: random ranking", "other_floor": "Floor: another picture",
}  # fmt: skip


def table(opened: Opened, filters: Filters) -> None:
    """Draw a table of methods × noise types to copy, and all numbers below it."""
    rows = data.rows(opened, filters)
    if empty(rows):
        return
    with st.container(horizontal=True, key="study_choices"):
        value = chosen_value("table")
        over = chosen_over("table", rows)
    severities = sorted(set(rows["severity"].tolist()))
    span = f"severity {severities[0]:g}" if len(severities) == 1 else f"over {len(severities)} severities: {OVER[over]}"
    found = paper_table(
        data.summary(opened, filters, ("method", "noise")),
        data.summary(opened, filters, ("method",)),
        over + value,
        f"{VALUE_LABELS[value].title}, {len(rows):,} pairs of {plural(rows['image'].nunique(), 'picture')}, {span}. "
        "Bold: the best of the column at two digits among values that rest on enough pairs, never the baseline. "
        "A dash: not observed.",
    )
    st.html(html(found))
    explanation_popover("paper_table")
    st.markdown("**Copy it**")
    tabs = st.tabs([each.title for each in FORMATS.values()], key="table_format")
    for tab, each in zip(tabs, FORMATS.values(), strict=True):
        with tab:
            st.code(each.write(found), language=each.name if each.name != "csv" else None, height=240)
    _numbers(opened, filters)


def _numbers(opened: Opened, filters: Filters) -> None:
    """Draw every value with its counts, grouped as the visitor chooses."""
    st.subheader("All numbers", anchor=False)
    by = st.multiselect(
        "One row per", list(DEFAULT_BY), default=USUAL_BY, key=page.look("rows", "by", DEFAULT_BY, USUAL_BY),
        format_func=lambda key: key.replace("_", " "),
        placeholder="all pairs together",
        help="The pairs of each group are pooled, never averaged by cell. The table above uses the same values.",
    )  # fmt: skip
    by = [key for key in DEFAULT_BY if key in by]
    records = data.summary(opened, filters, by)
    more: dict[str, str] = {}
    for name, entry in VALUE_LABELS.items():
        more |= {name: entry.short} | {name + end: f"{entry.short} {word}" for end, word in _ENDS.items()}
    more |= {
        f"stratified_{name}": f"{entry.short}, mean of severities" for name, entry in VALUE_LABELS.items()
    } | BESIDE
    # Leave out empty columns, such as intervals that were not computed.
    more = {name: title for name, title in more.items() if any(r.get(name) is not None for r in records)}
    found, shown = numbers_of(records, by, COUNTS, more)
    draw_table(found, shown)
    st.caption(
        "“from” and “to” are the ends of 95 % intervals over pictures, which need at least 5 pairs. "
        "Save and search the table with the buttons at its upper right."
    )
