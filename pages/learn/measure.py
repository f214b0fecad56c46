"""Lesson 4 on the page: segments, ranks, RBO by depth, a dozen pairs to sort, and why RM alone misleads."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from camlab.cams import CAMS
from camlab.common.wording import decimal, percent
from camlab.drawing import html
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.drawing.pictures import data_url, lay_over, mark
from camlab.explore.output import pair_html
from camlab.lessons import LESSONS, Setting, parse_link
from camlab.lessons.base import COLOURS
from camlab.lessons.charts import bump_chart, overlap_chart
from camlab.lessons.measure import Measuring, segments_picture
from camlab.metrics import Robustness
from camlab.noise import NOISES
from pages.learn import frame
from pages.learn.state import page
from pages.shared.component import Component
from pages.shared.text import explanation_popover

NUMBERED = 8  # segments with a number on the pictures

_sorter = Component("sorter")


def lab(setting: Setting, run: Measuring) -> None:
    """Draw the way from a pair to RBO, and from many pairs to C, R and RM."""
    places = run.ranks()
    names = [str(i + 1) for i in range(len(places[0]))]
    _segments(run, places[0], names)
    _ranking(setting, run, places, names)
    _dozen(setting, run)
    _misleading(run)
    st.html(pair_html.credit(setting.picture))


def _segments(run: Measuring, first: Any, names: list[str]) -> None:
    st.markdown("**1. Segments, coloured by their mean map value**")
    st.html(pair_html.headline(run.scene, run.shown.row))
    labels = run.scene.comparison.labels
    strongest = [int(i) for i in np.argsort(first, kind="stable")[:NUMBERED]]
    ink = mark(run.scene.classifier.input_size, labels, [(i, names[i]) for i in strongest])
    for side, (column, title) in enumerate(zip(st.columns(2, gap="medium"), ("Clean", "Noisy"), strict=True)):
        drawn = segments_picture(run, side)
        layer = np.dstack([np.full((*ink.shape, 3), 255, np.uint8), ink])
        with column:
            st.html(pair_html.title(title))
            frame.image(
                lay_over(drawn, layer),
                f"{title}: {len(names)} segments by mean map value; the strongest of the clean map are numbered, "
                f"{', '.join(names[i] for i in strongest)}",
            )
    st.html(html.colour_bar(COLOURS, "0 · weak", "mean map value", "1 · strong"))


def _ranking(setting: Setting, run: Measuring, places: list[Any], names: list[str]) -> None:
    state = setting.state
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown("**2. The two rankings**")
        chart = bump_chart(places[0], places[1], names, min(12, len(names)))
        st.plotly_chart(chart.figure, key="learn.bump", config=PLOTLY_CONFIG, alt=chart.alt)
        explanation_popover("bump_chart")
        st.caption(
            "Solid: the segment rose. Dashed: it fell. Dotted: it stayed. A line that ends at the bottom "
            "falls below the ranks shown."
        )
    with right:
        st.markdown("**3. RBO by depth**")
        one, two = st.columns(2)
        p = one.slider(
            "p (persistence)", 0.5, 0.98, state.p, step=0.02, key=page.key("p"),
            help="The larger p is, the more the deeper ranks count.",
        )  # fmt: skip
        depth = two.slider(
            "Depth", 1, len(names), min(state.depth, len(names)), key=page.key("depth"),
        )  # fmt: skip
        built = run.rbo(p)
        chart = overlap_chart(built.agreement, built.weight, built.so_far, built.chance, built.floor, depth)
        st.plotly_chart(chart.figure, key="learn.overlap", config=PLOTLY_CONFIG, alt=chart.alt)
        explanation_popover("overlap_chart")
        st.markdown(
            f"RBO **{built.value:.2f}** · by chance {built.floor:.2f} · to depth {depth}: "
            f"{percent(built.weighed(depth))} of the weight, sum so far {built.so_far[depth - 1]:.2f}"
        )


def _dozen(setting: Setting, run: Measuring) -> None:
    st.markdown("**4. A dozen pairs: kept or flipped?**")
    measured = run.measured()
    placed = setting.state.placed or measured
    noise = NOISES[setting.state.noise].title
    pairs = [
        {
            "title": f"{noise}, severity {row['severity']:g}",
            "severity": f"{row['severity']:g}",
            "similarity": None if row["degenerate"] else float(row["similarity"]),
            "picture": data_url(picture),
        }
        for row, picture in zip(run.dozen, run.thumbnails, strict=True)
    ]
    turn = st.session_state.get("learn.turn", 0)
    data = {"pairs": pairs, "placed": placed, "measured": measured, "turn": turn}
    _sorter.draw("learn.sorter", data, placed=_sorted)
    here, asis = run.scores(placed), run.scores()
    st.html(_gauges(here, asis, placed == measured))
    flips = measured.count("f")
    st.caption(
        f"As measured, {flips} of 12 pairs flipped. A pair that you move counts on its new side, with the same map, so "
        "you see what each number depends on."
        + ("" if 0 < flips < 12 else " With pairs of one kind only, R or C is not observed; that does not mean 0.")
    )
    st.button(
        "Reset to measured", icon=":material/undo:", on_click=page.change, kwargs={"placed": ""},
        disabled=placed == measured,
    )  # fmt: skip


def _gauges(here: Robustness, asis: Robustness, same: bool) -> str:
    cells = []
    for title, symbol, field in (
        ("Consistency", "C", "consistency"),
        ("Responsiveness", "R", "responsiveness"),
        ("Robustness metric", "RM = C · R", "rm"),
    ):
        before = getattr(asis, field)
        ticks = {} if same or before is None else {"as measured": before}
        if field == "rm" and here.blind is not None:
            ticks = {"blind value": here.blind, **ticks}
        lines = [f"gap {decimal(here.gap)}, AUROC {decimal(here.auroc)}"] if field == "rm" else []
        cells.append(html.gauge(title, symbol, getattr(here, field), interval=None, ticks=ticks, lines=lines))
    return f'<div class="cl-three">{"".join(cells)}</div>'


def _sorted(report: Any) -> bool:
    """Take over the sorter's report; ignore one that does not place all pairs."""
    placed = report.get("placed") if isinstance(report, Mapping) else None
    if not isinstance(placed, str):
        return False
    found, problems = parse_link({"placed": placed}, page.state())
    if problems or not found.placed:
        return False
    if isinstance(turn := report.get("turn"), int):
        st.session_state["learn.turn"] = turn
    st.session_state["learn.state"] = found
    return True


