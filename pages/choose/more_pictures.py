"""More pictures: the visitor's own pair, a folder on this machine, or a well-known data set."""

from collections.abc import Callable

import streamlit as st

from camlab.common.errors import CamLabError
from camlab.images import picture_from_bytes
from camlab.images.datasets.base import Dataset
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.datasets.hub import CURATED, look_up, row_name
from camlab.images.folders import ROOTS_VARIABLE, allowed_roots
from camlab.images.loading import Intake, take_dataset, take_folder
from camlab.images.photo_pairs import PAIR_NOISE, PAIR_SEVERITY
from camlab.images.picture import narrow_of, read_as
from camlab.noise import NOISES
from pages.choose import uploads
from pages.shared import image_sets, session
from pages.shared.navigation import close_dialog, open_dialog
from pages.shared.page_state import Choices, index_in
from pages.shared.text import plain

_choices = Choices("sources", {})
PAIR = "Your own pair"
HUB = "hf:"  # in the list of data sets: prefix of those to look up on the hub; alone, the visitor types a name


def open_sources() -> None:
    """Open the dialog without earlier errors. Only in a callback."""
    _forget_error()
    st.session_state["sources.kind"] = st.session_state.get("sources.kind") or PAIR
    open_dialog("sources")


@st.dialog("More pictures", width="medium", on_dismiss=close_dialog)
def sources() -> None:
    """Draw the dialog."""
    session.follow_callbacks()  # once pictures are loaded, rerun the page and close the dialog
    name = st.segmented_control(
        "Source",
        list(_KINDS),
        default=st.session_state["sources.kind"],
        key="sources.kind",
        required=True,
        on_change=_forget_error,
        label_visibility="collapsed",
    )
    if error := st.session_state.get("source_error"):
        st.error(plain(error), icon=":material/error:")
    _KINDS[name or PAIR]()


def _forget_error() -> None:
    st.session_state["source_error"] = None


def _pair() -> None:
    st.markdown(
        "Two photographs of one scene: a clean one and a noisy one, taken in the dark, in the rain or with another "
        f"camera. The noise type becomes “{NOISES[PAIR_NOISE].title}”: severity 0 is the clean picture, severity 5 the "
        "noisy one. Both pictures need the same shape and the same framing."
    )
    left, right = st.columns(2)
    sides = ((left, "The clean picture", "pair_clean"), (right, "The noisy picture", "pair_noisy"))
    for column, label, key in sides:
        column.file_uploader(label, key=key, max_upload_size=uploads.PICTURE_MB)
    st.toggle(
        "Stretch files of 16 bits that use fewer",
        key="pair_stretch",
        help="Cameras often store 10, 12 or 14 bits in files of 16, which are nearly black as they are. Both files are "
        "stretched by one factor.",
    )
    st.button("Use this pair", type="primary", icon=":material/compare:", on_click=_take_pair)


def _take_pair() -> None:
    files = [session.reported(key) for key in ("pair_clean", "pair_noisy")]
    if not all(files):
        st.session_state["source_error"] = "Choose both pictures first, the clean one and the noisy one."
        return
    st.session_state["source_error"] = None
    try:
        pictures = [picture_from_bytes(file.getvalue(), file.name) for file in files]
        bits = narrow_of(pictures)
        clean, noisy = read_as(bits, pictures) if session.reported("pair_stretch") else pictures
        found, pair = image_sets.add_pair(clean, noisy)
    except CamLabError as problem:
        st.session_state["source_error"] = str(problem)
        return
    state = session.with_fields(image=found.id, noise=PAIR_NOISE, severity=PAIR_SEVERITY)
    dim = [each.dim for each in (clean, noisy) if bits is not None and each.dim]
    session.put(
        state,
        [
            *([pair.warning] if pair.warning else []),
            *(f"{clause}; load the pair again with “Stretch” switched on." for clause in dim),
        ],
    )
    close_dialog()
    st.session_state["rerun"] = True


