"""What one visitor's session holds: the state behind the widgets, its link, uploads and background work."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from camlab.engine import Engine
from camlab.errors import CamLabError
from camlab.images import Picture, find_picture
from camlab.jobs import Worker
from camlab.models import MODELS, load_classifier
from camlab.scene import engine_for
from camlab.state import UPLOAD_PREFIXES, ExploreState, parse_query, settle, to_query

PREFIX = "explore."
SETTLING = 1.5  # seconds that a browser may take to show a link that the page wrote
WIDGET_FIELDS = tuple(f.name for f in dataclasses.fields(ExploreState) if f.name != "segments")
# Those whose widget always holds something: all but the layer (empty: the default) and the fixed class.
FILLED_FIELDS = tuple(f for f in WIDGET_FIELDS if getattr(ExploreState(), f) not in (None, ""))


@st.cache_resource
def worker() -> Worker:
    """The one background worker of this server."""
    return Worker()


@st.cache_resource
def engine(model: str) -> Engine:
    """The engine of a model, shared by all visitors. Raises MissingWeights."""
    found = engine_for(model)
    # Streamlit collects garbage after every run of a script, looking at each of the half a million objects that
    # the libraries and the network consist of, with every other thread waiting. They stay: take them out of it.
    gc.collect()
    gc.freeze()
    return found


def key(field: str) -> str:
    """Session key of a field's widget."""
    return PREFIX + field


def segment_key(segmentation: str, parameter: str) -> str:
    """Session key of a segmentation parameter's widget."""
    return f"{PREFIX}segments.{segmentation}.{parameter}"


def uploads() -> dict[str, Picture]:
    """Pictures that this visitor uploaded, by id."""
    found: dict[str, Picture] = st.session_state.setdefault("uploads", {})
    return found


def picture(picture_id: str) -> Picture:
    """A built-in or uploaded picture. Raises UnknownName."""
    return uploads().get(picture_id) or find_picture(picture_id)


def note(problems: Sequence[str]) -> None:
    """Keep sentences about what could not be used; they stay on the page until the next choice."""
    if problems:
        st.session_state["notices"] = list(dict.fromkeys(problems))
        st.session_state["notices.state"] = None


def notices() -> list[str]:
    """The sentences that belong to the state on screen."""
    if st.session_state.get("notices.state") is None:
        st.session_state["notices.state"] = current()
    elif st.session_state["notices.state"] != current():
        st.session_state["notices"] = []
    found: list[str] = st.session_state.setdefault("notices", [])
    return found


def current() -> ExploreState:
    """The last good state."""
    state: ExploreState = st.session_state.setdefault("state", ExploreState())
    return state


def start(field: str) -> Any:
    """The value that a field's widget is drawn with.

    Its key decides what it shows; but a browser that mounts a widget late reports what it was drawn with, which
    for a slider without a value is its minimum, and that would pass for the visitor's choice.
    """
    return getattr(current(), field)


def start_index(field: str, options: Sequence[Any]) -> int:
    """The place of a field's value among a select box's options; the first where it is none of them."""
    value = start(field)
    return list(options).index(value) if value in options else 0


def _held(field: str) -> Any:
    """What a field's widget holds; the current state's value where it is gone or was never filled in."""
    known = getattr(current(), field)
    value = st.session_state.get(key(field), known)
    # A browser that answers before it has drawn a widget sends it empty.
    return known if value is None and field in FILLED_FIELDS else value


def reported(widget: str) -> Any:
    """What a widget holds; None where it is gone: a callback can arrive when its widget is no longer there."""
    return st.session_state.get(widget)


def with_fields(**changes: Any) -> ExploreState:
    """The current state with some fields changed."""
    # What the widgets hold may be newer than the last state: a run that was cut short never read them.
    live = {field: _held(field) for field in WIDGET_FIELDS}
    live["layer"] = live["layer"] or ""
    return dataclasses.replace(current(), **{**live, **changes})


def put(state: ExploreState, problems: Sequence[str] = ()) -> None:
    """Make a state current and set every widget to it. Only before the widgets are drawn, or in a callback."""
    state, more = reachable(state)
    note([*problems, *more])
    st.session_state["state"] = state
    st.session_state["upload_error"] = st.session_state["state_error"] = None
    for field in WIDGET_FIELDS:
        st.session_state[key(field)] = getattr(state, field)
    st.session_state[key("layer")] = state.layer or None
    st.session_state[key("image_set")] = picture(state.image).image_set
    for name, value in state.segment_parameters.items():
        st.session_state[segment_key(state.segmentation, name)] = value


