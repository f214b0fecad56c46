"""Lesson 2 on the page: eight maps, the groups of equal maps, and the identity in numbers."""

import pandas as pd
import streamlit as st

from camlab.cams import CAMS
from camlab.common.wording import percent
from camlab.explore.output import pair_html
from camlab.lessons import Setting
from camlab.lessons.base import overlay
from camlab.lessons.methods import Identities, LayerIdentities
from pages.learn import frame
from pages.learn.state import page
from pages.shared.text import plain

ACROSS = 4


def lab(setting: Setting, run: Identities) -> None:
    """Draw the maps on the chosen layer with the groups that they form, then the measurements."""
    if len(run.levels) > 1:
        st.toggle(
            f"Use the layer before: {run.levels[1].layer} instead of {run.levels[0].layer}", setting.state.before,
            key=page.key("before"),
        )  # fmt: skip
    level = run.levels[min(int(setting.state.before), len(run.levels) - 1)]
    letters = {name: chr(65 + i) for i, group in enumerate(level.groups) for name in group}
    pixels = run.scene.input.numpy()
    for start in range(0, len(level.methods), ACROSS):
        with st.container(key=f"learn_grid_{start}"):
            for column, name in zip(
                st.columns(ACROSS, gap="small"), level.methods[start : start + ACROSS], strict=False
            ):
                with column:
                    twins = [n for n in level.like(name) if n != name]
                    same = (
                        f"same as {', '.join(CAMS[n].title for n in twins)}" if twins else "different from all others"
                    )
                    st.html(pair_html.title(f"{letters[name]} · {CAMS[name].title}"))
                    frame.image(
                        overlay(pixels, level.maps[name]),
                        f"{CAMS[name].title} on layer {level.layer}, {same}",
                    )
    groups = [group for group in level.groups if len(group) > 1]
    if groups:
        equal = "; ".join(f"**{letters[g[0]]}**: {' = '.join(CAMS[n].title for n in g)}" for g in groups)
        st.success(f"Measured on {plain(level.layer)}, equal up to rounding: {equal}.", icon=":material/join:")
    else:
        st.info(
            f"Measured on {plain(level.layer)}: no two of these maps are equal.",
            icon=":material/call_split:",
        )
    for stated in level.stated:
        st.caption(plain(stated.reason))
    _numbers(level)
    st.html(pair_html.credit(setting.picture))


def _numbers(level: LayerIdentities) -> None:
    st.markdown("**Largest difference of two maps** (0 to 1)")
    titles = [CAMS[n].title for n in level.methods]
    st.dataframe(
        pd.DataFrame(level.distance, index=titles, columns=titles).map(lambda v: "0" if v == 0 else f"{v:.1g}"),
    )
    st.markdown("**Why: the gradient within a channel**")
    left, right = st.columns(2, gap="large")
    with left:
        st.metric("Spread relative to its size", percent(level.spread) if level.spread else "0")
        st.caption(
            "0: the gradient of a channel is the same in every cell, so a method may average it or use it cell by cell."
            if level.spread < 1e-5
            else "The gradient differs from cell to cell, so the result depends on how a method uses it."
        )
    with right:
        rows = [
            {"Channel left out": str(k), "Σ gradient × activation": f"{e:.4f}", "Score falls by": f"{m:.4f}"}
            for k, e, m in level.drops
        ]
        st.table(pd.DataFrame(rows).set_index("Channel left out"))
