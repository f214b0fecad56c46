"""The mapping behind everything that can be chosen by name."""

from __future__ import annotations

from typing import Any

import pytest

from camlab.common.errors import CamLabError, UnknownName
from camlab.common.registry import Registry


@pytest.fixture
def fruits() -> Registry[int]:
    registry: Registry[int] = Registry("fruit")
    for name, number in (("pear", 3), ("apple", 1), ("plum", 2)):
        registry.add(name, number)
    return registry


def test_keeps_the_order_in_which_entries_were_added(fruits: Registry[int]) -> None:
    assert list(fruits) == ["pear", "apple", "plum"]
    assert list(fruits.values()) == [3, 1, 2]
    assert dict(fruits) == {"pear": 3, "apple": 1, "plum": 2}
    assert len(fruits) == 3


def test_add_returns_the_entry_so_that_a_decorator_can(fruits: Registry[int]) -> None:
    assert fruits.add("fig", 7) == 7
    assert fruits["fig"] == 7


def test_a_name_is_given_once(fruits: Registry[int]) -> None:
    with pytest.raises(ValueError, match=r"^fruit 'pear' is registered twice$"):
        fruits.add("pear", 9)
    assert fruits["pear"] == 3


def test_contains_and_get_do_not_raise(fruits: Registry[int]) -> None:
    assert "plum" in fruits
    assert "grape" not in fruits
    number: Any = 7
    assert number not in fruits
    assert fruits.get("plum") == 2


def test_an_unknown_name_is_told_with_the_nearest_one(fruits: Registry[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        fruits["appel"]
    assert str(caught.value) == "There is no fruit called 'appel'; did you mean 'apple'?"
    assert isinstance(caught.value, CamLabError)
    assert caught.value.__suppress_context__, "the KeyError inside is no news to the user"


def test_an_unknown_name_unlike_all_others_is_told_with_all_of_them(fruits: Registry[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        fruits["xyz"]
    assert str(caught.value) == "There is no fruit called 'xyz'; choose one of: pear, apple, plum."


def test_a_long_name_is_cut_in_the_message(fruits: Registry[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        fruits["x" * 1000]
    assert "'" + "x" * 60 + "'" in str(caught.value)
    assert "x" * 61 not in str(caught.value)
