"""Downloading a model's weights: starting it, its progress above the panels, and the switch to the model."""

import streamlit as st

from camlab.common.jobs import Job
from camlab.common.wording import megabytes
from camlab.drawing.charts.titles import model_title
from camlab.models import find_model
from camlab.models.hub.catalogue import catalogue_row
from camlab.models.hub.download import download_job
from pages.shared import background_work, session
from pages.shared.navigation import close_dialog
from pages.shared.text import plain

POLL_SECONDS = 0.5


def go_to(model: str) -> None:
    """Switch to a model in the next run of the page. Only in a callback, also of a fragment."""
    st.session_state["arriving"] = model
    st.session_state["rerun"] = True


def start(model: str) -> None:
    """Download a model in the background; the page switches to it at the end. Only in a callback."""
    if not busy():
        job = download_job(model, session.presence())
        st.session_state["transfer"] = (model, job)
        session.worker().submit(job)
    close_dialog()
    st.session_state["rerun"] = True


def busy() -> bool:
    """Return whether this visitor's download is running."""
    found = _transfer()
    return found is not None and found[1].running


def arrive() -> str | None:
    """Switch to the model that was chosen or has just been downloaded, and return its name; None if there is none.

    Only before widgets are drawn.
    """
    place = st.empty()  # always present, so that nothing below it moves
    found = _transfer()
    if found and found[1].finished and not found[1].error:
        st.session_state["arriving"] = found[0]
        _dismiss()
    model: str | None = st.session_state.pop("arriving", None)
    if model is not None:
        close_dialog()
        with place, st.spinner(f"Loading {plain(model_title(model))} …"):
            session.change_model(model)
        place.empty()
    return model


def offer() -> None:
    """Draw the download's progress or failure, or the download button for the model that a link asks for."""
    if _transfer() is not None:
        background_work.live(_progress, busy, every=POLL_SECONDS)
    elif wanted := session.wanted():
        row = catalogue_row(wanted)
        st.button(
            f"Download {plain(row.name)} (about {megabytes(row.download_bytes)})",
            key="download_wanted",
            icon=":material/download:",
            type="primary",
            on_click=start,
            args=(row.id,),
            help="Downloads from the Hugging Face hub into this machine's cache, then opens the model.",
        )


def _transfer() -> tuple[str, Job] | None:
    found: tuple[str, Job] | None = st.session_state.get("transfer")
    return found


def _progress() -> None:
    found = _transfer()
    if found is None:
        return
    model, job = found
    title = plain(find_model(model).title)
    job.touch()
    if job.running:
        size = f"{megabytes(job.done)} of {megabytes(job.total)}" if job.total else "asking the hub"
        share, text = job.done / max(job.total, 1), f"Downloading {title}: {size}"
        background_work.progress(share, text, job.seconds_left, job.cancel, "transfer.cancel")
        return
    left, right = st.columns([4, 1], vertical_alignment="center")
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
        left.info(f"The download of {title} was stopped; no incomplete file is left.", icon=":material/info:")
    right.button(
        "Dismiss",
        key="transfer.dismiss",
        icon=":material/close:",
        on_click=_dismiss,
        width="stretch",
    )


def _dismiss() -> None:
    st.session_state["transfer"] = None
    st.session_state["rerun"] = True
