"""A comparison as a value: its way into a link and back, its cells, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from camlab.common.errors import CamLabError
from camlab.explore.compare.state import (
    AXES,
    MOST_COLUMNS,
    MOST_PINS,
    SORTS,
    CompareState,
    Place,
    parse_link,
    parse_place,
    place,
    to_link,
)
from camlab.explore.state import ExploreState, to_query

PIN = Place("gradcam", "shapes_vgg", "fog", 2.25, 3)
BASE = ExploreState(model="shapes_resnet", image="shapes/0-1", severity=2.0, seed=7, p=0.8)


@pytest.mark.parametrize(
    "state",
    [
        CompareState(),
        CompareState(base=BASE),
        CompareState(BASE, ("eigencam", "gradcam++"), "noise", ("fog", "shot_noise"), "most"),
        CompareState(BASE, axis="seed", columns=("4", "12"), pins=(PIN, PIN.clean), a=PIN, b=PIN.clean),
        CompareState(BASE, axis="model", columns=("shapes_vgg", "efficientnet_lite0"), sort="least"),
    ],
)
def test_a_link_gives_the_same_comparison_back(state: CompareState) -> None:
    assert parse_link(to_link(state)) == (state, [])


def test_the_link_of_an_explore_page_is_a_comparison_of_its_picture() -> None:
    explored = ExploreState(model="shapes_vgg", image="shapes/0-3", method="eigencam", noise="fog", severity=1.0)
    state, problems = parse_link(to_query(explored))
    assert state.base == explored and not problems
    assert state.cell("gradcam", 4.0) == Place("gradcam", "shapes_vgg", "fog", 4.0, 0)


def test_what_a_link_gets_wrong_is_said_and_the_rest_is_kept() -> None:
    link = {
        "model": "shapes_vgg",
        "axis": "severity",
        "columns": "1,9",
        "methods": "gradcam,nocam",
        "sort": "loudest",
        "pins": "gradcam~shapes_vgg",
        "a": PIN.text,
        "colour": "red",
    }
    state, problems = parse_link(link)
    assert state == CompareState(base=ExploreState(model="shapes_vgg"), a=PIN)
    for word in ("columns", "methods", "sort", "pins", "colour"):
        assert any(word in problem for problem in problems), word
    assert len(problems) == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("columns", ",".join(str(i) for i in range(MOST_COLUMNS + 1))),
        ("pins", ",".join(Place("gradcam", "shapes_vgg", "fog", 1.0, i).text for i in range(MOST_PINS + 1))),
    ],
)
def test_a_link_cannot_ask_for_more_than_can_be_shown(name: str, text: str) -> None:
    state, problems = parse_link({"axis": "seed", name: text})
    assert getattr(state, name) == () and len(problems) == 1


@pytest.mark.parametrize(
    "text", ["", "gradcam", "gradcam~shapes_vgg~fog", "nocam~shapes_vgg~clean", "gradcam~shapes_vgg~fog~6~0",
             "gradcam~shapes_vgg~fog~1~x", "gradcam~shapes_vgg~clean~1~0"],
)  # fmt: skip
def test_a_text_that_names_no_cell_is_refused(text: str) -> None:
    with pytest.raises(CamLabError):
        parse_place(text)


def test_a_cell_has_one_name() -> None:
    assert place("gradcam", "shapes_vgg", "fog", 0.0, 5) == Place("gradcam", "shapes_vgg")
    assert place("gradcam", "shapes_vgg", "gaussian_blur", 2, 5).seed == 0
    assert parse_place("gradcam~shapes_vgg~gaussian_blur~2~5") == parse_place("gradcam~shapes_vgg~gaussian_blur~2~0")
    assert parse_place(PIN.text) == PIN and PIN.clean.clean == PIN.clean
    assert PIN.version == Place("eigencam", "shapes_vgg", "fog", 2.25, 3).version != PIN.clean.version


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_has_columns_that_differ_in_nothing_else(axis: str) -> None:
    state = CompareState(base=BASE, axis=axis)
    cells = [state.cell("gradcam", value) for value in state.values]
    assert len(set(cells)) == len(cells) >= 3
    fixed = {"noise", "severity", "seed", "model"} - {axis}
    for name in fixed - ({"seed"} if axis == "noise" else set()):  # some types draw nothing
        assert len({getattr(cell, name) for cell in cells}) == 1, name
    assert all(AXES[axis].label(value) for value in state.values)


def test_a_cells_explore_state_is_the_cell() -> None:
    state = CompareState(base=BASE)
    found = state.at(PIN)
    assert (found.method, found.noise, found.severity, found.seed) == ("gradcam", "fog", 2.25, 3)
    assert (found.image, found.p) == (BASE.image, BASE.p)
    assert state.at(PIN.clean).severity == 0


def test_what_is_news_on_the_explore_page_becomes_a_row_and_a_column() -> None:
    first = CompareState(base=ExploreState(method="gradcam", severity=1.0))
    explored = ExploreState(method="scorecam_top", severity=2.75, noise="fog")
    state = first.reached_from(explored)
    assert state.base == explored and set(state.rows) == {*first.rows, "scorecam_top"}
    assert state.values == (1.0, 2.0, 2.75, 3.0, 4.0, 5.0)
    # What was taken out of the comparison since stays out.
    less = dataclasses.replace(state, methods=("gradcam",), columns=("1",))
    assert less.reached_from(explored) == less
    assert less.reached_from(dataclasses.replace(explored, seed=4)).values == (1.0,)


def test_the_clean_picture_and_what_is_listed_already_become_no_column() -> None:
    first = CompareState(base=ExploreState(severity=2.0))
    for severity in (0.0, 4.0):
        assert first.reached_from(ExploreState(severity=severity)).columns == ()
    models = CompareState(base=BASE, axis="model", columns=("shapes_vgg",))
    assert models.reached_from(dataclasses.replace(BASE, model="shapes_vit")).columns == (
        "shapes_vgg",
        "shapes_vit",
    )
    full = CompareState(base=BASE, axis="seed", columns=tuple(map(str, range(MOST_COLUMNS))))
    assert full.reached_from(dataclasses.replace(BASE, seed=99)).columns == full.columns


def test_eigen_smoothing_is_off_where_a_method_has_nothing_to_smooth() -> None:
    state = CompareState(base=ExploreState(eigen=True))
    assert state.at(Place("gradcam", state.base.model)).eigen
    assert not state.at(Place("eigencam", state.base.model)).eigen


def test_orders_are_those_that_the_page_offers() -> None:
    assert list(SORTS) == ["listed", "most", "least"]
