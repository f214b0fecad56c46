"""The gallery: thumbnails of an image set, page by page, with a search in the titles."""

from typing import Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from camlab.common.errors import BadImage, CamLabError
from camlab.common.wording import plural
from camlab.drawing.pictures import data_url
from camlab.images import ImageSet, Picture, set_of
from pages.shared import image_sets, session
from pages.shared.navigation import close_dialog, open_dialog
from pages.shared.page_state import Choices
from pages.shared.text import plain

COLUMNS, ROWS = 5, 5
PAGE = COLUMNS * ROWS
SIDE = 128
_shown = Choices("gallery", {"set": "", "search": "", "page": None})


def open_gallery(name: str) -> None:
    """Open the gallery of a set at the page with the current picture. Only in a callback."""
    for field, value in (("set", name), ("search", ""), ("page", None)):
        _shown.put(field, value)
    open_dialog("gallery")


@st.dialog("Choose a picture", width="large", on_dismiss=close_dialog)
def gallery() -> None:
    """Draw the dialog."""
    session.follow_callbacks()  # after a choice, rerun the page and close the gallery
    titles = image_sets.titles()
    offered = list(titles)
    if st.session_state.get(_shown.key("set")) not in offered:  # removed while the gallery was open
        _shown.put("set", offered[0])
    left, right = st.columns(2)
    name = left.selectbox(
        "Image set",
        offered,
        index=offered.index(st.session_state[_shown.key("set")]),
        format_func=lambda n: titles.get(n, str(n)),
        key=_shown.key("set"),
        on_change=_shown.when("set", _first_page),
    )
    try:
        image_set = image_sets.image_set(name)
        text = right.text_input(
            "Search",
            key=_shown.key("search"),
            on_change=_shown.when("search", _first_page),
            placeholder="Words from a title or class",
            icon=":material/search:",
        )
        st.caption(plain(image_set.summary))
        with st.spinner("Searching the titles …"):
            found = image_set.search(text) if text and text.strip() else range(len(image_set.pictures))
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if not found:
        st.info("No title contains all of these words; try fewer.", icon=":material/search:")
        return
    pages = -(-len(found) // PAGE)
    page = _page(image_set, pages)
    first = (page - 1) * PAGE
    shown = found[first : first + PAGE]
    st.caption(f"{first + 1:,} to {first + len(shown):,} of {plural(len(found), 'picture')}")
    current = session.start("image")
    with st.container(key="gallery_grid"):
        for start in range(0, len(shown), COLUMNS):
            for column, place in zip(st.columns(COLUMNS), shown[start : start + COLUMNS], strict=False):
                with column:
                    _card(image_set.pictures[place], current)
    if pages > 1:
        st.pagination(pages, key=_shown.key("page"), default=page)


def _page(image_set: ImageSet, pages: int) -> int:
    """Return the page that the visitor chose, else the one with the current picture."""
    page = st.session_state.get(_shown.key("page"))
    if not page:
        place = image_set.place(session.start("image")) if image_set.name == set_of(session.start("image")) else 0
        page = (place or 0) // PAGE + 1
    page = min(max(int(page), 1), pages)
    _shown.put("page", page)
    return page


def _first_page() -> None:
    _shown.put("page", 1)


def _card(picture: Picture, current: str) -> None:
    try:
        st.image(data_url(thumbnail(picture)), width="stretch", alt=f"Thumbnail of {picture.title}")
    except BadImage as problem:
        st.caption(f":material/broken_image: {plain(str(problem))}")
        return
    kind: Literal["primary", "secondary"] = "primary" if picture.id == current else "secondary"
    st.button(
        plain(picture.title),
        key=f"gallery.{picture.id}",
        type=kind,
        width="stretch",
        on_click=_pick,
        args=(picture.id,),
        help=plain(picture.label) if picture.label and picture.label not in picture.title else None,
    )


def _pick(picture_id: str) -> None:
    session.put(session.with_fields(image=picture_id))
    close_dialog()
    st.session_state["rerun"] = True


@st.cache_data(max_entries=400, show_spinner=False, hash_funcs={Picture: lambda p: p.content})
def thumbnail(picture: Picture) -> NDArray[np.uint8]:
    """Return the picture's centre as a square, (SIDE, SIDE, 3); cached by its content."""
    return np.asarray(picture.thumbnail(SIDE))
