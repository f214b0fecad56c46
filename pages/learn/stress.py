"""Lessons 3, 5 and 6 on the page: what noise, an attack and random layers do to a map, measured in the background."""

import pandas as pd
import streamlit as st

from camlab.cams import CAMS
from camlab.common.wording import decimal, percent
from camlab.drawing import html
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.explore.attack.outcome import panels, sentences
from camlab.explore.output import pair_html
from camlab.lessons import LESSONS, Setting
from camlab.lessons.attack import Fooling
from camlab.lessons.base import COLOURS, overlay
from camlab.lessons.charts import first_chart, randomised_chart
from camlab.lessons.noise import Breaking
from camlab.lessons.sanity import ASKED, METHODS, Sanity
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES
from pages.learn import frame
from pages.learn.state import page
from pages.shared import session
from pages.shared.text import explanation_popover, plain

# --- lesson 3: noise


def noise_lab(setting: Setting, run: Breaking) -> None:
    """Draw the pair at the chosen severity with its verdict, then the breaking points of each noise type."""
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
            frame.image(
                overlay(pixels, explained.maps[state.method]),
                f"{title}: {scene.method.title} on {setting.picture.title}",
            )
            st.html(pair_html.predictions(scene, explained))
    st.html(html.colour_bar(COLOURS, "0 · weak", "map value", "1 · strong"))
    ticks = {} if line is None else {"breaking line": line}
    st.html(
        html.gauge(
            "Similarity of the two maps", SIMILARITIES["rbo"].title, value, interval=None, ticks=ticks,
            lines=[
                "The measurement below gives the breaking line."
                if line is None
                else f"{'Below' if value is not None and value < line else 'Not below'} the breaking line."
            ],
        )
    )  # fmt: skip
    st.markdown("**Now for five noise types**")
    frame.measure(LESSONS["noise"], run, "Measure five noise types", lambda: _breaking_points(run))
    st.html(pair_html.credit(setting.picture))


def _breaking_points(run: Breaking) -> None:
    found = run.found
    if not found:
        st.caption("CAM Lab first measures the maps of other pictures, to learn how similar unrelated maps are.")
        return
    rows = [(NOISES[f.noise].title, f.breaks, f.flips) for f in found]
    chart = first_chart(rows, [f.sentence for f in found])
    st.plotly_chart(chart.figure, key="learn.first", config=PLOTLY_CONFIG, alt=chart.alt)
    explanation_popover("first_chart")
    never = "not up to 5"
    table = [
        {
            "Noise type": title,
            "Map breaks": never if breaks is None else decimal(breaks, 1),
            "Prediction flips": never if flips is None else decimal(flips, 1),
        }
        for title, breaks, flips in rows
    ]
    st.table(pd.DataFrame(table).set_index("Noise type"))
    if run.complete:
        st.caption("Severities in steps of 0.5; three draws each, or one if the noise is not random.")


# --- lesson 5: an attack


def attack_lab(setting: Setting, run: Fooling) -> None:
    """Draw the start button and the best picture that the attack has found so far."""
    frame.measure(LESSONS["attack"], run, "Start the attack", lambda: _attacked(run))
    if not run.started:
        st.caption("Six pictures will appear here: before, after and the change; then the maps and their difference.")
    st.html(pair_html.credit(setting.picture))


def _attacked(run: Fooling) -> None:
    result = run.result
    if result is None:
        st.caption("Computing the first step …")
        return
    st.caption(plain(("" if run.complete else "Best so far. ") + " ".join(sentences(run.scene, run.attack))))
    drawn = panels(run.scene, result)
    for place, row in enumerate((drawn[:3], drawn[3:])):
        with st.container(key=f"learn_grid_attack_{place}"):
            for column, (title, picture) in zip(st.columns(3, gap="medium"), row, strict=True):
                with column:
                    frame.image(picture, f"{title}, of the attack on {run.setting.picture.title}", title)


# --- lesson 6: random layers


def sanity_lab(setting: Setting, run: Sanity) -> None:
    """Draw the measurement with its chart and table, then the maps after the chosen number of random layers."""
    frame.measure(LESSONS["sanity"], run, "Make the layers random", lambda: _randomised(run))
    last = len(run.steps) - 1
    if run.complete:
        st.slider(
            "Layers made random, from the top", 0, last, min(setting.state.layers, last), key=page.key("layers"),
            help="0 is the trained network.",
        )  # fmt: skip
    step = run.steps[min(setting.state.layers, last) if run.complete else 0]
    network = "trained network" if step is run.steps[0] else f"random down to {step.name}"
    st.caption(
        plain(f"Maps of the class that the trained network predicts, {network}. Its probability: ")
        + percent(step.probability)
    )
    with st.container(key="learn_grid_maps"):
        for column, name in zip(st.columns(len(ASKED), gap="small"), ASKED, strict=True):
            with column:
                value = decimal(step.values[name])
                st.html(pair_html.title(f"{CAMS[name].title} · {value}"))
                frame.image(
                    overlay(run.scene.input.numpy(), step.maps[name]),
                    f"{CAMS[name].title}, {network}, similarity with the trained map {value}",
                )
    st.html(pair_html.credit(setting.picture))


def _randomised(run: Sanity) -> None:
    found = run.steps  # read once: the job goes on meanwhile
    steps = ["trained", *(step.name for step in found[1:])]  # short: they label the chart's axis
    values = {CAMS[m].title: [step.values[m] for step in found] for m in METHODS}
    chart = randomised_chart(steps, values, run.chance)
    st.plotly_chart(chart.figure, key="learn.randomised", config=PLOTLY_CONFIG, alt=chart.alt)
    explanation_popover("randomised_chart")
    with st.expander("The numbers", key="stress_numbers"):
        rows = {title: [decimal(v) for v in row] for title, row in values.items()}
        st.dataframe(pd.DataFrame(rows, index=steps))
