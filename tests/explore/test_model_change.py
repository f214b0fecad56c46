"""What of a state goes along to another model."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camlab.common.errors import UnknownName
from camlab.explore.model_change import matching_class, switched
from camlab.explore.state import ExploreState

DEFAULT = "head"


@dataclass
class Model:
    """As much of a classifier as matters here."""

    name: str
    class_names: tuple[str, ...] = ("ant", "bee")
    layers: tuple[str, ...] = ("body.0", "body.1", DEFAULT)
    default_layer: str = DEFAULT
    title: str = field(init=False)

    def __post_init__(self) -> None:
        self.title = self.name.upper()

    def resolve_layer(self, name: str | None) -> str:
        for part in (name or self.default_layer).split("+"):
            if part not in self.layers:
                raise UnknownName(part)
        return name or self.default_layer


def go(state: ExploreState, old: Model | None, new: Model) -> tuple[ExploreState, list[str]]:
    return switched(state, old, new)  # type: ignore[arg-type]


def test_what_the_new_model_has_too_is_kept_without_a_word() -> None:
    for layer in ("body.0", "body.0+head", ""):
        state = ExploreState(model="a", layer=layer, rule="fixed", target=1)
        found, problems = go(state, Model("a"), Model("b"))
        assert (found.model, found.layer, found.target, problems) == ("b", layer, 1, [])


def test_the_default_layer_stays_the_default() -> None:
    new = Model("b", layers=("stages.0", "norm"), default_layer="norm")
    for old in (Model("a"), None):
        found, problems = go(ExploreState(layer=DEFAULT if old else ""), old, new)
        assert (found.layer, problems) == ("", [])
    assert go(ExploreState(layer="norm"), None, new)[0].layer == ""
    # Chosen in a network where it is not the default, it is a choice.
    kept = Model("c", layers=(DEFAULT, "norm"), default_layer="norm")
    assert go(ExploreState(layer=DEFAULT), None, kept)[0].layer == DEFAULT


@pytest.mark.parametrize("layer", ["body.0", "body.0+norm"])
def test_a_layer_that_is_not_there_gives_way_to_the_default_and_is_told(layer: str) -> None:
    new = Model("b", layers=("stages.0", "norm"), default_layer="norm")
    found, problems = go(ExploreState(layer=layer), Model("a"), new)
    assert found.layer == ""
    assert problems == [f"B has no layer called '{layer}'; its default layer norm is used."]


def test_a_fixed_class_is_followed_by_its_name() -> None:
    state = ExploreState(rule="fixed", target=1)
    old = Model("a", class_names=("ant, emmet", "bee, honeybee"))
    found, problems = go(state, old, Model("b", class_names=("Bee", "cat")))
    assert (found.rule, found.target, problems) == ("fixed", 0, [])
    found, problems = go(state, old, Model("b", class_names=("cat", "dog")))
    assert (found.rule, found.target) == ("own", None)
    assert problems == ["B has no class “bee”; each picture's own prediction is used."]


def test_without_the_other_model_the_number_counts() -> None:
    state = ExploreState(rule="fixed", target=1)
    assert go(state, None, Model("b"))[0].target == 1
    for target in (2, None):
        found, problems = go(ExploreState(rule="fixed", target=target), None, Model("b"))
        assert (found.rule, found.target) == ("own", None)
        assert problems == [f"Class {target} is outside 0 to 1; each picture's own prediction is used."]
    # What is not used is not looked at.
    assert go(ExploreState(rule="clean", target=9), None, Model("b"))[1] == []


NAMES = st.lists(st.sampled_from(["ant", "bee", "bee, honeybee", "Cat", "cat", "dog, hound"]), max_size=6)


@given(NAMES, NAMES, st.integers(-1, 7))
def test_a_class_that_is_found_has_its_name(old: list[str], new: list[str], target: int) -> None:
    found = matching_class(target, old, new)
    names = [name.split(",")[0].lower() for name in new]
    if not old:
        assert found == (target if 0 <= target < len(new) else None)
    elif not 0 <= target < len(old):
        assert found is None
    else:
        wanted = old[target].split(",")[0].lower()
        assert (found is None) == (wanted not in names)
        assert found is None or names[found] == wanted
        if old[target] in new and found is not None:
            assert new[found] == old[target]
    assert matching_class(target, new, new) == (target if 0 <= target < len(new) else None)
