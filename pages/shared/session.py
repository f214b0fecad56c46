"""The server's shared engines and worker, and the state of a visitor's session behind the widgets of Explore."""

import dataclasses
import gc
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from camlab.common.errors import CamLabError, MissingWeights
from camlab.common.jobs import Worker
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.attack.settings import DEFAULTS, OTHER, from_link, to_link
from camlab.explore.attack.settings import PREFIX as ATTACK_PREFIX
from camlab.explore.model_change import switched
from camlab.explore.state import ExploreState, parse_query, settle, to_query
from camlab.images import set_of
from camlab.models import MAX_LOADED, MODELS, Classifier, load_classifier
from camlab.models.hub.catalogue import PREFIX as CATALOGUE_PREFIX
from camlab.models.hub.catalogue import Badge, badge
from camlab.models.network.split import PLUS
from pages.shared import image_sets
from pages.shared.page_state import Choices, PageState

WIDGET_FIELDS = tuple(f.name for f in dataclasses.fields(ExploreState) if f.name != "segments")
# Fields whose widget is never empty: all but the layer (empty: the default) and the fixed class.
FILLED_FIELDS = tuple(f for f in WIDGET_FIELDS if getattr(ExploreState(), f) not in (None, ""))


@st.cache_resource
def worker() -> Worker:
    """Return the one background worker of this server."""
    return Worker()


@st.cache_resource(max_entries=MAX_LOADED)
def engine(model: str) -> Engine:
    """Return the engine of a model, shared by all visitors. Raises MissingWeights."""
    found = engine_for(model)
    # After every run of a script Streamlit collects garbage, which visits half a million objects of libraries and
    # networks while all other threads wait. These objects stay alive, so exempt them.
    spare_garbage_collection()
    return found


def spare_garbage_collection() -> None:
    """Exempt all living objects from garbage collection, after freeing exempted ones that are no longer used.

    An evicted network is such garbage, because its traced layers and their graphs refer to each other.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def presence() -> Callable[[], bool]:
    """Return a thread-safe check whether this visitor's browser is connected; always True without a server."""
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return lambda: True
    return partial(runtime.get_instance().is_active_session, context.session_id)


class ExplorePage(PageState):
    """The state that Explore and Compare share, and the settings of its attack."""

    def link(self) -> dict[str, str]:
        """Return the parameters of the link to the current state and the attack's settings."""
        return to_query(current()) | to_link({name: attack.chosen(name) for name in attack.defaults})

    def take(self, link: dict[str, str]) -> list[str]:
        """Make the state of a link current; replace what this session does not have, with a notice for each."""
        if not link and "state" in st.session_state and self.key("link") not in st.session_state:
            put(with_fields())  # choices made on another page before this one was first opened
            return []
        settings, problems = from_link(link)
        for name, value in settings.items():
            attack.choose(name, value)
        state, more = parse_query({name: text for name, text in link.items() if not name.startswith(ATTACK_PREFIX)})
        put(state, [*more, *problems])
        return []

    def restore(self, returned: bool) -> None:
        """Fill the widgets that Streamlit has forgotten."""
        restore_lost_widgets()

    def notices(self) -> list[str]:
        """Return the notices about the state on screen; without them, drop the offer to download a model."""
        found = super().notices()
        if not found:
            st.session_state["wanted"] = None
        return found


page = ExplorePage("explore")
attack = Choices("attack", {**DEFAULTS, OTHER: ""})


def key(field: str) -> str:
    """Return the session key of a field's widget."""
    return page.key(field)


def segment_key(segmentation: str, parameter: str) -> str:
    """Return the session key of a segmentation parameter's widget."""
    return key(f"segments.{segmentation}.{parameter}")


def current() -> ExploreState:
    """Return the last good state."""
    state: ExploreState = st.session_state.setdefault("state", ExploreState())
    return state


def start(field: str) -> Any:
    """Return the value with which to draw a field's widget.

    The session key decides what the widget shows, but a browser that mounts it late reports the value it was drawn
    with. For a slider without a value that is its minimum, which would count as the visitor's choice.
    """
    return getattr(current(), field)


def select(label: str, field: str, options: Iterable[Any], title: Callable[[Any], str], help: str, **more: Any) -> Any:
    """Draw the select box of a field; return its value."""
    offered, value = list(options), start(field)
    index = offered.index(value) if value in offered else 0
    return st.selectbox(label, offered, index=index, format_func=title, key=key(field), help=help, **more)


def slide(label: str, field: str, low: float, high: float, step: float, help: str, disabled: bool = False) -> float:
    """Draw the slider of a field; return its value."""
    value: float = st.slider(label, low, high, start(field), step=step, key=key(field), help=help, disabled=disabled)
    return value


def _held(field: str) -> Any:
    """Return the value of a field's widget, or the current state's if the widget is gone or empty."""
    known = getattr(current(), field)
    value = st.session_state.get(key(field), known)
    # A browser that answers before it has drawn a widget sends None.
    return known if value is None and field in FILLED_FIELDS else value


