"""The download of a model's weights: started anywhere, seen above the panels, and what happens when it has ended."""

from __future__ import annotations

import streamlit as st

from camlab.common.jobs import Job
from camlab.common.wording import megabytes, time_left
from camlab.models import find_model
from camlab.models.hub.catalogue import catalogue_row
from camlab.models.hub.download import download_job
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.navigation import close_dialog
from pages.shared.text import plain

POLL_SECONDS = 0.5


def go_to(model: str) -> None:
    """Callback: go to a model that is here once the page is drawn anew, also from inside a fragment."""
    st.session_state["arriving"] = model
    st.session_state["rerun"] = True


def start(model: str) -> None:
    """Callback: download a model in the background; the page goes there when it has arrived."""
    if not busy():
        job = download_job(model, session.presence())
        st.session_state["transfer"] = (model, job)
        session.worker().submit(job)
    close_dialog()
    st.session_state["rerun"] = True


def busy() -> bool:
    """Whether this visitor's download is under way."""
    found = _transfer()
    return found is not None and found[1].running


def arrive() -> None:
    """Go to the model that was chosen or has just been downloaded. Before the widgets are drawn."""
    place = st.empty()  # always there, so that nothing below it moves
    found = _transfer()
    if found and found[1].finished and not found[1].error:
        st.session_state["arriving"] = found[0]
        _dismiss()
    model = st.session_state.pop("arriving", None)
    if model is not None:
        close_dialog()
        with place, st.spinner(f"Loading {plain(session.model_title(model))} …"):
            session.change_model(model)
        place.empty()


def offer() -> None:
    """The download under way, its end where it failed, or the button for a model that the link asks for."""
    if _transfer() is not None:
        st.fragment(_progress, run_every=POLL_SECONDS if busy() else None)(busy())
    elif wanted := session.wanted():
        row = catalogue_row(wanted)
        st.button(
            f"Download {plain(row.name)} (about {megabytes(row.download_bytes)})",
            key="download_wanted",
            icon=":material/download:",
            type="primary",
            on_click=start,
            args=(row.id,),
            help="From the Hugging Face hub into this machine's cache; the page goes to the model when it is here.",
        )


def _transfer() -> tuple[str, Job] | None:
    found: tuple[str, Job] | None = st.session_state.get("transfer")
    return found


@told()
def _progress(was_running: bool) -> None:
    session.follow_callbacks()
    found = _transfer()
    if found is None:
        return
    model, job = found
    title = plain(find_model(model).title)
    job.touch()
    if was_running and not job.running:
        st.rerun()
    left, right = st.columns([4, 1], vertical_alignment="center")
    if job.running:
        size = f"{megabytes(job.done)} of {megabytes(job.total)}" if job.total else "asking the hub"
        left.progress(
            min(job.done / max(job.total, 1), 1.0),
            text=f"Downloading {title}: {size}{time_left(job.seconds_left)}",
        )
        right.button(
            "Cancel", key="transfer.cancel", icon=":material/close:", on_click=_cancel, width="stretch"
        )
        return
    if job.error:
        left.error(plain(job.error), icon=":material/error:")
        right.button(
            "Try again",
            key="transfer.again",
            icon=":material/refresh:",
            on_click=start,
            args=(model,),
            width="stretch",
        )
    else:
        left.info(
            f"The download of {title} was stopped; nothing half-written is left.", icon=":material/info:"
        )
    right.button(
        "Dismiss",
        key="transfer.dismiss",
        icon=":material/close:",
        on_click=_dismiss,
        width="stretch",
    )


def _cancel() -> None:
    if (found := _transfer()) is not None:
        found[1].cancel()
    st.session_state["rerun"] = True


def _dismiss() -> None:
    st.session_state["transfer"] = None
    st.session_state["rerun"] = True