def _misleading(run: Measuring) -> None:
    st.markdown("**5. Why RM alone misleads**")
    st.caption("Three methods on the same noisy pictures; one of the methods is random.")
    frame.measure(LESSONS["measure"], run, "Measure on ten pictures", lambda: _table(run))


def _table(run: Measuring) -> None:
    rows = [
        {
            "Map": CAMS[name].title,
            "C": decimal(pooled.consistency),
            "R": decimal(pooled.responsiveness),
            "RM": decimal(pooled.rm),
            "Blind RM": decimal(pooled.blind),
            "Gap": decimal(pooled.gap),
            "AUROC, pooled": decimal(pooled.auroc),
            "AUROC, within severity": decimal(within.auroc),
        }
        for name, (pooled, within) in run.table().items()
    ]
    if not rows:
        st.caption("Measuring the first pictures …")
        return
    st.dataframe(pd.DataFrame(rows).set_index("Map"), width="stretch")
    st.caption(
        "A random map has a high R because it changes completely with any noise. Only its low C and its gap near 0 "
        "show that it ignores flips. The pooled AUROC compares mild with strong noise: read the one within a severity."
    )
    levels = [
        {"Severity": f"{s:g}", "Mean similarity, Grad-CAM": decimal(value), "Flipped": percent(share)}
        for s, (value, share) in run.by_severity("gradcam").items()
    ]
    st.table(pd.DataFrame(levels).set_index("Severity"))
