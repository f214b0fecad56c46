"""Tests of the map on screen: localisation, faithfulness, averaging, and an attack."""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from camlab.common.wording import decimal, percent
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.explore.charts.trials import averaging_chart, faithfulness_curves
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import VIEW_FIELDS, ExploreState
from camlab.explore.trials.averaging import COPIES, Averaged, Remedy, sentence
from camlab.explore.trials.faithfulness import CURVES, PASSES, SIDES, Faithful, FaithfulnessRun
from camlab.explore.trials.localisation import localise, object_mask, why_not
from camlab.metrics import SIMILARITIES
from camlab.metrics.faithfulness import FAITHFULNESS, Faithfulness
from camlab.metrics.localisation import LOCALISATIONS, Localisation
from pages.explore import attack
from pages.shared import background_work, session
from pages.shared.feedback import told
from pages.shared.text import explanation_popover, plain

IGNORED_FIELDS = (*VIEW_FIELDS, "draws")  # fields that do not affect a test of the shown pair
MEASURING = ("similarity", "p", "segmentation", "segments")


def trials(scene: Scene, shown: Shown) -> None:
    """Draw four tests in tabs; all but the first compute only after their button is pressed."""
    st.subheader("Put this map to the test", anchor=False)
    tabs = st.tabs(["Object", "Faithfulness", "Averaging", "Attack"], key="trials_tab")
    for tab, part in zip(tabs, (_localisation, _faithfulness, _averaging, attack.attack), strict=True):
        with tab, told():
            part(scene, shown)


def about(state: ExploreState, *aside: Sequence[str]) -> ExploreState:
    """Return the state with the fields ``aside`` at their defaults: the key of a result that ignores them."""
    default = ExploreState()
    return dataclasses.replace(state, **{f: getattr(default, f) for fields in aside for f in fields})


def _localisation(scene: Scene, shown: Shown) -> None:
    st.markdown("**Does the map point at the object?**")
    if object_mask(scene) is None:
        st.caption(why_not(scene))
        return
    found = localise(scene, shown)
    if found is None:
        return
    rows = [
        {
            "Measure": LOCALISATIONS[m.name].title,
            "Clean": decimal(m.clean),
            "Perturbed": decimal(m.perturbed),
            "By chance": decimal(m.chance),
        }
        for m in found.measures
    ]
    st.table(pd.DataFrame(rows).set_index("Measure"))
    _meanings(LOCALISATIONS)
    cuts = [
        f"the {side} map at {cut:.2f}" for side, cut in zip(SIDES, found.thresholds, strict=True) if cut is not None
    ]
    cut = f" Best IoU cuts {' and '.join(cuts)}." if cuts else ""
    st.caption(
        f"The object covers {percent(float(found.mask.mean()))} of what the model sees.{cut} “By chance” "
        "is the average of maps that ignore the object. A map that misses the object may "
        "still be right about the model: the model may look elsewhere."
    )
    st.toggle(
        "Outline the object on the panels",
        session.start("outline"),
        key=session.key("outline"),
        help="Draws the object's border over both pictures.",
    )


def _meanings(measures: Mapping[str, Localisation | Faithfulness]) -> None:
    """Draw an explanation of each measure below its table, where a phone has room for it."""
    st.caption(
        "  \n".join(f"**{entry.title}**: {plain(f'{entry.summary} ({entry.source})')}" for entry in measures.values())
    )


def _faithfulness(scene: Scene, shown: Shown) -> None:
    st.markdown("**Does the prediction use what the map shows?**")
    st.caption(
        "If the prediction rests on what the map shows, removing the hottest pixels must hurt it "
        "(deletion) and adding them back must restore it (insertion). ROAD fills pixels in instead, as the "
        "model has never seen holes; on a small computer that takes half a minute."
    )
    background_work.offer(
        "faithfulness",
        about(scene.state, IGNORED_FIELDS, MEASURING),
        "parts",
        lambda: FaithfulnessRun(scene, shown),
        _faithful,
        f"Measure faithfulness ({PASSES} passes)",
        "fact_check",
        again="Measure again",
    )


