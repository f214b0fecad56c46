"""What one visitor's session holds: the state behind the widgets, its link, uploads and background work."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from camlab.common.errors import CamLabError, MissingWeights
from camlab.common.jobs import Worker
from camlab.drawing.charts import titles
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.model_change import switched
from camlab.explore.state import ExploreState, parse_query, settle, to_query
from camlab.images import set_of
from camlab.models import MAX_LOADED, MODELS, Classifier, load_classifier
from camlab.models.hub.catalogue import PREFIX as CATALOGUE_PREFIX
from camlab.models.hub.catalogue import Badge, badge
from camlab.models.network.split import PLUS
from pages.shared import address, attack_link, image_sets

picture = image_sets.picture
PAGE = "explore"
PREFIX = PAGE + "."
model_title = titles.model_title
WIDGET_FIELDS = tuple(f.name for f in dataclasses.fields(ExploreState) if f.name != "segments")
# Those whose widget always holds something: all but the layer (empty: the default) and the fixed class.
FILLED_FIELDS = tuple(f for f in WIDGET_FIELDS if getattr(ExploreState(), f) not in (None, ""))


@st.cache_resource
def worker() -> Worker:
    """The one background worker of this server."""
    return Worker()


@st.cache_resource(max_entries=MAX_LOADED)
def engine(model: str) -> Engine:
    """The engine of a model, shared by all visitors. Raises MissingWeights."""
    found = engine_for(model)
    # Streamlit collects garbage after every run of a script, looking at each of the half a million objects that
    # the libraries and the network consist of, with every other thread waiting. They stay: take them out of it.
    spare_garbage_collection()
    return found


def spare_garbage_collection() -> None:
    """Take all that is alive now out of what garbage collection looks at, and free what no longer is.

    Also what was taken out before: a network that was pushed out of memory is garbage, of which traced layers and
    their graphs hold each other.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def presence() -> Callable[[], bool]:
    """Tells, from any thread, whether the browser of this visitor is still there; where there is no server: yes."""
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return lambda: True
    return partial(runtime.get_instance().is_active_session, context.session_id)


def key(field: str) -> str:
    """Session key of a field's widget."""
    return PREFIX + field


def segment_key(segmentation: str, parameter: str) -> str:
    """Session key of a segmentation parameter's widget."""
    return f"{PREFIX}segments.{segmentation}.{parameter}"


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
        st.session_state["wanted"] = None
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


def held_layer() -> str:
    """The layer, or the layers joined, that the two widgets hold; empty for the default."""
    if key("layer") not in st.session_state:
        return current().layer
    names = [st.session_state[key("layer")] or "", *(st.session_state.get(key("more_layers")) or [])]
    return PLUS.join(dict.fromkeys(filter(None, names)))


def with_fields(**changes: Any) -> ExploreState:
    """The current state with some fields changed."""
    # What the widgets hold may be newer than the last state: a run that was cut short never read them.
    live = {field: _held(field) for field in WIDGET_FIELDS}
    live["layer"] = held_layer()
    return dataclasses.replace(current(), **{**live, **changes})


def put(state: ExploreState, problems: Sequence[str] = (), chosen_for: str = "") -> None:
    """Make a state current and set every widget to it. Only before the widgets are drawn, or in a callback.

    ``chosen_for``: the model that layer and class were chosen for, where it may be another one.
    """
    st.session_state["wanted"] = None
    state, more = reachable(state, chosen_for)
    note([*problems, *more])
    st.session_state["state"] = state
    st.session_state["upload_error"] = st.session_state["state_error"] = None
    for field in WIDGET_FIELDS:
        st.session_state[key(field)] = getattr(state, field)
    first, *more = state.layer.split(PLUS)
    st.session_state[key("layer")] = first or None
    st.session_state[key("more_layers")] = more
    st.session_state[key("image_set")] = set_of(state.image)
    image_sets.follow(state.image)
    for name, value in state.segment_parameters.items():
        st.session_state[segment_key(state.segmentation, name)] = value


def change_model(name: str) -> None:
    """Go to another model, with the layer and the class where it has them. Only where ``put`` may be called."""
    put(with_fields(model=name), chosen_for=current().model)


