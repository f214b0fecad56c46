from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.study_rows import COINCIDE, simulated_rows
from camlab.study.analysis.filters import OUTCOMES, SAME, Filters
from camlab.study.analysis.summary import merge_methods

NAMES = st.lists(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20), max_size=4).map(tuple)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return simulated_rows(3000, seed=2, pictures=4)


def passes(row: dict[str, Any], filters: Filters) -> bool:
    """The rule again, row by row, without the same pictures."""
    lists = {
        "model": filters.models, "image_set": filters.sets, "method": filters.methods, "layer": filters.layers,
        "noise": filters.noises, "severity": filters.severities,
    }  # fmt: skip
    if any(chosen and row[column] not in chosen for column, chosen in lists.items()):
        return False
    of_outcome: dict[str, bool] = {
        "all": True,
        "kept": not row["flipped"],
        "flipped": row["flipped"],
        "near": row["flipped"] and row["near"],
        "far": row["flipped"] and not row["near"],
    }
    return of_outcome[filters.outcome]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(models=("resnet18",), severities=(5.0, 1.0)),
        Filters(sets=("photos",), methods=("gradcam", "eigencam"), layers=("blocks.5",)),
        Filters(noises=("fog", "no such"), outcome="kept"),
        *(Filters(outcome=name) for name in OUTCOMES),
        Filters(models=("no such",)),
    ],
    ids=lambda filters: str(filters.to_query()),
)
def test_rows_that_pass(rows: pd.DataFrame, filters: Filters) -> None:
    expected = [i for i, row in enumerate(rows.to_dict("records")) if passes(row, filters)]
    assert filters.apply(rows).index.tolist() == expected
    assert filters.apply(rows.astype({"model": str, "method": str})).index.tolist() == expected


@pytest.mark.parametrize("same", ["outcomes", "severities"])
def test_the_same_pictures_are_looked_for_in_every_cell(rows: pd.DataFrame, same: str) -> None:
    rows = rows[rows.method.isin(["gradcam", "eigencam"]) & rows.noise.isin(["fog", "contrast"])]
    wanted = []
    for _, cell in rows.groupby(["model", "method", "layer", "noise"], observed=True):
        usable = cell[~cell.degenerate]
        levels = set(cell.severity)
        for _, part in cell.groupby("image", observed=True):
            mine = usable.loc[usable.index.intersection(part.index)]
            kept, lost = set(mine.severity[~mine.flipped]), set(mine.severity[mine.flipped])
            if same == "outcomes":
                wanted += part.index[part.severity.isin(kept & lost)].tolist()
            elif kept == levels:
                wanted += part.index.tolist()
    assert wanted
    assert Filters(same=same).apply(rows).index.tolist() == sorted(wanted)
    flipped = [i for i in sorted(wanted) if rows.flipped[i]]
    assert Filters(same=same, outcome="flipped").apply(rows).index.tolist() == flipped


def test_joined_methods_pass_under_any_of_their_names(rows: pd.DataFrame) -> None:
    joint = "gradcam = xgradcam = hirescam"
    merged = merge_methods(rows, COINCIDE)
    assert set(Filters(methods=("xgradcam",)).apply(merged).method) == {"xgradcam", joint}
    assert set(Filters(methods=(joint,)).apply(merged).method) == {joint}
    assert set(Filters(methods=(joint,)).apply(rows).method) == set(joint.split(" = "))


def test_options_are_what_the_rows_hold(rows: pd.DataFrame) -> None:
    options = Filters.options(rows[rows.severity > 2])
    assert options["severities"] == [3.0, 4.0, 5.0]
    assert options["methods"] == list(rows.method.cat.categories)
    assert options["outcome"] == ["all", "kept", "flipped", "near", "far"]
    assert set(options) == set(Filters.__dataclass_fields__)


def test_values_that_a_study_lacks_are_named_and_left_out(rows: pd.DataFrame) -> None:
    filters = Filters(models=("resnet18", "vgg"), severities=(3.0, 2.5), methods=("gradcam",))
    left, wrong = filters.checked(rows)
    assert left == Filters(models=("resnet18",), severities=(3.0,), methods=("gradcam",))
    assert wrong == [
        "This study has no model 'vgg'; the filter ignores it.",
        "This study has no severity '2.5'; the filter ignores it.",
    ]


def test_filters_are_values() -> None:
    assert Filters(models=("b", "a", "b")) == Filters(models=("a", "b"))
    assert hash(Filters(models=("b", "a"))) == hash(Filters(models=("a", "b")))
    assert Filters().to_query() == {}


@given(
    NAMES,
    NAMES,
    st.lists(st.floats(0, 5)).map(tuple),
    st.sampled_from(list(OUTCOMES)),
    st.sampled_from(list(SAME)),
)
def test_link_and_back(
    models: tuple[str, ...], layers: tuple[str, ...], severities: tuple[float, ...], outcome: str, same: str
) -> None:
    filters = Filters(models, layers=layers, severities=severities, outcome=outcome, same=same)
    query = filters.to_query()
    assert all(isinstance(key, str) and isinstance(text, str) for key, text in query.items())
    assert Filters.parse_query(query) == (filters, [])


def test_links_stay_legible() -> None:
    filters = Filters(methods=("gradcam = hirescam", "a,b"), severities=(0.5, 3.0), outcome="near")
    assert filters.to_query() == {
        "methods": "a%2Cb,gradcam = hirescam",
        "severities": "0.5,3",
        "outcome": "near",
    }


@given(st.dictionaries(st.sampled_from(["models", "severities", "outcome", "same", "other"]), st.text(max_size=30)))
def test_no_link_raises(texts: dict[str, str]) -> None:
    filters, wrong = Filters.parse_query(texts)
    assert Filters.parse_query(filters.to_query()) == (filters, [])
    assert all(sentence.endswith(".") for sentence in wrong)


def test_bad_values_are_sentences() -> None:
    texts = {"severities": "3,seven,9,nan", "outcome": "lost", "same": "x", "models": "," * 600}
    filters, wrong = Filters.parse_query(texts)
    assert filters == Filters(severities=(3.0,))
    assert len(wrong) == 4
    assert "'seven', '9', 'nan'" in wrong[1]
    assert np.all([len(sentence) < 200 for sentence in wrong])