def usable_model() -> str:
    """The current model, or the first whose weights are here. Raises MissingWeights where none is."""
    failure: CamLabError | None = None
    for name in dict.fromkeys([current().model, *MODELS]):
        try:
            load_classifier(name)
        except CamLabError as error:
            failure = failure or error
        else:
            return name
    raise failure or CamLabError("There is no model to choose from; reinstall CAM Lab.")


def reachable(state: ExploreState) -> tuple[ExploreState, list[str]]:
    """The state with whatever this session does not have replaced by what it was, and a sentence for each."""
    problems = []
    default = ExploreState()
    try:
        load_classifier(state.model)
    except CamLabError as error:
        kept = usable_model()
        problems.append(f"{error} Until then {MODELS[kept].title} is used.")
        state = dataclasses.replace(state, model=kept, layer=default.layer)
    if state.image.startswith(UPLOAD_PREFIXES) and state.image not in uploads():
        kept = current().image
        problems.append(
            "This state belongs to an uploaded picture that is not here; upload the same file to see it. "
            f"Meanwhile “{picture(kept).title}” is shown."
        )
        state = dataclasses.replace(state, image=kept)
    if state.layer or state.rule == "fixed":
        try:
            classifier = load_classifier(state.model)
            classes = len(classifier.class_names)
            if state.rule == "fixed" and not 0 <= (state.target or 0) < classes:
                problems.append(
                    f"Class {state.target} is outside 0 to {classes - 1}; each picture's own prediction is used."
                )
                state = dataclasses.replace(state, rule=default.rule, target=None)
            layer = classifier.resolve_layer(state.layer)
            state = dataclasses.replace(state, layer="" if layer == classifier.default_layer else layer)
        except CamLabError as error:
            problems.append(f"The setting 'layer' could not be used ({error}) and stays at the default.")
            state = dataclasses.replace(state, layer=default.layer)
    return state, problems


def adopt_link() -> None:
    """Take over the state that the address bar asks for, where it is not the one this session wrote there."""
    link = {name: str(value) for name, value in st.query_params.items()}
    written: dict[frozenset[tuple[str, str]], float] = st.session_state.setdefault("written", {})
    replaced = written.get(frozenset(link.items()), float("-inf"))
    if "state" in st.session_state and time.monotonic() - replaced < SETTLING:
        # The browser still shows a link that this session has just replaced: it is late, nobody went back.
        st.query_params.from_dict(st.session_state["link"])
        link = st.session_state["link"]
    if "state" in st.session_state and link == st.session_state.get("link"):
        restore_lost_widgets()
        return
    put(*parse_query(link))
    st.session_state["link"] = link


def restore_lost_widgets() -> None:
    """Fill widgets whose value Streamlit dropped (another page was open) or that came empty from the browser."""
    if any(st.session_state.get(key(field)) is None for field in ("model", "severity", "view", "scope")):
        put(with_fields())


def set_field(field: str, value: Any) -> None:
    """Set one widget from a callback and make the whole page follow, also from inside a fragment."""
    st.session_state[key(field)] = value
    st.session_state["rerun"] = True


def follow_callbacks() -> None:
    """Inside a fragment: rerun the whole page where a callback changed a widget outside the fragment."""
    if st.session_state.pop("rerun", False):
        st.rerun()


def read_widgets(parameters: dict[str, float], default_layer: str) -> ExploreState:
    """The state that the widgets show, made current and written to the address bar."""
    values = {field: _held(field) for field in WIDGET_FIELDS}
    # The default layer is said by saying nothing, so that a link without a layer is the same state.
    values["layer"] = "" if values["layer"] in (None, default_layer) else values["layer"]
    state, problems = settle(ExploreState(**values, segments=tuple(sorted(parameters.items()))))
    note(problems)
    st.session_state["state"] = state
    link = to_query(state)
    if link != st.session_state.get("link"):
        st.query_params.from_dict(link)
        old = frozenset(st.session_state.get("link", {}).items())
        st.session_state["written"] = {old: time.monotonic()}
        st.session_state["link"] = link
    st.session_state.pop("rerun", None)
    return state
