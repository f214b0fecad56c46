"""Pictures on their way in: the upload box, and what is under way with progress and Cancel."""

from __future__ import annotations

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import megabytes, time_left
from camlab.explore.state import ExploreState
from camlab.images.loading import UPLOAD, Intake, take_upload
from pages.shared import image_sets, session
from pages.shared.feedback import told
from pages.shared.navigation import close_dialog
from pages.shared.text import plain

POLL_SECONDS = 0.5
AT_ONCE = 2.0  # seconds that a callback waits: what is ready by then needs no progress bar
PICTURE_MB = 30
ARCHIVE_MB = 300


def begin(task: Intake, called_back: bool = True) -> None:
    """Take what is ready at once; show the progress of what is not. In a callback, or before widgets are drawn."""
    if (before := _task()) is not None:
        before.job.cancel()
    st.session_state["intake"] = task
    if task.wait(AT_ONCE):
        _finish(task, "upload_error" if task.name == UPLOAD else "source_error", called_back)


def uploader() -> None:
    """The box for pictures of one's own, and what became of them."""
    st.file_uploader(
        "Upload your own",
        accept_multiple_files=True,
        key="upload_file",
        max_upload_size=ARCHIVE_MB,
        on_change=_take_upload,
        help="JPEG, PNG, WebP, BMP or TIFF, each up to 30 MB and 50 megapixels, one or many, or ZIP archives of them "
        f"up to {ARCHIVE_MB} MB. Folders in an archive are read as classes. The pictures stay in this computer's "
        "memory and are forgotten with this session.",
    )
    # Here and not beside the button, where this box would cover it.
    if error := st.session_state.get("upload_error"):
        st.error(plain(error), icon=":material/error:")
    if UPLOAD in image_sets.own():
        st.button(
            "Forget my pictures",
            icon=":material/delete:",
            on_click=_forget,
            width="stretch",
            help="Remove all pictures that you uploaded from this computer's memory.",
        )


def progress() -> None:
    """What is under way, in a part of the page that refreshes by itself; nothing where nothing is."""
    if _task() is not None:
        st.fragment(_progress, run_every=POLL_SECONDS)()


@told()
def _progress() -> None:
    task = _task()
    if task is None:
        return
    job = task.job
    job.touch()
    if task.wait(0):
        # A widget of the page is set when its pictures are taken, which only a whole run may do, before it draws.
        st.session_state["intake.ended"] = True
        st.rerun()
    share = min(job.done / job.total, 1.0) if job.total else 0.0
    st.progress(share, text=f"{plain(job.title)}{_counted(task)}{time_left(job.seconds_left)}")
    st.button("Cancel", icon=":material/cancel:", key="intake.cancel", on_click=_cancel, width="stretch")


def settle() -> None:
    """Take over what has ended since. Before any widget of the page is drawn."""
    if st.session_state.pop("intake.ended", False) and (task := _task()) is not None:
        _finish(task)
    # A callback can be passed over where the run before was cut short; the box holds its files still.
    _take_new(called_back=False)


def _task() -> Intake | None:
    task: Intake | None = st.session_state.get("intake")
    return task


def _counted(task: Intake) -> str:
    job = task.job
    if not job.total:
        return " …"
    if task.unit == "bytes":
        return f": {megabytes(job.done)} of {megabytes(job.total)}"
    return f": {job.done:,} of {job.total:,} {task.unit}"


def _finish(task: Intake, box: str | None = None, called_back: bool = False) -> None:
    """Choose the first picture of what came in, or say why nothing did.

    ``box`` is where sentences of the box stand that was just used; None: it may be closed by now. ``called_back``:
    it was used in a dialog, perhaps, which is then done with.
    """
    st.session_state["intake"] = None
    if task.image_set is None:
        if box is not None:
            st.session_state[box] = task.job.error
        elif task.job.error:
            session.note([task.job.error])
        return
    if task.name in image_sets.PRIVATE:
        if task.name == UPLOAD:
            image_sets.keep_uploads(task.image_set)
        else:
            image_sets.own()[task.name] = task.image_set
    session.put(session.with_fields(image=task.image_set.pictures[0].id))
    if called_back:
        close_dialog()
        st.session_state["rerun"] = True  # from inside a dialog: the page follows


def _cancel() -> None:
    if (task := _task()) is not None:
        task.job.cancel()
        st.session_state["intake"] = None
    st.session_state["rerun"] = True


def _take_upload() -> None:
    st.session_state["upload_error"] = None
    _take_new()


def _take_new(called_back: bool = True) -> None:
    """Begin to take what the box holds and nobody has taken yet."""
    taken: set[str] = st.session_state.setdefault("upload.taken", set())
    files = [file for file in session.reported("upload_file") or () if file.file_id not in taken]
    if not files:
        return
    st.session_state["upload_error"] = None
    taken.update(file.file_id for file in files)
    task = take_upload([(file.name, file.getvalue()) for file in files], image_sets.own().get(UPLOAD))
    begin(task, called_back)


def _forget() -> None:
    image_sets.forget_uploads()
    try:
        session.picture(session.current().image)
    except CamLabError:
        session.put(session.with_fields(image=ExploreState().image))
