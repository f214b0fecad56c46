"""Choosing a picture in the sidebar: image set, picture, gallery, upload and further sources."""

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.images import SHAPES, ImageSet, set_of
from camlab.images.picture import as_stored
from camlab.images.scenes.image_set import MAX_COUNT, MAX_SEED, scene_numbers
from pages.choose import uploads
from pages.choose.gallery import gallery, open_gallery
from pages.choose.more_pictures import open_sources, sources
from pages.shared import image_sets, session
from pages.shared.navigation import draw_dialog
from pages.shared.page_state import Choices
from pages.shared.text import plain

LISTED = 300  # a larger set has a number box instead of a list
_place = Choices("picture", {"number": None, "stretched": False})


def picture_controls() -> None:
    """Draw the choice of set and picture, and the buttons for gallery, upload and more pictures."""
    titles = image_sets.titles()
    offered = list(titles)
    shown = set_of(session.start("image"))
    name = st.selectbox(
        "Image set",
        offered,
        index=offered.index(shown) if shown in offered else 0,
        format_func=lambda n: titles.get(n, str(n)),
        key=session.key("image_set"),
        on_change=session.page.when("image_set", _set_changed),
        help="Built-in sets are openly licensed; author and licence are below the picture. "
        "Composites and ShapeScenes have exact object masks.",
    )
    with st.container(key="picture_choice"):
        if name == SHAPES:
            _shapes_options()
        try:
            _choice(image_sets.image_set(name))
        except CamLabError as error:
            st.error(plain(str(error)), icon=":material/error:")
    left, right = st.columns(2, gap="small")
    left.button(
        "Gallery",
        icon=":material/photo_library:",
        width="stretch",
        help="Choose from thumbnails.",
        on_click=open_gallery,
        args=(name,),
    )
    with right.popover(
        "Upload",
        icon=":material/upload:",
        width="stretch",
        key="upload_popover",
        help="Use your own pictures: files or a ZIP archive.",
    ):
        uploads.uploader()
    st.button(
        "More pictures",
        icon=":material/add_photo_alternate:",
        width="stretch",
        help="Your own pair of a clean and a noisy picture, a folder on this machine, or a well-known data set.",
        on_click=open_sources,
    )
    uploads.progress()
    draw_dialog({"gallery": gallery, "sources": sources})


def _choice(image_set: ImageSet) -> None:
    """Draw the choice of the picture: by title from a short list, else by number."""
    pictures, current = image_set.pictures, session.start("image")
    if len(pictures) <= LISTED:
        # A stretched picture stands in the list for the unstretched one.
        titles = {current if picture.id == as_stored(current)[0] else picture.id: picture.title for picture in pictures}
        session.select(
            "Picture",
            "image",
            list(titles),
            lambda n: titles.get(n, str(n)),
            on_change=session.page.when("image", _chosen),
            help="Type to search, or open the gallery for thumbnails.",
        )
    else:
        place = image_set.place(current)
        number = None if place is None else place + 1
        _place.put("number", number)
        st.number_input(
            f"Picture, 1 to {len(pictures):,}",
            1,
            len(pictures),
            number,
            step=1,
            key=_place.key("number"),
            on_change=_place.when("number", _numbered),
            placeholder="a number",
            help="The picture's position in the set. The gallery searches titles and shows thumbnails.",
        )
        if place is not None:
            st.caption(plain(pictures[place].title))
    if image_set.name in image_sets.own():
        st.caption(plain(image_set.summary))
        _stretching(image_set, current)


def _stretching(image_set: ImageSet, current: str) -> None:
    """Say that the picture's file uses few of its 16 bits, and offer to stretch it; the id keeps the choice."""
    unstretched, bits = as_stored(current)
    try:
        picture = image_set.find(unstretched)
        clause = None if picture is None else picture.dim
    except CamLabError:  # where the page shows the picture, it says so
        return
    if picture is None or clause is None:
        return
    if bits is None:
        st.warning(f"{plain(clause)}.", icon=":material/brightness_low:")
    _place.put("stretched", bits is not None)
    st.toggle(
        f"Stretch {bits or picture.depth[1]} bits to the full range",
        bits is not None,
        key=_place.key("stretched"),
        on_change=_place.when("stretched", _stretch),
        help="Cameras and microscopes often store 10, 12 or 14 bits in files of 16. Stretched, the largest number of "
        "so many bits is white. The result is another picture, with results of its own.",
    )


def _stretch() -> None:
    unstretched, _ = as_stored(session.current().image)
    wanted = session.reported(_place.key("stretched"))
    try:
        picture = image_sets.picture(unstretched)
        if wanted and picture.depth[1] is not None:
            picture = picture.stretched(picture.depth[1])
    except CamLabError as error:  # the file in the folder has gone or changed
        session.put(session.current(), [str(error)])
    else:
        session.put(session.with_fields(image=picture.id))


def _shapes_options() -> None:
    seed, count = image_sets.shapes_options()
    left, right = st.columns(2, gap="small")
    shapes = image_sets.shapes
    for name in shapes.defaults:  # in place: also where a visitor has emptied a box
        st.session_state[shapes.key(name)] = shapes.chosen(name)
    left.number_input(
        "Pictures",
        1,
        MAX_COUNT,
        count,
        step=50,
        key=shapes.key("count"),
        on_change=shapes.when("count", _shapes_changed),
        help="The size of the set. Each picture is generated when it is needed.",
    )
    right.number_input(
        "Picture seed",
        0,
        MAX_SEED,
        seed,
        step=1,
        key=shapes.key("seed"),
        on_change=shapes.when("seed", _shapes_changed),
        help="Each seed makes another set, with other shapes, backgrounds and colours.",
    )


def _shapes_changed() -> None:
    if any(session.reported(image_sets.shapes.key(name)) is None for name in ("seed", "count")):
        return
    seed, count = image_sets.shapes_options()
    index = (scene_numbers(session.current().image) or (0, 0))[1]
    # A smaller set may no longer contain the picture on screen.
    session.put(session.with_fields(image=f"{SHAPES}/{seed}-{min(index, count - 1)}"))


def _set_changed() -> None:
    name = session.reported(session.key("image_set"))
    if name not in image_sets.titles():
        return
    try:
        first = image_sets.image_set(name).pictures[0].id
    except CamLabError as error:  # a data set whose files are missing
        session.put(session.current(), [str(error)])
    else:
        session.put(session.with_fields(image=first))


def _chosen() -> None:
    if session.reported(session.key("image")) is not None:
        session.put(session.with_fields())


def _numbered() -> None:
    number = session.reported(_place.key("number"))
    name = session.reported(session.key("image_set"))
    if number is None or name not in image_sets.titles():
        return
    pictures = image_sets.image_set(name).pictures
    session.put(session.with_fields(image=pictures[min(max(int(number), 1), len(pictures)) - 1].id))