def reported(widget: str) -> Any:
    """Return a widget's value; None if it is gone, because a callback can arrive after its widget was removed."""
    return st.session_state.get(widget)


def held_layer() -> str:
    """Return the layer, or the joined layers, that the two widgets hold; empty for the default."""
    if key("layer") not in st.session_state:
        return current().layer
    names = [st.session_state[key("layer")] or "", *(st.session_state.get(key("more_layers")) or [])]
    return PLUS.join(dict.fromkeys(filter(None, names)))


def with_fields(**changes: Any) -> ExploreState:
    """Return the current state with some fields changed."""
    # The widgets may be newer than the last state, because an interrupted run never read them.
    live = {field: _held(field) for field in WIDGET_FIELDS}
    live["layer"] = held_layer()
    return dataclasses.replace(current(), **{**live, **changes})


def put(state: ExploreState, problems: Sequence[str] = (), chosen_for: str = "") -> None:
    """Make a state current and set every widget to it; only in a callback or before the widgets are drawn.

    ``chosen_for``: the model for which layer and class were chosen, if it may be another one.
    """
    st.session_state["wanted"] = None
    state, more = reachable(state, chosen_for)
    page.say([*problems, *more])
    st.session_state["state"] = state
    st.session_state["upload_error"] = st.session_state["state_error"] = None
    first, *more = state.layer.split(PLUS)
    widgets = {field: getattr(state, field) for field in WIDGET_FIELDS}
    widgets |= {"layer": first or None, "more_layers": more, "image_set": set_of(state.image)}
    widgets |= {f"segments.{state.segmentation}.{name}": value for name, value in state.segment_parameters.items()}
    for name, value in widgets.items():
        page.put(name, value)
    image_sets.follow(state.image)


def change_model(name: str) -> None:
    """Change the model, keeping layer and class if the new one has them; only where ``put`` may be called."""
    put(with_fields(model=name), chosen_for=current().model)


def _loaded(name: str) -> Classifier | None:
    try:
        return load_classifier(name)
    except CamLabError:
        return None


def usable_model() -> Classifier:
    """Return the current model, or the first with weights on this machine. Raises MissingWeights if there is none."""
    failure: CamLabError | None = None
    for name in dict.fromkeys([current().model, *MODELS]):
        try:
            return load_classifier(name)
        except CamLabError as error:
            failure = failure or error
    raise failure or CamLabError("No model is available; reinstall CAM Lab.")


def reachable(state: ExploreState, chosen_for: str = "") -> tuple[ExploreState, list[str]]:
    """Replace what this session does not have by its current choice; return the state and a sentence for each.

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
        if state.rule == "fixed":  # the class belongs to the other model
            state = dataclasses.replace(state, rule=now.rule, target=now.target)
    state, more = image_sets.reachable(state, current().image)
    problems += more
    state, more = switched(state, before, classifier)
    return state, problems + more


def _absent(name: str, error: CamLabError) -> str:
    """Return why a model cannot be used, and offer the download if only its weights are missing."""
    downloadable = isinstance(error, MissingWeights) and name.startswith(CATALOGUE_PREFIX)
    if downloadable and badge(name) is Badge.DOWNLOAD:
        st.session_state["wanted"] = name
        return f"The weights of {name} are not on this machine; download them first."
    return str(error)


def wanted() -> str | None:
    """Return the model of a link that must be downloaded first, as long as the notice about it is shown."""
    name: str | None = st.session_state.get("wanted")
    return name


def restore_lost_widgets() -> None:
    """Fill the widgets whose value Streamlit dropped on another page or that the browser sent empty."""
    lost = any(st.session_state.get(key(field)) is None for field in ("model", "severity", "view", "scope"))
    # A visitor's checkpoint is lost when other visitors' checkpoints have evicted it from memory.
    if lost or _loaded(current().model) is None:
        put(with_fields())


def set_field(field: str, value: Any) -> None:
    """Set one widget from a callback and rerun the whole page, also from inside a fragment."""
    page.put(field, value)
    st.session_state["rerun"] = True


def follow_callbacks() -> None:
    """Rerun the whole page, from inside a fragment, if a callback changed a widget outside it."""
    if st.session_state.pop("rerun", False):
        st.rerun()


def read_widgets(parameters: dict[str, float], classifier: Classifier) -> ExploreState:
    """Return the state that the widgets show, made current and written to the address bar."""
    state = read_state(parameters, classifier)
    page.write()
    return state


def read_state(parameters: dict[str, float], classifier: Classifier) -> ExploreState:
    """Return the state that the widgets show, made current."""
    values = {field: _held(field) for field in WIDGET_FIELDS}
    layer = classifier.resolve_layer(held_layer())
    # The default is stored as an empty string, so that a link without a layer is the same state.
    values["layer"] = "" if layer == classifier.default_layer else layer
    state, problems = settle(ExploreState(**values, segments=tuple(sorted(parameters.items()))))
    page.say(problems)
    st.session_state["state"] = state
    st.session_state.pop("rerun", None)
    return state
