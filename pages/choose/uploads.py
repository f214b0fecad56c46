"""Loading pictures: the upload box, and the progress with Cancel."""

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import megabytes
from camlab.explore.state import ExploreState
from camlab.images.loading import UPLOAD, Intake, take_upload
from pages.shared import background_work, image_sets, session
from pages.shared.navigation import close_dialog
from pages.shared.text import plain

POLL_SECONDS = 0.5
AT_ONCE = 2.0  # seconds that a callback waits before the page shows a progress bar
PICTURE_MB = 30
ARCHIVE_MB = 300


def begin(task: Intake, called_back: bool = True) -> None:
    """Start loading pictures and wait briefly, so that the page shows a bar only if it takes long.

    Only before widgets are drawn.
    """
    if (before := _task()) is not None:
        before.job.cancel()
    st.session_state["intake"] = task
    if task.wait(AT_ONCE):
        _finish(task, "upload_error" if task.name == UPLOAD else "source_error", called_back)


def uploader() -> None:
    """Draw the upload box, its error, and the button that forgets the uploads."""
    st.file_uploader(
        "Upload your own",
        accept_multiple_files=True,
        key="upload_file",
        max_upload_size=ARCHIVE_MB,
        on_change=_take_upload,
        help="JPEG, PNG, WebP, BMP or TIFF files, each up to 30 MB and 50 megapixels, or ZIP archives of them up to "
        f"{ARCHIVE_MB} MB. Folders in an archive are read as classes. The pictures stay in the memory of the machine "
        "that runs CAM Lab until this session ends.",
    )
    # Draw the error inside the box, which would cover it beside the button.
    if error := st.session_state.get("upload_error"):
        st.error(plain(error), icon=":material/error:")
    if UPLOAD in image_sets.own():
        st.button(
            "Forget my pictures",
            icon=":material/delete:",
            on_click=_forget,
            width="stretch",
            help="Remove all pictures that you uploaded from memory.",
        )


def progress() -> None:
    """Draw the progress of the pictures being loaded, in a part of the page that refreshes by itself."""
    if (task := _task()) is not None:
        background_work.live(_progress, lambda: True, task.job, every=POLL_SECONDS)


def _progress() -> None:
    task = _task()
    if task is None:
        return
    job = task.job
    if task.wait(0):
        # Taking the pictures sets a widget of the page, which is allowed only in a whole run before it draws.
        st.session_state["intake.ended"] = True
        st.rerun()
    share = job.done / job.total if job.total else 0.0
    text = f"{plain(job.title)}{_counted(task)}"
    background_work.progress(share, text, job.seconds_left, _cancel, "intake.cancel")


def settle() -> None:
    """Show the pictures that have finished loading. Only before any widget of the page is drawn."""
    if st.session_state.pop("intake.ended", False) and (task := _task()) is not None:
        _finish(task)
    # Streamlit drops a callback if the previous run is interrupted, but the box still holds the files.
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
    """Choose the first picture that was loaded, or show why there is none.

    box: session key of the error shown in the box just used; None if it may be closed. called_back: the box may be
    in a dialog, which then closes.
    """
    st.session_state["intake"] = None
    if task.image_set is None:
        if box is not None:
            st.session_state[box] = task.job.error
        elif task.job.error:
            session.page.say([task.job.error])
        return
    if task.name in image_sets.PRIVATE:
        if task.name == UPLOAD:
            image_sets.keep_uploads(task.image_set)
        else:
            image_sets.own()[task.name] = task.image_set
    session.put(session.with_fields(image=task.image_set.pictures[0].id))
    if called_back:
        close_dialog()
        st.session_state["rerun"] = True  # also rerun the page around the dialog


def _cancel() -> None:
    if (task := _task()) is not None:
        task.job.cancel()
        st.session_state["intake"] = None
    st.session_state["rerun"] = True


def _take_upload() -> None:
    st.session_state["upload_error"] = None
    _take_new()


def _take_new(called_back: bool = True) -> None:
    """Start loading the new files in the box."""
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
        image_sets.picture(session.current().image)
    except CamLabError:
        session.put(session.with_fields(image=ExploreState().image))
