"""Lesson 3 on the page: one noise by hand, then all of them measured."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from camlab.common.wording import decimal
from camlab.drawing import html
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.drawing.pictures import data_url
from camlab.explore.output import pair_html
from camlab.lessons import LESSONS, Setting
from camlab.lessons.base import COLOURS, overlay
from camlab.lessons.charts import first_chart
from camlab.lessons.noise import Breaking
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES
from pages.learn import frame
from pages.shared import session
from pages.shared.text import plain, what


def lab(setting: Setting, run: Breaking) -> None:
    """The pair at the chosen severity with its verdict; below, what gives way first under each noise."""
    state = setting.state
    with session.worker().foreground():
        scene = setting.scene()
        shown = scene.shown(state.severity, scene.state.shown_seed, brief=True)
    st.html(pair_html.headline(scene, shown.row))
    value = None if shown.row["degenerate"] else float(shown.row["similarity"])
    line = run.floors.threshold if run.floors else None
    noisy = f"{NOISES[state.noise].title}, severity {state.severity:g}"
    columns = st.columns(2, gap="medium")
    for column, title, pixels, explained in (
        (columns[0], "Clean", shown.clean_input, shown.clean),
        (columns[1], noisy, shown.perturbed_input, shown.perturbed),
    ):
        with column:
            st.html(pair_html.title(title))
            st.image(
                data_url(overlay(pixels, explained.maps[state.method])), width="stretch", output_format="PNG",
                alt=f"{title}: {scene.method.title} on {setting.picture.title}",
            )  # fmt: skip
            st.html(pair_html.predictions(scene, explained))
    st.html(html.colour_bar(COLOURS, "0 · weak", "map value", "1 · strong"))
    ticks = {} if line is None else {"breaking line": line}
    st.html(
        html.gauge(
            "Similarity of the two maps", SIMILARITIES["rbo"].title, value, interval=None, ticks=ticks,
            lines=[
                "The breaking line comes with the measurement below."
                if line is None
                else f"{'Below' if value is not None and value < line else 'Not below'} the breaking line."
            ],
        )
    )  # fmt: skip
    st.markdown("**Now for several noises**")
    frame.measure(LESSONS["noise"], run, "Measure five noises", lambda: _found(run))
    st.html(pair_html.credit(setting.picture))


def _found(run: Breaking) -> None:
    if not run.found:
        st.caption("The other pictures' maps come first: they say how alike unrelated maps are.")
        return
    rows = [(NOISES[f.noise].title, f.breaks, f.flips) for f in run.found]
    said = [f.sentence for f in run.found]
    chart = first_chart(rows, said)
    st.plotly_chart(chart.figure, key="learn.first", config=PLOTLY_CONFIG, alt=chart.alt)
    what("first_chart")
    never = "not up to 5"
    table = [
        {
            "Noise": title,
            "Map breaks": never if breaks is None else decimal(breaks, 1),
            "Prediction flips": never if flips is None else decimal(flips, 1),
        }
        for title, breaks, flips in rows
    ]
    st.table(pd.DataFrame(table).set_index("Noise"))
    if run.complete:
        st.caption(plain("Severities in steps of one half, three draws each where the noise is random."))