def _folder() -> None:
    try:
        roots = allowed_roots()
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if not roots:
        st.info(
            "CAM Lab may not open any folder on this machine. To allow some, its operator sets the environment "
            f"variable {plain(ROOTS_VARIABLE)} to their paths and restarts it.",
            icon=":material/folder_off:",
        )
        return
    st.markdown(
        "Pictures in a folder on the machine that runs CAM Lab, and in its subfolders. If the subfolders are classes, "
        "as in ImageNet's layout, they become the labels. Nothing is copied."
    )
    st.text_input(
        "Folder",
        key="folder_path",
        placeholder=str(roots[0]),
        help="A path inside one of the allowed folders.",
    )
    st.caption("Allowed: " + ", ".join(plain(str(root)) for root in roots))
    st.button("Open the folder", type="primary", icon=":material/folder_open:", on_click=_take_folder)


def _take_folder() -> None:
    path = (session.reported("folder_path") or "").strip()
    st.session_state["source_error"] = None if path else "Type the path of a folder first."
    if path:
        _begin(take_folder(path))


def _dataset() -> None:
    curated = [HUB + repo for repo in CURATED if row_name(repo) not in DATASETS]
    offered = [*DATASETS, *curated, HUB]
    if session.reported(_choices.key("dataset")) not in offered:
        _choices.put("dataset", offered[0])
    key = _choices.key("dataset")
    name = st.selectbox("Data set", offered, index_in(offered, key), format_func=_dataset_title, key=key)
    if name.startswith(HUB):
        _hub(name.removeprefix(HUB))
        return
    dataset, here = DATASETS[name], name in image_sets.downloaded()
    licence = plain(dataset.licence)
    if dataset.licence_url:
        licence = f"[{licence}]({dataset.licence_url})"
    st.markdown(
        f"{plain(dataset.summary)}{_counted(dataset)}\n\n**Licence:** {licence}  \n**By:** {plain(dataset.author)}"
    )
    if here:
        st.success("Already on this machine.", icon=":material/check_circle:")
    else:
        st.warning(
            f"The download is {dataset.megabytes:,} MB and needs {dataset.room:,} MB of disk space while it is "
            "unpacked. You can keep working during the download, or cancel it.",
            icon=":material/download:",
        )
    st.button(
        "Open" if here else f"Download {dataset.megabytes:,} MB",
        type="primary",
        icon=":material/photo_library:" if here else ":material/download:",
        key="dataset_take",
        on_click=_take_dataset,
    )


def _dataset_title(name: str) -> str:
    if name == HUB:
        return "Another data set from the Hugging Face hub …"
    return f"{name.removeprefix(HUB)} (Hugging Face)" if name.startswith(HUB) else DATASETS[name].title


def _counted(dataset: Dataset) -> str:
    return f" {dataset.count:,} pictures of {dataset.classes} classes." if dataset.count else ""


def _hub(repo: str) -> None:
    """Draw the look-up of a data set on the hub, which shows licence and size before any download."""
    if repo:
        st.markdown(f"From the Hugging Face hub: {plain(CURATED[repo])}.")
    else:
        st.text_input(
            "Name on the hub",
            key="hub_name",
            placeholder="owner/name",
            help="As in its address. CAM Lab reads tables with a column of pictures, archives and picture files. "
            "If the data set has a test split, CAM Lab reads only that.",
        )
    st.button(
        "Look up licence and size",
        type="primary",
        icon=":material/search:",
        key="hub_look_up",
        on_click=_look_up,
        args=(repo,),
        help="Asks the Hugging Face hub; does not download the pictures yet.",
    )


def _look_up(repo: str) -> None:
    try:
        st.session_state["source_error"] = None
        _choices.put("dataset", look_up(repo or session.reported("hub_name") or "").name)
    except CamLabError as problem:
        st.session_state["source_error"] = str(problem)


def _take_dataset() -> None:
    name = session.reported(_choices.key("dataset"))
    st.session_state["source_error"] = None
    if name in DATASETS:
        _begin(take_dataset(name, session.presence()))


def _begin(task: Intake) -> None:
    uploads.begin(task)
    if task.job.running:  # close the dialog, as the sidebar shows the progress
        close_dialog()
        st.session_state["rerun"] = True


_KINDS: dict[str, Callable[[], None]] = {PAIR: _pair, "A folder": _folder, "A data set": _dataset}
