from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.study_rows import COINCIDE, simulated_rows
from camlab.common.errors import BadSetting
from camlab.metrics import macro, robustness, stratified
from camlab.metrics.tally import VALUES
from camlab.study.analysis.summary import DEFAULT_BY, merge_methods, ready, records, scored
from tests.metrics import twins
from tests.metrics.test_robustness import auroc_within

REPLICATES = 100


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return simulated_rows(2500, seed=1, pictures=4, models=("resnet18",))


def part_of(rows: pd.DataFrame, record: dict[str, Any], by: tuple[str, ...]) -> pd.DataFrame:
    """The record's rows by plain comparison, as plain columns."""
    keep = np.ones(len(rows), bool)
    for column in by:
        keep &= np.array([value == record[column] for value in rows[column]])
    return rows[keep].astype({"image": str})


def assert_says(record: dict[str, Any], expected: Any, prefix: str = "") -> None:
    for name in VALUES:
        interval = expected.intervals[name]
        assert record[prefix + name] == pytest.approx(getattr(expected, name), abs=1e-9), name
        for end in ("low", "high", "undefined"):
            value = None if interval is None else getattr(interval, end)
            assert record[f"{prefix}{name}_{end}"] == pytest.approx(value, abs=1e-9), name


def test_averages_say_how_many_they_average(rows: pd.DataFrame) -> None:
    some = rows[~(rows.flipped & (rows.severity == 1))]
    for record in records(some, ("method", "noise"), replicates=0, with_macro=True):
        part = part_of(scored(some), record, ("method", "noise"))
        seen = part[~part.degenerate]
        assert record["stratified_responsiveness_averaged"] == seen[seen.flipped].severity.nunique() < 5
        assert record["stratified_consistency_averaged"] == seen[~seen.flipped].severity.nunique()
        assert record["macro_consistency_averaged"] == seen[~seen.flipped].image.nunique()
        assert "consistency_averaged" not in record


