"""Going from one model to another: what of a state can be kept, and a sentence for what cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from camlab.common.errors import CamLabError
from camlab.explore.state import ExploreState
from camlab.models import short_name

if TYPE_CHECKING:
    from camlab.models.classifier import Classifier


def switched(state: ExploreState, old: Classifier | None, new: Classifier) -> tuple[ExploreState, list[str]]:
    """The state made one of ``new``, and one sentence for each choice that the new model has nothing for.

    ``old``: the model that layer and class were chosen for; None where it is not known. A fixed class is followed
    by its name where the two models list other classes.
    """
    # The default stays the default: a widget holds its name, but nobody has chosen that layer.
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
        told = f"{new.title} has no layer called {state.layer[:60]!r}; its default layer {new.default_layer} is used."
        return dataclasses.replace(state, layer=""), [told]
    # The default layer is said by saying nothing, so that a link without a layer is the same state.
    return dataclasses.replace(state, layer="" if layer == new.default_layer else layer), []


def _target(state: ExploreState, old: Classifier | None, new: Classifier) -> tuple[ExploreState, list[str]]:
    known = () if old is None else old.class_names
    target = -1 if state.target is None else state.target
    place = matching_class(target, known, new.class_names)
    if place is not None:
        return dataclasses.replace(state, target=place), []
    lost = (
        f"Class “{short_name(known[target])}” is none of those of {new.title}"
        if 0 <= target < len(known)
        else f"Class {state.target} is outside 0 to {len(new.class_names) - 1}"
    )
    state = dataclasses.replace(state, rule=ExploreState().rule, target=None)
    return state, [f"{lost}; each picture's own prediction is used."]


def matching_class(target: int, old: Sequence[str], new: Sequence[str]) -> int | None:
    """The index in ``new`` of the class numbered ``target`` in ``old``, by its name; None where it is not there.

    Where nothing is known of the old list (it is empty) the number itself counts.
    """
    if not 0 <= target < len(old):
        return target if not old and 0 <= target < len(new) else None
    if target < len(new) and new[target] == old[target]:  # most lists are the same, and may hold a name twice
        return target
    if old[target] in new:
        return new.index(old[target])
    wanted = short_name(old[target]).lower()
    return next((i for i, name in enumerate(new) if short_name(name).lower() == wanted), None)