def _faithful(run: FaithfulnessRun) -> None:
    found = run.found
    rows = [
        {
            "Measure": entry.title,
            "Clean": _value(found.values.get((name, "clean")), run),
            "Perturbed": _value(found.values.get((name, "perturbed")), run),
            "Range": f"{entry.low:g} to {entry.high:g}",
            "Faithful": "high" if entry.higher_is_better else "low",
        }
        for name, entry in FAITHFULNESS.items()
    ]
    st.table(pd.DataFrame(rows).set_index("Measure"))
    _meanings(FAITHFULNESS)
    if found.empty:
        st.caption(f"The {' and the '.join(found.empty)} map is empty, so it is not tested.")
    for column, name in zip(st.columns(2, gap="medium"), CURVES, strict=True):
        chart = faithfulness_curves(found, name)
        with column:
            st.markdown(f"**{FAITHFULNESS[name].title}**")
            st.plotly_chart(chart.figure, key=f"faithfulness.{name}", config=PLOTLY_CONFIG, alt=chart.alt)
    explanation_popover("faithfulness_curves")


def _value(value: float | None, run: FaithfulnessRun) -> str:
    return "…" if value is None and run.job.running else decimal(value)


def _averaging(scene: Scene, shown: Shown) -> None:
    st.markdown("**Does averaging restore consistency?**")
    st.caption(
        "A map that jumps with every bit of noise can be stabilised: add a little noise to the picture many "
        "times and average the maps (after SmoothGrad). This test measures whether averaging brings the clean "
        "and the perturbed map of this pair closer together, and how far it changes the map itself."
    )
    sigma = st.columns(2)[0].slider(
        "Noise of the copies (σ)",
        0.01,
        1.0,
        session.start("sigma"),
        step=0.01,
        key="remedy.sigma",
        help="Standard deviation of the noise added to each copy; pictures range from 0 to 1.",
    )
    run: Remedy | None = background_work.latest("remedy", _averaging_of(scene, sigma))
    running = background_work.is_running(run)
    if not running:
        passes = 2 * sum(max(n, 1) for n in COPIES)
        st.button(
            "Compare again" if run else f"Compare 0, 1, 4 and 16 copies ({passes} maps)",
            icon=":material/blur_on:",
            key="remedy.start",
            on_click=_compare,
            args=(scene,),
        )
    background_work.watch("remedy", run, running, "maps", lambda: _averaged(run) if run else None)


def _averaging_of(scene: Scene, sigma: float) -> ExploreState:
    """Return the key of a comparison with copies of this noise."""
    return about(dataclasses.replace(scene.state, copies=0, sigma=sigma), IGNORED_FIELDS)


def _sigma(scene: Scene) -> float:
    """Return the slider's current value, which may be newer than the last run of the page."""
    held = st.session_state.get("remedy.sigma")
    return scene.state.sigma if held is None else float(held)


def _compare(scene: Scene) -> None:
    sigma, state = _sigma(scene), scene.state
    background_work.start(
        "remedy",
        _averaging_of(scene, sigma),
        lambda: Remedy(scene, state.severity, state.shown_seed, sigma),
    )


def _averaged(run: Remedy) -> None:
    found = run.found
    chart = averaging_chart(
        found,
        copies=run.copies,
        similarity_title=SIMILARITIES[run.scene.state.similarity].scored_title,
    )
    st.plotly_chart(chart.figure, key="remedy.chart", config=PLOTLY_CONFIG, alt=chart.alt)
    explanation_popover("averaging_chart")
    if run.job.running:
        return
    st.caption(plain(sentence(found)))
    best = max(run.copies)
    st.button(
        f"Average {best} copies on the whole page",
        icon=":material/arrow_forward:",
        key="remedy.use",
        on_click=_use,
        args=(best, run.sigma),
        help="Sets the smoothing in the sidebar, so that C, R and RM are measured with it.",
    )


def _use(copies: int, sigma: float) -> None:
    session.set_field("copies", copies)
    session.set_field("sigma", sigma)


def measured(scene: Scene) -> tuple[Faithful | None, tuple[Averaged, ...]]:
    """Return the results of the tests that the visitor has run on the pair on screen."""
    faithful: FaithfulnessRun | None = background_work.latest(
        "faithfulness", about(scene.state, IGNORED_FIELDS, MEASURING)
    )
    remedy: Remedy | None = background_work.latest("remedy", _averaging_of(scene, _sigma(scene)))
    return None if faithful is None else faithful.found, () if remedy is None else remedy.found
