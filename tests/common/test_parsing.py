"""Parsers take what they name and reject the rest with one sentence."""

from __future__ import annotations

import pytest

from camlab.common.errors import BadSetting, UnknownName
from camlab.common.parsing import flag, integer, member, number
from camlab.common.registry import Registry


def test_a_number_within_its_bounds() -> None:
    parse = number(0, 5)
    assert [parse(text) for text in ("0", " 2.5 ", "5", "1e0")] == [0, 2.5, 5, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("two", "'two' is not a number; choose one from 0 to 5."),
        ("", "'' is not a number; choose one from 0 to 5."),
        ("x" * 99, f"'{'x' * 30}' is not a number; choose one from 0 to 5."),
        ("5.1", "5.1 is outside 0 to 5."),
        ("-1", "-1 is outside 0 to 5."),
        ("nan", "nan is outside 0 to 5."),
        ("inf", "inf is outside 0 to 5."),
    ],
)
def test_what_is_no_number_within_the_bounds(text: str, said: str) -> None:
    with pytest.raises(BadSetting) as caught:
        number(0, 5)(text)
    assert str(caught.value) == said


def test_multiples_of_a_step() -> None:
    parse = number(0, 1, 0.1)
    assert parse("0.3") == 0.3 and parse("0.7") == 0.7  # 0.7 / 0.1 is not 7 in floats
    with pytest.raises(BadSetting, match=r"^0\.25 is not a multiple of 0\.1\.$"):
        parse("0.25")


def test_whole_numbers() -> None:
    parse = integer(1, 9)
    found = parse("3.0")
    assert found == 3 and type(found) is int
    with pytest.raises(BadSetting, match=r"^3\.5 is not a whole number; choose one from 1 to 9\.$"):
        parse("3.5")
    with pytest.raises(BadSetting, match="is outside 1 to 9"):
        parse("10")


def test_a_name_of_a_registry() -> None:
    fruits: Registry[int] = Registry("fruit")
    fruits.add("plum", 1)
    assert member(fruits)("plum") == "plum"
    with pytest.raises(UnknownName, match="plum"):
        member(fruits)("grape")


def test_a_switch() -> None:
    assert [flag(text) for text in ("1", "0", "")] == [True, False, False]
    with pytest.raises(BadSetting, match="'yes' is neither 1"):
        flag("yes")
