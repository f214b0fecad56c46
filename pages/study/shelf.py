"""The shelf of studies: choosing, renaming, exporting, deleting and importing them."""

import gzip
import shutil
import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import plural
from camlab.study import status
from camlab.study.store import (
    EXPORTS,
    Study,
    delete,
    export,
    import_study,
    list_studies,
    open_study,
    rename,
    studies_root,
)
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.navigation import close_dialog, draw_dialog, open_dialog
from pages.shared.page_state import index_in
from pages.shared.text import plain
from pages.study import data
from pages.study.plan import plan_dialog
from pages.study.state import page

MAX_UPLOAD = 500  # MB
PACKED_FROM = 200_000  # pairs above which text is gzipped, because this server holds the file in memory
TEXTS = ("csv", "json")
STATES = {
    "planned": "not started",
    "running": "running",
    "paused": "paused",
    "cancelled": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
    "finished": "finished",
}
#: Buttons that open a dialog: label, icon, name of the dialog, help. The first needs a study.
_BUTTONS = (
    ("Manage", "settings", "study.manage", "Rename, export or delete this study."),
    ("New study", "add", "study.plan", "Choose models, pictures, methods and noise types, see the cost, and start."),
    ("Import", "upload", "study.import", "Import a ZIP archive exported elsewhere, or a Parquet file with the "
     "documented columns."),
)  # fmt: skip


def shelf() -> Study | None:
    """Draw the choice of a study and its buttons; return the open study, None if there is none."""
    studies = {study.folder.name: study for study in list_studies()}
    wanted = page.chosen("folder")
    if wanted and wanted not in studies:
        page.say([f"There is no study “{wanted[:60]}” on this machine; choose another, or import it."])
        wanted = ""
    if not wanted and studies:
        wanted = next(iter(studies))
    page.choose("folder", wanted or None)
    # Read each state once, because a study can end between two reads, and a changed title makes a new list.
    names = data.titles(studies.values())
    titles = {name: _title(study, names[name]) for name, study in studies.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", key="study_shelf"):
        if studies:
            st.selectbox(
                "Study",
                list(studies),
                index=index_in(list(studies), page.key("folder")),
                key=page.key("folder"),
                format_func=lambda name: titles.get(name, name),
                on_change=_opened,
                help="All studies on this machine, newest first. A study keeps running after you close this page.",
            )
        for label, icon, name, text in _BUTTONS[0 if studies else 1 :]:
            st.button(label, icon=f":material/{icon}:", on_click=open_dialog, args=(name,), help=text)
    draw_dialog({"study.manage": _manage, "study.import": _import, "study.plan": plan_dialog})
    return studies.get(wanted)


def _title(study: Study, name: str) -> str:
    try:
        return f"{name} · {STATES[status(study.folder).state]}"
    except CamLabError:
        return name


def _opened() -> None:
    page.go_to(st.session_state.get(page.key("folder")) or "")


@st.dialog("Manage this study", on_dismiss=close_dialog)
def _manage() -> None:
    with told():
        _follow()
        study = open_study(studies_root() / (page.chosen("folder") or "none"))
        st.text_input("Name", value=study.name, key="study.name", max_chars=80, on_change=_rename)
        st.caption(f"Folder: `{study.folder}`")
        st.markdown("**Export**")
        pairs = study.count()
        for name, form in EXPORTS.items():
            packed = pairs > PACKED_FROM and name in TEXTS
            st.download_button(
                plain(form.title + (", gzipped" if packed else "")),
                partial(_exported, study, name, packed),
                f"{study.folder.name}{form.suffix}{'.gz' if packed else ''}",
                "application/gzip" if packed else form.mime,
                key=f"study.export.{name}",
                icon=":material/download:",
                on_click="ignore",
                width="stretch",
                help="The file is written when you press; a million pairs take up to a minute.",
            )
        st.markdown("**Delete**")
        sure = st.checkbox(f"Delete all {pairs:,} pairs permanently", key="study.sure")
        st.button(
            "Delete this study",
            icon=":material/delete:",
            disabled=not sure,
            on_click=_delete,
            args=(study.folder,),
            width="stretch",
        )


def _follow() -> None:
    if error := st.session_state.pop("study.shelf_error", None):
        st.error(plain(error), icon=":material/error:")
    session.follow_callbacks()


def _exported(study: Study, form: str, packed: bool) -> bytes:
    """Return the file's bytes; a packed file is never in memory at its full size."""
    with tempfile.TemporaryDirectory() as scratch:
        written = export(study, form, Path(scratch) / "study")
        if packed:
            small = written.with_suffix(".gz")
            with written.open("rb") as source, gzip.open(small, "wb", compresslevel=3) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            written = small
        return written.read_bytes()


def _rename() -> None:
    try:
        rename(studies_root() / page.chosen("folder"), st.session_state.get("study.name") or "")
        st.session_state["rerun"] = True
    except CamLabError as error:
        st.session_state["study.shelf_error"] = str(error)


def _delete(folder: Path) -> None:
    try:
        delete(folder)
    except CamLabError as error:
        st.session_state["study.shelf_error"] = str(error)
        return
    page.go_to("")
    page.say(["The study was deleted."])
    close_dialog()
    st.session_state["rerun"] = True


@st.dialog("Import a study", on_dismiss=close_dialog)
def _import() -> None:
    with told():
        _follow()
        st.caption(
            "CAM Lab checks every value before it imports a study. A study holds no pictures: if this machine lacks "
            "them, you see the numbers of a pair but not its maps."
        )
        st.file_uploader(
            "ZIP archive or Parquet file",
            type=["zip", "parquet"],
            key="study.file",
            max_upload_size=MAX_UPLOAD,
            on_change=_take,
            help="A file from Manage → Export on another machine, or a Parquet file with the columns of docs/study.md.",
        )


def _take() -> None:
    file = st.session_state.get("study.file")
    if file is None:
        return
    suffix = ".zip" if file.name.lower().endswith(".zip") else ".parquet"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"study{suffix}"
            path.write_bytes(file.getbuffer())
            found = import_study(path, name=Path(file.name).stem)
    except CamLabError as error:
        st.session_state["study.shelf_error"] = str(error)
        return
    page.go_to(found.folder.name)
    page.say([f"Imported “{found.name}”: {plural(found.count(), 'pair')}."])
    close_dialog()
    st.session_state["rerun"] = True
