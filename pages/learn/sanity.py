"""Lesson 6 on the page: similarity while layers become random, and the maps at any of the steps."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from camlab.cams import CAMS
from camlab.common.wording import decimal, percent
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.drawing.pictures import data_url
from camlab.explore.output import pair_html
from camlab.lessons import LESSONS, Setting
from camlab.lessons.base import overlay
from camlab.lessons.charts import randomised_chart
from camlab.lessons.sanity import ASKED, METHODS, Sanity
from pages.learn import frame, link
from pages.shared.text import what


def lab(setting: Setting, run: Sanity) -> None:
    """The measurement with its chart and table; then the maps after so many layers."""
    frame.measure(LESSONS["sanity"], run, "Make the layers random", lambda: _found(run))
    there = len(run.steps) - 1
    if run.complete:
        st.slider(
            "Layers made random, from the top", 0, there, min(setting.state.layers, there), key=link.key("layers"),
            help="0 is the trained network.",
        )  # fmt: skip
    _maps(setting, run, min(setting.state.layers, there) if run.complete else 0)
    st.html(pair_html.credit(setting.picture))


def _maps(setting: Setting, run: Sanity, layers: int) -> None:
    step = run.steps[layers]
    said = "trained network" if not layers else f"random down to {step.name}"
    st.caption(f"Maps for the class first predicted, {said}; its probability is {percent(step.probability)}.")
    with st.container(key="learn_grid_maps"):
        for column, name in zip(st.columns(len(ASKED), gap="small"), ASKED, strict=True):
            with column:
                value = decimal(step.values[name])
                st.html(pair_html.title(f"{CAMS[name].title} · {value}"))
                st.image(
                    data_url(overlay(run.scene.input.numpy(), step.maps[name])), width="stretch", output_format="PNG",
                    alt=f"{CAMS[name].title}, {said}, similarity to the trained map {value}",
                )  # fmt: skip


def _found(run: Sanity) -> None:
    steps = ["trained", *(step.name for step in run.steps[1:])]  # short: the labels stand under the chart
    values = {CAMS[m].title: [step.values[m] for step in run.steps] for m in METHODS}
    chart = randomised_chart(steps, values, run.chance)
    st.plotly_chart(chart.figure, key="learn.randomised", config=PLOTLY_CONFIG, alt=chart.alt)
    what("randomised_chart")
    with st.expander("The same in numbers"):
        rows = {title: [decimal(v) for v in row] for title, row in values.items()}
        st.dataframe(pd.DataFrame(rows, index=steps))
