"""Scores over the noise draws: gauges, severity curve, distributions, in a part of the page that updates itself."""

from functools import partial

import streamlit as st

from camlab.common.wording import duration, plural
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.explore.charts.curve import sweep_curve
from camlab.explore.charts.draws import sweep_ecdf, sweep_violin
from camlab.explore.output import pair_html
from camlab.explore.output.strip import Strip
from camlab.explore.scene import Scene
from camlab.explore.sweep import Scores, Sweep
from camlab.noise import NOISES
from pages.explore import severity_handle
from pages.shared import background_work, session
from pages.shared.text import explanation_popover, plain


def measures(scene: Scene, sweep: Sweep, strip: Strip) -> None:
    """Draw the scores, repeatedly while draws or frames are still being computed."""

    def part() -> bool:
        scores = sweep.scores(scene.state.severity)
        _progress(sweep)
        _gauges(scene, sweep, scores)
        _curve(scene, sweep, scores)
        _distributions(scene, sweep)
        # Rerun the page only after the browser has confirmed all frames, or they would be sent twice.
        return not severity_handle.ship(strip)

    background_work.live(part, lambda: severity_handle.working(strip) or sweep.job.running, sweep.job)


def _progress(sweep: Sweep) -> None:
    job, waiting = sweep.job, sweep.waiting
    # The style sheet gives this container a fixed height, so that nothing below jumps.
    with st.container(key="sweep_progress"):
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        elif job.running:
            background_work.job_progress(job, "draws", sweep.stop, "sweep.stop", "Stop")
        elif waiting or job.cancelled:
            cost = f" (about {duration(waiting)})" if waiting else ""
            left, right = st.columns([3, 2], vertical_alignment="center")
            left.caption(
                "The rest of the curve is not computed yet." if waiting else "Stopped; results so far are kept."
            )
            right.button(
                f"Compute the whole curve{cost}",
                key="sweep.go",
                on_click=background_work.resume,
                args=(partial(sweep.resume, patient=True),),
                width="stretch",
            )
        else:
            st.caption(f"All {plural(len(sweep.frame()), 'draw')} measured.")


def _gauges(scene: Scene, sweep: Sweep, scores: Scores) -> None:
    score = scores.stratified if scene.state.scope == "sweep" else scores.severity
    drawn = pair_html.gauges(sweep, scores, scene.state.scope)
    with st.container(key="gauges"):
        for column, (field, gauge) in zip(st.columns(3, gap="large"), drawn.items(), strict=True):
            with column:
                st.html(gauge)
                if getattr(score, field) is None:
                    _way_on(scene, sweep, field)
    explanation_popover("gauges")


def _way_on(scene: Scene, sweep: Sweep, field: str) -> None:
    """Draw the reason why there is nothing to average here, and a button to a severity where there is."""
    state = scene.state
    frame = sweep.noisy()
    here = f"at severity {state.severity:g}" if state.scope == "severity" else "in the whole sweep"
    shown = sweep.scope_frame(state)
    if shown.empty:
        st.caption("Measuring the first draws …")
        return
    if field == "rm" and len(state.seeds) == 1 and state.scope == "severity":
        st.caption(
            "RM needs both kept and flipped draws, but a single draw per severity is one or the other. "
            "“The whole sweep” shows the pooled value."
        )
        return
    wanted = {"consistency": [False], "responsiveness": [True], "rm": [True, False]}[field]
    event = {True: "flipped", False: "kept its prediction"}
    lacking = [w for w in wanted if not (shown["flipped"] == w).any()]
    if not lacking:
        st.caption(
            "Every pair that would count here is degenerate."
            if shown["degenerate"].all()
            else "No single severity has both kept and flipped draws that count, so there is no stratified value; "
            "the pooled value is shown beside it."
        )
        return
    missing = lacking[0]
    elsewhere = sorted(frame.loc[frame["flipped"] == missing, "severity"].unique())
    sentence = f"No draw {event[missing]} {here}"
    if not elsewhere:
        advice = " Try another noise type or picture." if sweep.complete else ""
        so_far = "" if sweep.complete else " so far"
        st.caption(f"{sentence}; none does at any severity measured{so_far}.{advice}")
        return
    target = elsewhere[0] if missing else elsewhere[-1]
    so_far = "" if sweep.complete else " measured so far"
    which = f"first flip{so_far} is" if missing else f"last kept draw{so_far} is"
    st.caption(f"{sentence}; the {which} at severity {target:g}.")
    st.button(
        f"Go to severity {target:g}",
        key=f"go.{field}",
        icon=":material/arrow_forward:",
        on_click=session.set_field,
        args=("severity", float(target)),
    )


def _selected(chart: str, field: str) -> None:
    """Set a field to the value of the point that was clicked."""
    event = session.reported(chart)
    points = event.selection.points if event else []
    values = [point["customdata"] for point in points if point.get("customdata") is not None]
    if not values:
        # A second click on the same point clears the selection, but the visitor still means that point.
        values = [st.session_state[f"last.{chart}"]] if f"last.{chart}" in st.session_state else []
    if values:
        value = values[0][0] if isinstance(values[0], list) else values[0]
        st.session_state[f"last.{chart}"] = value
        session.set_field(field, float(value) if field == "severity" else int(value))


def _curve(scene: Scene, sweep: Sweep, scores: Scores) -> None:
    st.subheader(
        "From clean to unrecognisable",
        anchor=False,
        help="Mean similarity of the maps over the draws (band: 10th to 90th percentile), the share of draws that "
        "flipped, and the probability left for the clean class. Click a point to set the severity.",
    )
    chart = sweep_curve(sweep, scores, scene.state.severity)
    st.plotly_chart(
        chart.figure,
        key="curve",
        on_select=lambda: _selected("curve", "severity"),
        selection_mode="points",
        config=PLOTLY_CONFIG,
        alt=chart.alt,
    )
    st.caption(scores.sentence)
    explanation_popover("severity_curve")


def _distributions(scene: Scene, sweep: Sweep) -> None:
    state = scene.state
    still = not NOISES[state.noise].stochastic
    st.subheader(f"The draws at severity {state.severity:g}", anchor=False)
    if still:
        st.caption(
            f"n = 1: {NOISES[state.noise].title.lower()} is deterministic, so there is one pair and no distribution."
        )
    if state.severity == 0:
        st.caption("Severity 0 changes nothing: every draw is the clean picture itself.")
    left, right = st.columns(2, gap="medium")
    with left:
        violin = sweep_violin(sweep, state.severity, state.shown_seed)
        st.plotly_chart(
            violin.figure,
            key="violin",
            on_select=lambda: _selected("violin", "seed"),
            selection_mode="points",
            config=PLOTLY_CONFIG,
            alt=violin.alt,
        )
        explanation_popover("similarity_violin")
    with right:
        ecdf = sweep_ecdf(sweep, state.severity)
        st.plotly_chart(ecdf.figure, key="ecdf", config=PLOTLY_CONFIG, alt=ecdf.alt)
        explanation_popover("similarity_ecdf")
