"""Planning a study: presets, the cost of the plan, and the start."""

import dataclasses
import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from camlab.cams import CAMS
from camlab.common.errors import CamLabError, Cancelled
from camlab.common.wording import duration, megabytes, plural
from camlab.drawing.charts.titles import model_title
from camlab.study import PRESETS, Estimate, StudyPlan, create, estimate, start
from camlab.study.sources import check_plan, count_pairs, count_pictures, folder_remarks
from camlab.study.stats import fewest_pictures
from camlab.study.store import new_folder, studies_root
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.navigation import close_dialog
from pages.shared.text import plain
from pages.study.form import fill, filled, form, planned
from pages.study.state import page

POLL_SECONDS = 0.7
LONG = 2 * 3600.0  # seconds above which a plan needs a confirmation
SPARE = 1.2  # free disk space that a plan needs, relative to its size
_KEY = "study.plan."


@dataclass
class _Asking:
    """An estimate of a plan's cost, running in a thread."""

    plan: StudyPlan
    answer: Future[Estimate]
    stop: threading.Event = field(default_factory=threading.Event)


@st.cache_resource
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="camlab-estimate")


@st.dialog("New study", width="large", on_dismiss=close_dialog)
def plan_dialog() -> None:
    """Draw the dialog that plans and starts a study."""
    with told():
        session.follow_callbacks()
        if not filled():
            fill("quick")
        st.segmented_control(
            "Start from",
            list(PRESETS),
            key=_KEY + "preset",
            default="quick",
            format_func=lambda name: PRESETS[name].title,
            on_change=lambda: fill(st.session_state.get(_KEY + "preset") or "quick"),
            help="\n\n".join(f"**{plain(p.title)}**: {plain(p.summary)}" for p in PRESETS.values()),
        )
        form()
        try:
            plan = planned()
            check_plan(plan)
        except CamLabError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        _cost(plan)


def _same(asking: _Asking | None, plan: StudyPlan) -> bool:
    """Return whether an estimate is for this plan; the name does not affect the cost."""
    return asking is not None and dataclasses.replace(asking.plan, name=plan.name) == plan


def _cost(plan: StudyPlan) -> None:
    asking: _Asking | None = st.session_state.get(_KEY + "asking")
    current = _same(asking, plan)
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.markdown(f"**{count_pairs(plan):,} pairs** at most, {plan.versions():,} noisy versions of each picture.")
    for remark in folder_remarks(plan):
        st.caption(plain(remark))
    if (methods := len(plan.methods)) > 1:
        pictures, needed = min(count_pictures(plan).values()), fewest_pictures(methods)
        if pictures < needed:
            st.caption(
                f":material/info: {plural(pictures, 'picture')} per model cannot separate any two of {methods} "
                f"methods, however large the difference: a verdict needs {needed} or more."
            )
    right.button(
        "Plan",
        icon=":material/timer:",
        type="secondary" if current else "primary",
        on_click=_ask,
        width="stretch",
        disabled=current,
        help="Runs a few pairs with each model for about a second to estimate time and disk space.",
    )
    ready = False
    if current and asking is not None:
        running = not asking.answer.done()
        if running:
            st.fragment(_wait, run_every=POLL_SECONDS)(asking)
        else:
            ready = _answer(asking.answer.result())
    st.button(
        "Start the study",
        icon=":material/play_arrow:",
        type="primary" if current else "secondary",
        on_click=_start_planned,
        width="stretch",
        disabled=not ready,
        help="It runs in the background, also after you close this page; stop and resume it at any time."
        if current
        else "Press Plan first to see what the study costs.",
    )
    if error := st.session_state.pop(_KEY + "error", None):
        st.error(plain(error), icon=":material/error:")


def _ask() -> None:
    # The widgets may be newer than the page: text typed just before the button was pressed.
    plan = planned()
    if (old := st.session_state.get(_KEY + "asking")) is not None:
        old.stop.set()
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    st.session_state[_KEY + "asking"] = _Asking(plan, _pool().submit(estimate, plan, check=check), stop)


@told()
def _wait(asking: _Asking) -> None:
    if asking.answer.done():
        st.rerun(scope="app")
    st.status("Running a few pairs with each model …", state="running")


def _answer(found: Estimate) -> bool:
    """Draw the estimate; return whether the study may start."""
    with st.container(horizontal=True, key="study_cost"):
        st.metric("Pairs", f"{found.pairs:,}")
        st.metric("Pictures × models", f"{found.pictures:,}")
        st.metric("Time, about", duration(found.seconds), help=f"With {plural(found.workers, 'worker')}.")
        st.metric("Disk space, about", megabytes(found.bytes) if found.bytes >= 1e6 else "under 1 MB")
    if found.skipped:
        with st.expander(f"Left out in {plural(len(found.skipped), 'place')}: why?"):
            for each in found.skipped:
                which = CAMS[each["method"]].title if each["method"] in CAMS else "All methods"
                place = f"{which} on {each['layer']} of {model_title(each['model'])}"
                st.caption(plain(f"{place}: {each['reason']}"))
    free = _free()
    if free is not None and free < SPARE * found.bytes:
        st.error(
            f"The disk has only {megabytes(free)} left; free some space, or plan a smaller study.",
            icon=":material/hard_drive:",
        )
        return False
    if found.seconds <= LONG:
        return True
    st.warning(
        f"This takes about {duration(found.seconds)} on this machine. You can stop and resume it at any time, and its "
        "first part is a fair sample of the whole.",
        icon=":material/hourglass_top:",
    )
    return st.checkbox("Start it anyway", key=_KEY + "sure")


def _free() -> int | None:
    """Return the free bytes on the disk with the studies; None if unknown."""
    try:
        place = studies_root()
        while not place.exists() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free
    except (OSError, CamLabError):
        return None


def _begin(plan: StudyPlan) -> None:
    try:
        folder = new_folder(plan.name or "Study")
        create(plan, folder)
        start(folder)
    except (CamLabError, OSError) as error:
        st.session_state[_KEY + "error"] = str(error)
        return
    page.go_to(folder.name)
    close_dialog()
    st.session_state["rerun"] = True


def _start_planned() -> None:
    plan = planned()  # may be newer than the page
    if _same(st.session_state.get(_KEY + "asking"), plan):
        _begin(plan)
    else:
        st.session_state[_KEY + "error"] = "The plan has changed; press Plan again."


def quick_look() -> None:
    """Start the quick look. Only in a callback."""
    _begin(PRESETS["quick"].make())
