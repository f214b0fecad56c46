"""Choosing a picture: sets, gallery and uploads."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from camlab.errors import CamLabError
from camlab.images import IMAGE_SETS, Picture, picture_from_bytes
from camlab.render import data_url
from pages.parts import session
from pages.parts.text import plain

UPLOAD_SET = "upload"


def _sets() -> list[str]:
    return [*IMAGE_SETS, *([UPLOAD_SET] if session.uploads() else [])]


def _pictures(image_set: str) -> dict[str, Picture]:
    if image_set == UPLOAD_SET:
        return session.uploads()
    return {p.id: p for p in IMAGE_SETS[image_set].pictures}


def _set_changed() -> None:
    image_set = session.reported(session.key("image_set"))
    if image_set in _sets():
        st.session_state[session.key("image")] = next(iter(_pictures(image_set)))
    _chosen()


def _chosen() -> None:
    st.session_state["upload_error"] = None


def picture_controls() -> None:
    sets = _sets()
    shown = session.picture(session.start("image")).image_set
    image_set = st.selectbox(
        "Image set",
        sets,
        index=sets.index(shown) if shown in sets else 0,
        format_func=lambda n: "Your pictures" if n == UPLOAD_SET else IMAGE_SETS[n].title,
        key=session.key("image_set"),
        on_change=_set_changed,
        help="Built-in sets are openly licensed; author and licence stand under the picture. "
        "Composites carry exact object masks.",
    )
    pictures = _pictures(image_set)
    st.selectbox(
        "Picture",
        list(pictures),
        index=session.start_index("image", list(pictures)),
        format_func=lambda n: pictures[n].title if n in pictures else str(n),
        key=session.key("image"),
        on_change=_chosen,
        help="Type to search, or open the gallery to choose by eye.",
    )
    left, right = st.columns(2, gap="small")
    if left.button(
        "Gallery", icon=":material/photo_library:", width="stretch", help="Choose a picture by eye."
    ):
        _gallery(image_set)
    with right.popover(
        "Upload", icon=":material/upload:", width="stretch", help="Use a picture of your own."
    ):
        _upload()


@st.dialog("Choose a picture", width="large")
def _gallery(image_set: str) -> None:
    session.follow_callbacks()  # a picture was chosen: the page follows and the gallery closes
    sets = _sets()
    chosen = st.segmented_control(
        "Image set",
        sets,
        default=image_set,
        required=True,
        format_func=lambda n: "Your pictures" if n == UPLOAD_SET else IMAGE_SETS[n].title,
        label_visibility="collapsed",
    )
    if chosen != UPLOAD_SET:
        st.caption(IMAGE_SETS[chosen or image_set].summary)
    pictures = list(_pictures(chosen or image_set).values())
    current = session.start("image")
    for start in range(0, len(pictures), 5):
        for column, picture in zip(st.columns(5), pictures[start : start + 5], strict=False):
            column.image(data_url(_thumbnail(picture)), width="stretch", alt=f"Thumbnail of {picture.title}")
            kind: Literal["primary", "secondary"] = "primary" if picture.id == current else "secondary"
            column.button(
                plain(picture.title),
                key=f"gallery.{picture.id}",
                type=kind,
                width="stretch",
                on_click=_pick,
                args=(picture.id,),
            )


def _pick(picture_id: str) -> None:
    session.put(session.with_fields(image=picture_id))
    st.session_state["rerun"] = True


@st.cache_data(max_entries=400, show_spinner=False, hash_funcs={Picture: lambda p: p.id})
def _thumbnail(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture.thumbnail(128))


def _upload() -> None:
    st.file_uploader(
        "Upload your own",
        key="upload_file",
        on_change=_take_upload,
        help="JPEG, PNG, WebP, BMP or TIFF, up to 30 MB and 50 megapixels. The picture stays on this computer.",
    )
    # Here and not beside the button, where this box would cover it.
    if error := st.session_state.get("upload_error"):
        st.error(plain(error), icon=":material/error:")


def _take_upload() -> None:
    file = session.reported("upload_file")
    st.session_state["upload_error"] = None
    if file is None:
        return
    try:
        picture = picture_from_bytes(file.getvalue(), file.name)
    except CamLabError as problem:
        st.session_state["upload_error"] = str(problem)
        return
    session.uploads()[picture.id] = picture
    session.put(session.with_fields(image=picture.id))