def _loaded(name: str) -> Classifier | None:
    try:
        return load_classifier(name)
    except CamLabError:
        return None


def usable_model() -> Classifier:
    """The current model, or the first whose weights are here. Raises MissingWeights where none is."""
    failure: CamLabError | None = None
    for name in dict.fromkeys([current().model, *MODELS]):
        try:
            return load_classifier(name)
        except CamLabError as error:
            failure = failure or error
    raise failure or CamLabError("There is no model to choose from; reinstall CAM Lab.")


def reachable(state: ExploreState, chosen_for: str = "") -> tuple[ExploreState, list[str]]:
    """The state with whatever this session does not have replaced by what it was, and a sentence for each.

    ``chosen_for`` as in ``put``.
    """
    problems = []
    before = _loaded(chosen_for) if chosen_for not in ("", state.model) else None
    try:
        classifier = load_classifier(state.model)
    except CamLabError as error:
        classifier, before = usable_model(), None
        problems.append(f"{_absent(state.model, error)} Until then {classifier.title} is used.")
        now = current() if current().model == classifier.name else ExploreState(model=classifier.name)
        state = dataclasses.replace(state, model=now.model, layer=now.layer)
        if state.rule == "fixed":  # the class is one of the other model's
            state = dataclasses.replace(state, rule=now.rule, target=now.target)
    state, more = image_sets.reachable(state, current().image)
    problems += more
    state, more = switched(state, before, classifier)
    return state, problems + more


def _absent(name: str, error: CamLabError) -> str:
    """Why a model cannot be used; where it only has to be downloaded, that is offered beside the sentence."""
    downloadable = isinstance(error, MissingWeights) and name.startswith(CATALOGUE_PREFIX)
    if downloadable and badge(name) is Badge.DOWNLOAD:
        st.session_state["wanted"] = name
        return f"The weights of {name} are not on this machine; download them first."
    return str(error)


def wanted() -> str | None:
    """The model that was asked for and has to be downloaded first, while the notice about it stands."""
    name: str | None = st.session_state.get("wanted")
    return name


def adopt_link() -> None:
    """Take over the state that the address bar asks for, where it is not the one this session wrote there."""
    link = address.asked(PAGE)
    if link is None:
        restore_lost_widgets()
    elif not link and "state" in st.session_state and PAGE + ".link" not in st.session_state:
        put(with_fields())  # chosen on another page, before this one was ever open
    else:
        rest, problems = attack_link.adopt(link)
        state, more = parse_query(rest)
        put(state, [*more, *problems])
        address.take(PAGE, link)


def restore_lost_widgets() -> None:
    """Fill widgets whose value Streamlit dropped (another page was open) or that came empty from the browser."""
    lost = any(st.session_state.get(key(field)) is None for field in ("model", "severity", "view", "scope"))
    # A checkpoint goes, too, when others' have pushed it out of memory.
    if lost or _loaded(current().model) is None:
        put(with_fields())


def set_field(field: str, value: Any) -> None:
    """Set one widget from a callback and make the whole page follow, also from inside a fragment."""
    st.session_state[key(field)] = value
    st.session_state["rerun"] = True


def follow_callbacks() -> None:
    """Inside a fragment: rerun the whole page where a callback changed a widget outside the fragment."""
    if st.session_state.pop("rerun", False):
        st.rerun()


def read_widgets(parameters: dict[str, float], classifier: Classifier) -> ExploreState:
    """The state that the widgets show, made current and written to the address bar."""
    state = read_state(parameters, classifier)
    address.write(PAGE, to_query(state) | attack_link.parameters())
    return state


def read_state(parameters: dict[str, float], classifier: Classifier) -> ExploreState:
    """The state that the widgets show, made current."""
    values = {field: _held(field) for field in WIDGET_FIELDS}
    layer = classifier.resolve_layer(held_layer())
    # The default layer is said by saying nothing, so that a link without a layer is the same state.
    values["layer"] = "" if layer == classifier.default_layer else layer
    state, problems = settle(ExploreState(**values, segments=tuple(sorted(parameters.items()))))
    note(problems)
    st.session_state["state"] = state
    st.session_state.pop("rerun", None)
    return state
