"""The shelf: which study is open; renaming, deleting, taking away, bringing in."""

from __future__ import annotations

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
from pages.shared.text import plain
from pages.study import data, link
from pages.study.plan import plan_dialog

MAX_UPLOAD = 500  # MB
PACKED_FROM = 200_000  # pairs from which text is gzipped: a browser takes the file from this server's memory
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


def shelf() -> Study | None:
    """Draw the row that chooses a study; the one that is open, None where there is none."""
    studies = {study.folder.name: study for study in list_studies()}
    wanted = link.chosen("folder")
    if wanted and wanted not in studies:
        link.say([f"There is no study “{wanted[:60]}” here; choose another, or bring it in with Import."])
        wanted = ""
    if not wanted and studies:
        wanted = next(iter(studies))
    link.choose("folder", wanted or None)
    # Read once: a study may end between two looks, and a list whose words change is another list.
    names = data.titles(studies.values())
    titles = {name: _title(study, names[name]) for name, study in studies.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", key="study_shelf"):
        if studies:
            st.selectbox(
                "Study",
                list(studies),
                key=link.key("folder"),
                format_func=lambda name: titles.get(name, name),
                on_change=_opened,
                help="All studies of this machine, newest first. A study runs on when this page is left or closed.",
            )
            st.button(
                "Manage",
                icon=":material/settings:",
                on_click=open_dialog,
                args=("study.manage",),
                help="Rename, take away or delete this study.",
            )
        st.button(
            "New study",
            icon=":material/add:",
            on_click=open_dialog,
            args=("study.plan",),
            help="Choose models, pictures, methods and noises; see what it costs; start it.",
        )
        st.button(
            "Import",
            icon=":material/upload:",
            on_click=open_dialog,
            args=("study.import",),
            help="A colleague's study: its ZIP archive, or a Parquet file with the documented columns.",
        )
    draw_dialog({"study.manage": _manage, "study.import": _import, "study.plan": plan_dialog})
    return studies.get(wanted)


def _title(study: Study, name: str) -> str:
    try:
        return f"{name} · {STATES[status(study.folder).state]}"
    except CamLabError:
        return name


def _opened() -> None:
    link.go_to(st.session_state.get(link.key("folder")) or "")


@st.dialog("Manage this study", on_dismiss=close_dialog)
def _manage() -> None:
    with told():
        _follow()
        study = open_study(studies_root() / (link.chosen("folder") or "none"))
        st.text_input("Name", value=study.name, key="study.name", max_chars=80, on_change=_rename)
        st.caption(f"Folder: `{study.folder}`")
        st.markdown("**Take it away**")
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
                help="Written in the background when you press; a million pairs take up to a minute.",
            )
        st.markdown("**Delete**")
        sure = st.checkbox(f"Delete all {pairs:,} pairs for good", key="study.sure")
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
    """The file as bytes; packed ones never lie in memory at their full size."""
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
        rename(studies_root() / link.chosen("folder"), st.session_state.get("study.name") or "")
        st.session_state["rerun"] = True
    except CamLabError as error:
        st.session_state["study.shelf_error"] = str(error)


def _delete(folder: Path) -> None:
    try:
        delete(folder)
    except CamLabError as error:
        st.session_state["study.shelf_error"] = str(error)
        return
    link.go_to("")
    link.say(["The study is deleted."])
    close_dialog()
    st.session_state["rerun"] = True


@st.dialog("Import a study", on_dismiss=close_dialog)
def _import() -> None:
    with told():
        _follow()
        st.caption(
            "Every value is checked against the schema before anything is kept. Pictures are not part of a study: "
            "pairs of pictures that are not on this machine can be read but not looked at."
        )
        st.file_uploader(
            "ZIP archive or Parquet file",
            type=["zip", "parquet"],
            key="study.file",
            max_upload_size=MAX_UPLOAD,
            on_change=_take,
            help="What “Take it away” wrote on another machine, or any Parquet file with the columns of docs/study.md.",
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
    link.go_to(found.folder.name)
    link.say([f"“{found.name}” is here: {plural(found.count(), 'pair')}."])
    close_dialog()
    st.session_state["rerun"] = True
