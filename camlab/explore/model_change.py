"""Carry a state over to another model, with a sentence for each choice that the model does not have."""

import dataclasses
from collections.abc import Sequence

from camlab.common.errors import CamLabError
from camlab.explore.state import ExploreState
from camlab.models import Classifier, short_name


def switched(state: ExploreState, old: Classifier | None, new: Classifier) -> tuple[ExploreState, list[str]]:
    """Adapt a state to the model ``new``; return it with one sentence per choice that had to change.

    ``old``: the model for which layer and class were chosen; None: unknown. A fixed class is matched by its name if
    the two models have different class lists.
    """
    # A widget shows the default layer's name although the user has not chosen it: it stays the default.
    default = old is not None and state.layer == old.default_layer
    state = dataclasses.replace(state, model=new.name, layer="" if default else state.layer)
    state, problems = _layer(state, new)
    if state.rule == "fixed":
        state, more = _target(state, old, new)
        problems += more
    return state, problems


def _layer(state: ExploreState, new: Classifier) -> tuple[ExploreState, list[str]]:
    try:
        layer = new.resolve_layer(state.layer)
    except CamLabError:
        problem = (
            f"{new.title} has no layer called {state.layer[:60]!r}; its default layer {new.default_layer} is used."
        )
        return dataclasses.replace(state, layer=""), [problem]
    # The default is stored as an empty string, so that a link without a layer is the same state.
    return dataclasses.replace(state, layer="" if layer == new.default_layer else layer), []


def _target(state: ExploreState, old: Classifier | None, new: Classifier) -> tuple[ExploreState, list[str]]:
    known = () if old is None else old.class_names
    target = -1 if state.target is None else state.target
    place = matching_class(target, known, new.class_names)
    if place is not None:
        return dataclasses.replace(state, target=place), []
    lost = (
        f"{new.title} has no class “{short_name(known[target])}”"
        if 0 <= target < len(known)
        else f"Class {state.target} is outside 0 to {len(new.class_names) - 1}"
    )
    state = dataclasses.replace(state, rule=ExploreState().rule, target=None)
    return state, [f"{lost}; each picture's own prediction is used."]


def matching_class(target: int, old: Sequence[str], new: Sequence[str]) -> int | None:
    """Find the class ``target`` of the list ``old`` in ``new`` by its name; return its index, or None.

    If ``old`` is unknown (empty), the index itself counts.
    """
    if not 0 <= target < len(old):
        return target if not old and 0 <= target < len(new) else None
    if target < len(new) and new[target] == old[target]:  # most lists are equal; they may hold a name twice
        return target
    if old[target] in new:
        return new.index(old[target])
    wanted = short_name(old[target]).lower()
    return next((i for i, name in enumerate(new) if short_name(name).lower() == wanted), None)
