"""The tour of a first visit: three steps in a card above the page, gone for good once dismissed."""

from __future__ import annotations

import streamlit as st

from pages.explore import severity_handle

STEPS = (
    {
        "title": "Drag the severity",
        "text": "The noise grows from nothing to level 5, and the picture, its heat map and all that is said of "
        "them follow the handle. The difference of the two maps stands to the right.",
    },
    {
        "title": "Read the verdict before the colours",
        "text": "Did the prediction stay while the map moved? Every number says how many draws it rests on and "
        "what chance would score; “What am I looking at?” explains each chart.",
    },
    {
        "title": "Go on from here",
        "text": "Choose picture, model, method and noise at the side. Compare shows many maps at once, Study measures "
        "many pictures, Learn teaches, Present tells a story and leaves a report behind. The address bar holds what "
        "you see: a link brings it back.",
    },
)


_card = st.components.v2.component(
    "camlab_tour",
    html=severity_handle.asset("tour.html"),
    css=severity_handle.asset("tour.css"),
    js=severity_handle.asset("tour.js"),
)


def tour() -> None:
    """Draw the card; the browser shows it at the first visit only, and the style sheet keeps no room for it else."""
    with st.container(key="tour"):
        _card(key="tour.card", data={"steps": list(STEPS)})