@pytest.mark.parametrize("by", [DEFAULT_BY, ("method", "noise"), ("severity", "method"), ("noise",), ()])
def test_every_record_is_what_the_metrics_say_of_its_rows(rows: pd.DataFrame, by: tuple[str, ...]) -> None:
    found = records(rows, by, replicates=REPLICATES, with_macro=True)
    pairs = scored(rows)
    assert sum(record["n"] for record in found) == len(rows)
    for record in found[:: max(1, len(found) // 12)]:
        part = part_of(pairs, record, by)
        pooled = robustness(part, replicates=REPLICATES)
        assert_says(record, pooled)
        assert_says(record, macro(part, replicates=REPLICATES), "macro_")
        for name in (
            "n",
            "n_pictures",
            "n_flipped",
            "n_near",
            "n_degenerate",
            "n_consistency",
            "n_responsiveness",
        ):
            assert record[name] == getattr(pooled, name)
        assert (record["consistency_worst"], record["consistency_best"]) == pytest.approx(
            pooled.consistency_bounds or (None, None)
        )
        assert record["warnings"] == list(pooled.warnings)
        assert record["n_tied"] == part.tied.sum()
        assert record["auroc_in_picture"] == pytest.approx(auroc_within(part, ["image", "severity"]))
        assert record["random_floor"] == pytest.approx(part.random_floor.mean())
        if "severity" in by:
            assert not any(name.startswith("stratified_") for name in record)
        elif part.severity.nunique() > 1:
            assert_says(record, stratified(part, replicates=REPLICATES), "stratified_")


def test_values_equal_their_definitions(rows: pd.DataFrame) -> None:
    pairs = scored(rows)
    for record in records(rows, ("method", "severity"), replicates=0):
        slow = twins.values_of(part_of(pairs, record, ("method", "severity")))
        for name in VALUES:
            value = np.nan if record[name] is None else record[name]
            assert value == pytest.approx(slow[name], abs=1e-9, nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_neither_the_order_of_rows_nor_that_of_categories_matters(seed: int) -> None:
    rows = simulated_rows(300, seed=seed, pictures=5)
    shuffled = rows.sample(frac=1, random_state=seed)
    shuffled["image"] = shuffled["image"].cat.reorder_categories(rows["image"].cat.categories[::-1])
    one, other = (records(each, ("method", "noise"), replicates=30) for each in (rows, shuffled))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a == {
            key: pytest.approx(value, abs=1e-9) if isinstance(value, float) else value for key, value in b.items()
        }


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_pooling_weighs_cells_by_their_pairs(seed: int) -> None:
    rows = simulated_rows(400, seed=seed, pictures=3)
    cells = records(rows, ("method", "noise", "severity"), replicates=0)
    for pooled in records(rows, ("method",), replicates=0):
        mine = [c for c in cells if c["method"] == pooled["method"] and c["consistency"] is not None]
        total = sum(c["consistency"] * c["n_consistency"] for c in mine)
        assert pooled["consistency"] == pytest.approx(total / sum(c["n_consistency"] for c in mine))
        assert pooled["n"] == sum(c["n"] for c in cells if c["method"] == pooled["method"])


def test_pooling_never_averages_cells() -> None:
    rows = simulated_rows(1, pictures=1).loc[[0] * 4].reset_index(drop=True)
    rows = rows.assign(severity=[1.0, 1.0, 1.0, 2.0], rbo=[0.9, 0.9, 0.9, 0.1], flipped=False, degenerate=False)
    (record,) = records(rows, ("method",), replicates=0)
    assert record["consistency"] == pytest.approx(0.7)
    assert record["stratified_consistency"] == pytest.approx(0.5)


def test_records_are_json_in_the_order_of_the_grid(rows: pd.DataFrame) -> None:
    found = records(rows, ("severity", "method"), replicates=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    keys = [(record["severity"], list(rows.method.cat.categories).index(record["method"])) for record in found]
    assert keys == sorted(keys)
    for by in (DEFAULT_BY, ("method",), ()):
        assert records(rows.iloc[:0], by, with_macro=True) == []


def test_measures_from_minus_one_are_put_on_the_unit_scale(rows: pd.DataFrame) -> None:
    assert scored(rows, "pearson").similarity.equals((1 + rows.pearson) / 2)
    assert scored(rows, "rbo_cells").similarity.equals(rows.rbo_cells)
    (record,) = records(rows, (), "pearson", replicates=0)
    assert record["mean_similarity"] == pytest.approx(((1 + rows.pearson) / 2).mean())
    assert (record["random_floor"], record["other_floor"]) == (None, None)


def test_what_there_is_not_is_refused_with_what_there_is(rows: pd.DataFrame) -> None:
    with pytest.raises(BadSetting, match=r"grouped by 'colour'; choose from: model, image_set, image, method"):
        records(rows, ("method", "colour"))
    with pytest.raises(BadSetting, match=r"no similarity 'dice'; choose one of: rbo, spearman"):
        records(rows, similarity="dice")


# --- methods that are one


def test_coinciding_methods_are_one_record_with_all_their_names(rows: pd.DataFrame) -> None:
    whole = simulated_rows(10**9, pictures=2, models=("resnet18",))
    names = {(r["layer"], r["method"]): r for r in records(whole, ("layer", "method"), coincide=COINCIDE, replicates=0)}
    # Told apart by layer but not by model: there is one model.
    assert ("blocks.6", "gradcam = xgradcam = hirescam") in names
    assert not {("blocks.6", "gradcam"), ("blocks.6", "xgradcam")} & set(names)
    assert ("blocks.5", "gradcam") in names and ("blocks.5", "hirescam") in names
    counts = {r["n"] for r in names.values()}
    assert len(counts) == 1


def test_methods_are_one_only_where_they_coincide_everywhere() -> None:
    whole = simulated_rows(10**9, pictures=2, models=("resnet18",))
    # Pooled over both layers, on one of which they differ.
    assert [r["method"] for r in records(whole, ("method",), coincide=COINCIDE, replicates=0)] == list(
        whole.method.cat.categories
    )
    both = [
        *COINCIDE,
        {"model": "resnet18", "layer": "blocks.5", "methods": ["hirescam", "xgradcam"], "reason": ""},
    ]
    found = [r["method"] for r in records(whole, ("method",), coincide=both, replicates=0)]
    assert found[:3] == ["gradcam", "gradcam++", "xgradcam = hirescam"]


def test_a_map_counts_once_where_methods_are_pooled() -> None:
    whole = simulated_rows(10**9, pictures=2, models=("resnet18",))
    (one,) = records(whole, (), replicates=0)
    (merged,) = records(whole, (), coincide=COINCIDE, replicates=0)
    assert (one["n"], merged["n"]) == (len(whole), len(whole) - 2 * len(whole) // 14)


def test_merged_rows_are_those_of_the_first_method_that_has_them() -> None:
    whole = simulated_rows(10**9, pictures=2, models=("resnet18",))
    last = whole.layer == "blocks.6"
    # A study under way: the first method lacks a picture that the second one has.
    lacking = whole[~(last & (whole.method == "gradcam") & (whole.image == "photos/00000"))]
    merged = merge_methods(lacking, COINCIDE)
    joint = merged[merged.method == "gradcam = xgradcam = hirescam"]
    stand_in = (whole.method == "xgradcam") & (whole.image == "photos/00000")
    first = (whole.method == "gradcam") & (whole.image != "photos/00000")
    assert joint.index.tolist() == whole.index[last & (first | stand_in)].tolist()
    assert merged.index.is_monotonic_increasing
    assert merge_methods(whole, ()) is whole


def test_overlapping_groups_are_one() -> None:
    whole = simulated_rows(10**9, pictures=1, models=("resnet18",))
    groups = [
        {"model": "resnet18", "layer": layer, "methods": methods, "reason": ""}
        for layer in ("blocks.5", "blocks.6")
        for methods in (["eigencam", "gradcam"], ["gradcam", "hirescam"], ["ablationcam", "absent"])
    ]
    assert merge_methods(whole, groups).method.iloc[0] == "gradcam = hirescam = eigencam"
    assert "ablationcam" in set(merge_methods(whole, groups).method)


def test_rows_that_are_ready_give_the_same_records(rows: pd.DataFrame) -> None:
    once = ready(rows, "pearson")
    for by in (("method",), ("method", "severity"), ()):
        assert records(once, by, replicates=0) == records(rows, by, "pearson", replicates=0)
    with pytest.raises(BadSetting, match="weather"):
        records(once, ("weather",))
