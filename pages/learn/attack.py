"""Lesson 5 on the page: the attack, live."""

from __future__ import annotations

import streamlit as st

from camlab.drawing.pictures import data_url
from camlab.explore.attack.outcome import panels, sentences
from camlab.explore.output import pair_html
from camlab.lessons import LESSONS, Setting
from camlab.lessons.attack import Fooling
from pages.learn import frame
from pages.shared.text import plain


def lab(setting: Setting, run: Fooling) -> None:
    """The start, the best picture so far, and what it does."""
    frame.measure(LESSONS["attack"], run, "Start the attack", lambda: _found(run))
    if not run.started:
        st.caption(
            "Six pictures appear here: before, after and what was added; then the maps and their difference."
        )
    st.html(pair_html.credit(setting.picture))


def _found(run: Fooling) -> None:
    result = run.result
    if result is None:
        st.caption("The first step is on its way.")
        return
    st.caption(plain(("" if run.complete else "Best so far. ") + " ".join(sentences(run.scene, run.attack))))
    drawn = panels(run.scene, result)
    for place, row in enumerate((drawn[:3], drawn[3:])):
        with st.container(key=f"learn_grid_attack_{place}"):
            for column, (title, picture) in zip(st.columns(3, gap="medium"), row, strict=True):
                with column:
                    st.image(
                        data_url(picture), caption=title, width="stretch", output_format="PNG",
                        alt=f"{title}, of the attack on {run.setting.picture.title}",
                    )  # fmt: skip
