"""The tour at a first visit: a card above the page with three steps, which never returns once closed."""

import streamlit as st

from pages.shared.component import Component

STEPS = (
    {
        "title": "Drag the severity",
        "text": "The noise grows from nothing to level 5, and the picture, its heat map and all numbers follow the "
        "handle. The difference of the two maps is on the right.",
    },
    {
        "title": "Read the verdict before the colours",
        "text": "Did the prediction stay while the map moved? Every number shows how many draws it rests on and "
        "the value expected by chance. “What am I looking at?” explains each chart.",
    },
    {
        "title": "Explore further",
        "text": "Choose picture, model, method and noise type in the sidebar. Compare shows many maps at once, Study "
        "measures many pictures, Learn teaches, and Present tells a story and writes a report. The address bar holds "
        "what you see: its link restores it.",
    },
)


_card = Component("tour")


def tour() -> None:
    """Draw the card, which the browser shows at the first visit only; otherwise it takes no room."""
    with st.container(key="tour"):
        _card.draw("tour.card", {"steps": list(STEPS)})
